/* sim_run.c: one schedule from nothing to its verdict. */
#include "tests/sim/sim_run.h"

#include "common/im/codec.h"
#include "common/im/secrets.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_fault.h"
#include "tests/sim/sim_plant.h"
#include "tests/sim/sim_world.h"

static struct sim kept; /* its arena, heap and secrets are used again */

/* ---- phases ---- */
static bool until(struct sim *s, int64_t end)
{
    while (s->n_heap && s->now < end)
        if (!sim_step(s))
            return false;
    return !s->verdict[0];
}

static bool settle(struct sim *s, int64_t patience)
{
    char why[200] = "";
    int64_t end = s->now + patience;
    for (;;) {
        if (!until(s, s->now + 100 * MS))
            return false;
        if (sim_quiet(s, why, sizeof why))
            return true;
        if (s->now >= end) {
            sim_fail(s, "stuck", "%s", why);
            return false;
        }
    }
}

/* The operator's command. */
static void make_admin(struct sim *s)
{
    Im__Inbound in = IM__INBOUND__INIT;
    Im__Session nobody = IM__SESSION__INIT;
    Im__InAdmin admin = IM__IN_ADMIN__INIT;
    uint8_t value[128];
    struct slice user = slice_id(&s->world->users[SIM_ADMIN].id);
    in.version = CODEC_VERSION;
    nobody.slot = UINT32_MAX;
    in.session = &nobody;
    admin.on = true;
    in.body_case = IM__INBOUND__BODY_ADMIN;
    in.admin = &admin;
    int n = codec_pack_into(&in.base, value, sizeof value);
    if (n < 0)
        abort();
    sim_log_append(s, T_INBOUND, sim_log_partition(s, T_INBOUND, user), user,
                   sim_copy(s, (struct slice){value, (size_t)n}));
}

/* Everybody that is there from the beginning logs in, in peace. */
static bool begin(struct sim *s)
{
    s->calm = true;
    for (uint32_t i = 0; i < s->world->n_clients; i++)
        if (!s->world->clients[i].late)
            sim_client_go(&s->world->clients[i]);
    if (!settle(s, 60 * SEC))
        return false;
    make_admin(s);
    if (!settle(s, 60 * SEC))
        return false;
    for (uint32_t i = 0; i < s->world->n_clients; i++)
        if (!s->world->clients[i].late)
            s->world->clients[i].since = s->now;
    return true;
}

static void come_late(struct sim *s)
{
    for (uint32_t i = 0; i < s->world->n_clients; i++)
        if (s->world->clients[i].late)
            sim_client_go(&s->world->clients[i]);
}

static void look(void *ctx, uint64_t arg)
{
    struct sim *s = ctx;
    (void)arg;
    sim_check_cells_now(s);
    sim_at(s, NULL, sim_between(s, 50, 1500) * MS, look, s, 0);
}

static void schedule(struct sim *s)
{
    if (!begin(s))
        return;
    sim_trace(s, "---- trouble begins");
    s->calm = false;
    come_late(s);
    look(s, 0);
    sim_faults_start(s);
    if (!until(s, s->now + s->conf.chaos))
        return;
    sim_trace(s, "---- trouble ends");
    sim_faults_end(s);
    if (!settle(s, 120 * SEC))
        return;
    sim_check_live(s);
    sim_trace(s, "---- everybody logs in once more");
    for (uint32_t i = 0; i < s->world->n_clients; i++)
        sim_client_relogin(&s->world->clients[i]);
    /* Cursors are written in their own time; dead sessions are swept once a minute, which not every seed waits for. */
    int64_t more = s->conf.patient ? 66 * SEC : 2 * SEC;
    if (settle(s, 60 * SEC) && until(s, s->now + more) && settle(s, 60 * SEC))
        sim_check(s);
}

static void end(struct sim *s)
{
    struct sim_world *w = s->world;
    s->verdict[0] = s->verdict[0] ? s->verdict[0] : '\0';
    for (int k = 0; k < SIM_KINDS; k++)
        for (uint32_t i = 0; i < s->conf.workers; i++) {
            w->procs[k][i].stays_dead = true;
            sim_proc_kill(&w->procs[k][i].actor);
        }
    for (uint32_t i = 0; i < s->conf.edges; i++) {
        w->edges[i].stays_dead = true;
        sim_edge_kill(&w->edges[i].actor);
    }
}

void sim_schedule(uint64_t seed, enum sim_plant plant, bool tracing, struct sim_result *out)
{
    struct sim *s = &kept;
    if (!s->arena) {
        static const uint8_t key[32] = {1, 2, 3};
        s->arena = arena_new(1 << 20);
        s->secrets = secrets_from_key(key, 1);
    }
    struct sim_event *heap = s->heap;
    arena_reset(s->arena);
    *s = (struct sim){.arena = s->arena,
                      .secrets = s->secrets,
                      .heap = heap,
                      .cap_heap = s->cap_heap,
                      .rng = {seed},
                      .now = SEC,
                      .tracing = tracing};
    sim_conf_of(&s->conf, seed, plant);
    sim_plant_inside(plant);
    s->world = sim_alloc(s, sizeof *s->world);
    sim_log_init(s);
    sim_stores_init(s, &s->world->stores);
    sim_slots_init(s, s->world->slots);
    sim_procs_init(s);
    sim_edges_init(s);
    sim_query_init(s);
    sim_clients_init(s);
    schedule(s);
    *out = (struct sim_result){.seed = seed, .events = s->n_events};
    for (uint32_t i = 0; i < s->world->n_clients; i++)
        out->sends += s->world->clients[i].n_sent;
    memcpy(out->fired, s->fired, sizeof out->fired);
    memcpy(out->verdict, s->verdict, sizeof out->verdict);
    memcpy(out->why, s->why, sizeof out->why);
    end(s);
}

void sim_schedule_release(void)
{
    arena_free(kept.arena);
    secrets_free(kept.secrets);
    free(kept.heap);
    kept = (struct sim){0};
    sim_trace_clear();
}
