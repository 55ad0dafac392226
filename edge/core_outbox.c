/* core_outbox.c: what must get into the log whatever happens to the connection it is about: bounces, ends, cursors.
 *
 * Repeated until the log has it (readers take a repetition for the same thing); a bounce holds the tickets of its records
 * until then. While the producer is full they wait in order. */
#include "edge/state.h"

#include <stdlib.h>

#define TAG_OUTBOX (1ull << 63)

struct outrec {
    struct outrec *next, *prev; /* prev only while flying */
    uint16_t topic;
    uint8_t key_n;
    bool forgotten; /* its slot is lost: the tickets mean nothing any more */
    struct id16 place;
    uint8_t key[KEY_CURSOR];
    uint32_t n_tickets, n;
    ticket *tickets;
    uint8_t value[];
};

static void rec_free(struct edge_core *e, struct outrec *r)
{
    if (!r->forgotten)
        for (uint32_t i = 0; i < r->n_tickets; i++)
            offsets_drop(e->offsets, r->tickets[i]);
    free(r->tickets);
    free(r);
}

static void append(struct edge_core *e, struct outrec *r)
{
    r->next = r->prev = NULL;
    if (e->out_tail)
        e->out_tail->next = r;
    else
        e->out_head = r;
    e->out_tail = r;
    e->out_waiting++;
    e->stats.outbox++;
}

void edge_outbox(struct edge_core *e, uint16_t topic, struct id16 place, struct slice key,
                 const ProtobufCMessage *m, const ticket *tickets, size_t n)
{
    size_t size = protobuf_c_message_get_packed_size(m);
    struct outrec *r = edge_must(calloc(1, sizeof *r + size));
    r->topic = topic;
    r->place = place;
    r->key_n = (uint8_t)key.n;
    if (key.n)
        memcpy(r->key, key.p, key.n);
    r->n = (uint32_t)size;
    protobuf_c_message_pack(m, r->value);
    if (n) {
        r->tickets = edge_must(malloc(n * sizeof *r->tickets));
        memcpy(r->tickets, tickets, n * sizeof *tickets);
        r->n_tickets = (uint32_t)n;
    }
    append(e, r);
    edge_outbox_run(e);
}

void edge_outbox_run(struct edge_core *e)
{
    struct outrec *r;
    while ((r = e->out_head)) {
        if (!e->out->produce(e->ctx, r->topic, slice_id(&r->place), slice_of(r->key, r->key_n),
                             slice_of(r->value, r->n), (uint64_t)(uintptr_t)r | TAG_OUTBOX))
            return;
        e->out_head = r->next;
        if (!e->out_head)
            e->out_tail = NULL;
        e->out_waiting--;
        r->prev = NULL;
        r->next = e->out_flying;
        if (r->next)
            r->next->prev = r;
        e->out_flying = r;
    }
}

void edge_outbox_sent(struct edge_core *e, uint64_t tag, enum sent sent)
{
    struct outrec *r = (struct outrec *)(uintptr_t)tag;
    if (r->prev)
        r->prev->next = r->next;
    else
        e->out_flying = r->next;
    if (r->next)
        r->next->prev = r->prev;
    e->stats.outbox--;
    if (sent == SENT_OK || r->forgotten)
        rec_free(e, r);
    else
        append(e, r); /* the next tick tries again */
}

void edge_outbox_forget(struct edge_core *e)
{
    struct outrec *r;
    while ((r = e->out_head)) {
        e->out_head = r->next;
        r->forgotten = true;
        rec_free(e, r);
        e->stats.outbox--;
    }
    e->out_tail = NULL;
    e->out_waiting = 0;
    for (r = e->out_flying; r; r = r->next)
        r->forgotten = true; /* their reports are still to come */
}

void edge_outbox_free(struct edge_core *e)
{
    struct outrec *r;
    edge_outbox_forget(e);
    while ((r = e->out_flying)) {
        e->out_flying = r->next;
        rec_free(e, r);
    }
}

/* ---- bounces ---- */
struct edge_bounce *edge_bounce_begin(struct edge_core *e, const struct session *s)
{
    struct edge_bounce *b = e->bounce;
    b->session = *s;
    b->n = b->bytes = 0;
    return b;
}

void edge_bounce_end(struct edge_core *e, struct edge_bounce *b)
{
    if (!b->n)
        return;
    Im__OfflineRecord m = IM__OFFLINE_RECORD__INIT;
    Im__OffBounce bounce = IM__OFF_BOUNCE__INIT;
    Im__Session pb;
    session_to_pb(&b->session, &pb);
    bounce.session = &pb;
    bounce.items = b->items;
    bounce.n_items = b->n;
    m.version = CODEC_VERSION;
    m.user = codec_bytes(slice_id(&b->session.user));
    m.body_case = IM__OFFLINE_RECORD__BODY_BOUNCE;
    m.bounce = &bounce;
    edge_outbox(e, T_OFFLINE, b->session.user, slice_id(&b->session.user), &m.base, b->tickets, b->n);
    e->stats.bounced += b->n;
    b->n = b->bytes = 0;
}

void edge_bounce_add(struct edge_core *e, struct edge_bounce *b, ticket t, struct id16 conv, uint64_t seq,
                     struct slice payload)
{
    if (b->n == EDGE_BOUNCE_N || (b->n && b->bytes + payload.n > EDGE_BOUNCE))
        edge_bounce_end(e, b);
    /* Copied: the held item may be freed before the record is packed. */
    Im__QueueItem *q = edge_must(arena_alloc(e->arena, sizeof *q));
    struct id16 *id = edge_must(arena_copy(e->arena, &conv, sizeof conv));
    im__queue_item__init(q);
    q->conversation = codec_bytes(slice_id(id));
    q->seq = seq;
    if (payload.n)
        q->payload = codec_bytes(slice_of(edge_must(arena_copy(e->arena, payload.p, payload.n)), payload.n));
    offsets_hold(e->offsets, t); /* goes with the record */
    b->items[b->n] = q;
    b->tickets[b->n++] = t;
    b->bytes += payload.n;
}
