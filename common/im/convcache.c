#include "common/im/convcache.h"

#include "common/base/macros.h"

#include <errno.h>
#include <stdlib.h>

#define BUCKETS_FIRST 1024
#define DRAIN         16

struct entry {
    struct conv *conv;
    struct entry *chain;         /* of the hash bucket */
    struct entry *older, *newer; /* by use */
    struct entry *dirty_next;
    uint64_t turn; /* of the last use */
    size_t bytes;
    bool dirty;
};

struct convcache {
    struct entry **buckets;
    size_t n_buckets, count;
    struct entry *oldest, *newest;
    struct entry *dirty, **dirty_tail;
    struct entry *last;
    uint64_t turn;
    size_t bytes, max_bytes;
    const char *error;
    uint8_t table;
};

struct convcache *convcache_new(uint8_t table, size_t max_bytes)
{
    struct convcache *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->buckets = calloc(BUCKETS_FIRST, sizeof *c->buckets);
    if (!c->buckets) {
        free(c);
        return NULL;
    }
    c->n_buckets = BUCKETS_FIRST;
    c->dirty_tail = &c->dirty;
    c->max_bytes = max_bytes;
    c->table = table;
    return c;
}

static void entry_free(struct entry *e)
{
    conv_free(e->conv);
    free(e);
}

void convcache_free(struct convcache *c)
{
    if (!c)
        return;
    for (struct entry *e = c->oldest, *next; e; e = next) {
        next = e->newer;
        entry_free(e);
    }
    free(c->buckets);
    free(c);
}

/* ---- finding; ids are hashes already ---- */

static struct entry **bucket_of(struct entry **buckets, size_t n, struct id16 id)
{
    uint64_t h;
    memcpy(&h, id.b, sizeof h);
    return &buckets[h & (n - 1)];
}

static struct entry *find(const struct convcache *c, struct id16 id)
{
    struct entry *e = *bucket_of(c->buckets, c->n_buckets, id);
    while (e && !id_eq(conv_id(e->conv), id))
        e = e->chain;
    return e;
}

static void grow(struct convcache *c)
{
    size_t n = c->n_buckets * 2;
    struct entry **buckets = calloc(n, sizeof *buckets);
    if (!buckets)
        return; /* longer chains, that is all */
    for (struct entry *e = c->oldest; e; e = e->newer) {
        struct entry **b = bucket_of(buckets, n, conv_id(e->conv));
        e->chain = *b;
        *b = e;
    }
    free(c->buckets);
    c->buckets = buckets;
    c->n_buckets = n;
}

static void unlink_use(struct convcache *c, struct entry *e)
{
    *(e->older ? &e->older->newer : &c->oldest) = e->newer;
    *(e->newer ? &e->newer->older : &c->newest) = e->older;
}

static void link_newest(struct convcache *c, struct entry *e)
{
    e->older = c->newest;
    e->newer = NULL;
    *(c->newest ? &c->newest->newer : &c->oldest) = e;
    c->newest = e;
}

static void touch(struct convcache *c, struct entry *e)
{
    e->turn = c->turn;
    if (c->newest == e)
        return;
    unlink_use(c, e);
    link_newest(c, e);
}

static void recount(struct convcache *c, struct entry *e)
{
    size_t now = sizeof *e + conv_bytes(e->conv);
    c->bytes += now - e->bytes;
    e->bytes = now;
}

static struct entry *add(struct convcache *c, struct id16 id)
{
    struct entry *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->conv = conv_new(id);
    if (!e->conv) {
        free(e);
        return NULL;
    }
    if (c->count >= c->n_buckets)
        grow(c);
    struct entry **b = bucket_of(c->buckets, c->n_buckets, id);
    e->chain = *b;
    *b = e;
    link_newest(c, e);
    e->turn = c->turn;
    c->count++;
    recount(c, e);
    return e;
}

/* ---- a batch ---- */

static struct entry *use(struct convcache *c, struct id16 id)
{
    struct entry *e = find(c, id);
    if (e)
        touch(c, e);
    else
        e = add(c, id);
    return e;
}

static enum core_rc want_cells(const struct convcache *c, struct id16 conv, const struct conv_cell *cells,
                               size_t n, struct want *want)
{
    uint8_t key[CONVCACHE_KEY];
    memcpy(key, conv.b, ID_SIZE);
    for (size_t i = 0; i < n; i++) {
        memcpy(key + ID_SIZE, cells[i].key, cells[i].key_n);
        want_add(want, c->table, (struct slice){key, ID_SIZE + cells[i].key_n});
    }
    return n ? CORE_MORE : CORE_OK;
}

enum core_rc convcache_plan(struct convcache *c, const struct conv_event *ev, struct want *want)
{
    struct conv_cell needs[CONV_NEEDS_MAX];
    if (!conv_rules_known(ev->rules))
        return CORE_STOP;
    struct entry *e = use(c, ev->conv);
    return e ? want_cells(c, ev->conv, needs, conv_needs(e->conv, ev, needs), want) : CORE_STOP;
}

enum core_rc convcache_plan_roster(struct convcache *c, struct id16 conv, struct want *want)
{
    struct conv_cell needs[CONV_NEEDS_MAX];
    struct entry *e = use(c, conv);
    return e ? want_cells(c, conv, needs, conv_needs_roster(e->conv, needs), want) : CORE_STOP;
}

enum core_rc convcache_plan_admins(struct convcache *c, struct id16 conv, struct want *want)
{
    struct conv_cell needs[CONV_NEEDS_MAX];
    struct entry *e = use(c, conv);
    return e ? want_cells(c, conv, needs, conv_needs_admins(e->conv, needs), want) : CORE_STOP;
}

enum core_rc convcache_plan_member(struct convcache *c, struct id16 conv, struct id16 user, struct want *want)
{
    struct conv_cell needs[CONV_NEEDS_MAX];
    struct entry *e = use(c, conv);
    return e ? want_cells(c, conv, needs, conv_needs_member(e->conv, user, needs), want) : CORE_STOP;
}

void convcache_load(struct convcache *c, struct slice key, struct slice row)
{
    struct id16 id;
    struct conv_cell cell = {.bytes = row};
    if (key.n < ID_SIZE || key.n > CONVCACHE_KEY) {
        c->error = "row with a key that is no cell's";
        return;
    }
    memcpy(id.b, key.p, ID_SIZE);
    cell.key_n = key.n - ID_SIZE;
    memcpy(cell.key, (const uint8_t *)key.p + ID_SIZE, cell.key_n);
    struct entry *e = find(c, id);
    if (!e && !(e = add(c, id))) {
        c->error = "no memory";
        return;
    }
    int rc = conv_load(e->conv, &cell);
    if (rc)
        c->error = rc == -ENOTSUP ? "cell written by a newer version" : "cell that cannot be read";
    recount(c, e);
}

enum core_rc convcache_apply(struct convcache *c, const struct conv_event *ev, struct conv_outcome *out)
{
    struct conv_cell needs[CONV_NEEDS_MAX];
    struct entry *e = find(c, ev->conv);
    if (c->error || !conv_rules_known(ev->rules))
        return CORE_STOP;
    if (!e || conv_needs(e->conv, ev, needs) > 0) {
        c->error = "cells were not loaded before applying";
        return CORE_STOP;
    }
    *out = conv_apply(e->conv, ev);
    touch(c, e);
    if (!e->dirty) {
        e->dirty = true;
        e->dirty_next = NULL;
        *c->dirty_tail = e;
        c->dirty_tail = &e->dirty_next;
    }
    c->last = e;
    return CORE_OK;
}

const struct conv *convcache_find(const struct convcache *c, struct id16 id)
{
    const struct entry *e = find(c, id);
    return e ? e->conv : NULL;
}

const struct conv *convcache_last(const struct convcache *c)
{
    return c->last ? c->last->conv : NULL;
}

static void put_dirty(struct convcache *c, struct entry *e, struct fx *fx)
{
    struct conv_cell cells[DRAIN];
    uint8_t key[CONVCACHE_KEY];
    struct id16 id = conv_id(e->conv);
    memcpy(key, id.b, ID_SIZE);
    for (size_t n; (n = conv_dirty(e->conv, cells, DRAIN)) > 0;) {
        for (size_t i = 0; i < n; i++) {
            memcpy(key + ID_SIZE, cells[i].key, cells[i].key_n);
            fx_put(fx, c->table, (struct slice){key, ID_SIZE + cells[i].key_n}, cells[i].bytes);
        }
    }
    recount(c, e);
}

/* The next batch may have been planned already, on what it found here: two turns are spared. */
static void evict(struct convcache *c)
{
    while (c->bytes > c->max_bytes && c->oldest && c->oldest->turn + 1 < c->turn) {
        struct entry *e = c->oldest;
        struct entry **p = bucket_of(c->buckets, c->n_buckets, conv_id(e->conv));
        while (*p != e)
            p = &(*p)->chain;
        *p = e->chain;
        unlink_use(c, e);
        c->bytes -= e->bytes;
        c->count--;
        if (c->last == e)
            c->last = NULL;
        entry_free(e);
    }
}

void convcache_end(struct convcache *c, struct fx *fx)
{
    for (struct entry *e = c->dirty, *next; e; e = next) {
        next = e->dirty_next;
        e->dirty = false;
        put_dirty(c, e, fx);
    }
    c->dirty = NULL;
    c->dirty_tail = &c->dirty;
    evict(c);
    c->turn++;
}

size_t convcache_bytes(const struct convcache *c)
{
    return c->bytes;
}

size_t convcache_count(const struct convcache *c)
{
    return c->count;
}

const char *convcache_error(const struct convcache *c)
{
    return c->error;
}
