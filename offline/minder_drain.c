/* What a minder writes: the end of an epoch, messages back to their queues, dead sessions out of im.presence. */
#include "common/base/arena_protobuf.h"
#include "common/base/crash.h"
#include "common/base/metrics.h"
#include "common/im/codec.h"
#include "common/im/dead.h"
#include "common/im/topics.h"
#include "offline/minder_state.h"

#include <errno.h>
#include <stdlib.h>

#define SWEEP_MAX     1000 /* tombstones at a time */
#define UNPACK_BUDGET (16 << 20)
#define IN_FLIGHT     4096 /* bounces without a report, per slot; a record may go over it */

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

void minder_send_held(struct minder_core *m, uint32_t slot, int32_t part, struct slice key,
                      const Im__OfflineRecord *r, ticket held)
{
    offsets_hold(m->slots[slot].offsets, held);
    send_message(m, T_OFFLINE, part, key, &r->base, new_tag(m, slot, held));
}

static void bury(struct minder_core *m, uint32_t slot, const struct record *rec, ticket held)
{
    struct dead d;
    struct record r = *rec;
    if (!m->conf.topics)
        return;
    r.topic = topic_of_slot(slot);
    dead_fill(&d, &r, topics_name(m->conf.topics, r.topic), "offline", m->conf.instance, NULL);
    offsets_hold(m->slots[slot].offsets, held);
    send_message(m, T_DLQ, 0, (struct slice){NULL, 0}, &d.r.base, new_tag(m, slot, held));
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
        bury(m, slot, rec, held);
    } else {
        for (size_t i = 0; i < r->n_items; i++)
            minder_bounce_item(m, slot, r->epoch, r->items[i], held);
    }
    offsets_drop(s->offsets, held);
    minder_flow(m, slot);
}
