/* result.h: what every result says: when, where, which build; and how a latency is written. */
#ifndef PARLEY_BENCH_RESULT_H
#define PARLEY_BENCH_RESULT_H

#include "bench/hist.h"

#include <jansson.h>
#include <stdint.h>
#include <time.h>

static inline int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* {"what", "commit" ($PARLEY_COMMIT), "seed", "machine", "kernel", "librdkafka", "started"} */
json_t *result_new(const char *what, uint64_t seed);
/* {"count", "mean", "min", "p50", "p90", "p99", "p999", "max"}, microseconds. */
json_t *result_latency(const struct hist *);
/* One line on stdout; frees. Returns the exit status for `good`. */
int result_print(json_t *, int good);

#endif
