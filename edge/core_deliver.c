/* core_deliver.c: records of the slot's delivery topic.
 *
 * An item goes to a session only when the handle, and where the record names them the user and login, are this
 * connection's. A message for anybody else is handed back through im.offline under the session it was meant for;
 * everything else that comes late is dropped. */
#include "edge/state.h"

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

static void late(const struct arrival *a, const Im__DeliverItem *it, size_t i)
{
    struct edge_core *e = a->e;
    e->stats.late++;
    if (it->kind != IM__ITEM_KIND__ITEM_MESSAGE)
        return;
    if (!detailed(it)) { /* nobody knows whose it was; history has it */
        e->stats.bad_records++;
        return;
    }
    struct edge_bounce *b = edge_must(arena_alloc(e->arena, sizeof *b));
    b->n = b->bytes = 0;
    b->session = (struct session){.user = user_at(it, i),
                                  .device = it->devices[i],
                                  .slot = e->slot,
                                  .epoch = a->epoch,
                                  .handle = it->handles[i],
                                  .login_offset = it->logins[i]};
    edge_bounce_add(e, b, a->t, codec_id(it->conversation), it->seq, codec_slice(it->payload));
    edge_bounce_end(e, b);
}

static void push(const struct arrival *a, const Im__DeliverItem *it)
{
    struct edge_core *e = a->e;
    bool known = detailed(it);
    struct buf *item = NULL;
    for (size_t i = 0; i < it->n_handles; i++) {
        struct econn *c = a->ours ? edge_by_handle(e, it->handles[i]) : NULL;
        bool mine = c && c->state == C_SESSION &&
                    (!known || (id_eq(user_at(it, i), c->user) && it->logins[i] == c->login_offset));
        if (!mine) {
            late(a, it, i);
            continue;
        }
        if (!item)
            item =
                edge_must(ditem_new(it->kind, codec_id(it->conversation), it->seq, codec_slice(it->payload)));
        uint32_t n = delivery_push(e->delivery, &c->d, a->t, item, e->now_ms);
        if (!n) { /* the caps: this one goes the way of what it did not confirm */
            edge_kicked(e, c, IM__CODE__SLOW_READER);
            edge_close(e, c, EDGE_CUT_SLOW);
            late(a, it, i);
            continue;
        }
        if (it->frame_type == IM__FRAME_TYPE__MSG_ACK)
            verb_chat_outcome(e, c, codec_slice(it->payload));
        e->stats.pushes++;
        const struct ditem *d = ditem_of(item);
        e->out->write(e->ctx, c->index, (uint16_t)it->frame_type, n, slice_of(d->payload, d->n), item);
    }
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
    case IM__FRAME_TYPE__SINGLE_CHAT:
        verb_chat_lookup(e, c, r);
        break;
    default:
        verb_exists_lookup(e, c, r);
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
    if (it->frame_type == IM__FRAME_TYPE__PULL_OFFLINE_RSP)
        verb_pull_over(c);
    if (c->pend && c->pend->stage == P_REPLY && c->pend->seq_id == it->seq_id)
        edge_pend_free(e, c);
}

static void on_kick(struct edge_core *e, struct econn *c, const Im__DeliverItem *it)
{
    e->out->write(e->ctx, c->index, IM__FRAME_TYPE__KICKED, 0, codec_slice(it->payload), NULL);
    edge_close(e, c, EDGE_CUT_KICKED);
}

/* Is the item for whoever is on this connection now? An answered look-up names the account that was looked for. */
static bool meant_for(const struct econn *c, const Im__DeliverItem *it, size_t i)
{
    if (c->state == C_CLOSING)
        return false;
    if (c->state != C_SESSION || it->kind == IM__ITEM_KIND__ITEM_LOOKUP || !detailed(it))
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
        e->stats.bad_records++; /* made by our own processes; what it held is in history */
    } else if (r->epoch > e->epoch) {
        e->out->lost(e->ctx, "the slot was claimed by another edge");
        return; /* stays open: never committed by us */
    } else {
        a.ours = r->epoch == e->epoch;
        a.epoch = r->epoch;
        for (size_t i = 0; i < r->n_items; i++) {
            const Im__DeliverItem *it = r->items[i];
            if (it->kind == IM__ITEM_KIND__ITEM_MESSAGE || it->kind == IM__ITEM_KIND__ITEM_EVENT)
                push(&a, it);
            else
                direct(&a, it);
        }
    }
    offsets_drop(e->offsets, a.t);
    arena_reset(e->arena);
}
