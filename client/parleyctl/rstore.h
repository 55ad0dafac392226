/* rstore.h: the rows and marks that processes keep in Redis (common/base/store.h), as an operator's tool sees them:
 * the live ones of a partition, a copy of them at one moment, and a shadow that is made beside them. Blocking.
 *
 *     <prefix>parley:{<group>:<part>}:…           live
 *     <prefix>parley.copy:{<group>:<part>}:…      the copy
 *     <prefix>parley.shadow:{<group>:<part>}:…    the shadow
 *
 * Whatever fails says why and returns CTL_FAILED. */
#ifndef PARLEY_CTL_RSTORE_H
#define PARLEY_CTL_RSTORE_H

#include "client/parleyctl/ctl.h"
#include "common/base/store.h"

#include <hiredis/hiredis.h>

enum rstore_side { RSTORE_LIVE, RSTORE_COPY, RSTORE_SHADOW, RSTORE_SIDES };

struct rstore {
    redisContext *redis;
    struct ctl *ctl;
    char base[RSTORE_SIDES][200]; /* of the partition chosen last */
};

int rstore_open(struct ctl *, struct rstore *zeroed);
void rstore_close(struct rstore *);
void rstore_choose(struct rstore *, const char *group, int32_t part);

/* mark->present is false when there is none. */
int rstore_mark(struct rstore *, enum rstore_side, struct store_mark *);
/* Copies the tables of `tables` (bit t: table t) in one transaction with reading the mark: Redis does nothing else
 * meanwhile. */
int rstore_copy(struct rstore *, uint32_t tables, struct store_mark *);
int rstore_drop(struct rstore *, enum rstore_side); /* not for RSTORE_LIVE */

/* For fold_conf: rows of the shadow; ctx is the struct rstore. */
int rstore_load(void *ctx, const struct store_key *, size_t n, store_row_fn *, void *row_ctx);
int rstore_put(void *ctx, const struct store_row *, size_t n);

/* Every row of a table, in no order, some of them perhaps twice; anything but 0 ends it and is returned. */
typedef int rstore_row_fn(void *ctx, uint8_t table, struct slice key, struct slice row);
int rstore_scan(struct rstore *, enum rstore_side, uint8_t table, rstore_row_fn *, void *ctx);
/* One row; n == 0: absent. The bytes are the caller's to free. */
int rstore_row(struct rstore *, enum rstore_side, uint8_t table, struct slice key, struct slice *row);

/* The shadow becomes the live one, in one transaction: its rows, as of `next`; sends below what the live one and
 * `committed` had reached are quiet; a higher generation, so that whoever holds the partition is refused at its next
 * touch and opens it anew, from `next` on. *generation: the new one. -EAGAIN, with nothing changed: the live mark is
 * missing or behind `next`, and `force` is not set. */
int rstore_swap(struct rstore *, const int64_t next[STORE_TOPICS], const int64_t committed[STORE_TOPICS],
                bool force, struct store_mark *now);

/* ---- for rstore_swap.c ---- */
redisReply *rstore_ask(struct rstore *, int argc, const char **argv, const size_t *lens); /* NULL: said why */
void rstore_table(const struct rstore *, enum rstore_side, unsigned table, char key[240]);
void rstore_mark_key(const struct rstore *, enum rstore_side, char key[240]);
void rstore_mark_of(const redisReply *, struct store_mark *);

#endif
