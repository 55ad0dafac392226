#include "tests/sim/sim_link.h"

#include "tests/sim/sim_client.h"
#include "tests/sim/sim_edge.h"

static void put(struct sim_link *l, struct sim_frames *q, uint16_t type, uint32_t seq_id,
                struct slice payload)
{
    struct sim_frame *f = sim_alloc(l->sim, sizeof *f);
    *f = (struct sim_frame){.type = type, .seq_id = seq_id, .payload = sim_copy(l->sim, payload)};
    *q->last = f;
    q->last = &f->next;
    q->n++;
}

static struct sim_frame *take(struct sim_frames *q)
{
    struct sim_frame *f = q->first;
    q->first = f->next;
    if (!q->first)
        q->last = &q->first;
    q->n--;
    return f;
}

static void empty(struct sim_frames *q)
{
    q->first = NULL;
    q->last = &q->first;
    q->n = 0;
}

static bool edge_lives(const struct sim_link *l)
{
    return l->edge->actor.alive && l->edge->actor.life == l->edge_life && !l->edge_done;
}

/* ---- the edge's side hears of the end ---- */
static void edge_hears(void *ctx, uint64_t arg)
{
    struct sim_link *l = ctx;
    (void)arg;
    if (l->edge_done)
        return;
    l->edge_done = true;
    if (l->accepted)
        sim_edge_gone(l->edge, l);
}

static void tell_edge(struct sim_link *l, int64_t us)
{
    if (edge_lives(l))
        sim_at(l->sim, &l->edge->actor, us, edge_hears, l, 0);
}

static void client_hears(void *ctx, uint64_t arg)
{
    struct sim_link *l = ctx;
    (void)arg;
    if (l->client_done)
        return;
    l->client_done = l->cut = true;
    sim_client_closed(l->client, l);
}

static void tell_client(struct sim_link *l, int64_t us)
{
    sim_at(l->sim, NULL, us, client_hears, l, 0);
}

/* ---- to the edge ---- */
static void feed(void *ctx, uint64_t arg);

static void schedule_up(struct sim_link *l)
{
    if (l->up.scheduled || !l->up.first || !l->accepted || l->paused || l->closing || l->cut ||
        !edge_lives(l))
        return;
    l->up.scheduled = true;
    sim_at(l->sim, &l->edge->actor, sim_delay(l->sim), feed, l, 0);
}

static void feed(void *ctx, uint64_t arg)
{
    struct sim_link *l = ctx;
    (void)arg;
    l->up.scheduled = false;
    uint64_t n = 1 + sim_below(l->sim, 5);
    while (n-- && l->up.first && !l->paused && !l->closing && !l->cut && edge_lives(l) &&
           !sim_gone(&l->edge->actor)) {
        struct sim_frame *f = take(&l->up);
        sim_edge_frame(l->edge, l, f);
    }
    schedule_up(l);
}

void sim_link_up(struct sim_link *l, uint16_t type, uint32_t seq_id, struct slice payload)
{
    if (l->cut || l->client_done)
        return;
    put(l, &l->up, type, seq_id, payload);
    schedule_up(l);
}

void sim_link_resume(struct sim_link *l)
{
    schedule_up(l);
}

/* ---- to the client ---- */
static void drain(void *ctx, uint64_t arg);

static void schedule_down(struct sim_link *l)
{
    if (l->down.scheduled || l->cut || l->client_done || (l->unread && !l->sim->calm) ||
        (!l->down.first && !l->closing))
        return;
    l->down.scheduled = true;
    sim_at(l->sim, NULL, sim_delay(l->sim), drain, l, 0);
}

static void drain(void *ctx, uint64_t arg)
{
    struct sim_link *l = ctx;
    (void)arg;
    l->down.scheduled = false;
    if (l->cut || l->client_done)
        return;
    uint64_t n = 1 + sim_below(l->sim, 10);
    while (n-- && l->down.first && !l->cut && !l->client_done && (!l->unread || l->sim->calm))
        sim_client_frame(l->client, l, take(&l->down));
    if (l->closing && !l->down.first && !l->cut) {
        tell_edge(l, 1);
        client_hears(l, 0);
        return;
    }
    schedule_down(l);
}

void sim_link_down(struct sim_link *l, uint16_t type, uint32_t seq_id, struct slice payload)
{
    if (l->cut || l->client_done)
        return;
    put(l, &l->down, type, seq_id, payload);
    if (l->down.n == LINK_BEHIND)
        sim_edge_slow(l->edge, l);
    schedule_down(l);
}

void sim_link_read(struct sim_link *l)
{
    sim_client_heard(l->client);
    l->unread = false;
    schedule_down(l);
}

/* ---- the end ---- */
void sim_link_close_by_edge(struct sim_link *l)
{
    l->closing = true;
    if (l->cut || l->client_done || l->unread) { /* writing is bounded in time */
        tell_edge(l, sim_delay(l->sim));
        l->cut = true;
        empty(&l->down);
        tell_client(l, sim_delay(l->sim));
    } else {
        schedule_down(l);
    }
}

void sim_link_hang_up(struct sim_link *l)
{
    if (l->client_done)
        return;
    l->client_done = true;
    empty(&l->down);
    tell_edge(l, sim_delay(l->sim)); /* frames that were sent before may be read or not */
    l->cut = true;
}

void sim_link_cut(struct sim_link *l)
{
    if (l->cut)
        return;
    l->cut = true;
    empty(&l->up);
    empty(&l->down);
    bool half = sim_chance(l->sim, 300);
    tell_edge(l, half ? sim_between(l->sim, 0, 4 * SEC) : sim_delay(l->sim));
    tell_client(l, half ? sim_between(l->sim, 0, 2 * SEC) : sim_delay(l->sim));
}

void sim_link_edge_died(struct sim_link *l)
{
    l->edge_done = l->closing = true; /* what the kernel has already still arrives, or a part of it */
    for (uint32_t keep = (uint32_t)sim_below(l->sim, l->down.n + 1); l->down.n > keep;) {
        struct sim_frame **at = &l->down.first;
        while ((*at)->next)
            at = &(*at)->next;
        *at = NULL;
        l->down.last = at;
        l->down.n--;
    }
    if (l->unread)
        tell_client(l, sim_delay(l->sim));
    else
        schedule_down(l);
}

static void arrive(void *ctx, uint64_t arg)
{
    struct sim_link *l = ctx;
    (void)arg;
    if (l->cut)
        return;
    l->accepted = sim_edge_accept(l->edge, l);
    schedule_up(l);
}

static void refused(void *ctx, uint64_t arg)
{
    struct sim_link *l = ctx;
    (void)arg;
    if (!l->accepted && !l->closing && !l->cut) {
        l->edge_done = true;
        client_hears(l, 0);
    }
}

struct sim_link *sim_link_open(struct sim_client *c, struct sim_edge *e)
{
    struct sim *s = c->sim;
    struct sim_link *l = sim_alloc(s, sizeof *l);
    *l = (struct sim_link){.sim = s, .client = c, .edge = e, .edge_life = e->actor.life};
    l->up.last = &l->up.first;
    l->down.last = &l->down.first;
    if (e->actor.alive)
        sim_at(s, &e->actor, sim_delay(s), arrive, l, 0);
    sim_at(s, NULL, (e->actor.alive ? 3000 : 5) * MS, refused, l, 0);
    return l;
}
