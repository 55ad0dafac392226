/* rand.h: randomness, of two kinds that must not be confused.
 *
 * `struct rng` is fast and repeatable from its seed (jitter, sampling, simulation). Secrets, tokens and ids
 * come from rand_bytes(), the kernel's generator. An rng belongs to one thread; rand_bytes() may be called by
 * any.
 */
#ifndef PARLEY_BASE_RAND_H
#define PARLEY_BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t state; /* the seed; any value will do */
};

uint64_t rng_next(struct rng *);
uint64_t rng_below(struct rng *, uint64_t n); /* 0 … n-1, without bias; n > 0 */

void rand_bytes(void *p,
                size_t n); /* aborts if the kernel has none to give, which it always has after boot */
uint64_t rand_u64(void);   /* also a seed for an rng */

#endif
