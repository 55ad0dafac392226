#include "client/parleyctl/rebuild_rows.h"

#include "common/base/arena.h"
#include "common/base/log.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define CHUNK         (1u << 20)
#define BUCKETS_FIRST 65536u
#define SEEN_BITS     (8ull << 23)
#define SEEN_PROBES   4

struct held {
    struct arena *arena;
    struct held_row **buckets, *first[STORE_TABLES], **tail[STORE_TABLES];
    size_t n, n_buckets;
};

static void *must(void *p)
{
    if (!p) {
        log_error("no memory for the rows of a rebuild");
        abort();
    }
    return p;
}

static uint64_t hash_of(uint8_t table, struct slice key)
{
    return XXH3_64bits_withSeed(key.p, key.n, table);
}

static void lists_clear(struct held *h)
{
    for (size_t t = 0; t < STORE_TABLES; t++) {
        h->first[t] = NULL;
        h->tail[t] = &h->first[t];
    }
    h->n = 0;
}

struct held *held_new(void)
{
    struct held *h = must(calloc(1, sizeof *h));
    h->arena = must(arena_new(CHUNK));
    h->n_buckets = BUCKETS_FIRST;
    h->buckets = must(calloc(h->n_buckets, sizeof(struct held_row *)));
    lists_clear(h);
    return h;
}

void held_free(struct held *h)
{
    if (!h)
        return;
    arena_free(h->arena);
    free(h->buckets);
    free(h);
}

static struct held_row *find(const struct held *h, uint64_t hash, uint8_t table, struct slice key)
{
    struct held_row *r = h->buckets[hash & (h->n_buckets - 1)];
    while (r &&
           (r->hash != hash || r->table != table || r->key.n != key.n || memcmp(r->key.p, key.p, key.n) != 0))
        r = r->chain;
    return r;
}

static void grow(struct held *h)
{
    free(h->buckets);
    h->n_buckets *= 2;
    h->buckets = must(calloc(h->n_buckets, sizeof(struct held_row *)));
    for (size_t t = 0; t < STORE_TABLES; t++)
        for (struct held_row *r = h->first[t]; r; r = r->next) {
            struct held_row **b = &h->buckets[r->hash & (h->n_buckets - 1)];
            r->chain = *b;
            *b = r;
        }
}

static struct held_row *add(struct held *h, uint64_t hash, uint8_t table, struct slice key)
{
    if (h->n >= h->n_buckets)
        grow(h);
    struct held_row *r = must(arena_alloc(h->arena, sizeof *r)), **b;
    b = &h->buckets[hash & (h->n_buckets - 1)];
    *r = (struct held_row){.chain = *b, .hash = hash, .table = table};
    r->key = (struct slice){must(arena_copy(h->arena, key.p, key.n)), key.n};
    *b = r;
    *h->tail[table] = r;
    h->tail[table] = &r->next;
    h->n++;
    return r;
}

void held_put(struct held *h, uint8_t table, struct slice key, struct slice row)
{
    uint64_t hash = hash_of(table, key);
    struct held_row *r = find(h, hash, table, key);
    if (!r)
        r = add(h, hash, table, key);
    if (row.n > r->room) { /* what grows once grows again */
        bool first = r->room == 0;
        r->room = (uint32_t)(first ? row.n : row.n + row.n / 2);
        r->row.p = must(arena_alloc(h->arena, r->room));
    }
    if (row.n)
        memcpy((void *)(uintptr_t)r->row.p, row.p, row.n);
    r->row.n = row.n;
}

const struct held_row *held_find(const struct held *h, uint8_t table, struct slice key)
{
    return find(h, hash_of(table, key), table, key);
}

const struct held_row *held_first(const struct held *h, uint8_t table)
{
    return h->first[table];
}

size_t held_count(const struct held *h)
{
    return h->n;
}

size_t held_bytes(const struct held *h)
{
    return arena_used(h->arena) + h->n_buckets * sizeof(struct held_row *);
}

void held_clear(struct held *h)
{
    arena_reset(h->arena);
    memset(h->buckets, 0, h->n_buckets * sizeof(struct held_row *));
    lists_clear(h);
}

/* ---- seen ---- */

struct seen {
    uint64_t bits[SEEN_BITS / 64];
};

struct seen *seen_new(void)
{
    return must(calloc(1, sizeof(struct seen)));
}

void seen_free(struct seen *s)
{
    free(s);
}

static uint64_t probe(uint64_t hash, int i)
{
    return (hash + (uint64_t)i * (hash >> 32 | 1)) & (SEEN_BITS - 1);
}

void seen_add(struct seen *s, uint8_t table, struct slice key)
{
    uint64_t hash = hash_of(table, key);
    for (int i = 0; s && i < SEEN_PROBES; i++)
        s->bits[probe(hash, i) / 64] |= 1ull << probe(hash, i) % 64;
}

bool seen_maybe(const struct seen *s, uint8_t table, struct slice key)
{
    uint64_t hash = hash_of(table, key);
    for (int i = 0; s && i < SEEN_PROBES; i++)
        if (!(s->bits[probe(hash, i) / 64] >> probe(hash, i) % 64 & 1))
            return false;
    return true;
}
