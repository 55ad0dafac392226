#include "tests/sim/sim_minder.h"

#include "tests/sim/sim_describe.h"
#include "tests/sim/sim_proc.h"
#include "tests/sim/sim_world.h"

#include <errno.h>

static struct sim *sim_of(const struct sim_minder *m)
{
    return m->proc->actor.sim;
}

static int64_t now(const struct sim_minder *m)
{
    return sim_of(m)->now / MS;
}

/* ---- one slot ---- */
static bool on_record(void *ctx, const struct record *r)
{
    struct sim_minded *h = ctx;
    struct sim *s = sim_of(h->m);
    sim_trace(s, "%s minds %s", h->m->proc->actor.name, sim_describe(s, r));
    minder_record(h->m->core, h->slot, r, now(h->m));
    return true;
}

static void on_assigned(void *ctx, int64_t next)
{
    struct sim_minded *h = ctx;
    if (!h->m->core || !h->member)
        return;
    minder_assigned(h->m->core, h->slot, next, now(h->m));
    if (!minder_holds(h->m->core, h->slot))
        return;
    h->reader = sim_alloc(sim_of(h->m), sizeof *h->reader);
    sim_reader_open(h->reader, &h->m->proc->actor, topic_of_slot(h->slot), 0, next, on_record, h);
}

static void on_revoked(void *ctx)
{
    struct sim_minded *h = ctx;
    if (h->m->core && h->member && !h->leaving)
        minder_released(h->m->core, h->slot, true, now(h->m));
}

static void on_lost(void *ctx)
{
    struct sim_minded *h = ctx;
    if (h->m->core && h->member && !h->leaving)
        minder_released(h->m->core, h->slot, false, now(h->m));
}

static void do_join(void *ctx, uint32_t slot)
{
    struct sim_minder *m = ctx;
    struct sim_minded *h = &m->held[slot];
    *h = (struct sim_minded){.m = m, .slot = slot};
    h->member = sim_alloc(sim_of(m), sizeof *h->member);
    *h->member =
        (struct sim_member){.ctx = h, .assigned = on_assigned, .revoked = on_revoked, .lost = on_lost};
    sim_trace(sim_of(m), "%s: joins slot %u", m->proc->actor.name, slot);
    sim_slot_join(&sim_of(m)->world->slots[slot], h->member, &m->proc->actor);
}

static void left(void *ctx, uint64_t arg)
{
    struct sim_minded *h = ctx;
    (void)arg;
    if (!h->member)
        return;
    sim_slot_leave(h->member);
    h->member = NULL;
    sim_trace(sim_of(h->m), "%s: out of slot %u", h->m->proc->actor.name, h->slot);
    minder_gone(h->m->core, h->slot, now(h->m));
}

static void do_leave(void *ctx, uint32_t slot)
{
    struct sim_minder *m = ctx;
    struct sim_minded *h = &m->held[slot];
    h->leaving = true;
    if (h->reader)
        sim_reader_close(h->reader);
    sim_at(sim_of(m), &m->proc->actor, sim_delay(sim_of(m)), left, h, 0);
}

static void not_ours(void *ctx, uint64_t arg)
{
    (void)arg;
    on_lost(ctx);
}

static void do_commit(void *ctx, uint32_t slot, int64_t next)
{
    struct sim_minder *m = ctx;
    struct sim_minded *h = &m->held[slot];
    if (h->member && sim_slot_commit(h->member, next) == -ESTALE)
        sim_at(sim_of(m), &m->proc->actor, sim_delay(sim_of(m)), not_ours, h, 0);
}

static void do_pause(void *ctx, uint32_t slot, bool paused)
{
    struct sim_minder *m = ctx;
    if (paused)
        m->held[slot].reader->full = true;
    else
        sim_reader_kick(m->held[slot].reader);
}

static void on_report(void *ctx, uint64_t tag, enum sent outcome, int64_t offset)
{
    struct sim_minder *m = ctx;
    (void)offset;
    if (m->core)
        minder_sent(m->core, tag, outcome, now(m));
}

static void do_send(void *ctx, uint16_t topic, int32_t part, struct slice key, struct slice value,
                    uint64_t tag)
{
    struct sim_minder *m = ctx;
    sim_send(&m->proc->producer, topic, part, key, value, tag ? on_report : NULL, m, tag);
}

/* ---- the whole ---- */
static enum minder_group judge(const struct sim_slot *t)
{
    if (t->rebalancing)
        return MINDER_UNKNOWN;
    return t->members ? MINDER_MEMBERS : MINDER_EMPTY;
}

static void poll(void *ctx, uint64_t arg)
{
    struct sim_minder *m = ctx;
    struct sim *s = sim_of(m);
    (void)arg;
    minder_tick(m->core, now(m));
    for (uint32_t i = 0; i < SIM_SLOTS; i++)
        if (minder_watches(m->core, i))
            minder_described(m->core, i, judge(&s->world->slots[i]), now(m));
    sim_at(s, &m->proc->actor, MINDER_POLL_MS * MS, poll, m, 0);
}

void sim_minder_open(struct sim_minder *m, struct sim_proc *p)
{
    static const struct minder_effects effects = {do_join, do_leave, do_commit, do_pause, do_send};
    *m = (struct sim_minder){.proc = p};
    const struct minder_conf conf = {.lease = p->view.lease,
                                     .presence = p->view.presence,
                                     .offline_parts = p->actor.sim->log->parts[T_OFFLINE],
                                     .instance = p->actor.name,
                                     .max_slots = SIM_SLOTS,
                                     .effects = &effects,
                                     .ctx = m};
    m->core = minder_core_new(&conf);
    if (!m->core)
        abort();
    poll(m, 0);
}

void sim_minder_close(struct sim_minder *m)
{
    minder_core_free(m->core);
    m->core = NULL;
}

void sim_minder_lease_changed(struct sim_minder *m)
{
    if (m->core)
        minder_lease(m->core, now(m));
}
