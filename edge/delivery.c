#include "edge/delivery.h"

#include "common/base/metrics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

METRIC_HISTOGRAM(confirm_time, "parley_edge_confirm_seconds",
                 "From a push being queued to the client's confirmation.", 1e-6);

struct node { /* a push; named by index + 1, so that 0 is none */
    ticket t;
    struct buf *item;
    int64_t at_us;
    uint32_t next;
};

struct delivery {
    struct offsets *offsets;
    struct node *nodes;
    uint32_t cap, free, total, max;
};

struct delivery *delivery_new(uint32_t max_per_conn)
{
    struct delivery *d = calloc(1, sizeof *d);
    if (d)
        d->max = max_per_conn;
    return d;
}

void delivery_free(struct delivery *d)
{
    if (!d)
        return;
    for (uint32_t i = 0; i < d->cap; i++)
        buf_unref(d->nodes[i].item);
    free(d->nodes);
    free(d);
}

void delivery_reset(struct delivery *d, struct offsets *offsets)
{
    d->offsets = offsets;
}

struct buf *ditem_new(uint32_t kind, struct id16 conv, uint64_t seq, struct slice payload)
{
    struct buf *b = buf_new(sizeof(struct ditem) + payload.n);
    if (!b)
        return NULL;
    struct ditem *it = (struct ditem *)(void *)b->data;
    *it = (struct ditem){.conv = conv, .seq = seq, .kind = kind, .n = (uint32_t)payload.n};
    if (payload.n)
        memcpy(it->payload, payload.p, payload.n);
    return b;
}

static bool grow(struct delivery *d)
{
    uint32_t cap = d->cap ? d->cap * 2 : 256;
    struct node *n = realloc(d->nodes, cap * sizeof *n);
    if (!n)
        return false;
    for (uint32_t i = cap; i > d->cap; i--) {
        n[i - 1] = (struct node){.next = d->free};
        d->free = i;
    }
    d->nodes = n;
    d->cap = cap;
    return true;
}

uint32_t delivery_push(struct delivery *d, struct dconn *c, ticket t, struct buf *item, int64_t now_us)
{
    uint32_t n = ditem_of(item)->n;
    if (delivery_count(c) >= d->max || n > DELIVERY_BYTES - c->bytes || c->sent == UINT32_MAX)
        return 0;
    if (!d->free && !grow(d))
        return 0;
    uint32_t i = d->free;
    struct node *node = &d->nodes[i - 1];
    d->free = node->next;
    offsets_hold(d->offsets, t);
    *node = (struct node){.t = t, .item = buf_ref(item), .at_us = now_us};
    if (c->tail)
        d->nodes[c->tail - 1].next = i;
    else
        c->head = i;
    c->tail = i;
    c->bytes += n;
    d->total++;
    return ++c->sent;
}

static void drop_head(struct delivery *d, struct dconn *c)
{
    uint32_t i = c->head;
    struct node *node = &d->nodes[i - 1];
    c->head = node->next;
    if (!c->head)
        c->tail = 0;
    c->bytes -= ditem_of(node->item)->n;
    c->confirmed++;
    d->total--;
    offsets_drop(d->offsets, node->t);
    buf_unref(node->item);
    *node = (struct node){.next = d->free};
    d->free = i;
}

int delivery_confirm(struct delivery *d, struct dconn *c, uint32_t upto, int64_t now_us)
{
    if (upto > c->sent)
        return -ERANGE;
    while (c->confirmed < upto) {
        metric_observe(&confirm_time, now_us - d->nodes[c->head - 1].at_us);
        drop_head(d, c);
    }
    return 0;
}

void delivery_cut(struct delivery *d, struct dconn *c, bounce_fn *fn, void *ctx)
{
    while (c->head) {
        struct node *node = &d->nodes[c->head - 1];
        if (fn)
            fn(ctx, node->t, ditem_of(node->item));
        drop_head(d, c);
    }
}

void delivery_each(const struct delivery *d, const struct dconn *c, bounce_fn *fn, void *ctx)
{
    for (uint32_t i = c->head; i; i = d->nodes[i - 1].next)
        fn(ctx, d->nodes[i - 1].t, ditem_of(d->nodes[i - 1].item));
}

int64_t delivery_oldest_ms(const struct delivery *d, const struct dconn *c)
{
    return c->head ? d->nodes[c->head - 1].at_us / 1000 : INT64_MAX;
}

uint32_t delivery_total(const struct delivery *d)
{
    return d->total;
}
