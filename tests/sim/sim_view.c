#include "tests/sim/sim_view.h"

static bool on_lease(void *ctx, const struct record *r)
{
    struct sim_view *v = ctx;
    lease_feed(v->lease, r->key, r->value, r->offset);
    if (v->lease_changed)
        v->lease_changed(v->ctx);
    return true;
}

static bool on_presence(void *ctx, const struct record *r)
{
    struct sim_view *v = ctx;
    presence_feed(v->presence, r->key, r->value);
    return true;
}

void sim_view_open(struct sim_view *v, struct sim_actor *a, bool presence, void (*changed)(void *), void *ctx)
{
    struct sim *s = a->sim;
    *v = (struct sim_view){.lease_changed = changed, .ctx = ctx};
    v->lease = lease_new(SIM_SLOTS);
    v->presence = presence ? presence_new(v->lease) : NULL;
    if (!v->lease || (presence && !v->presence))
        abort();
    v->lease_goal = sim_log_end(s, T_LEASE, 0);
    v->lease_log = sim_alloc(s, sizeof *v->lease_log);
    sim_reader_open(v->lease_log, a, T_LEASE, 0, 0, on_lease, v);
    for (int32_t i = 0; presence && i < s->log->parts[T_PRESENCE]; i++) {
        v->presence_goal[i] = sim_log_end(s, T_PRESENCE, i);
        v->presence_log[i] = sim_alloc(s, sizeof *v->presence_log[i]);
        sim_reader_open(v->presence_log[i], a, T_PRESENCE, i, 0, on_presence, v);
    }
    sim_view_lag(v, s->conf.view_lag);
}

void sim_view_close(struct sim_view *v)
{
    if (!v->lease)
        return;
    sim_reader_close(v->lease_log);
    for (size_t i = 0; i < SIM_PARTS; i++)
        if (v->presence_log[i])
            sim_reader_close(v->presence_log[i]);
    presence_free(v->presence);
    lease_free(v->lease);
    *v = (struct sim_view){0};
}

bool sim_view_ready(const struct sim_view *v)
{
    bool ready = v->lease_log->at >= v->lease_goal;
    for (size_t i = 0; i < SIM_PARTS; i++)
        ready &= !v->presence_log[i] || v->presence_log[i]->at >= v->presence_goal[i];
    return ready;
}

bool sim_view_current(const struct sim_view *v)
{
    const struct sim *s = v->lease_log->sim;
    bool all = v->lease_log->at >= sim_log_end(s, T_LEASE, 0);
    for (int32_t i = 0; i < SIM_PARTS; i++)
        all &= !v->presence_log[i] || v->presence_log[i]->at >= sim_log_end(s, T_PRESENCE, i);
    return all;
}

void sim_view_lag(struct sim_view *v, int64_t us)
{
    if (!v->lease)
        return;
    v->lease_log->lag = us;
    for (size_t i = 0; i < SIM_PARTS; i++)
        if (v->presence_log[i])
            v->presence_log[i]->lag = us;
}
