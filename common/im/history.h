/* history.h: are two PostgreSQL histories the same? For tests, and for judging a rebuild against the live one.
 *
 * A digest is BLAKE2b-256 over all rows of a table in key order, each column with its length in front, so it depends on
 * what is there and on nothing else: not on insertion order, pages or clocks. Blocking, one read-only snapshot for all
 * tables, rows streamed. Any thread. */
#ifndef PARLEY_IM_HISTORY_H
#define PARLEY_IM_HISTORY_H

#include "common/im/ids.h"

#define HISTORY_DIGEST 32

enum history_table {
    HISTORY_MESSAGES,
    HISTORY_CELLS,
    HISTORY_ACCOUNTS,
    HISTORY_DEVICES,
    HISTORY_VERIFIERS,
    HISTORY_CONVERSATIONS,
    HISTORY_MEMBERSHIPS,
    HISTORY_ASKS,
    HISTORY_PREFS,
    HISTORY_SEARCH_BLOCKS, /* which there are; their words come when there is time */
    HISTORY_TABLES
};

struct history {
    uint64_t rows[HISTORY_TABLES];
    uint8_t digest[HISTORY_TABLES][HISTORY_DIGEST];
    uint64_t gaps; /* places where a conversation's numbers are not 1, 2, 3 … */
};

/* Called once per conversation, ascending: how many messages, and the digest over them. */
typedef void history_conv_fn(void *ctx, struct id16 conv, uint64_t messages,
                             const uint8_t digest[HISTORY_DIGEST]);

/* 0, or -EIO with the reason in `err`. `each` may be NULL. */
int history_read(const char *conninfo, struct history *out, history_conv_fn *each, void *ctx, char *err,
                 size_t err_n);

const char *history_table_name(enum history_table);

/* The first table in which they differ; HISTORY_TABLES: none. */
enum history_table history_compare(const struct history *, const struct history *);

#endif
