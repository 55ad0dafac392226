/* jobs.h: password hashing on the pool's threads: the sealed verifier travels, the password never does. */
#ifndef PARLEY_EDGE_JOBS_H
#define PARLEY_EDGE_JOBS_H

#include "common/base/pool.h"
#include "edge/core.h"

/* As edge_out.job. `done` is called on the loop thread; not at all when the pool is freed before. */
bool jobs_submit(struct pool *, const struct secrets *, enum edge_job_kind, uint64_t tag, struct id16 user,
                 struct slice password, struct slice sealed,
                 void (*done)(void *ctx, uint64_t tag, bool ok, struct slice sealed), void *ctx);

#endif
