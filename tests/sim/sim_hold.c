/* sim_hold.c: how an edge gets its slot, keeps it and loses it: edge/slot.c and slot_hold.c on simulated groups. */
#include "common/im/codec.h"
#include "tests/sim/sim_describe.h"
#include "tests/sim/sim_edge.h"
#include "tests/sim/sim_world.h"

#include <errno.h>

#define JOIN_MS     3000
#define AGAIN_MS    1000
#define PATIENCE_MS 5000
#define REJOIN_MS   6000

static void timer(void *ctx, uint64_t arg);

static struct sim *sim_of(const struct sim_edge *e)
{
    return e->actor.sim;
}

static void to(struct sim_edge *e, enum sim_hold state, int64_t ms)
{
    e->hold = state;
    e->turn++;
    if (ms)
        sim_at(sim_of(e), &e->actor, ms * MS, timer, e, e->turn);
}

/* ---- records of im.lease ---- */
static void on_said(void *ctx, uint64_t tag, enum sent outcome, int64_t offset);

static void say(struct sim_edge *e, Im__LeaseKind kind)
{
    Im__LeaseRecord m = IM__LEASE_RECORD__INIT;
    uint8_t key[KEY_LEASE], value[256];
    m.version = CODEC_VERSION;
    m.kind = kind;
    m.slot = e->slot;
    m.epoch = kind == IM__LEASE_KIND__LEASE_RELEASE ? (uint64_t)e->epoch : 0;
    m.holder = e->actor.name;
    m.address = e->actor.name;
    key_lease(e->slot, kind, key);
    int n = codec_pack_into(&m.base, value, sizeof value);
    sim_send(&e->producer, T_LEASE, 0, slice_of(key, sizeof key), slice_of(value, (size_t)n), on_said, e,
             e->turn);
}

static void leave(struct sim_edge *e);

static void claimed(struct sim_edge *e, int64_t epoch);

static void on_assigned(void *ctx, int64_t next);
static void on_revoked(void *ctx);
static void on_lost(void *ctx);

static void join(struct sim_edge *e)
{
    struct sim *s = sim_of(e);
    e->member = sim_alloc(s, sizeof *e->member);
    *e->member = (struct sim_member){
        .edge = true, .ctx = e, .assigned = on_assigned, .revoked = on_revoked, .lost = on_lost};
    to(e, HOLD_JOIN, e->join_ms);
    sim_slot_join(&s->world->slots[e->slot], e->member, &e->actor);
}

static void on_said(void *ctx, uint64_t tag, enum sent outcome, int64_t offset)
{
    struct sim_edge *e = ctx;
    if (tag != e->turn)
        return;
    if (e->hold == HOLD_WANT && outcome == SENT_OK)
        join(e);
    else if (e->hold == HOLD_WANT)
        to(e, HOLD_PICK, AGAIN_MS);
    else if (e->hold == HOLD_CLAIM && outcome == SENT_OK)
        claimed(e, offset);
    else if (e->hold == HOLD_CLAIM || e->hold == HOLD_LEAVE)
        leave(e);
}

/* ---- choosing ---- */
static int fit(const struct sim_edge *e, uint32_t slot)
{
    const struct sim_slot *t = &sim_of(e)->world->slots[slot];
    uint64_t epoch;
    if (sim_slot_has_edge(t))
        return 0;
    if (!lease_claimed(e->view.lease, slot, &epoch) ||
        strcmp(lease_get(e->view.lease, slot)->holder, e->actor.name) == 0)
        return 1;
    return !t->members && !t->rebalancing ? 2 : 0;
}

static void pick(struct sim_edge *e)
{
    struct sim *s = sim_of(e);
    bool patient = s->now - e->since < PATIENCE_MS * MS;
    uint64_t seen = 0;
    for (int want = 1; want <= (patient ? 1 : 2) && !seen; want++)
        for (uint32_t i = 0; i < SIM_SLOTS; i++)
            if (fit(e, i) == want && sim_below(s, ++seen) == 0)
                e->slot = i;
    if (!seen) {
        to(e, HOLD_PICK, AGAIN_MS);
        return;
    }
    to(e, HOLD_WANT, 0);
    say(e, IM__LEASE_KIND__LEASE_WANT);
}

static void start_over(struct sim_edge *e, int64_t ms)
{
    e->since = sim_of(e)->now;
    e->to_commit = -1;
    to(e, HOLD_PICK, ms);
}

static void leave(struct sim_edge *e)
{
    if (e->reader)
        sim_reader_close(e->reader);
    if (e->member)
        sim_slot_leave(e->member);
    e->reader = NULL;
    e->member = NULL;
    if (e->draining)
        to(e, HOLD_OFF, 0);
    else
        start_over(e, sim_between(sim_of(e), 100, 500));
}

static void timer(void *ctx, uint64_t arg)
{
    struct sim_edge *e = ctx;
    if (arg != e->turn)
        return;
    switch (e->hold) {
    case HOLD_VIEW:
        if (sim_view_ready(&e->view))
            start_over(e, 1);
        else
            to(e, HOLD_VIEW, 5);
        break;
    case HOLD_PICK:
        pick(e);
        break;
    case HOLD_JOIN:
        e->join_ms = e->join_ms * 2 > 15000 ? 15000 : e->join_ms * 2;
        leave(e);
        break;
    case HOLD_REJOIN:
        sim_hold_lost(e, "the partition did not come back");
        break;
    default:
        break;
    }
}

void sim_hold_start(struct sim_edge *e)
{
    e->join_ms = JOIN_MS;
    e->member = NULL;
    e->reader = NULL;
    to(e, HOLD_VIEW, 1);
}

/* ---- holding ---- */
static bool on_record(void *ctx, const struct record *r)
{
    struct sim_edge *e = ctx;
    if (e->lost_by_core || sim_point(&e->actor, "edge:record"))
        return false;
    sim_trace(sim_of(e), "%s: %s", e->actor.name, sim_describe(sim_of(e), r));
    sim_edge_enter(e);
    edge_core_deliver(e->core, r->offset, r->value);
    sim_point(&e->actor, "edge:pushed");
    return !e->lost_by_core && !edge_core_full(e->core);
}

static void read_from(struct sim_edge *e, int64_t next)
{
    if (e->reader)
        sim_reader_close(e->reader);
    e->reader = sim_alloc(sim_of(e), sizeof *e->reader);
    sim_reader_open(e->reader, &e->actor, topic_of_slot(e->slot), 0, next, on_record, e);
}

static void claimed(struct sim_edge *e, int64_t epoch)
{
    if (e->member->slot->owner != e->member && !e->member->out) { /* as far as it can know */
        leave(e);
        return;
    }
    e->epoch = epoch;
    e->join_ms = JOIN_MS;
    to(e, HOLD_HELD, 0);
    sim_trace(sim_of(e), "%s: slot %u claimed, epoch %ld, from %ld", e->actor.name, e->slot, (long)epoch,
              (long)e->to_commit);
    sim_edge_enter(e);
    edge_core_claimed(e->core, e->slot, (uint64_t)epoch, e->to_commit);
    read_from(e, e->to_commit);
    e->to_commit = -1;
}

static void on_assigned(void *ctx, int64_t next)
{
    struct sim_edge *e = ctx;
    if (e->hold == HOLD_REJOIN) {
        to(e, HOLD_HELD, 0);
        read_from(e, next);
        if (e->to_commit >= 0)
            sim_hold_commit(e, e->to_commit);
    } else if (e->hold == HOLD_JOIN) {
        to(e, HOLD_CLAIM, 0);
        e->to_commit = next;
        say(e, IM__LEASE_KIND__LEASE_CLAIM);
    }
}

static void on_revoked(void *ctx)
{
    struct sim_edge *e = ctx;
    if (e->hold == HOLD_HELD) {
        sim_reader_close(e->reader);
        to(e, HOLD_REJOIN, REJOIN_MS);
    } else if (e->hold == HOLD_CLAIM) {
        to(e, HOLD_JOIN, e->join_ms);
    }
}

static void on_lost(void *ctx)
{
    struct sim_edge *e = ctx;
    if (e->hold == HOLD_CLAIM || e->hold == HOLD_JOIN)
        leave(e);
    else
        sim_hold_lost(e, "the coordinator took it away");
}

void sim_hold_lost(struct sim_edge *e, const char *why)
{
    if (e->hold != HOLD_HELD && e->hold != HOLD_REJOIN)
        return;
    if (sim_of(e)->conf.plant == PLANT_NO_EPOCH)
        return;
    sim_trace(sim_of(e), "%s: slot %u lost: %s", e->actor.name, e->slot, why);
    sim_edge_enter(e);
    edge_core_lost(e->core);
    leave(e);
}

static void refused(void *ctx, uint64_t arg)
{
    struct sim_edge *e = ctx;
    if (arg == e->turn)
        sim_hold_lost(e, "a commit was refused");
}

void sim_hold_commit(struct sim_edge *e, int64_t next)
{
    e->to_commit = next;
    if (e->hold != HOLD_HELD || !e->member || sim_point(&e->actor, "edge:commit"))
        return;
    if (sim_slot_commit(e->member, next) == -ESTALE)
        sim_at(sim_of(e), &e->actor, sim_delay(sim_of(e)), refused, e, e->turn);
    else
        e->to_commit = -1;
}

void sim_hold_lease_changed(void *ctx)
{
    struct sim_edge *e = ctx;
    if (e->hold != HOLD_HELD && e->hold != HOLD_REJOIN)
        return;
    const struct lease_slot *l = lease_get(e->view.lease, e->slot);
    if (l->claim > e->epoch)
        sim_hold_lost(e, "another edge claimed it");
    else if (l->ended >= e->epoch)
        sim_hold_lost(e, "our claim was ended");
}

void sim_hold_give_back(struct sim_edge *e, int64_t next)
{
    if (e->hold != HOLD_HELD) {
        leave(e);
        return;
    }
    sim_hold_commit(e, next);
    to(e, HOLD_LEAVE, 0);
    say(e, IM__LEASE_KIND__LEASE_RELEASE);
}
