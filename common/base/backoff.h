/* backoff.h: how long to wait before the next attempt: doubling, half of it random, up to a limit.
 *
 *     struct backoff b;
 *     backoff_init(&b, 100, 10000, rand_u64());
 *     on failure: loop_timer_start(loop, &retry, backoff_next_ms(&b));   on success: backoff_reset(&b);
 */
#ifndef PARLEY_BASE_BACKOFF_H
#define PARLEY_BASE_BACKOFF_H

#include "common/base/rand.h"

#include <stdint.h>

struct backoff {
    int64_t min_ms, max_ms, step_ms;
    struct rng rng;
};

static inline void backoff_init(struct backoff *b, int64_t min_ms, int64_t max_ms, uint64_t seed)
{
    *b = (struct backoff){min_ms, max_ms, min_ms, {seed}}; /* 1 <= min_ms <= max_ms */
}

static inline void backoff_reset(struct backoff *b)
{
    b->step_ms = b->min_ms;
}

static inline int64_t backoff_next_ms(struct backoff *b) /* between half of the step and all of it */
{
    int64_t step = b->step_ms, half = step / 2;
    b->step_ms = step > b->max_ms / 2 ? b->max_ms : step * 2;
    return half + (int64_t)rng_below(&b->rng, (uint64_t)(step - half) + 1);
}

#endif
