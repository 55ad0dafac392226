#include "edge/addresses.h"

#include <stdlib.h>

struct addresses {
    struct address *v;
    uint32_t cap, n, max, try_every_ms, register_every_ms;
};

struct addresses *addresses_new(uint32_t max, uint32_t try_every_ms, uint32_t register_every_ms)
{
    struct addresses *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    *a = (struct addresses){.max = max, .try_every_ms = try_every_ms, .register_every_ms = register_every_ms};
    return a;
}

void addresses_free(struct addresses *a)
{
    if (!a)
        return;
    free(a->v);
    free(a);
}

static uint32_t home(uint64_t key, uint32_t cap)
{
    return (uint32_t)((key * 0x9e3779b97f4a7c15u) >> 32) & (cap - 1);
}

static struct address *find(struct address *v, uint32_t cap, uint64_t key)
{
    uint32_t i = home(key, cap);
    while (v[i].used && v[i].key != key)
        i = (i + 1) & (cap - 1);
    return &v[i];
}

/* Copies what is still needed into a table of fitting size; so entries are removed only here. */
static bool rebuild(struct addresses *a, uint32_t now_ms)
{
    uint32_t keep = 0, cap = 64;
    for (uint32_t i = 0; i < a->cap; i++) {
        struct address *e = &a->v[i];
        if (e->used && !e->conns && !e->hashing && ratelimit_full_slow(&e->tries, a->try_every_ms, now_ms) &&
            ratelimit_full_slow(&e->registers, a->register_every_ms, now_ms))
            e->used = false;
        keep += e->used;
    }
    while (cap / 2 <= keep)
        cap *= 2;
    struct address *v = calloc(cap, sizeof *v);
    if (!v) /* the holes made above would break the old table: put everything back */
        abort();
    for (uint32_t i = 0; i < a->cap; i++)
        if (a->v[i].used)
            *find(v, cap, a->v[i].key) = a->v[i];
    free(a->v);
    a->v = v;
    a->cap = cap;
    a->n = keep;
    return keep < a->max;
}

struct address *addresses_get(struct addresses *a, uint64_t key, uint32_t now_ms)
{
    if (a->cap) {
        struct address *e = find(a->v, a->cap, key);
        if (e->used)
            return e;
    }
    if ((a->n >= a->cap / 4 * 3 || a->n >= a->max) && !rebuild(a, now_ms))
        return NULL;
    struct address *e = find(a->v, a->cap, key);
    *e = (struct address){.key = key, .used = true};
    a->n++;
    return e;
}

void addresses_leave(struct addresses *a, uint64_t key)
{
    if (!a->cap)
        return;
    struct address *e = find(a->v, a->cap, key);
    if (e->used && e->conns)
        e->conns--;
}

uint32_t addresses_count(const struct addresses *a)
{
    return a->n;
}
