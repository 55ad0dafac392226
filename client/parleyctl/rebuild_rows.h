/* rebuild_rows.h: rows that a rebuild holds back between two commits: of each key the last one, so that a cell that
 * changes with every message is written once a commit. What was written may stay, to be found again without asking
 * the database. And which keys may be in the database already, roughly.
 *
 * Rows are copied. Ends the process without memory. One thread. */
#ifndef PARLEY_CTL_REBUILD_ROWS_H
#define PARLEY_CTL_REBUILD_ROWS_H

#include "common/base/store.h"

#include <stdbool.h>

struct held_row {
    struct held_row *next;  /* of this table, of those that are due, in the order in which they became it */
    struct held_row *chain; /* private, as is the rest */
    uint8_t *row;
    uint32_t hash, n, room;
    uint8_t table, key_n;
    bool due;
    uint8_t key[];
};

static inline struct slice held_key(const struct held_row *r)
{
    return (struct slice){r->key, r->key_n};
}

static inline struct slice held_value(const struct held_row *r) /* n == 0: delete */
{
    return (struct slice){r->row, r->n};
}

struct held;
struct held *held_new(void);
void held_free(struct held *);
void held_put(struct held *, uint8_t table, struct slice key, struct slice row);
const struct held_row *held_find(const struct held *, uint8_t table, struct slice key);
const struct held_row *held_first(const struct held *, uint8_t table); /* of those that are due */
size_t held_count(const struct held *);
size_t held_bytes(const struct held *);
void held_settle(struct held *); /* nothing is due any more; rows are still found */
void held_clear(struct held *);

/* A set of keys that answers "not in it" for sure and "in it" now and then wrongly; 8 MiB whatever comes. */
struct seen;
struct seen *seen_new(void);
void seen_free(struct seen *);
void seen_add(struct seen *, uint8_t table, struct slice key);
bool seen_maybe(const struct seen *, uint8_t table, struct slice key); /* NULL: true */

#endif
