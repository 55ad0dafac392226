#include "tests/sim/sim_group.h"

#include "tests/sim/sim_proc.h"

#include <errno.h>

void sim_group_init(struct sim_group *g, struct sim *s, const char *name, const uint16_t *inputs,
                    size_t n_inputs, struct sim_proc **members, size_t n_members, int core)
{
    *g = (struct sim_group){.sim = s,
                            .name = name,
                            .inputs = inputs,
                            .n_inputs = n_inputs,
                            .parts = s->log->parts[inputs[0]],
                            .members = members,
                            .n_members = n_members,
                            .core = core};
}

bool sim_group_owns(const struct sim_group *g, int32_t part, const struct sim_proc *p)
{
    return g->part[part].owner == p && g->part[part].life == p->actor.life;
}

static bool has_owner(const struct sim_gpart *p)
{
    return p->owner && p->owner->actor.alive && p->life == p->owner->actor.life;
}

static void tell_owner(void *ctx, uint64_t arg)
{
    struct sim_group *g = ctx;
    int32_t part = (int32_t)(arg & 0xff);
    struct sim_gpart *p = &g->part[part];
    if (p->handover == arg >> 8 && has_owner(p))
        sim_proc_assigned(p->owner, g, part, p->committed);
}

static void give(struct sim_group *g, int32_t part, struct sim_proc *to)
{
    struct sim_gpart *p = &g->part[part];
    p->owner = to;
    p->life = to->actor.life;
    p->handover++;
    p->moving = false;
    sim_trace(g->sim, "%s/%d: to %s", g->name, part, to->actor.name);
    sim_at(g->sim, &to->actor, sim_delay(g->sim), tell_owner, g, (uint64_t)p->handover << 8 | (uint32_t)part);
}

struct notice {
    struct sim_group *g;
    struct sim_proc *p;
    int32_t part;
};

static void tell_lost(void *ctx, uint64_t arg)
{
    struct notice *n = ctx;
    (void)arg;
    if (!sim_group_owns(n->g, n->part, n->p))
        sim_proc_lost(n->p, n->g, n->part);
}

static void notice_loss(struct sim_group *g, int32_t part, struct sim_proc *from)
{
    struct notice *n = sim_alloc(g->sim, sizeof *n);
    *n = (struct notice){g, from, part};
    int64_t late = sim_chance(g->sim, 300) ? sim_between(g->sim, 0, 2 * SEC) : 0;
    sim_at(g->sim, &from->actor, sim_delay(g->sim) + late, tell_lost, n, 0);
}

static struct sim_proc *choose(struct sim_group *g)
{
    struct sim_proc *best = NULL;
    uint64_t seen = 0;
    for (size_t i = 0; i < g->n_members; i++) {
        struct sim_proc *m = g->members[i];
        if (m->actor.alive && m->ready && !m->expelled && sim_below(g->sim, ++seen) == 0)
            best = m;
    }
    return best;
}

static void no_patience(void *ctx, uint64_t arg)
{
    struct sim_group *g = ctx;
    int32_t part = (int32_t)(arg & 0xff);
    struct sim_gpart *p = &g->part[part];
    if (p->handover != arg >> 8 || !p->moving)
        return;
    struct sim_proc *from = p->owner;
    if (p->next->actor.alive)
        give(g, part, p->next);
    else
        p->moving = false;
    notice_loss(g, part, from);
}

void sim_group_rebalance(struct sim_group *g, unsigned per_mille)
{
    for (int32_t i = 0; i < g->parts; i++) {
        struct sim_gpart *p = &g->part[i];
        bool had = has_owner(p), expelled = had && p->owner->expelled;
        if (p->moving || (had && !expelled && !sim_chance(g->sim, per_mille)))
            continue;
        struct sim_proc *to = choose(g), *from = had ? p->owner : NULL;
        if (!to || (to == from && !sim_chance(g->sim, 300)))
            continue;
        if (!from || expelled || to == from || sim_chance(g->sim, 300)) {
            give(g, i, to);
            if (from && from != to)
                notice_loss(g, i, from);
            else if (from)
                sim_proc_lost(from, g, i);
            continue;
        }
        p->moving = true; /* in good order: what is in flight is finished first */
        p->next = to;
        sim_at(g->sim, NULL, SIM_SESSION, no_patience, g, (uint64_t)p->handover << 8 | (uint32_t)i);
        sim_proc_drain(from, g, i);
    }
}

void sim_group_drained(struct sim_group *g, int32_t part, struct sim_proc *from)
{
    struct sim_gpart *p = &g->part[part];
    if (!p->moving || !sim_group_owns(g, part, from))
        return;
    if (p->next->actor.alive && p->next->ready)
        give(g, part, p->next);
    else
        give(g, part, from);
}

static void missed(void *ctx, uint64_t arg)
{
    struct sim_group *g = ctx;
    (void)arg;
    for (int32_t i = 0; i < g->parts; i++)
        if (g->part[i].moving && !has_owner(&g->part[i]))
            g->part[i].moving = false;
    sim_group_rebalance(g, 0);
}

void sim_group_left(struct sim_group *g, struct sim_proc *p)
{
    (void)p;
    sim_at(g->sim, NULL,
           sim_chance(g->sim, 500) ? sim_between(g->sim, 0, 300 * MS) : sim_between(g->sim, 0, SIM_SESSION),
           missed, g, 0);
}

static void expel(void *ctx, uint64_t arg)
{
    struct notice *n = ctx;
    (void)arg;
    if (!n->p->actor.alive || n->p->actor.paused_until <= n->g->sim->now)
        return;
    n->p->expelled = true;
    for (int32_t i = 0; i < n->g->parts; i++)
        if (n->g->part[i].owner == n->p)
            n->g->part[i].moving = false;
    sim_group_rebalance(n->g, 0);
}

void sim_group_away(struct sim_group *g, struct sim_proc *p)
{
    struct notice *n = sim_alloc(g->sim, sizeof *n);
    *n = (struct notice){.g = g, .p = p};
    sim_at(g->sim, NULL, SIM_SESSION, expel, n, 0);
}

int sim_group_commit(struct sim_group *g, int32_t part, const struct sim_proc *p, const int64_t *next)
{
    if (!sim_group_owns(g, part, p)) {
        sim_fault(g->sim, FAULT_ZOMBIE_WROTE);
        return -ESTALE;
    }
    for (size_t i = 0; i < g->n_inputs; i++)
        if (next[i] > g->part[part].committed[i])
            g->part[part].committed[i] = next[i];
    return 0;
}

int64_t sim_group_lag(const struct sim_group *g)
{
    int64_t lag = 0;
    for (int32_t i = 0; i < g->parts; i++)
        for (size_t k = 0; k < g->n_inputs; k++)
            lag += sim_log_end(g->sim, g->inputs[k], i) - g->part[i].committed[k];
    return lag;
}
