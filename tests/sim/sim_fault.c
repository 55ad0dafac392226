#include "tests/sim/sim_fault.h"

#include "tests/sim/sim_world.h"

static struct sim_proc *any_proc(struct sim *s, enum sim_kind k)
{
    return &s->world->procs[k][sim_below(s, s->conf.workers)];
}

static struct sim_edge *any_edge(struct sim *s)
{
    return &s->world->edges[sim_below(s, s->conf.edges)];
}

static struct sim_client *any_client(struct sim *s)
{
    return &s->world->clients[sim_below(s, s->world->n_clients)];
}

static bool kill_proc(struct sim *s, enum sim_kind k)
{
    struct sim_proc *p = any_proc(s, k);
    if (p->actor.alive)
        p->actor.kill(&p->actor);
    return true;
}

static bool kill_edge(struct sim *s)
{
    struct sim_edge *e = any_edge(s);
    if (e->actor.alive)
        e->actor.kill(&e->actor);
    return true;
}

static bool set_trap(struct sim *s)
{
    static const char *const points[] = {
        "edge:parsed",     "edge:produced", "edge:reported",  "edge:acked",      "edge:record",
        "edge:pushed",     "edge:commit",   "router:step",    "router:sent",     "router:acked",
        "router:put",      "router:commit", "fanout:step",    "fanout:sent",     "fanout:acked",
        "fanout:put",      "fanout:commit", "persister:step", "persister:acked", "persister:put",
        "offline:step",    "offline:sent",  "offline:acked",  "offline:put",     "offline:commit",
        "persister:commit"};
    s->trap = (struct sim_trap){points[sim_below(s, ARRAY_LEN(points))], 1 + (uint32_t)sim_below(s, 6)};
    return false; /* counted when somebody falls into it */
}

static bool pause_somebody(struct sim *s)
{
    int64_t us = sim_between(s, 50, sim_chance(s, 500) ? 1000 : 12000) * MS;
    if (sim_chance(s, 400)) {
        struct sim_edge *e = any_edge(s);
        if (!e->actor.alive || e->actor.paused_until > s->now)
            return false;
        sim_edge_pause(e, us);
        return true;
    }
    struct sim_proc *p = any_proc(s, (enum sim_kind)sim_below(s, SIM_KINDS));
    if (!p->actor.alive || p->actor.paused_until > s->now)
        return false;
    sim_proc_pause(p, us);
    return true;
}

static bool rebalance(struct sim *s)
{
    if (sim_chance(s, 300))
        sim_slot_rebalance(&s->world->slots[sim_below(s, SIM_SLOTS)]);
    else
        sim_group_rebalance(&s->world->groups[sim_below(s, SIM_GROUPS)], 700);
    return true;
}

static bool rewind_one(struct sim *s)
{
    struct sim_proc *p = any_proc(s, (enum sim_kind)sim_below(s, SIM_KINDS));
    struct sim_shell *sh = p->shells[sim_below(s, 2)][sim_below(s, SIM_PARTS)];
    if (!p->actor.alive || !sh || sh->state != SHELL_RUNNING)
        return false;
    sim_shell_reopen(sh, "for no reason");
    return true;
}

static bool wipe(struct sim *s)
{
    sim_redis_wipe(s);
    if (sim_chance(s, 600))
        kill_proc(s, PROC_FANOUT);
    return true;
}

static void roll_back(void *ctx, uint64_t arg)
{
    struct sim *s = ctx;
    (void)arg;
    if (s->calm || !sim_redis_rollback(s))
        return;
    sim_fault(s, FAULT_ROLLBACK);
    if (sim_chance(s, 500))
        kill_proc(s, PROC_FANOUT);
}

static bool plan_rollback(struct sim *s)
{
    sim_redis_snapshot(s);
    sim_at(s, NULL, sim_between(s, 1, 1000) * MS, roll_back, s, 0);
    return false;
}

static void on_time(void *ctx, uint64_t arg)
{
    struct sim *s = ctx;
    sim_view_lag(&s->world->procs[arg >> 8][arg & 0xff].view, s->conf.view_lag);
}

static bool view_late(struct sim *s)
{
    uint64_t kind = sim_below(s, SIM_KINDS), i = sim_below(s, s->conf.workers);
    sim_view_lag(&s->world->procs[kind][i].view, sim_between(s, 100, 2000) * MS);
    sim_at(s, NULL, sim_between(s, 500, 4000) * MS, on_time, s, kind << 8 | i);
    return true;
}

static void edge_back(void *ctx, uint64_t arg)
{
    (void)arg;
    sim_edge_start(ctx);
}

/* The last edge dies, and its slot is left alone. */
static bool no_edge(struct sim *s, int64_t away)
{
    for (uint32_t i = 0; i < s->conf.edges; i++) {
        struct sim_edge *e = &s->world->edges[i];
        e->stays_dead = true;
        if (e->actor.alive)
            e->actor.kill(&e->actor);
        sim_at(s, NULL, away + sim_between(s, 0, 1000) * MS, edge_back, e, 0);
    }
    return true;
}

static void router_back(void *ctx, uint64_t arg)
{
    (void)arg;
    sim_proc_start(ctx);
}

static void cut_all(void *ctx, uint64_t arg)
{
    struct sim *s = ctx;
    (void)arg;
    for (uint32_t i = 0; i < s->world->n_clients; i++)
        if (s->world->clients[i].link)
            sim_link_cut(s->world->clients[i].link);
    no_edge(s, sim_between(s, 500, 3000) * MS);
}

/* Routers away while clients drop, then edges die. */
static bool no_router(struct sim *s)
{
    int64_t away = sim_between(s, 2000, 8000) * MS;
    for (uint32_t i = 0; i < s->conf.workers; i++) {
        struct sim_proc *p = &s->world->procs[PROC_ROUTER][i];
        p->stays_dead = true;
        if (p->actor.alive)
            p->actor.kill(&p->actor);
        sim_at(s, NULL, away, router_back, p, 0);
    }
    sim_at(s, NULL, sim_between(s, 100, 1500) * MS, cut_all, s, 0);
    return true;
}

static bool lease_lost(struct sim *s)
{
    struct sim_edge *e = any_edge(s);
    if (!e->actor.alive || e->hold != HOLD_HELD)
        return false;
    sim_edge_lose(e, "for no reason");
    return true;
}

static bool bother_client(struct sim *s, enum sim_fault f)
{
    struct sim_client *c = any_client(s);
    if (c->state != CLIENT_ON)
        return false;
    switch (f) {
    case FAULT_CUT:
        sim_link_cut(c->link);
        return true;
    case FAULT_SLOW_READER:
        c->link->unread = true;
        return true;
    case FAULT_SILENT:
        c->silent = !c->silent;
        return c->silent;
    case FAULT_TAKEOVER:
        sim_client_takeover(c);
        return true;
    case FAULT_FRESH:
        sim_client_forget(c);
        return true;
    case FAULT_REVOKE:
        return sim_client_revoke(c);
    default:
        sim_client_flood(c);
        return false;
    }
}

static bool happen(struct sim *s, enum sim_fault f)
{
    switch (f) {
    case FAULT_KILL_EDGE:
        return kill_edge(s);
    case FAULT_KILL_ROUTER:
        return kill_proc(s, PROC_ROUTER);
    case FAULT_KILL_FANOUT:
        return kill_proc(s, PROC_FANOUT);
    case FAULT_KILL_PERSISTER:
        return kill_proc(s, PROC_PERSISTER);
    case FAULT_KILL_OFFLINE:
        return kill_proc(s, PROC_OFFLINE);
    case FAULT_KILL_QUERY:
        s->world->query.actor.kill(&s->world->query.actor);
        return true;
    case FAULT_CRASH_POINT:
        return set_trap(s);
    case FAULT_PAUSE:
        return pause_somebody(s);
    case FAULT_REBALANCE:
        return rebalance(s);
    case FAULT_REWIND:
        return rewind_one(s);
    case FAULT_WIPE:
        return wipe(s);
    case FAULT_ROLLBACK:
        return plan_rollback(s);
    case FAULT_STORE_DOWN:
    case FAULT_PG_DOWN:
        sim_store_down(s, f == FAULT_STORE_DOWN, sim_between(s, 10, 3000) * MS);
        return true;
    case FAULT_VIEW_LATE:
        return view_late(s);
    case FAULT_DRAIN_EDGE:
        sim_edge_drain(any_edge(s));
        return true;
    case FAULT_LEASE_LOST:
        return lease_lost(s);
    case FAULT_NO_EDGE:
        return no_edge(s, sim_between(s, 3000, 9000) * MS);
    case FAULT_NO_ROUTER:
        return no_router(s);
    case FAULT_CUT:
    case FAULT_SLOW_READER:
    case FAULT_SILENT:
    case FAULT_TAKEOVER:
    case FAULT_FLOOD:
    case FAULT_FRESH:
    case FAULT_REVOKE:
        return bother_client(s, f);
    default:
        return false; /* those happen by themselves */
    }
}

static void trouble(void *ctx, uint64_t arg)
{
    struct sim *s = ctx;
    uint32_t sum = 0;
    (void)arg;
    if (s->calm)
        return;
    for (int i = 0; i < SIM_FAULTS; i++)
        sum += s->conf.weights[i];
    uint64_t at = sim_below(s, sum);
    for (int i = 0; i < SIM_FAULTS; i++) {
        if (at >= s->conf.weights[i]) {
            at -= s->conf.weights[i];
            continue;
        }
        if (happen(s, (enum sim_fault)i))
            sim_fault(s, (enum sim_fault)i);
        break;
    }
    sim_at(s, NULL, sim_between(s, 1, 2 * s->conf.fault_every_ms) * MS, trouble, s, 0);
}

void sim_faults_start(struct sim *s)
{
    if (s->conf.faults)
        trouble(s, 0);
}

/* What Redis lost unnoticed is noticed now. */
static void open_again(struct sim_proc *p)
{
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < SIM_PARTS; i++)
            if (p->actor.alive && p->shells[k][i])
                sim_shell_reopen(p->shells[k][i], "the end of the trouble");
}

void sim_faults_end(struct sim *s)
{
    struct sim_world *w = s->world;
    s->calm = true;
    s->trap.point = NULL;
    w->stores.down_until[0] = w->stores.down_until[1] = 0;
    for (int k = 0; k < SIM_KINDS; k++)
        for (uint32_t i = 0; i < s->conf.workers; i++) {
            sim_view_lag(&w->procs[k][i].view, 0);
            w->procs[k][i].stays_dead = false;
            open_again(&w->procs[k][i]);
            sim_proc_start(&w->procs[k][i]);
        }
    for (uint32_t i = 0; i < s->conf.edges; i++) {
        w->edges[i].stays_dead = false;
        sim_edge_start(&w->edges[i]);
    }
    for (uint32_t i = 0; i < w->n_clients; i++)
        if (w->clients[i].link)
            sim_link_read(w->clients[i].link);
}
