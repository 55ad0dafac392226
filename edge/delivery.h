/* delivery.h: what this edge's clients have not confirmed; a record is held once per connection it went to.
 *
 * Each push to a connection takes the next delivery number (from 1) and holds the record's ticket until the client
 * confirms that number or the connection is cut; cut() hands out what is left, oldest first, so that the owner can give
 * it back through im.offline. Memory: 32 bytes per push beside the shared item. One thread, no I/O, no clock. */
#ifndef PARLEY_EDGE_DELIVERY_H
#define PARLEY_EDGE_DELIVERY_H

#include "common/base/buf.h"
#include "common/base/offsets.h"
#include "common/im/ids.h"
#include "proto/record.pb-c.h"

#define DELIVERY_BYTES (16u << 20) /* payload held for one connection at most */

struct ditem { /* lies in a buf's data: one per item of a record, shared by all its recipients */
    struct id16 conv;
    uint64_t seq;
    uint32_t kind; /* ItemKind */
    uint32_t n;
    uint8_t payload[];
};

struct dconn { /* in the connection; all zero at first */
    uint32_t head, tail;
    uint32_t sent, confirmed; /* delivery numbers */
    uint32_t bytes;
};

struct delivery;
struct delivery *delivery_new(uint32_t max_per_conn);
void delivery_free(struct delivery *);
/* The slot's window; every connection has been cut (or forgotten) before. Borrowed; NULL: none. */
void delivery_reset(struct delivery *, struct offsets *);

struct buf *ditem_new(uint32_t kind, struct id16 conv, uint64_t seq,
                      struct slice payload); /* NULL: no memory */
static inline const struct ditem *ditem_of(const struct buf *b)
{
    return (const struct ditem *)(const void *)b->data;
}

/* What must not get lost: handed back when it was not confirmed. The rest a client can ask for again. */
static inline bool ditem_owed(uint32_t kind)
{
    return kind == IM__ITEM_KIND__ITEM_MESSAGE || kind == IM__ITEM_KIND__ITEM_POINTED;
}

/* The push's number; 0: at a cap, cut the connection (nothing was changed). Holds the ticket, references the buf. */
uint32_t delivery_push(struct delivery *, struct dconn *, ticket, struct buf *, int64_t now_us);
/* -ERANGE: never sent that much. How long each took is observed (parley_edge_confirm_seconds). */
int delivery_confirm(struct delivery *, struct dconn *, uint32_t upto, int64_t now_us);

/* Every unconfirmed push in order; the hold is dropped after the call returns, so take one to keep it. */
typedef void bounce_fn(void *ctx, ticket, const struct ditem *);
void delivery_cut(struct delivery *, struct dconn *, bounce_fn *, void *ctx); /* fn NULL: forget them */
/* The same without cutting, for counting. */
void delivery_each(const struct delivery *, const struct dconn *, bounce_fn *, void *ctx);

static inline uint32_t delivery_count(const struct dconn *c)
{
    return c->sent - c->confirmed;
}
int64_t delivery_oldest_ms(const struct delivery *,
                           const struct dconn *); /* INT64_MAX: nothing unconfirmed */
uint32_t delivery_total(const struct delivery *); /* pushes held, over all connections */

#endif
