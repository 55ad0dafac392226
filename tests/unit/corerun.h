/* corerun.h: runs one core over batches of records, with a store in memory, for unit tests. Include it once per test.
 *
 * A batch goes as in shell.h: plan (4 rounds at most), load, step, end; then its puts reach the store. run_crash()
 * closes the core without that. What was sent is kept, in order, with the batch it came from. */
#ifndef PARLEY_TESTS_CORERUN_H
#define PARLEY_TESTS_CORERUN_H

#include "common/base/arena.h"
#include "common/base/core.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct sent_record {
    uint16_t topic;
    int32_t part; /* FX_BY_KEY */
    struct slice key, value;
    uint64_t tag;
    unsigned batch;
};
struct stored {
    UT_hash_handle hh;
    size_t key_n, row_n;
    uint8_t *row;
    uint8_t key[]; /* table, key */
};
struct put {
    uint8_t table;
    struct slice key, row;
};
struct fx {
    struct arena *arena; /* of everything, for the test's whole life */
    struct sent_record *sends;
    size_t n_sends;
    struct put *puts, *appends;
    size_t n_puts, n_appends;
    unsigned batch;
};
struct want {
    struct put *keys;
    size_t n;
    struct arena *arena;
};
struct run {
    const struct core_ops *ops;
    struct core_open open;
    int64_t next[2], quiet[2];
    void *core;
    struct fx fx;
    struct stored *store;
    size_t n_written; /* of fx.appends: those whose batch was put */
    unsigned n_poison, rounds;
    bool no_end_effects; /* crash in the next batch before its puts */
};

static inline void *grown(void *p, size_t n, size_t size)
{
    if ((n & (n - 1)) == 0) {
        p = realloc(p, (n ? 2 * n : 1) * size);
        if (!p)
            abort();
    }
    return p;
}

void *fx_alloc(struct fx *fx, size_t n)
{
    void *p = arena_alloc(fx->arena, n);
    if (!p)
        abort();
    return p;
}

static inline struct slice fx_copy(struct arena *a, struct slice s)
{
    void *p = arena_copy(a, s.n ? s.p : "", s.n);
    if (!p)
        abort();
    return (struct slice){p, s.n};
}

void fx_send_at(struct fx *fx, uint16_t topic, int32_t part, struct slice key, struct slice value,
                uint64_t tag)
{
    fx->sends = grown(fx->sends, fx->n_sends, sizeof *fx->sends);
    fx->sends[fx->n_sends++] =
        (struct sent_record){topic, part, fx_copy(fx->arena, key), fx_copy(fx->arena, value), tag, fx->batch};
}

void fx_send(struct fx *fx, uint16_t topic, struct slice key, struct slice value, uint64_t tag)
{
    fx_send_at(fx, topic, FX_BY_KEY, key, value, tag);
}

void fx_put(struct fx *fx, uint8_t table, struct slice key, struct slice row)
{
    fx->puts = grown(fx->puts, fx->n_puts, sizeof *fx->puts);
    fx->puts[fx->n_puts++] = (struct put){table, fx_copy(fx->arena, key), fx_copy(fx->arena, row)};
}

void fx_append(struct fx *fx, uint8_t table, struct slice row)
{
    fx->appends = grown(fx->appends, fx->n_appends, sizeof *fx->appends);
    fx->appends[fx->n_appends++] = (struct put){.table = table, .row = fx_copy(fx->arena, row)};
}

void fx_wake(struct fx *fx, int64_t at_ms)
{
    (void)fx;
    (void)at_ms;
}

void want_add(struct want *w, uint8_t table, struct slice key)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->keys[i].table == table && w->keys[i].key.n == key.n && !memcmp(w->keys[i].key.p, key.p, key.n))
            return;
    w->keys = grown(w->keys, w->n, sizeof *w->keys);
    w->keys[w->n++] = (struct put){.table = table, .key = fx_copy(w->arena, key)};
}

static inline struct stored *run_find(const struct run *r, uint8_t table, struct slice key)
{
    uint8_t name[256] = {table};
    struct stored *s;
    memcpy(name + 1, key.p, key.n);
    HASH_FIND(hh, r->store, name, key.n + 1, s);
    return s;
}

static inline void run_put(struct run *r, uint8_t table, struct slice key, struct slice row)
{
    struct stored *s = run_find(r, table, key);
    if (s) {
        HASH_DEL(r->store, s);
        free(s->row);
        free(s);
    }
    if (row.n == 0)
        return;
    s = calloc(1, sizeof *s + key.n + 1);
    s->key[0] = table;
    memcpy(s->key + 1, key.p, key.n);
    s->key_n = key.n + 1;
    s->row = malloc(row.n);
    memcpy(s->row, row.p, row.n);
    s->row_n = row.n;
    HASH_ADD_KEYPTR(hh, r->store, s->key, s->key_n, s);
}

static inline void run_open(struct run *r, const struct core_ops *ops, const void *settings, void *shared,
                            int64_t next, int64_t quiet)
{
    if (!r->fx.arena)
        r->fx.arena = arena_new(0);
    r->ops = ops;
    r->next[0] = r->next[1] = next;
    r->quiet[0] = r->quiet[1] = quiet;
    r->open = (struct core_open){.next = r->next, .quiet = r->quiet, .settings = settings, .shared = shared};
    r->core = ops->open(&r->open);
    if (!r->core)
        abort();
}

static inline void run_crash(struct run *r)
{
    r->ops->close(r->core);
    r->core = NULL;
}

static inline bool run_load(struct run *r, struct want *w)
{
    bool any = w->n > 0;
    for (size_t i = 0; i < w->n; i++) {
        const struct stored *s = run_find(r, w->keys[i].table, w->keys[i].key);
        struct slice row = {s ? s->row : NULL, s ? s->row_n : 0};
        r->ops->load(r->core, w->keys[i].table, w->keys[i].key, row);
    }
    w->n = 0;
    return any;
}

/* CORE_OK, or CORE_STOP: the records before the one that stopped have had their effect in memory only. */
static inline enum core_rc run_batch(struct run *r, const struct record *rec, size_t n)
{
    struct want want = {.arena = r->fx.arena};
    enum core_rc rc = CORE_MORE;
    for (r->rounds = 0; rc == CORE_MORE && r->rounds < 4; r->rounds++) {
        rc = CORE_OK;
        for (size_t i = 0; i < n; i++) {
            enum core_rc one = r->ops->plan(r->core, &rec[i], &want);
            if (one == CORE_STOP)
                rc = CORE_STOP;
            else if (one == CORE_MORE && rc != CORE_STOP)
                rc = CORE_MORE;
        }
        if (!run_load(r, &want) && rc == CORE_MORE)
            break;
    }
    free(want.keys);
    if (rc != CORE_OK)
        return CORE_STOP;
    for (size_t i = 0; i < n; i++) {
        enum core_rc one = r->ops->step(r->core, &rec[i], 0, &r->fx);
        if (one == CORE_STOP)
            return CORE_STOP;
        if (one == CORE_POISON)
            r->n_poison++;
    }
    if (r->ops->end)
        r->ops->end(r->core, 0, &r->fx);
    r->fx.batch++;
    if (r->no_end_effects) {
        r->fx.n_puts = 0;
        r->fx.n_appends = r->n_written;
        return CORE_OK;
    }
    for (size_t i = 0; i < r->fx.n_puts; i++)
        run_put(r, r->fx.puts[i].table, r->fx.puts[i].key, r->fx.puts[i].row);
    r->fx.n_puts = 0;
    r->n_written = r->fx.n_appends;
    return CORE_OK;
}

static inline void run_release(struct run *r)
{
    struct stored *s, *next;
    if (r->core)
        run_crash(r);
    HASH_ITER (hh, r->store, s, next) {
        HASH_DEL(r->store, s);
        free(s->row);
        free(s);
    }
    free(r->fx.sends);
    free(r->fx.puts);
    free(r->fx.appends);
    arena_free(r->fx.arena);
    memset(r, 0, sizeof *r);
}

/* Do both hold the same rows in this table? */
static inline bool run_same(const struct run *a, const struct run *b, uint8_t table)
{
    size_t n[2] = {0, 0};
    struct stored *s, *next;
    HASH_ITER (hh, b->store, s, next)
        n[1] += s->key[0] == table;
    HASH_ITER (hh, a->store, s, next) {
        if (s->key[0] != table)
            continue;
        n[0]++;
        const struct stored *t = run_find(b, table, (struct slice){s->key + 1, s->key_n - 1});
        if (!t || t->row_n != s->row_n || memcmp(t->row, s->row, s->row_n) != 0)
            return false;
    }
    return n[0] == n[1];
}

#endif
