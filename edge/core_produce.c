/* core_produce.c: requests into im.inbound, and what becomes of them. */
#include "edge/verbs.h"

#include <stdlib.h>

/* A tag's top bits say whose it is; see edge_core_sent(). */
#define TAG_OUTBOX (1ull << 63)

static struct flight *flight_new(struct edge_core *e)
{
    if (!e->free_flight) {
        uint32_t cap = e->flights_cap ? e->flights_cap * 2 : 256;
        struct flight *v = realloc(e->flights, cap * sizeof *v);
        if (!v)
            return NULL;
        for (uint32_t i = cap; i > e->flights_cap; i--) {
            v[i - 1] = (struct flight){.next = e->free_flight};
            e->free_flight = i;
        }
        e->flights = v;
        e->flights_cap = cap;
    }
    struct flight *f = &e->flights[e->free_flight - 1];
    e->free_flight = f->next;
    e->stats.in_flight++;
    return f;
}

static void flight_free(struct edge_core *e, struct flight *f)
{
    *f = (struct flight){.next = e->free_flight};
    e->free_flight = (uint32_t)(f - e->flights) + 1;
    e->stats.in_flight--;
}

void edge_inbound(struct edge_core *e, const struct econn *c, bool with_user, uint32_t seq_id,
                  Im__Inbound *in, Im__Session *pb, struct session *me)
{
    edge_me(e, c, me);
    if (!with_user) {
        me->user = (struct id16){{0}};
        me->device = 0;
        me->login_offset = 0;
    }
    session_to_pb(me, pb);
    in->version = CODEC_VERSION;
    in->session = pb;
    in->seq_id = seq_id;
    in->edge_time_us = e->wall_us;
}

bool edge_produce(struct edge_core *e, struct econn *c, uint16_t topic, struct id16 key,
                  const ProtobufCMessage *m, struct flight *about)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    uint8_t *p = arena_alloc(e->arena, n);
    if (!p)
        return false;
    protobuf_c_message_pack(m, p);
    if (!about)
        return e->out->produce(e->ctx, topic, slice_id(&key), slice_id(&key), slice_of(p, n), 0);
    struct flight *f = flight_new(e);
    if (!f)
        return false;
    about->handle = c->handle;
    about->read_us = e->now_us;
    *f = *about;
    if (!e->out->produce(e->ctx, topic, slice_id(&key), slice_id(&key), slice_of(p, n),
                         (uint64_t)(f - e->flights) + 1)) {
        flight_free(e, f);
        return false;
    }
    c->flying++;
    crash_at("edge:produced");
    return true;
}

static bool look_up(struct edge_core *e, struct econn *c, struct id16 target, bool verifier)
{
    Im__Inbound in = IM__INBOUND__INIT;
    Im__InLookup look = IM__IN_LOOKUP__INIT;
    Im__Session pb;
    struct session me;
    edge_inbound(e, c, false, c->pend->seq_id, &in, &pb, &me);
    look.want_verifier = verifier;
    look.purpose = c->pend->purpose;
    in.body_case = IM__INBOUND__BODY_LOOKUP;
    in.lookup = &look;
    e->stats.lookups++;
    /* Not answered in time or not written: the same to the one who asked. */
    struct flight about = {.type = IM__FRAME_TYPE__ACCOUNT_EXISTS_REQ, .seq_id = c->pend->seq_id};
    return edge_produce(e, c, T_INBOUND, target, &in.base, &about);
}

bool edge_lookup(struct edge_core *e, struct econn *c, struct id16 target, bool verifier)
{
    c->pend->purpose = ++e->next_purpose; /* a late answer to an earlier question is none to this */
    c->pend->target = target;
    c->pend->stage = P_LOOKUP;
    return look_up(e, c, target, verifier);
}

bool edge_lookup_too(struct edge_core *e, struct econn *c, struct id16 target)
{
    return look_up(e, c, target, false);
}

bool edge_request(struct edge_core *e, struct econn *c, uint16_t type, uint32_t seq_id, Im__Inbound *in)
{
    Im__Session pb;
    struct session me;
    struct flight about = {.type = type, .seq_id = seq_id};
    edge_inbound(e, c, true, seq_id, in, &pb, &me);
    if (!e->busy && edge_produce(e, c, T_INBOUND, c->user, &in->base, &about))
        return true;
    edge_error(e, c, seq_id, IM__CODE__BUSY, NULL, 1000);
    return false;
}

bool edge_where(struct edge_core *e, struct econn *c, uint32_t seq_id, ProtobufCBinaryData conversation,
                const char *with, struct id16 *conv)
{
    char login[LOGIN_MAX + 1];
    if (!with[0]) {
        *conv = codec_id(conversation);
        return true;
    }
    if (login_normalise(with, strlen(with), login) == 0) {
        struct id16 other = id_user(login);
        *conv = id_direct(c->user, other);
        if (!id_eq(other, c->user))
            return true;
    }
    edge_error(e, c, seq_id, IM__CODE__BAD_FIELD, "with", 0);
    return false;
}

/* A request of which nobody knows whether it was taken, or which certainly was not. */
static void failed(struct edge_core *e, struct econn *c, const struct flight *f, enum sent sent)
{
    switch (f->type) {
    case IM__FRAME_TYPE__ACCOUNT_EXISTS_REQ: /* a look-up: times out by itself */
        if (c->pend && c->pend->stage == P_LOOKUP && c->pend->until_ms == INT64_MAX) {
            edge_login_rsp(e, c, f->seq_id, IM__CODE__BUSY, 1000);
            edge_pend_free(e, c);
        }
        break;
    case IM__FRAME_TYPE__REGISTER_REQ:
    case IM__FRAME_TYPE__LOGIN_REQ:
        edge_error(e, c, f->seq_id, IM__CODE__INTERNAL, NULL, 1000);
        if (sent == SENT_UNKNOWN || c->state == C_LOGIN)
            edge_close(e, c, EDGE_CUT_LOG);
        else
            edge_pend_free(e, c);
        break;
    default: /* repeating does no harm */
        if (f->type == IM__FRAME_TYPE__PULL_OFFLINE_REQ)
            (void)asked_over(&c->asked, ASKED_PULL, f->seq_id);
        else if (frame_type(f->type)->flags & FRAME_QUERY)
            (void)asked_over(&c->asked, ASKED_QUERY, f->seq_id);
        edge_error(e, c, f->seq_id, IM__CODE__INTERNAL, NULL, 1000);
    }
}

void edge_core_sent(struct edge_core *e, uint64_t tag, enum sent sent, int64_t offset)
{
    if (tag & TAG_OUTBOX) {
        edge_outbox_sent(e, tag & ~TAG_OUTBOX, sent);
        arena_reset(e->arena);
        return;
    }
    if (!tag || tag > e->flights_cap || !e->flights[tag - 1].type)
        return;
    struct flight f = e->flights[tag - 1];
    flight_free(e, &e->flights[tag - 1]);
    struct econn *c = edge_by_handle(e, f.handle);
    if (!c)
        return;
    c->flying--;
    if (edge_is_send(f.type))
        edge_send_reported(e, c, &f, sent);
    else if (sent != SENT_OK)
        failed(e, c, &f, sent);
    else if (f.type == IM__FRAME_TYPE__LOGIN_REQ && c->pend && c->pend->stage == P_VERDICT)
        c->pend->login_at = offset;
    arena_reset(e->arena);
}
