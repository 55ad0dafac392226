#include "tests/sim/sim_edge.h"

#include "common/im/secrets.h"
#include "tests/sim/sim_plant.h"
#include "tests/sim/sim_world.h"

#define TICK_MS 250

static struct sim *sim_of(const struct sim_edge *e)
{
    return e->actor.sim;
}

void sim_edge_enter(struct sim_edge *e)
{
    edge_core_now(e->core, sim_of(e)->now, sim_of(e)->now + 1700000000 * (int64_t)SEC);
}

/* ---- the core's orders ---- */
static void out_write(void *ctx, uint32_t conn, uint16_t type, uint32_t seq_id, struct slice payload,
                      struct buf *owner)
{
    struct sim_edge *e = ctx;
    (void)owner;
    if (sim_gone(&e->actor) || !e->conns[conn])
        return;
    sim_link_down(e->conns[conn], type, seq_id, payload);
    if (sim_of(e)->conf.plant == PLANT_EMPTY_QUEUE)
        sim_plant_confirm(e->conns[conn], type, seq_id, payload);
}

static void out_close(void *ctx, uint32_t conn, enum edge_cut why)
{
    struct sim_edge *e = ctx;
    sim_trace(sim_of(e), "%s: closes connection %u (%d)", e->actor.name, conn, why);
    if (e->conns[conn])
        sim_link_close_by_edge(e->conns[conn]);
}

static void out_pause(void *ctx, uint32_t conn, bool paused)
{
    struct sim_edge *e = ctx;
    if (!e->conns[conn])
        return;
    e->conns[conn]->paused = paused;
    if (!paused)
        sim_link_resume(e->conns[conn]);
}

static void on_report(void *ctx, uint64_t tag, enum sent outcome, int64_t offset)
{
    struct sim_edge *e = ctx;
    if (sim_point(&e->actor, "edge:reported"))
        return;
    sim_edge_enter(e);
    edge_core_sent(e->core, tag, outcome, outcome == SENT_OK ? offset : -1);
    sim_point(&e->actor, "edge:acked");
}

static bool out_produce(void *ctx, uint16_t topic, struct slice place, struct slice key, struct slice value,
                        uint64_t tag)
{
    struct sim_edge *e = ctx;
    struct sim *s = sim_of(e);
    if (sim_point(&e->actor, "edge:parsed"))
        return true;
    if (!s->calm && s->conf.faults && sim_chance(s, 2))
        return false; /* the queue is full */
    if (s->conf.plant == PLANT_BOUNCE_LOST && topic == T_OFFLINE)
        value = sim_plant_no_pointers(s, value);
    sim_send(&e->producer, topic, sim_log_partition(s, topic, place), key, value, tag ? on_report : NULL, e,
             tag);
    sim_point(&e->actor, "edge:produced");
    return true;
}

struct job {
    struct sim_edge *e;
    uint64_t tag;
    bool ok;
    uint8_t sealed[32];
};

/* Stands for argon2id and the seal: version, key, user and password, unreadable enough for a simulation. */
static void seal(struct id16 user, struct slice password, uint8_t out[32])
{
    memset(out, 0, 32);
    out[0] = 1;
    memcpy(out + 5, user.b, ID_SIZE);
    for (size_t i = 0; i < password.n; i++)
        out[21 + i % 11] ^= ((const uint8_t *)password.p)[i];
}

static void job_done(void *ctx, uint64_t arg)
{
    struct job *j = ctx;
    sim_edge_enter(j->e);
    edge_core_job(j->e->core, j->tag, j->ok, (struct slice){j->sealed, arg == EDGE_JOB_HASH ? 32 : 0});
}

static bool out_job(void *ctx, enum edge_job_kind kind, uint64_t tag, struct id16 user, struct slice password,
                    struct slice sealed)
{
    struct sim_edge *e = ctx;
    struct job *j = sim_alloc(sim_of(e), sizeof *j);
    j->e = e;
    j->tag = tag;
    seal(user, password, j->sealed);
    j->ok = kind == EDGE_JOB_HASH || (sealed.n == 32 && !memcmp(sealed.p, j->sealed, 32));
    sim_at(sim_of(e), &e->actor, sim_delay(sim_of(e)), job_done, j, kind);
    return true;
}

static void out_commit(void *ctx, int64_t next)
{
    sim_hold_commit(ctx, next);
}

static void lost_now(void *ctx, uint64_t arg)
{
    struct sim_edge *e = ctx;
    (void)arg;
    e->lost_by_core = false;
    sim_hold_lost(e, "the core found out");
}

static void out_lost(void *ctx, const char *why)
{
    struct sim_edge *e = ctx;
    (void)why;
    e->lost_by_core = true;
    sim_at(sim_of(e), &e->actor, 1, lost_now, e, 0);
}

static const struct edge_out orders = {.write = out_write,
                                       .close = out_close,
                                       .pause = out_pause,
                                       .produce = out_produce,
                                       .job = out_job,
                                       .commit = out_commit,
                                       .lost = out_lost};

/* ---- clients ---- */
bool sim_edge_accept(struct sim_edge *e, struct sim_link *l)
{
    uint16_t why;
    sim_edge_enter(e);
    uint32_t conn = edge_core_accept(e->core, 1, &why);
    if (conn == EDGE_NO_CONN || conn >= EDGE_CONNS) {
        sim_link_close_by_edge(l);
        return false;
    }
    l->conn = conn;
    e->conns[conn] = l;
    l->next = e->links;
    e->links = l;
    return true;
}

void sim_edge_frame(struct sim_edge *e, struct sim_link *l, const struct sim_frame *f)
{
    sim_edge_enter(e);
    edge_core_frame(e->core, l->conn, f->type, f->seq_id, f->payload);
}

static void slow_now(void *ctx, uint64_t arg)
{
    struct sim_link *l = ctx;
    (void)arg;
    if (l->edge_done)
        return;
    sim_edge_enter(l->edge);
    edge_core_slow(l->edge->core, l->conn);
}

void sim_edge_slow(struct sim_edge *e, struct sim_link *l)
{
    sim_at(sim_of(e), &e->actor, 1, slow_now, l, 0);
}

void sim_edge_gone(struct sim_edge *e, struct sim_link *l)
{
    struct sim_link **at = &e->links;
    while (*at && *at != l)
        at = &(*at)->next;
    if (*at)
        *at = l->next;
    e->conns[l->conn] = NULL;
    sim_edge_enter(e);
    edge_core_gone(e->core, l->conn);
}

/* ---- time ---- */
static void stop(struct sim_edge *e);

static void tick(void *ctx, uint64_t arg)
{
    struct sim_edge *e = ctx;
    struct sim *s = sim_of(e);
    (void)arg;
    sim_edge_enter(e);
    edge_core_tick(e->core);
    if (sim_gone(&e->actor))
        return;
    const struct edge_stats *st = edge_core_stats(e->core);
    if (st->unconfirmed > s->conf.unconfirmed * st->connections)
        sim_fail(s, "over-cap", "%s holds %u pushes for %u connections", e->actor.name, st->unconfirmed,
                 st->connections);
    if (e->hold == HOLD_HELD && e->reader && e->reader->full && !edge_core_full(e->core))
        sim_reader_kick(e->reader);
    if (e->draining && e->hold == HOLD_OFF) {
        stop(e);
        return;
    }
    if (e->draining && e->hold != HOLD_LEAVE && edge_core_drained(e->core))
        sim_hold_give_back(e, edge_core_mark(e->core));
    sim_at(s, &e->actor, TICK_MS * MS, tick, e, 0);
}

void sim_edge_drain(struct sim_edge *e)
{
    if (!e->actor.alive || e->draining)
        return;
    e->draining = true;
    sim_trace(sim_of(e), "%s drains", e->actor.name);
    sim_edge_enter(e);
    edge_core_drain(e->core, sim_between(sim_of(e), 0, 3000));
}

void sim_edge_lose(struct sim_edge *e, const char *why)
{
    if (e->actor.alive)
        sim_hold_lost(e, why);
}

/* ---- lives ---- */
void sim_edge_start(struct sim_edge *e)
{
    struct sim *s = sim_of(e);
    if (e->actor.alive)
        return;
    e->actor.alive = true;
    e->stays_dead = e->draining = e->lost_by_core = false;
    e->producer = (struct sim_producer){.actor = &e->actor, .early = s->conf.plant == PLANT_EARLY_ACK};
    memset(e->conns, 0, sizeof e->conns);
    e->links = NULL;
    struct edge_setup setup = {.name = e->actor.name, .secrets = s->secrets, .out = &orders, .ctx = e};
    setup.limits = (struct edge_limits){.max_conns = EDGE_CONNS,
                                        .unconfirmed = s->conf.unconfirmed,
                                        .window = 256,
                                        .known_users = 16,
                                        .login_ms = 4000,
                                        .heartbeat_ms = 4000,
                                        .confirm_ms = 2500,
                                        .lookup_ms = 600,
                                        .cursor_ms = 1000,
                                        .commit_ms = 300};
    e->core = edge_core_new(&setup);
    if (!e->core)
        abort();
    sim_trace(s, "%s starts", e->actor.name);
    sim_edge_enter(e);
    sim_view_open(&e->view, &e->actor, false, sim_hold_lease_changed, e);
    sim_hold_start(e);
    sim_at(s, &e->actor, sim_between(s, 1, TICK_MS) * MS, tick, e, 0);
}

static void start_again(void *ctx, uint64_t arg)
{
    (void)arg;
    sim_edge_start(ctx);
}

static void bury(struct sim_edge *e)
{
    while (e->links) {
        struct sim_link *l = e->links;
        e->links = l->next;
        sim_link_edge_died(l);
    }
    sim_view_close(&e->view);
    edge_core_free(e->core);
    e->core = NULL;
    e->actor.alive = false;
    e->actor.paused_until = 0;
    e->hold = HOLD_OFF;
    e->turn++;
    e->actor.life++;
}

static void come_back(struct sim_edge *e)
{
    struct sim *s = sim_of(e);
    if (!e->stays_dead)
        sim_at(s, NULL, (s->calm ? sim_between(s, 1, 100) : sim_between(s, 10, 5000)) * MS, start_again, e,
               0);
}

void sim_edge_kill(struct sim_actor *a)
{
    struct sim_edge *e = (struct sim_edge *)a;
    if (!a->alive)
        return;
    sim_trace(a->sim, "%s dies", a->name);
    sim_producer_crash(&e->producer);
    uint32_t life = a->life;
    bury(e);
    sim_slots_died(a->sim, a, life);
    come_back(e);
}

/* It left in good order: everything is in the log. */
static void stop(struct sim_edge *e)
{
    sim_trace(sim_of(e), "%s is gone", e->actor.name);
    if (e->producer.in_flight)
        sim_producer_crash(&e->producer);
    bury(e);
    come_back(e);
}

void sim_edge_pause(struct sim_edge *e, int64_t us)
{
    struct sim *s = sim_of(e);
    sim_trace(s, "%s is stopped for %.3f s", e->actor.name, (double)us / SEC);
    sim_producer_stop(&e->producer);
    e->actor.paused_until = s->now + us;
    sim_slots_away(s, &e->actor);
}

void sim_edges_init(struct sim *s)
{
    for (uint32_t i = 0; i < s->conf.edges; i++) {
        struct sim_edge *e = &s->world->edges[i];
        *e = (struct sim_edge){.actor = {.sim = s, .kill = sim_edge_kill}};
        snprintf(e->actor.name, sizeof e->actor.name, "edge-%u", i);
        sim_edge_start(e);
    }
}
