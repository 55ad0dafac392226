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
        log_error("no memory for the rows of a rebuild, or a key that no table has");
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

static struct held_row *find(const struct held *h, uint32_t hash, uint8_t table, struct slice key)
{
    struct held_row *r = h->buckets[hash & (h->n_buckets - 1)];
    while (r &&
           (r->hash != hash || r->table != table || r->key_n != key.n || memcmp(r->key, key.p, key.n) != 0))
        r = r->chain;
    return r;
}

static void grow(struct held *h)
{
    struct held_row **old = h->buckets;
    size_t n = h->n_buckets;
    h->n_buckets *= 2;
    h->buckets = must(calloc(h->n_buckets, sizeof(struct held_row *)));
    for (size_t i = 0; i < n; i++)
        for (struct held_row *r = old[i], *next; r; r = next) {
            struct held_row **b = &h->buckets[r->hash & (h->n_buckets - 1)];
            next = r->chain;
            r->chain = *b;
            *b = r;
        }
    free(old);
}

static struct held_row *add(struct held *h, uint32_t hash, uint8_t table, struct slice key)
{
    if (h->n >= h->n_buckets)
        grow(h);
    struct held_row *r = must(key.n <= UINT8_MAX ? arena_alloc(h->arena, sizeof *r + key.n) : NULL);
    struct held_row **b = &h->buckets[hash & (h->n_buckets - 1)];
    *r = (struct held_row){.chain = *b, .hash = hash, .table = table, .key_n = (uint8_t)key.n};
    memcpy(r->key, key.p, key.n);
    *b = r;
    h->n++;
    return r;
}

static void make_due(struct held *h, struct held_row *r)
{
    r->due = true;
    r->next = NULL;
    *h->tail[r->table] = r;
    h->tail[r->table] = &r->next;
}

void held_put(struct held *h, uint8_t table, struct slice key, struct slice row)
{
    uint32_t hash = (uint32_t)hash_of(table, key);
    struct held_row *r = find(h, hash, table, key);
    if (!r)
        r = add(h, hash, table, key);
    if (!r->due)
        make_due(h, r);
    if (row.n > r->room) { /* what grows once grows again */
        bool first = r->room == 0;
        r->room = (uint32_t)(first ? row.n : row.n + row.n / 2);
        r->row = must(arena_alloc(h->arena, r->room));
    }
    if (row.n)
        memcpy(r->row, row.p, row.n);
    r->n = (uint32_t)row.n;
}

const struct held_row *held_find(const struct held *h, uint8_t table, struct slice key)
{
    return find(h, (uint32_t)hash_of(table, key), table, key);
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

void held_settle(struct held *h)
{
    for (size_t t = 0; t < STORE_TABLES; t++)
        for (struct held_row *r = h->first[t]; r; r = r->next)
            r->due = false;
    lists_clear(h);
}

void held_clear(struct held *h)
{
    arena_reset(h->arena);
    memset(h->buckets, 0, h->n_buckets * sizeof(struct held_row *));
    lists_clear(h);
    h->n = 0;
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
