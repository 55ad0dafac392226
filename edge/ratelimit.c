#include "edge/ratelimit.h"

#define TOKEN 1000u

/* gain: thousandths that come back per 1000 ms. */
static void refill(struct ratelimit *b, uint64_t gain, uint32_t now_ms)
{
    uint32_t passed = now_ms - b->at_ms;
    uint64_t back = passed * gain / 1000;
    if (!b->used || back >= b->used) {
        b->used = 0;
        b->at_ms = now_ms;
    } else if (back) { /* the time is moved by what was given back, so that fractions add up */
        b->used -= (uint32_t)back;
        b->at_ms += (uint32_t)(back * 1000 / gain);
    }
}

static uint32_t wait_for(const struct ratelimit *b, uint64_t gain, uint64_t used, uint64_t cap,
                         uint32_t now_ms)
{
    if (used + TOKEN <= cap)
        return 0;
    uint64_t wait = ((used + TOKEN - cap) * 1000 + gain - 1) / gain;
    uint32_t passed = now_ms - b->at_ms;
    wait = wait > passed ? wait - passed : 1;
    return wait > UINT32_MAX ? UINT32_MAX : (uint32_t)wait;
}

static uint32_t take(struct ratelimit *b, uint64_t gain, uint32_t burst, uint32_t now_ms, uint32_t cost)
{
    refill(b, gain, now_ms);
    uint32_t wait = wait_for(b, gain, b->used, (uint64_t)burst * TOKEN, now_ms);
    if (!wait)
        b->used += cost;
    return wait;
}

static uint64_t slow(uint32_t every_ms)
{
    uint64_t gain = (uint64_t)TOKEN * 1000 / (every_ms ? every_ms : 1);
    return gain ? gain : 1;
}

uint32_t ratelimit_take(struct ratelimit *b, uint32_t per_s, uint32_t burst, uint32_t now_ms)
{
    return take(b, (uint64_t)per_s * TOKEN, burst, now_ms, TOKEN);
}

uint32_t ratelimit_take_slow(struct ratelimit *b, uint32_t every_ms, uint32_t burst, uint32_t now_ms)
{
    return take(b, slow(every_ms), burst, now_ms, TOKEN);
}

uint32_t ratelimit_look_slow(struct ratelimit *b, uint32_t every_ms, uint32_t burst, uint32_t now_ms)
{
    return take(b, slow(every_ms), burst, now_ms, 0);
}

uint32_t ratelimit_look_more(struct ratelimit *b, uint32_t every_ms, uint32_t burst, uint32_t now_ms,
                             uint32_t more)
{
    refill(b, slow(every_ms), now_ms);
    uint64_t used = b->used ? b->used + (uint64_t)more * TOKEN : 0;
    return wait_for(b, slow(every_ms), used, (uint64_t)burst * TOKEN, now_ms);
}

void ratelimit_charge(struct ratelimit *b, uint32_t every_ms, uint32_t now_ms)
{
    refill(b, slow(every_ms), now_ms);
    b->used += TOKEN;
}

bool ratelimit_full_slow(struct ratelimit *b, uint32_t every_ms, uint32_t now_ms)
{
    refill(b, slow(every_ms), now_ms);
    return b->used == 0;
}

void ratelimit_give(struct ratelimit *b)
{
    b->used = b->used > TOKEN ? b->used - TOKEN : 0;
}
