#include "edge/guesses.h"

#include "edge/ratelimit.h"

#include <stdlib.h>
#include <string.h>

#define SETS 16384u
#define WAYS 4u

struct account {
    uint64_t key; /* 0: free */
    struct ratelimit tries;
};

struct guesses {
    uint32_t every_ms, burst;
    struct account accounts[SETS][WAYS];
    uint64_t proved[2 * SETS][WAYS]; /* user and address; the latest first */
};

struct guesses *guesses_new(uint32_t every_ms, uint32_t burst)
{
    struct guesses *g = calloc(1, sizeof *g);
    if (g) {
        g->every_ms = every_ms;
        g->burst = burst;
    }
    return g;
}

void guesses_free(struct guesses *g)
{
    free(g);
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static uint64_t user_key(struct id16 user)
{
    uint64_t key;
    memcpy(&key, user.b, sizeof key);
    return key | 1;
}

static uint64_t pair_key(struct id16 user, uint64_t address)
{
    return mix(user_key(user) ^ mix(address)) | 1;
}

static bool proved(const struct guesses *g, struct id16 user, uint64_t address)
{
    uint64_t key = pair_key(user, address);
    const uint64_t *set = g->proved[key >> 32 & (2 * SETS - 1)];
    for (unsigned i = 0; i < WAYS; i++)
        if (set[i] == key)
            return true;
    return false;
}

static struct account *find(struct guesses *g, struct id16 user)
{
    uint64_t key = user_key(user);
    struct account *set = g->accounts[mix(key) & (SETS - 1)];
    for (unsigned i = 0; i < WAYS; i++)
        if (set[i].key == key)
            return &set[i];
    return NULL;
}

static struct account *get(struct guesses *g, struct id16 user, uint32_t now_ms)
{
    struct account *a = find(g, user);
    if (a)
        return a;
    uint64_t key = user_key(user);
    struct account *set = g->accounts[mix(key) & (SETS - 1)];
    a = &set[0];
    for (unsigned i = 0; i < WAYS && a->key; i++) {
        if (!set[i].key || ratelimit_full_slow(&set[i].tries, g->every_ms, now_ms)) {
            a = &set[i];
            break;
        }
        if (set[i].tries.used < a->tries.used)
            a = &set[i];
    }
    *a = (struct account){.key = key};
    return a;
}

uint32_t guesses_look(struct guesses *g, struct id16 user, uint64_t address, uint32_t now_ms)
{
    struct account *a = find(g, user);
    return a && !proved(g, user, address) ? ratelimit_look_slow(&a->tries, g->every_ms, g->burst, now_ms) : 0;
}

uint32_t guesses_take(struct guesses *g, struct id16 user, uint64_t address, uint32_t now_ms)
{
    if (proved(g, user, address))
        return 0;
    return ratelimit_take_slow(&get(g, user, now_ms)->tries, g->every_ms, g->burst, now_ms);
}

void guesses_undo(struct guesses *g, struct id16 user, uint64_t address)
{
    struct account *a = proved(g, user, address) ? NULL : find(g, user);
    if (a)
        ratelimit_give(&a->tries);
}

void guesses_known(struct guesses *g, struct id16 user, uint64_t address)
{
    uint64_t key = pair_key(user, address);
    uint64_t *set = g->proved[key >> 32 & (2 * SETS - 1)];
    unsigned i = 0;
    while (i < WAYS - 1 && set[i] != key)
        i++;
    memmove(set + 1, set, i * sizeof *set);
    set[0] = key;
}
