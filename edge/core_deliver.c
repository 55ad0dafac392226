/* core_deliver.c: records of the slot's delivery topic.
 *
 * An item goes to a session only when the handle, and where the record names them the user and login, are this
 * connection's. A message for anybody else is handed back through im.offline under the session it was meant for;
 * everything else that comes late is dropped. */
#include "common/base/crash.h"
#include "common/im/dead.h"
#include "common/im/topics.h"
#include "edge/verbs.h"

#include <errno.h>

struct arrival { /* one record */
    struct edge_core *e;
    ticket t;
    bool ours; /* its epoch is the slot's present one */
    uint64_t epoch;
};

static bool detailed(const Im__DeliverItem *it)
{
    return it->n_handles && it->users.len == it->n_handles * ID_SIZE && it->n_devices == it->n_handles &&
           it->n_logins == it->n_handles;
}

static struct id16 user_at(const Im__DeliverItem *it, size_t i)
{
    struct id16 id;
    memcpy(id.b, it->users.data + i * ID_SIZE, ID_SIZE);
    return id;
}

/* The session that recipient i was, from the record or from memory. */
static bool recall(const struct arrival *a, const Im__DeliverItem *it, size_t i, struct session *s)
{
    struct edge_core *e = a->e;
    *s = (struct session){.slot = e->slot, .epoch = a->epoch, .handle = it->handles[i]};
    if (detailed(it)) {
        s->user = user_at(it, i);
        s->device = it->devices[i];
        s->login_offset = it->logins[i];
        return true;
    }
    const struct departed_one *d = a->ours ? departed_get(e->departed, s->handle) : NULL;
    if (!d)
        return false;
    s->user = d->user;
    s->device = d->device;
    s->login_offset = d->login_offset;
    return true;
}

/* Of whoever had these connections, which is not known here: the offline worker sees all sessions. */
static void hand_on(const struct arrival *a, const Im__DeliverItem *it, uint32_t *handles, size_t n)
{
    struct edge_core *e = a->e;
    Im__OfflineRecord m = IM__OFFLINE_RECORD__INIT;
    Im__OffGroup g = IM__OFF_GROUP__INIT;
    g.conversation = it->conversation;
    g.seq = it->seq;
    g.slot = e->slot;
    g.epoch = a->epoch;
    g.n_handles = n;
    g.handles = handles;
    m.version = CODEC_VERSION;
    m.trace = it->trace;
    m.body_case = IM__OFFLINE_RECORD__BODY_GROUP;
    m.group = &g;
    struct id16 conv = codec_id(it->conversation);
    offsets_hold(e->offsets, a->t); /* goes with the record */
    edge_outbox(e, T_OFFLINE, conv, slice_id(&conv), &m.base, &a->t, 1);
    e->stats.nameless += n;
}

/* False: it should be handed back, and nobody here knows whose it was. */
static bool late(const struct arrival *a, const Im__DeliverItem *it, size_t i)
{
    struct edge_core *e = a->e;
    struct session s;
    e->stats.late++;
    if (!ditem_owed(it->kind))
        return true;
    if (!recall(a, it, i, &s))
        return false;
    bool pointed = it->kind == IM__ITEM_KIND__ITEM_POINTED;
    struct edge_bounce *b = edge_bounce_begin(e, &s);
    edge_bounce_add(e, b, a->t, codec_id(it->conversation), it->seq,
                    pointed ? slice_of(NULL, 0) : codec_slice(it->payload));
    edge_bounce_end(e, b);
    return true;
}

/* False: at its caps, and cut. */
static bool push_to(const struct arrival *a, const Im__DeliverItem *it, struct econn *c, struct buf *item)
{
    struct edge_core *e = a->e;
    uint32_t n = delivery_push(e->delivery, &c->d, a->t, item, e->now_us);
    if (!n) {
        edge_kicked(e, c, IM__CODE__SLOW_READER);
        edge_close(e, c, EDGE_CUT_SLOW);
        return false;
    }
    if (it->frame_type == IM__FRAME_TYPE__MSG_ACK)
        edge_send_outcome(e, c, codec_slice(it->payload));
    e->stats.pushes++;
    const struct ditem *d = ditem_of(item);
    e->out->write(e->ctx, c->index, (uint16_t)it->frame_type, n, slice_of(d->payload, d->n), item);
    return true;
}

/* Of no use later: to whoever can take it now. */
static bool signal_to(const struct arrival *a, const Im__DeliverItem *it, struct econn *c, struct buf *item)
{
    struct edge_core *e = a->e;
    const struct ditem *d = ditem_of(item);
    if (e->out->behind && e->out->behind(e->ctx, c->index)) {
        e->stats.signals_dropped++;
        return true;
    }
    e->stats.signals++;
    e->out->write(e->ctx, c->index, (uint16_t)it->frame_type, 0, slice_of(d->payload, d->n), item);
    return true;
}

typedef bool to_fn(const struct arrival *, const Im__DeliverItem *, struct econn *, struct buf *);

struct all { /* an item for every session */
    const struct arrival *a;
    const Im__DeliverItem *it;
    to_fn *to;
    struct buf *item;
};

static void to_session(struct edge_core *e, struct econn *c, void *arg)
{
    (void)e;
    const struct all *all = arg;
    if (c->state == C_SESSION)
        all->to(all->a, all->it, c, all->item);
}

/* The payload is copied once, whatever the number of recipients; each costs its entry in what is unconfirmed. */
static void push(const struct arrival *a, const Im__DeliverItem *it)
{
    struct edge_core *e = a->e;
    bool known = detailed(it);
    to_fn *to = it->kind == IM__ITEM_KIND__ITEM_SIGNAL ? signal_to : push_to;
    struct buf *item =
        edge_must(ditem_new(it->kind, codec_id(it->conversation), it->seq, codec_slice(it->payload)));
    uint32_t *unknown = NULL;
    size_t n_unknown = 0;
    if (it->all && a->ours)
        edge_conn_each(e, to_session, &(struct all){a, it, to, item});
    for (size_t i = 0; i < it->n_handles; i++) {
        struct econn *c = a->ours ? edge_by_handle(e, it->handles[i]) : NULL;
        bool mine = c && c->state == C_SESSION &&
                    (!known || planted("no-epoch") ||
                     (id_eq(user_at(it, i), c->user) && it->logins[i] == c->login_offset));
        if ((mine && to(a, it, c, item)) ||
            late(a, it, i)) /* at its caps: the way of what it did not confirm */
            continue;
        if (!unknown)
            unknown = edge_must(arena_alloc(e->arena, it->n_handles * sizeof *unknown));
        unknown[n_unknown++] = it->handles[i];
    }
    if (n_unknown)
        hand_on(a, it, unknown, n_unknown);
    buf_unref(item);
}

static void on_lookup(struct edge_core *e, struct econn *c, const Im__DeliverItem *it)
{
    struct arena_protobuf pb;
    Im__LookupReply *r;
    if (codec_lookup(edge_allocator(e, &pb, 16384), codec_slice(it->payload), &r)) {
        e->stats.bad_records++;
        return;
    }
    if (!c->pend || c->pend->stage != P_LOOKUP || c->pend->purpose != r->purpose)
        return;
    switch (c->pend->type) {
    case IM__FRAME_TYPE__LOGIN_REQ:
        verb_login_lookup(e, c, r);
        break;
    case IM__FRAME_TYPE__ACCOUNT_EXISTS_REQ:
        verb_exists_lookup(e, c, r);
        break;
    case IM__FRAME_TYPE__TOKEN_REQ:
        verb_token_lookup(e, c, r);
        break;
    default:
        if (edge_is_send(c->pend->type))
            edge_send_lookup(e, c, r);
    }
}

static void on_verdict(struct edge_core *e, struct econn *c, const Im__DeliverItem *it)
{
    struct arena_protobuf pb;
    Im__LoginVerdict *v;
    if (codec_verdict(edge_allocator(e, &pb, 16384), codec_slice(it->payload), &v)) {
        e->stats.bad_records++;
        return;
    }
    if (c->state == C_SESSION) { /* all tokens were revoked but its next one */
        if (v->code == IM__CODE__OK && id_eq(codec_id(v->user), c->user) &&
            v->login_offset == c->login_offset && v->token_generation > c->generation)
            c->generation = v->token_generation;
        return;
    }
    /* A repeated verdict may be of an earlier attempt on the same connection. */
    if (c->state == C_LOGIN && c->pend && c->pend->stage == P_VERDICT && id_eq(codec_id(v->user), c->user) &&
        it->seq_id == c->pend->seq_id &&
        (c->pend->login_at < 0 || (uint64_t)c->pend->login_at == v->login_offset))
        verb_login_verdict(e, c, v);
}

static void on_reply(struct edge_core *e, struct econn *c, const Im__DeliverItem *it)
{
    if (c->state == C_CLOSING)
        return;
    e->out->write(e->ctx, c->index, (uint16_t)it->frame_type, it->seq_id, codec_slice(it->payload), NULL);
    const struct frame_type *asked = it->frame_type ? frame_type((uint16_t)(it->frame_type - 1)) : NULL;
    if (it->frame_type == IM__FRAME_TYPE__PULL_OFFLINE_RSP)
        (void)asked_over(&c->asked, ASKED_PULL, it->seq_id);
    else if (it->frame_type == IM__FRAME_TYPE__ERROR || (asked && asked->flags & FRAME_QUERY))
        (void)asked_over(&c->asked, ASKED_QUERY,
                         it->seq_id); /* an answer that is none comes as an error, and from nobody else */
    if (c->pend && c->pend->stage == P_REPLY && c->pend->seq_id == it->seq_id)
        edge_pend_free(e, c);
}

static void on_kick(struct edge_core *e, struct econn *c, const Im__DeliverItem *it)
{
    e->out->write(e->ctx, c->index, IM__FRAME_TYPE__KICKED, 0, codec_slice(it->payload), NULL);
    edge_close(e, c, EDGE_CUT_KICKED);
}

/* Is the item for whoever is on this connection now? An answered look-up names the account that was looked for, a
 * registration the new one. */
static bool meant_for(const struct econn *c, const Im__DeliverItem *it, size_t i)
{
    if (c->state == C_CLOSING)
        return false;
    if (c->state != C_SESSION || it->kind == IM__ITEM_KIND__ITEM_LOOKUP ||
        it->frame_type == IM__FRAME_TYPE__REGISTER_RSP || !detailed(it))
        return true;
    struct id16 user = user_at(it, i);
    return id_is_zero(user) || id_eq(user, c->user);
}

/* Answers and orders for single connections; only of this epoch. */
static void direct(const struct arrival *a, const Im__DeliverItem *it)
{
    struct edge_core *e = a->e;
    for (size_t i = 0; a->ours && i < it->n_handles; i++) {
        struct econn *c = edge_by_handle(e, it->handles[i]);
        if (!c || !meant_for(c, it, i)) {
            e->stats.late++;
            continue;
        }
        if (it->kind == IM__ITEM_KIND__ITEM_REPLY)
            on_reply(e, c, it);
        else if (it->kind == IM__ITEM_KIND__ITEM_LOOKUP)
            on_lookup(e, c, it);
        else if (it->kind == IM__ITEM_KIND__ITEM_LOGIN)
            on_verdict(e, c, it);
        else if (it->kind == IM__ITEM_KIND__ITEM_KICK)
            on_kick(e, c, it);
    }
}

/* Made by our own processes; what it held is in history. The position waits until im.dlq has it. */
static void bury(struct edge_core *e, int64_t offset, struct slice value, ticket t)
{
    struct dead d;
    uint16_t topic = topic_of_slot(e->slot);
    struct id16 place = {{0}};
    struct record r = {topic, 0, offset, e->wall_us / 1000, {NULL, 0}, value};
    e->stats.bad_records++;
    if (!e->topics)
        return;
    dead_fill(&d, &r, topics_name(e->topics, topic), "edge", e->name, NULL);
    offsets_hold(e->offsets, t);
    edge_outbox(e, T_DLQ, place, (struct slice){NULL, 0}, &d.r.base, &t, 1);
}

void edge_core_deliver(struct edge_core *e, int64_t offset, struct slice value)
{
    if (!e->claimed || offset < offsets_next(e->offsets))
        return;
    struct arrival a = {.e = e, .t = offsets_open(e->offsets, offset)};
    if (!a.t) { /* full: the shell did not ask. Nothing may be skipped */
        e->out->lost(e->ctx, "more delivery records than the window holds");
        return;
    }
    struct arena_protobuf pb;
    Im__DeliverRecord *r;
    int rc = codec_deliver(edge_allocator(e, &pb, 65536 + 8 * value.n), value, &r);
    if (rc == -ENOTSUP) { /* an upgraded writer: this edge can neither push it nor say that it did */
        e->out->lost(e->ctx, "a delivery record of a newer version: upgrade this edge");
        return;
    }
    if (rc) {
        bury(e, offset, value, a.t);
    } else if (r->epoch > e->epoch) {
        e->out->lost(e->ctx, "the slot was claimed by another edge");
        return; /* stays open: never committed by us */
    } else {
        a.ours = r->epoch == e->epoch || planted("no-epoch");
        a.epoch = r->epoch;
        for (size_t i = 0; i < r->n_items; i++) {
            const Im__DeliverItem *it = r->items[i];
            bool single = it->kind == IM__ITEM_KIND__ITEM_REPLY || it->kind == IM__ITEM_KIND__ITEM_LOOKUP ||
                          it->kind == IM__ITEM_KIND__ITEM_LOGIN || it->kind == IM__ITEM_KIND__ITEM_KICK;
            if (single)
                direct(&a, it);
            else
                push(&a, it);
        }
    }
    offsets_drop(e->offsets, a.t);
    arena_reset(e->arena);
}
