#include "offline/minder_core.h"

#include "common/base/arena.h"
#include "common/base/crash.h"
#include "common/base/metrics.h"
#include "offline/minder_state.h"

#include <stdlib.h>

#define WINDOW      1024 /* records with bounces in flight, per slot */
#define JOIN_MS     4000 /* to be assigned: else another worker has it */
#define AWAY_MS     3000 /* before joining again */
#define WANT_MS     5000 /* an edge that wants a slot gets so long to come */
#define SPREAD_MS   1500 /* the longest delay of our own */
#define COMMIT_MS   1000
#define RECOMMIT_MS 3600000
#define SWEEP_MS    30000

METRIC_GAUGE(minded, "parley_offline_minded_slots", "Delivery slots without an edge that this worker reads.");

static struct mslot *slot_of(struct minder_core *m, uint32_t slot)
{
    return slot < m->n_slots ? &m->slots[slot] : NULL;
}

struct minder_core *minder_core_new(const struct minder_conf *conf)
{
    struct minder_core *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->conf = *conf;
    m->n_slots = lease_slots(conf->lease);
    m->slots = calloc(m->n_slots ? m->n_slots : 1, sizeof *m->slots);
    m->arena = arena_new(0);
    if (!m->slots || !m->arena) {
        arena_free(m->arena);
        free(m->slots);
        free(m);
        return NULL;
    }
    for (uint32_t i = 0; i < m->n_slots; i++) {
        uint32_t h = 2166136261u ^ i;
        for (const char *p = conf->instance; *p; p++)
            h = (h ^ (uint8_t)*p) * 16777619u;
        m->slots[i].delay_ms = (h ^ h >> 15) % SPREAD_MS;
        m->slots[i].want = lease_get(conf->lease, i)->want;
        m->slots[i].claim = lease_get(conf->lease, i)->claim;
        m->slots[i].want_ms = INT64_MIN / 2;
    }
    return m;
}

void minder_core_free(struct minder_core *m)
{
    if (!m)
        return;
    for (uint32_t i = 0; i < m->n_slots; i++)
        offsets_free(m->slots[i].offsets);
    minder_forget_tags(m, UINT32_MAX);
    arena_free(m->arena);
    free(m->points);
    free(m->slots);
    free(m);
}

static void set_state(struct minder_core *m, struct mslot *s, enum mstate state)
{
    bool was = s->state == M_HELD, is = state == M_HELD;
    m->n_joined += (state != M_AWAY) - (s->state != M_AWAY);
    s->state = state;
    metric_add(&minded, is - was);
}

static void commit(struct minder_core *m, uint32_t slot, struct mslot *s, int64_t now_ms)
{
    int64_t mark = offsets_mark(s->offsets);
    if (mark == s->committed && now_ms - s->commit_ms < RECOMMIT_MS)
        return;
    s->committed = mark;
    s->commit_ms = now_ms;
    m->conf.effects->commit(m->conf.ctx, slot, mark);
    crash_at("minder:commit");
}

static void leave(struct minder_core *m, uint32_t slot, struct mslot *s, int64_t now_ms)
{
    if (s->state == M_HELD)
        commit(m, slot, s, now_ms);
    s->since_ms = now_ms;
    set_state(m, s, M_LEAVING);
    m->conf.effects->leave(m->conf.ctx, slot);
}

bool minder_watches(const struct minder_core *m, uint32_t slot)
{
    return slot < m->n_slots && m->slots[slot].state == M_AWAY && m->slots[slot].claim >= 0 && !m->stopping;
}

void minder_described(struct minder_core *m, uint32_t slot, enum minder_group group, int64_t now_ms)
{
    struct mslot *s = slot_of(m, slot);
    if (!s || !minder_watches(m, slot) || group == MINDER_UNKNOWN)
        return;
    if (group == MINDER_MEMBERS || now_ms - s->want_ms < WANT_MS) {
        s->empty = 0;
        return;
    }
    if (s->empty++ == 0)
        s->empty_ms = now_ms;
    if (s->empty < 2 || now_ms - s->empty_ms < s->delay_ms || m->n_joined >= m->conf.max_slots ||
        (s->left_ms && now_ms - s->left_ms < AWAY_MS))
        return;
    s->empty = 0;
    s->since_ms = now_ms;
    set_state(m, s, M_JOINING);
    m->conf.effects->join(m->conf.ctx, slot);
}

void minder_assigned(struct minder_core *m, uint32_t slot, int64_t next, int64_t now_ms)
{
    struct mslot *s = slot_of(m, slot);
    if (!s || s->state != M_JOINING)
        return;
    s->offsets = offsets_new(next, WINDOW);
    if (!s->offsets) {
        leave(m, slot, s, now_ms);
        return;
    }
    s->committed = next;
    s->commit_ms = now_ms;
    s->sweep_ms = now_ms;
    set_state(m, s, M_HELD);
    minder_expire(m, slot);
    minder_sweep(m, slot);
}

void minder_gone(struct minder_core *m, uint32_t slot, int64_t now_ms)
{
    struct mslot *s = slot_of(m, slot);
    if (!s || s->state == M_AWAY)
        return;
    minder_forget_tags(m, slot);
    offsets_free(s->offsets);
    s->offsets = NULL;
    s->paused = false;
    s->in_flight = 0;
    s->empty = 0;
    s->left_ms = now_ms;
    set_state(m, s, M_AWAY);
}

void minder_sent(struct minder_core *m, uint64_t tag, enum sent outcome, int64_t now_ms)
{
    struct mtag *t = minder_take_tag(m, tag);
    if (!t)
        return;
    uint32_t slot = t->slot;
    struct mslot *s = &m->slots[slot];
    if (t->ticket && s->offsets)
        offsets_drop(s->offsets, t->ticket);
    s->in_flight--;
    if (outcome != SENT_OK && s->state == M_HELD) {
        /* Not handed back for certain: forget it without committing; whoever joins next reads it again. */
        s->committed = offsets_mark(s->offsets);
        set_state(m, s, M_LEAVING);
        s->since_ms = now_ms;
        m->conf.effects->leave(m->conf.ctx, slot);
    } else {
        minder_flow(m, slot);
    }
    free(t);
}

void minder_released(struct minder_core *m, uint32_t slot, bool may_commit, int64_t now_ms)
{
    struct mslot *s = slot_of(m, slot);
    if (!s || (s->state != M_HELD && s->state != M_JOINING))
        return;
    if (!may_commit && s->state == M_HELD)
        s->committed = offsets_mark(s->offsets), s->commit_ms = now_ms; /* nothing to say any more */
    leave(m, slot, s, now_ms);
}

void minder_lease(struct minder_core *m, int64_t now_ms)
{
    for (uint32_t i = 0; i < m->n_slots; i++) {
        struct mslot *s = &m->slots[i];
        const struct lease_slot *l = lease_get(m->conf.lease, i);
        bool wanted = l->want > s->want, claimed = l->claim > s->claim;
        if (!wanted && !claimed)
            continue;
        s->want = l->want;
        s->claim = l->claim;
        s->empty = 0;
        if (wanted)
            s->want_ms = now_ms;
        if (s->state == M_HELD || s->state == M_JOINING)
            leave(m, i, s, now_ms);
    }
}

void minder_tick(struct minder_core *m, int64_t now_ms)
{
    bool swept = false; /* one slot at a time: it may be long */
    for (uint32_t i = 0; i < m->n_slots; i++) {
        struct mslot *s = &m->slots[i];
        if (s->state == M_JOINING && now_ms - s->since_ms >= JOIN_MS)
            leave(m, i, s, now_ms);
        if (s->state == M_HELD && now_ms - s->commit_ms >= COMMIT_MS)
            commit(m, i, s, now_ms);
        if (!swept && s->claim >= 0 && now_ms - s->sweep_ms >= SWEEP_MS) {
            swept = true;
            s->sweep_ms = now_ms;
            minder_sweep(m, i);
        }
    }
}

void minder_stop(struct minder_core *m, int64_t now_ms)
{
    m->stopping = true;
    for (uint32_t i = 0; i < m->n_slots; i++)
        if (m->slots[i].state == M_HELD || m->slots[i].state == M_JOINING)
            leave(m, i, &m->slots[i], now_ms);
}

bool minder_holds(const struct minder_core *m, uint32_t slot)
{
    return slot < m->n_slots && m->slots[slot].state == M_HELD;
}

uint32_t minder_joined(const struct minder_core *m)
{
    return m->n_joined;
}
