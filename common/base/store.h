/* store.h: where a shell keeps the rows and the mark of its partitions.
 *
 * The mark says how far a partition's rows go: {generation, serial, next offset per topic}. It changes only
 * in the same transaction as the rows. Opening a partition takes a new, higher generation, so that whoever
 * held it before is refused from then on. The serial counts puts: repeating a put whose outcome was unknown
 * is always safe, and is answered ok when it had been done. All calls answer exactly once by callback, on the
 * loop thread, never inside the call itself. STORE_DOWN means: nothing is known, repeat it later (the shell
 * backs off).
 *
 * A table is a number below STORE_TABLES, with byte-string keys and rows, private to (group, partition).
 */
#ifndef PARLEY_BASE_STORE_H
#define PARLEY_BASE_STORE_H

#include "common/base/core.h"

#define STORE_TABLES 16
#define STORE_TOPICS 4

struct loop;
struct kv;
struct db;
struct store;
struct store_part; /* a partition opened by this process */

struct store_mark {
    int64_t generation;
    int64_t serial;
    bool present; /* false: rows were never put, or are lost or being recovered */
    int64_t next[STORE_TOPICS];
    int64_t quiet[STORE_TOPICS]; /* sends below were made before (see shell.h) */
};

enum store_rc {
    STORE_OK,
    STORE_FENCED, /* somebody opened it after us, or the store lost data: close, and open again */
    STORE_DOWN,   /* not reachable, or outcome unknown: repeat */
    STORE_BAD,    /* will not get better by repeating (mistake, corrupt): halt, loudly; reason is logged */
};

struct store_key {
    uint8_t table;
    struct slice key;
};
struct store_row { /* row.n == 0: delete. append: key unused, never read back */
    uint8_t table;
    bool append;
    struct slice key, row;
};
struct store_put {
    const struct store_row *rows; /* the last one wins where a key occurs twice */
    size_t n;
    const struct store_mark *mark; /* generation as opened, serial = the previous one + 1 */
    bool reset;                    /* first remove all rows of the partition (start of a recovery) */
};

typedef void store_open_fn(void *ctx, enum store_rc, struct store_part *, const struct store_mark *);
typedef void store_row_fn(void *ctx, const struct store_key *, struct slice row); /* n == 0: proven absent */
typedef void store_done_fn(void *ctx, enum store_rc);

struct store_ops { /* what an implementation gives; see store_none.c for the smallest */
    void (*open)(struct store *, const char *group, int32_t part, size_t n_topics, const int64_t *committed,
                 store_open_fn *, void *ctx);
    void (*load)(struct store_part *, const struct store_key *, size_t n, store_row_fn *, store_done_fn *,
                 void *ctx);
    void (*put)(struct store_part *, const struct store_put *, store_done_fn *, void *ctx);
    void (*close)(struct store_part *); /* no callback of this partition comes after it */
    bool (*up)(const struct store *);
    void (*free)(struct store *);
};
struct store {
    const struct store_ops *ops;
};

/* keys, rows and mark must stay put until the answer. */
static inline void store_open(struct store *s, const char *group, int32_t part, size_t n_topics,
                              const int64_t *committed, store_open_fn *fn, void *ctx)
{
    s->ops->open(s, group, part, n_topics, committed, fn, ctx);
}
static inline bool store_up(const struct store *s)
{
    return s->ops->up(s);
}
static inline void store_free(struct store *s)
{
    if (s)
        s->ops->free(s);
}

/* No rows: the mark is what the group has committed. */
struct store *store_none_new(struct loop *);

/* Free the kv first: what is in flight in it is answered to the store.
 * Redis: one hash per (prefix, group, partition, table) and the mark in a hash of its own; put is one script.
 */
struct store *store_redis_new(struct loop *, struct kv *, const char *prefix);

/* PostgreSQL. `tables` (borrowed) says how rows become SQL; see store_pg.h. */
struct store_pg_table;
struct store *store_pg_new(struct loop *, struct db *, const struct store_pg_table *tables, size_t n);

#endif
