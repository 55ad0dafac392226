/* core.c: making the core, its connections, and which verb gets a frame. */
#include "edge/verbs.h"

#include <stdlib.h>

void *edge_must(void *p)
{
    if (!p)
        abort(); /* nothing that was acked is lost by it */
    return p;
}

struct edge_core *edge_core_new(const struct edge_setup *s)
{
    struct edge_core *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->lim = s->limits;
    edge_defaults(&e->lim);
    e->out = s->out;
    e->ctx = s->ctx;
    e->secrets = s->secrets;
    e->topics = s->topics;
    e->name = s->name ? s->name : "";
    e->arena = arena_new(0);
    e->wheel = timer_wheel_new(0);
    e->addresses = addresses_new(e->lim.max_conns + 65536, e->lim.try_every_ms, e->lim.register_every_ms);
    e->guesses = guesses_new(e->lim.account_try_every_ms, e->lim.account_tries);
    e->known = known_new(e->lim.known_users);
    e->delivery = delivery_new(e->lim.unconfirmed);
    e->departed = departed_new(DEPARTED_MAX);
    e->typing = throttle_new(8192);
    e->bounce = malloc(sizeof *e->bounce);
    if (!e->arena || !e->wheel || !e->addresses || !e->guesses || !e->known || !e->delivery || !e->departed ||
        !e->typing || !e->bounce) {
        edge_core_free(e);
        return NULL;
    }
    return e;
}

static void free_conn_state(struct edge_core *e, struct econn *c, void *arg)
{
    (void)arg;
    timer_stop(e->wheel, &c->timer);
    if (c->pend) {
        buf_unref(c->pend->frame);
        free(c->pend->wanted);
        free(c->pend);
    }
    free(c->sends);
    if (c->cursors)
        edge_cursors_release(c->cursors);
    free(c->cursors);
    asked_free(&c->asked);
}

void edge_core_free(struct edge_core *e)
{
    if (!e)
        return;
    edge_conn_each(e, free_conn_state, NULL);
    edge_hash_free(e);
    edge_outbox_free(e);
    for (uint32_t i = 0; i < e->n_chunks; i++)
        free(e->chunks[i]);
    free(e->chunks);
    while (e->free_sends) {
        struct sends *s = e->free_sends;
        e->free_sends = s->next;
        free(s);
    }
    free(e->flights);
    handles_release(&e->handles);
    addresses_free(e->addresses);
    guesses_free(e->guesses);
    known_free(e->known);
    delivery_reset(e->delivery, NULL);
    delivery_free(e->delivery);
    departed_free(e->departed);
    throttle_free(e->typing);
    free(e->bounce);
    offsets_free(e->offsets);
    timer_wheel_free(e->wheel);
    arena_free(e->arena);
    free(e);
}

void edge_core_now(struct edge_core *e, int64_t mono_us, int64_t wall_us)
{
    if (!e->now_us) {
        e->start_ms = e->wheel_ms = mono_us / 1000;
        timer_wheel_advance(e->wheel, e->start_ms);
    }
    e->now_us = mono_us;
    e->now_ms = mono_us / 1000;
    e->wall_us = wall_us;
}

ProtobufCAllocator *edge_allocator(struct edge_core *e, struct arena_protobuf *pb, size_t budget)
{
    return arena_protobuf_allocator(pb, e->arena, budget);
}

/* ---- connections ---- */
struct econn *edge_conn(const struct edge_core *e, uint32_t index)
{
    if (index / EDGE_CHUNK >= e->n_chunks)
        return NULL;
    struct econn *c = &e->chunks[index / EDGE_CHUNK][index % EDGE_CHUNK];
    return c->state == C_FREE ? NULL : c;
}

struct econn *edge_by_handle(const struct edge_core *e, uint32_t handle)
{
    return edge_conn(e, handles_get(&e->handles, handle));
}

void edge_conn_each(struct edge_core *e, void (*fn)(struct edge_core *, struct econn *, void *), void *arg)
{
    for (uint32_t i = 0; i < e->n_chunks * EDGE_CHUNK; i++) {
        struct econn *c = edge_conn(e, i);
        if (c)
            fn(e, c, arg);
    }
}

static bool more_conns(struct edge_core *e)
{
    struct econn **chunks = realloc(e->chunks, (e->n_chunks + 1) * sizeof *chunks);
    if (!chunks)
        return false;
    e->chunks = chunks;
    struct econn *v = calloc(EDGE_CHUNK, sizeof *v);
    if (!v)
        return false;
    chunks[e->n_chunks] = v;
    uint32_t base = e->n_chunks++ * EDGE_CHUNK;
    for (uint32_t i = EDGE_CHUNK; i > 0; i--) {
        v[i - 1].index = e->free_conn;
        e->free_conn = base + i;
    }
    return true;
}

uint32_t edge_core_accept(struct edge_core *e, uint64_t address, uint16_t *why)
{
    struct address *a;
    *why = 0;
    if (e->draining)
        *why = IM__CODE__SHUTTING_DOWN;
    else if (!e->claimed)
        *why = IM__CODE__BUSY;
    else if (e->stats.connections >= e->lim.max_conns ||
             !(a = addresses_get(e->addresses, address, edge_ms32(e))) ||
             a->conns >= e->lim.conns_per_address)
        *why = IM__CODE__TOO_MANY_CONNECTIONS;
    else if (!e->free_conn && !more_conns(e))
        *why = IM__CODE__INTERNAL;
    if (*why)
        return EDGE_NO_CONN;
    while (++e->next_handle == 0 || edge_by_handle(e, e->next_handle))
        ;
    uint32_t index = e->free_conn - 1;
    if (!handles_add(&e->handles, e->next_handle, index)) {
        *why = IM__CODE__INTERNAL;
        return EDGE_NO_CONN;
    }
    struct econn *c = &e->chunks[index / EDGE_CHUNK][index % EDGE_CHUNK];
    e->free_conn = c->index;
    *c = (struct econn){.index = index, .state = C_OPEN, .handle = e->next_handle, .address = address};
    c->opened_ms = c->heard_ms = c->cursor_ms = edge_ms32(e);
    timer_init(&c->timer, edge_timer);
    a->conns++;
    e->stats.accepted++;
    e->stats.connections++;
    edge_arm(e, c);
    return index;
}

void edge_core_gone(struct edge_core *e, uint32_t conn)
{
    struct econn *c = edge_conn(e, conn);
    if (!c)
        return;
    if (c->state != C_CLOSING) {
        edge_close(e, c, EDGE_CUT_CLIENT);
        arena_reset(e->arena);
    }
    addresses_leave(e->addresses, c->address);
    timer_stop(e->wheel, &c->timer);
    c->state = C_FREE;
    c->index = e->free_conn;
    e->free_conn = conn + 1;
    e->stats.connections--;
}

bool edge_core_logged_in(const struct edge_core *e, uint32_t conn)
{
    const struct econn *c = edge_conn(e, conn);
    return c && c->state == C_SESSION;
}

uint32_t edge_core_frame_cap(const struct edge_core *e, uint32_t conn)
{
    const struct econn *c = edge_conn(e, conn);
    return c && c->state == C_SESSION ? e->lim.max_frame : FRAME_CAP_LOGIN;
}

/* ---- frames ---- */
static verb_fn *verb_of(uint16_t type)
{
    switch (type) {
    case IM__FRAME_TYPE__REGISTER_REQ:
        return verb_register;
    case IM__FRAME_TYPE__LOGIN_REQ:
        return verb_login;
    case IM__FRAME_TYPE__ACCOUNT_EXISTS_REQ:
        return verb_exists;
    case IM__FRAME_TYPE__SINGLE_CHAT:
        return verb_chat;
    case IM__FRAME_TYPE__GROUP_CHAT:
        return verb_group;
    case IM__FRAME_TYPE__CONV_OP:
        return verb_op;
    case IM__FRAME_TYPE__ANNOUNCE:
        return verb_announce;
    case IM__FRAME_TYPE__MSG_READ:
        return verb_read;
    case IM__FRAME_TYPE__TYPING:
        return verb_typing;
    case IM__FRAME_TYPE__TOKEN_REQ:
        return verb_token;
    case IM__FRAME_TYPE__REVOKE_REQ:
        return verb_revoke;
    case IM__FRAME_TYPE__PROFILE_REQ:
        return verb_profile;
    case IM__FRAME_TYPE__PREFS_REQ:
        return verb_prefs;
    case IM__FRAME_TYPE__PULL_OFFLINE_REQ:
        return verb_pull;
    case IM__FRAME_TYPE__DELIVERY_ACK:
        return verb_ack;
    case IM__FRAME_TYPE__HEARTBEAT:
        return verb_heartbeat;
    case IM__FRAME_TYPE__LOGOUT_REQ:
        return verb_logout;
    default:
        return NULL;
    }
}

static void dispatch(struct edge_core *e, struct econn *c, uint16_t type, uint32_t seq_id,
                     struct slice payload)
{
    const struct frame_type *ft = frame_type(type);
    verb_fn *verb = verb_of(type);
    e->stats.frames[type < ARRAY_LEN(e->stats.frames) ? type : 0]++;
    if (type != IM__FRAME_TYPE__DELIVERY_ACK) { /* confirming is never refused */
        uint32_t wait = ratelimit_take(&c->rate, e->lim.rate, e->lim.burst, edge_ms32(e));
        if (wait) {
            edge_error(e, c, seq_id, IM__CODE__TOO_MANY_REQUESTS, NULL, wait);
            return;
        }
    }
    bool query = ft && ft->flags & FRAME_QUERY;
    if (!ft || (!verb && !query)) {
        edge_error(e, c, seq_id, IM__CODE__UNKNOWN_TYPE, NULL, 0);
        return;
    }
    if (c->state != C_SESSION && !(ft->flags & FRAME_BEFORE_LOGIN)) {
        edge_error(e, c, seq_id, IM__CODE__NOT_LOGGED_IN, NULL, 0);
        return;
    }
    if (c->state == C_SESSION && !(ft->flags & FRAME_AFTER_LOGIN)) {
        edge_error(e, c, seq_id, IM__CODE__WRONG_STATE, NULL, 0);
        return;
    }
    struct arena_protobuf pb;
    ProtobufCMessage *m = NULL;
    struct validity v = validate_decode(type, payload, edge_allocator(e, &pb, EDGE_BUDGET(payload.n)), &m);
    if (v.code != IM__CODE__OK) {
        edge_error(e, c, seq_id, v.code, v.field, 0);
        return;
    }
    if (query)
        verb_query(e, c, type, seq_id, payload);
    else
        verb(e, c, seq_id, payload, m);
    edge_forget_password(type, m);
}

bool edge_core_frame(struct edge_core *e, uint32_t conn, uint16_t type, uint32_t seq_id, struct slice payload)
{
    struct econn *c = edge_conn(e, conn);
    if (!c || c->state == C_CLOSING)
        return false;
    c->heard_ms = edge_ms32(e);
    dispatch(e, c, type, seq_id, payload);
    arena_reset(e->arena);
    return !c->paused && c->state != C_CLOSING;
}

void edge_core_bad_frame(struct edge_core *e, uint32_t conn, uint16_t code, uint32_t seq_id)
{
    struct econn *c = edge_conn(e, conn);
    if (!c || c->state == C_CLOSING)
        return;
    edge_error(e, c, seq_id, (Im__Code)code, NULL, 0);
    edge_close(e, c, EDGE_CUT_BAD);
    arena_reset(e->arena);
}

void edge_core_slow(struct edge_core *e, uint32_t conn)
{
    struct econn *c = edge_conn(e, conn);
    if (!c || c->state == C_CLOSING)
        return;
    edge_close(e, c, EDGE_CUT_SLOW);
    arena_reset(e->arena);
}
