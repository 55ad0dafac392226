#include "tests/sim/sim_proc.h"

#include "offline/core.h"
#include "persister/core.h"
#include "router/core.h"
#include "tests/sim/sim_world.h"

static const struct sim_core cores[SIM_GROUPS] = {
    [SGROUP_ROUTER] = {"router", &router_core, STORE_ROUTER, sim_recover_router, "router:step", "router:sent",
                       "router:acked", "router:put", "router:commit"},
    [SGROUP_FANOUT] = {"fanout", &fanout_core, STORE_FANOUT, sim_recover_fanout, "fanout:step", "fanout:sent",
                       "fanout:acked", "fanout:put", "fanout:commit"},
    [SGROUP_CONV] = {"persister", &persister_conv, STORE_CONV, NULL, "persister:step", "persister:sent",
                     "persister:acked", "persister:put", "persister:commit"},
    [SGROUP_USERS] = {"users", &persister_users, STORE_USERS, NULL, "persister:step", "persister:sent",
                      "persister:acked", "persister:put", "persister:commit"},
    [SGROUP_OFFLINE] = {"offline", &offline_core, STORE_OFFLINE, sim_recover_offline, "offline:step",
                        "offline:sent", "offline:acked", "offline:put", "offline:commit"},
};
static const char *const sent_points[SIM_KINDS] = {"router:sent", "fanout:sent", "persister:sent",
                                                   "offline:sent"};
static const char *const kind_names[SIM_KINDS] = {"router", "fanout", "persister", "offline"};

static const struct fanout_settings fanout_settings = {.cache_bytes = 4096};
static const struct persister_settings persister_settings = {.cache_bytes = 4096};

static const void *settings_of(const struct sim_proc *p, enum sim_group_name g)
{
    const struct sim *s = p->actor.sim;
    struct offline_settings *offline;
    struct router_settings *router;
    switch (g) {
    case SGROUP_ROUTER:
        *(router = sim_alloc(p->actor.sim, sizeof *router)) =
            (struct router_settings){.cache_bytes = 4096,
                                     .group_cap = s->conf.group_cap,
                                     .receipt_cap = s->conf.receipt_cap,
                                     .recall_limit_ms = s->conf.recall_limit_ms,
                                     .strangers_refused = s->conf.strangers_refused};
        return router;
    case SGROUP_FANOUT:
        return &fanout_settings;
    case SGROUP_OFFLINE:
        *(offline = sim_alloc(p->actor.sim, sizeof *offline)) =
            (struct offline_settings){.cap_items = s->conf.queue_cap,
                                      .cap_bytes = 1 << 20,
                                      .page_items = 5,
                                      .page_bytes = 65536,
                                      .cache_bytes = 8192,
                                      .presence = p->view.presence,
                                      .parts = (int32_t)s->conf.parts};
        return offline;
    default:
        return &persister_settings;
    }
}

static struct sim_shell **place(struct sim_proc *p, const struct sim_group *g, int32_t part)
{
    return &p->shells[g->core == SGROUP_USERS][part];
}

void sim_proc_assigned(struct sim_proc *p, struct sim_group *g, int32_t part, const int64_t *committed)
{
    struct sim_shell **at = place(p, g, part);
    if (*at)
        sim_shell_close(*at);
    void *shared = p->kind == PROC_FANOUT ? (void *)&p->views : (void *)p->view.lease;
    *at = sim_shell_open(p, g, &cores[g->core], part, committed, settings_of(p, (enum sim_group_name)g->core),
                         shared);
}

void sim_proc_lost(struct sim_proc *p, struct sim_group *g, int32_t part)
{
    struct sim_shell **at = place(p, g, part);
    if (*at)
        sim_shell_close(*at);
}

void sim_proc_drain(struct sim_proc *p, struct sim_group *g, int32_t part)
{
    struct sim_shell **at = place(p, g, part);
    if (*at && (*at)->state != SHELL_CLOSED)
        sim_shell_drain(*at);
    else
        sim_group_drained(g, part, p);
}

/* ---- lives ---- */
static bool in_group(const struct sim_group *g, const struct sim_proc *p)
{
    for (size_t i = 0; i < g->n_members; i++)
        if (g->members[i] == p)
            return true;
    return false;
}

static void each_group(struct sim_proc *p, void (*fn)(struct sim_group *, struct sim_proc *))
{
    struct sim_world *w = p->actor.sim->world;
    for (size_t i = 0; i < SIM_GROUPS; i++)
        if (in_group(&w->groups[i], p))
            fn(&w->groups[i], p);
}

static void join(struct sim_group *g, struct sim_proc *p)
{
    (void)p;
    sim_group_rebalance(g, 400);
}

static void wait_for_views(void *ctx, uint64_t arg)
{
    struct sim_proc *p = ctx;
    (void)arg;
    if (p->view.lease && !sim_view_ready(&p->view)) {
        sim_at(p->actor.sim, &p->actor, 10 * MS, wait_for_views, p, 0);
        return;
    }
    p->ready = true;
    if (p->kind == PROC_OFFLINE)
        sim_minder_open(&p->minder, p);
    each_group(p, join);
}

static void lease_changed(void *ctx)
{
    struct sim_proc *p = ctx;
    if (p->kind == PROC_OFFLINE)
        sim_minder_lease_changed(&p->minder);
}

static void start_again(void *ctx, uint64_t arg)
{
    (void)arg;
    sim_proc_start(ctx);
}

void sim_proc_start(struct sim_proc *p)
{
    if (p->actor.alive)
        return;
    p->actor.alive = true;
    p->stays_dead = p->expelled = p->ready = false;
    p->producer = (struct sim_producer){.actor = &p->actor, .point = sent_points[p->kind]};
    memset(p->shells, 0, sizeof p->shells);
    sim_trace(p->actor.sim, "%s starts", p->actor.name);
    if (p->kind != PROC_PERSISTER)
        sim_view_open(&p->view, &p->actor, true, lease_changed, p);
    if (p->kind == PROC_OFFLINE && presence_remember(p->view.presence, 4096))
        abort();
    p->views = (struct fanout_views){.presence = p->view.presence,
                                     .lease = p->view.lease,
                                     .offline_parts = (int32_t)p->actor.sim->conf.parts};
    wait_for_views(p, 0);
}

static void close_all(struct sim_proc *p)
{
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < SIM_PARTS; i++)
            if (p->shells[k][i])
                sim_shell_close(p->shells[k][i]);
    if (p->kind == PROC_OFFLINE)
        sim_minder_close(&p->minder);
    sim_view_close(&p->view);
}

void sim_proc_kill(struct sim_actor *a)
{
    struct sim_proc *p = (struct sim_proc *)a;
    struct sim *s = a->sim;
    if (!a->alive)
        return;
    sim_trace(s, "%s dies", a->name);
    sim_producer_crash(&p->producer);
    close_all(p);
    a->alive = p->ready = false;
    a->paused_until = 0;
    sim_slots_died(s, a, a->life++);
    each_group(p, sim_group_left);
    if (!p->stays_dead)
        sim_at(s, NULL,
               (s->calm ? sim_between(s, 1, 100) : sim_between(s, 1, sim_chance(s, 500) ? 200 : 4000)) * MS,
               start_again, p, 0);
}

static void awake(void *ctx, uint64_t arg)
{
    struct sim_proc *p = ctx;
    (void)arg;
    sim_trace(p->actor.sim, "%s goes on%s", p->actor.name, p->expelled ? ", was expelled" : "");
    if (!p->expelled)
        return;
    p->expelled = false; /* joins again once it finds out; what it has is closed by then */
    each_group(p, join);
}

/* What it had is lost, but it does not know that yet. */
static void find_out(void *ctx, uint64_t arg)
{
    struct sim_proc *p = ctx;
    struct sim_world *w = p->actor.sim->world;
    (void)arg;
    for (size_t i = 0; i < SIM_GROUPS; i++)
        for (int32_t k = 0; in_group(&w->groups[i], p) && k < w->groups[i].parts; k++)
            if (!sim_group_owns(&w->groups[i], k, p))
                sim_proc_lost(p, &w->groups[i], k);
    awake(p, 0);
}

void sim_proc_pause(struct sim_proc *p, int64_t us)
{
    struct sim *s = p->actor.sim;
    sim_trace(s, "%s is stopped for %.3f s", p->actor.name, (double)us / SEC);
    sim_producer_stop(&p->producer);
    p->actor.paused_until = s->now + us;
    each_group(p, sim_group_away);
    sim_slots_away(s, &p->actor);
    sim_at(s, &p->actor, us + sim_between(s, 0, 1000) * MS, find_out, p, 0);
}

static void add(struct sim *s, enum sim_kind kind, uint32_t i)
{
    struct sim_proc *p = &s->world->procs[kind][i];
    *p = (struct sim_proc){.kind = kind, .actor = {.sim = s, .kill = sim_proc_kill}};
    snprintf(p->actor.name, sizeof p->actor.name, "%s-%u", kind_names[kind], i);
    s->world->members[kind][i] = p;
}

void sim_procs_init(struct sim *s)
{
    static const uint16_t inbound[] = {T_INBOUND}, conversation[] = {T_CONVERSATION},
                          users[] = {T_USER, T_VAULT}, offline[] = {T_OFFLINE, T_CURSOR};
    struct sim_world *w = s->world;
    uint32_t n = s->conf.workers;
    for (int k = 0; k < SIM_KINDS; k++)
        for (uint32_t i = 0; i < n; i++)
            add(s, (enum sim_kind)k, i);
    sim_group_init(&w->groups[SGROUP_ROUTER], s, "router", inbound, 1, w->members[PROC_ROUTER], n,
                   SGROUP_ROUTER);
    sim_group_init(&w->groups[SGROUP_FANOUT], s, "fanout", conversation, 1, w->members[PROC_FANOUT], n,
                   SGROUP_FANOUT);
    sim_group_init(&w->groups[SGROUP_CONV], s, "persister", conversation, 1, w->members[PROC_PERSISTER], n,
                   SGROUP_CONV);
    sim_group_init(&w->groups[SGROUP_USERS], s, "users", users, 2, w->members[PROC_PERSISTER], n,
                   SGROUP_USERS);
    sim_group_init(&w->groups[SGROUP_OFFLINE], s, "offline", offline, 2, w->members[PROC_OFFLINE], n,
                   SGROUP_OFFLINE);
    for (int k = 0; k < SIM_KINDS; k++)
        for (uint32_t i = 0; i < n; i++)
            sim_proc_start(&w->procs[k][i]);
}
