/* shell_rows.c: rows by (table, key) in an open-addressing table that lives in an arena. */
#include "common/base/shell_int.h"

#include <string.h>
#include <xxhash.h>

static uint32_t hash_of(uint8_t table, struct slice key)
{
    return (uint32_t)XXH3_64bits_withSeed(key.p, key.n, table);
}

static bool same(const struct srow *a, uint8_t table, struct slice key)
{
    return a->r.table == table && a->r.key.n == key.n && !memcmp(a->r.key.p, key.p, key.n);
}

static struct srow **slot_of(const struct row_index *x, uint8_t table, struct slice key)
{
    uint32_t at = hash_of(table, key) & x->mask;
    while (x->slots[at] && !same(x->slots[at], table, key))
        at = (at + 1) & x->mask;
    return &x->slots[at];
}

struct srow *row_index_find(const struct row_index *x, uint8_t table, struct slice key)
{
    return x->slots ? *slot_of(x, table, key) : NULL;
}

static void grow(struct row_index *x, struct arena *a)
{
    struct row_index old = *x;
    uint32_t n = old.slots ? (old.mask + 1) * 2 : 64;
    x->slots = arena_alloc(a, n * sizeof(struct srow *));
    if (!x->slots)
        shell_no_memory();
    memset(x->slots, 0, n * sizeof(struct srow *));
    x->mask = n - 1;
    for (uint32_t i = 0; old.slots && i <= old.mask; i++)
        if (old.slots[i])
            *slot_of(x, old.slots[i]->r.table, old.slots[i]->r.key) = old.slots[i];
}

struct srow *row_index_put(struct row_index *x, struct arena *a, struct srow *put)
{
    if (!x->slots || x->used * 2 > x->mask)
        grow(x, a);
    struct srow **s = slot_of(x, put->r.table, put->r.key), *old = *s;
    x->used += !old;
    *s = put;
    return old;
}
