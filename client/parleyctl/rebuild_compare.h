/* rebuild_compare.h: the same tables in two schemas, row by row in the order of their keys, in one pass.
 *
 * Rows come by COPY TO in binary form, so that they are equal when their bytes are. Several tables go side by side, all
 * sorted by the same id (a conversation's, a user's), so that each id gets a hash over its rows in all of them. Memory
 * is bounded by the longest row. Blocking. */
#ifndef PARLEY_CTL_REBUILD_COMPARE_H
#define PARLEY_CTL_REBUILD_COMPARE_H

#include "client/parleyctl/rebuild_pg.h"
#include "common/im/ids.h"

#define COMPARE_TABLES 8
#define COMPARE_HASH   33 /* 16 bytes in hex, with its end */

enum compare_side { LIVE, REBUILT, COMPARE_SIDES };

struct compare_table {
    const char *name;
    const char *keys[2]; /* columns of its key, the first begins with the id; [1] may be NULL */
    const char *types;   /* of them: 'b' bytea, '4' int4, '8' int8 */
    const char *columns; /* NULL: all others */
    uint32_t
        settled; /* not 0: column `done` is there behind so many bytes of a row; from there on a row counts only
                          * when it is done on both sides */
    /* what was found */
    uint64_t rows[COMPARE_SIDES], differ, unsettled;
    char hash[COMPARE_SIDES][COMPARE_HASH];
    char *first[COMPARE_SIDES]; /* the first row that differs, as COPY had it; NULL: not there on that side */
    size_t first_n[COMPARE_SIDES];
};

struct compare {
    struct compare_table *tables;
    size_t n;
    const char *conninfo[COMPARE_SIDES], *schema_q[COMPARE_SIDES];
    const char *snapshot; /* of the live side; NULL: none */
    void (*id)(void *ctx, struct id16, const char *live,
               const char *rebuilt);            /* each id's hashes; may be NULL */
    void (*progress)(void *ctx, uint64_t rows); /* may be NULL */
    void *ctx;
    /* what was found */
    uint64_t ids, ids_differ;
    struct id16 first_differing;
};

/* 0, or -EIO, said so. */
int compare_run(struct compare *);
void compare_release(struct compare *); /* the rows of its tables */
/* "conv = '\x…' AND seq = 5" of a row that was found. */
void compare_where(const struct compare_table *, const char *row, char *out, size_t n);

#endif
