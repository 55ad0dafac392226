/* pool.h: a few threads for work that would hold up the loop (argon2).
 *
 * Jobs are embedded in their owners. work() runs on a thread of the pool and touches only its job; done()
 * runs later on the loop thread. The queue is bounded: when it is full the caller answers "busy" instead of
 * waiting.
 */
#ifndef PARLEY_BASE_POOL_H
#define PARLEY_BASE_POOL_H

#include "common/base/loop.h"
#include "common/base/macros.h"

#include <stdbool.h>

struct pool;

struct pool_job {
    void (*work)(struct pool_job *); /* pool thread */
    void (*done)(struct pool_job *); /* loop thread; may free the job or submit it again */
    bool cancelled;                  /* in done(): the pool was freed before work() began */
    struct pool_job *next;
};

/* max_waiting: jobs queued but not begun. -errno. */
int MUST_CHECK pool_new(struct pool **out, struct loop *, unsigned threads, unsigned max_waiting);

/* Waits for the jobs that run, cancels those that wait; calls done() for all of them before it returns. */
void pool_free(struct pool *);

/* Loop thread. work and done are set; the job is the pool's until done(). -EAGAIN: the queue is full. */
int MUST_CHECK pool_submit(struct pool *, struct pool_job *);

#endif
