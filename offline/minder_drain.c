/* What a minder writes: the end of an epoch, messages back to their queues, dead sessions out of im.presence. */
#include "common/base/arena_protobuf.h"
#include "common/base/crash.h"
#include "common/base/metrics.h"
#include "common/im/codec.h"
#include "common/im/topics.h"
#include "offline/minder_state.h"

#include <errno.h>
#include <stdlib.h>

#define SWEEP_MAX     1000 /* tombstones at a time */
#define UNPACK_BUDGET (16 << 20)
#define IN_FLIGHT     4096 /* bounces without a report, per slot; a record may go over it */

METRIC_COUNTER(bounced, "parley_offline_minder_bounced_total", "Messages of dead edges handed back.");
METRIC_COUNTER(bad_records, "parley_offline_minder_bad_total",
               "Delivery records of dead edges that were not readable.");

struct mtag *minder_take_tag(struct minder_core *m, uint64_t tag)
{
    struct mtag *t;
    HASH_FIND(hh, m->tags, &tag, sizeof tag, t);
    if (t)
        HASH_DEL(m->tags, t);
    return t;
}

void minder_flow(struct minder_core *m, uint32_t slot)
{
    struct mslot *s = &m->slots[slot];
    if (s->state != M_HELD)
        return;
    bool full = offsets_full(s->offsets) || s->in_flight >= (s->paused ? IN_FLIGHT / 2 : IN_FLIGHT);
    if (full == s->paused)
        return;
    s->paused = full;
    m->conf.effects->pause(m->conf.ctx, slot, full);
}

void minder_forget_tags(struct minder_core *m, uint32_t slot)
{
    struct mtag *t, *next;
    HASH_ITER (hh, m->tags, t, next) {
        if (slot != UINT32_MAX && t->slot != slot)
            continue;
        HASH_DEL(m->tags, t);
        free(t);
    }
}

static uint64_t new_tag(struct minder_core *m, uint32_t slot, ticket held)
{
    struct mtag *t = calloc(1, sizeof *t);
    if (!t)
        abort();
    t->tag = ++m->last_tag;
    t->slot = slot;
    t->ticket = held;
    m->slots[slot].in_flight++;
    HASH_ADD(hh, m->tags, tag, sizeof t->tag, t);
    return t->tag;
}

static void send_message(struct minder_core *m, uint16_t topic, int32_t part, struct slice key,
                         const ProtobufCMessage *message, uint64_t tag)
{
    size_t n = protobuf_c_message_get_packed_size(message);
    uint8_t *p = malloc(n ? n : 1);
    if (!p)
        abort();
    protobuf_c_message_pack(message, p);
    m->conf.effects->send(m->conf.ctx, topic, part, key, slice_of(p, n), tag);
    free(p);
}

void minder_expire(struct minder_core *m, uint32_t slot)
{
    uint64_t epoch;
    uint8_t key[KEY_LEASE];
    if (!lease_claimed(m->conf.lease, slot, &epoch))
        return;
    Im__LeaseRecord r = IM__LEASE_RECORD__INIT;
    r.version = CODEC_VERSION;
    r.kind = IM__LEASE_KIND__LEASE_EXPIRE;
    r.slot = slot;
    r.epoch = epoch;
    r.holder = (char *)(uintptr_t)m->conf.instance;
    key_lease(slot, r.kind, key);
    /* The tag makes a failure end our membership, so that somebody tries again. */
    send_message(m, T_LEASE, 0, slice_of(key, sizeof key), &r.base, new_tag(m, slot, 0));
    crash_at("minder:expire");
}

struct sweep {
    struct minder_core *m;
    const struct lease_slot *lease;
    bool held;
    size_t left;
};

static void sweep_one(void *ctx, const struct session *s)
{
    struct sweep *w = ctx;
    uint8_t key[KEY_PRESENCE];
    int64_t epoch = (int64_t)s->epoch;
    /* While we have the slot, every claim of it that we know of is over. */
    bool over = epoch < w->lease->claim || epoch <= w->lease->ended || (w->held && epoch <= w->lease->claim);
    if (!over || w->left == 0)
        return;
    w->left--;
    key_presence(s, key);
    w->m->conf.effects->send(w->m->conf.ctx, T_PRESENCE, FX_BY_KEY, slice_of(key, sizeof key),
                             (struct slice){NULL, 0}, 0);
}

void minder_sweep(struct minder_core *m, uint32_t slot)
{
    struct sweep w = {m, lease_get(m->conf.lease, slot), m->slots[slot].state == M_HELD, SWEEP_MAX};
    presence_each(m->conf.presence, slot, sweep_one, &w);
}

static void bounce(struct minder_core *m, uint32_t slot, const struct session *to, const Im__DeliverItem *it,
                   ticket held)
{
    struct mslot *s = &m->slots[slot];
    Im__Session session;
    session_to_pb(to, &session);
    Im__QueueItem q = IM__QUEUE_ITEM__INIT, *items[1] = {&q};
    q.conversation = it->conversation;
    q.seq = it->seq;
    q.payload = it->payload;
    Im__OffBounce b = IM__OFF_BOUNCE__INIT;
    b.session = &session;
    b.n_items = 1;
    b.items = items;
    Im__OfflineRecord r = IM__OFFLINE_RECORD__INIT;
    r.version = CODEC_VERSION;
    r.user = codec_bytes(slice_id(&to->user));
    r.trace = it->trace;
    r.body_case = IM__OFFLINE_RECORD__BODY_BOUNCE;
    r.bounce = &b;
    offsets_hold(s->offsets, held);
    send_message(m, T_OFFLINE, FX_BY_KEY, slice_id(&to->user), &r.base, new_tag(m, slot, held));
    metric_add(&bounced, 1);
}

/* The recipients are named in the item, or known to the presence view. */
static bool recipient(const struct minder_core *m, uint32_t slot, uint64_t epoch, const Im__DeliverItem *it,
                      size_t i, struct session *out)
{
    if (it->users.len == it->n_handles * ID_SIZE && it->n_devices == it->n_handles &&
        it->n_logins == it->n_handles) {
        *out = (struct session){.device = it->devices[i],
                                .slot = slot,
                                .epoch = epoch,
                                .handle = it->handles[i],
                                .login_offset = it->logins[i]};
        memcpy(out->user.b, it->users.data + i * ID_SIZE, ID_SIZE);
        return true;
    }
    const struct session *known = presence_find(m->conf.presence, slot, epoch, it->handles[i]);
    if (known)
        *out = *known;
    return known;
}

void minder_record(struct minder_core *m, uint32_t slot, const struct record *rec, int64_t now_ms)
{
    struct mslot *s = slot < m->n_slots ? &m->slots[slot] : NULL;
    Im__DeliverRecord *r;
    (void)now_ms;
    if (!s || s->state != M_HELD)
        return;
    ticket held = offsets_open(s->offsets, rec->offset);
    if (!held)
        return; /* seen before */
    struct arena_protobuf pb;
    arena_reset(m->arena);
    int rc = codec_deliver(arena_protobuf_allocator(&pb, m->arena, UNPACK_BUDGET), rec->value, &r);
    if (rc) {
        metric_add(&bad_records, 1);
        if (rc == -ENOTSUP)
            return; /* a newer version's: not ours to drop, the position stays here */
    } else {
        for (size_t i = 0; i < r->n_items; i++) {
            const Im__DeliverItem *it = r->items[i];
            struct session to;
            for (size_t k = 0; it->kind == IM__ITEM_KIND__ITEM_MESSAGE && k < it->n_handles; k++)
                if (recipient(m, slot, r->epoch, it, k, &to))
                    bounce(m, slot, &to, it, held);
        }
    }
    offsets_drop(s->offsets, held);
    minder_flow(m, slot);
}
