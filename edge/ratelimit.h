/* ratelimit.h: a token bucket, 8 bytes; all zero is a full one.
 *
 * Times are milliseconds modulo 2^32; a bucket left alone for more than 24 days may count as just used. */
#ifndef PARLEY_EDGE_RATELIMIT_H
#define PARLEY_EDGE_RATELIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct ratelimit {
    uint32_t used;  /* thousandths of tokens that are gone */
    uint32_t at_ms; /* as of when */
};

/* per_s tokens come back each second, up to `burst` (both at least 1). Takes one token and returns 0, or returns
 * after how many milliseconds there will be one. */
uint32_t ratelimit_take(struct ratelimit *, uint32_t per_s, uint32_t burst, uint32_t now_ms);
/* The same with one token per `every_ms`. */
uint32_t ratelimit_take_slow(struct ratelimit *, uint32_t every_ms, uint32_t burst, uint32_t now_ms);
/* 0: there is a token; nothing is taken. */
uint32_t ratelimit_look_slow(struct ratelimit *, uint32_t every_ms, uint32_t burst, uint32_t now_ms);
/* The same when `more` tokens of a bucket that is not full may still be charged. */
uint32_t ratelimit_look_more(struct ratelimit *, uint32_t every_ms, uint32_t burst, uint32_t now_ms,
                             uint32_t more);
/* One token, even when there is none: it then takes longer until there is one again. */
void ratelimit_charge(struct ratelimit *, uint32_t every_ms, uint32_t now_ms);
void ratelimit_give(struct ratelimit *); /* one token back, before its time */
bool ratelimit_full_slow(struct ratelimit *, uint32_t every_ms, uint32_t now_ms); /* as good as new */

#endif
