#include "tests/sim/sim_slots.h"

#include "tests/sim/sim_world.h"

#include <errno.h>

static bool here(const struct sim_member *m)
{
    return m->actor->alive && m->actor->life == m->life && m->actor->paused_until <= m->slot->sim->now;
}

void sim_slots_init(struct sim *s, struct sim_slot *slots)
{
    for (uint32_t i = 0; i < SIM_SLOTS; i++)
        slots[i] = (struct sim_slot){.sim = s, .number = i};
}

static void tell_assigned(void *ctx, uint64_t arg)
{
    struct sim_member *m = ctx;
    if (!m->out && m->slot->owner == m && m->slot->generation == arg)
        m->assigned(m->ctx, m->slot->committed);
}

static void tell_lost(void *ctx, uint64_t arg)
{
    struct sim_member *m = ctx;
    (void)arg;
    m->lost(m->ctx);
}

static void start(struct sim_slot *t, int64_t us);

static void rebalance(void *ctx, uint64_t arg)
{
    struct sim_slot *t = ctx;
    struct sim_member *best = NULL;
    if (arg != t->generation)
        return;
    if (t->owner && here(t->owner)) {
        struct sim_member *m = t->owner;
        t->owner = NULL;
        m->revoked(m->ctx);
    }
    for (struct sim_member *m = t->members; m; m = m->next) {
        if (!here(m))
            return; /* it is waited for; somebody will say that it is gone, or back */
        if (!best || m->id < best->id)
            best = m;
    }
    t->rebalancing = false;
    t->owner = best;
    if (best) {
        sim_trace(t->sim, "slot %u: to %s, from %ld", t->number, best->actor->name, (long)t->committed);
        sim_at(t->sim, best->actor, sim_delay(t->sim), tell_assigned, best, t->generation);
    }
}

static void start(struct sim_slot *t, int64_t us)
{
    t->rebalancing = true;
    t->generation++;
    sim_at(t->sim, NULL, us, rebalance, t, t->generation);
}

void sim_slot_rebalance(struct sim_slot *t)
{
    start(t, sim_between(t->sim, 1, 800) * MS);
}

void sim_slot_join(struct sim_slot *t, struct sim_member *m, struct sim_actor *a)
{
    m->slot = t;
    m->actor = a;
    m->life = a->life;
    m->id = rng_next(&t->sim->rng);
    m->out = false;
    m->next = t->members;
    t->members = m;
    start(t, (t->owner ? sim_between(t->sim, 1, 1500) : sim_between(t->sim, 1, 50)) * MS);
}

static void take_out(struct sim_member *m)
{
    struct sim_slot *t = m->slot;
    struct sim_member **at = &t->members;
    while (*at && *at != m)
        at = &(*at)->next;
    if (!*at)
        return;
    *at = m->next;
    m->out = true;
    if (t->owner == m)
        t->owner = NULL;
    start(t, sim_between(t->sim, 1, 50) * MS);
}

void sim_slot_leave(struct sim_member *m)
{
    if (!m->out)
        take_out(m);
}

int sim_slot_commit(struct sim_member *m, int64_t next)
{
    struct sim_slot *t = m->slot;
    if (t->owner != m && t->sim->conf.plant != PLANT_NO_EPOCH) {
        sim_fault(t->sim, FAULT_ZOMBIE_WROTE);
        return -ESTALE;
    }
    t->committed = next;
    return 0;
}

bool sim_slot_has_edge(const struct sim_slot *t)
{
    for (const struct sim_member *m = t->members; m; m = m->next)
        if (m->edge)
            return true;
    return false;
}

size_t sim_slot_members(const struct sim_slot *t)
{
    size_t n = 0;
    for (const struct sim_member *m = t->members; m; m = m->next)
        n++;
    return n;
}

/* ---- members that do not answer ---- */
static void missed(void *ctx, uint64_t arg)
{
    struct sim_member *m = ctx;
    (void)arg;
    if (m->out)
        return;
    if (here(m)) { /* back in time */
        if (m->slot->rebalancing)
            start(m->slot, 1);
        return;
    }
    sim_trace(m->slot->sim, "slot %u: %s is expelled", m->slot->number, m->actor->name);
    take_out(m);
    if (m->actor->alive && m->actor->life == m->life) {
        int64_t wakes = m->actor->paused_until - m->slot->sim->now;
        sim_at(m->slot->sim, m->actor, wakes + sim_between(m->slot->sim, 0, 1500) * MS, tell_lost, m, 0);
    }
}

static void each(struct sim *s, struct sim_actor *a, uint32_t life, int64_t us)
{
    for (uint32_t i = 0; i < SIM_SLOTS; i++)
        for (struct sim_member *m = s->world->slots[i].members; m; m = m->next)
            if (m->actor == a && m->life == life)
                sim_at(s, NULL, us, missed, m, 0);
}

void sim_slots_died(struct sim *s, struct sim_actor *a, uint32_t life)
{
    each(s, a, life, sim_between(s, 500, 6000) * MS);
}

static void back(void *ctx, uint64_t arg)
{
    struct sim_member *m = ctx;
    (void)arg;
    if (!m->out && m->slot->rebalancing)
        start(m->slot, 1);
}

void sim_slots_away(struct sim *s, struct sim_actor *a)
{
    each(s, a, a->life, 6 * SEC);
    for (uint32_t i = 0; i < SIM_SLOTS; i++)
        for (struct sim_member *m = s->world->slots[i].members; m; m = m->next)
            if (m->actor == a)
                sim_at(s, a, 1, back, m, 0); /* when it goes on */
}
