/* core_tick.c: time, the slot, and leaving. */
#include "edge/verbs.h"

#include <stdlib.h>

/* Timers carry no context; this is the core whose wheel turns. */
static _Thread_local struct edge_core *ticking;

/* A connection's one timer never sleeps longer than this, so that a push need not start it anew. */
static int64_t longest_ms(const struct edge_core *e)
{
    int64_t ms = e->lim.confirm_ms / 3;
    if (e->lim.cursor_ms < ms)
        ms = e->lim.cursor_ms;
    if (e->lim.heartbeat_ms < ms)
        ms = e->lim.heartbeat_ms;
    return ms > 0 ? ms : 1;
}

void edge_arm(struct edge_core *e, struct econn *c)
{
    int64_t wait = longest_ms(e);
    if (c->state == C_OPEN || c->state == C_LOGIN) {
        int64_t left = e->lim.login_ms - (edge_ms32(e) - c->opened_ms);
        wait = left < wait ? left : wait;
    }
    if (c->pend && c->pend->until_ms - e->now_ms < wait)
        wait = c->pend->until_ms - e->now_ms;
    if (wait < 1)
        wait = 1;
    timer_start(e->wheel, &c->timer,
                wait + e->now_ms - e->wheel_ms); /* the wheel's time is that of the last tick */
}

static void pend_late(struct edge_core *e, struct econn *c)
{
    switch (c->pend->type) {
    case IM__FRAME_TYPE__ACCOUNT_EXISTS_REQ:
        verb_exists_lookup(e, c, NULL);
        break;
    case IM__FRAME_TYPE__TOKEN_REQ:
        verb_token_lookup(e, c, NULL);
        break;
    default:
        if (edge_is_send(c->pend->type)) {
            edge_send_lookup(e, c, NULL);
            break;
        }
        c->pend->until_ms = INT64_MAX; /* the login deadline ends it */
    }
}

static void check(struct edge_core *e, struct econn *c)
{
    uint32_t now = edge_ms32(e);
    int64_t oldest = delivery_oldest_ms(e->delivery, &c->d);
    if (c->state != C_SESSION && now - c->opened_ms >= e->lim.login_ms) {
        edge_error(e, c, c->pend ? c->pend->seq_id : 0, IM__CODE__LOGIN_TIMEOUT, NULL, 0);
        edge_close(e, c, EDGE_CUT_LOGIN);
    } else if (c->state == C_SESSION && now - c->heard_ms >= 3 * e->lim.heartbeat_ms) {
        edge_kicked(e, c, IM__CODE__IDLE_TIMEOUT);
        edge_close(e, c, EDGE_CUT_SILENT);
    } else if (oldest != INT64_MAX && e->now_ms - oldest >= e->lim.confirm_ms) {
        edge_kicked(e, c, IM__CODE__SLOW_READER);
        edge_close(e, c, EDGE_CUT_SILENT);
    } else {
        if (c->cursors && now - c->cursor_ms >= e->lim.cursor_ms)
            edge_cursors_flush(e, c);
        if (c->pend && e->now_ms >= c->pend->until_ms)
            pend_late(e, c);
        if (c->state != C_CLOSING)
            edge_arm(e, c);
    }
}

void edge_timer(struct timer *t)
{
    check(ticking, container_of(t, struct econn, timer));
}

/* ---- the window is full: somebody holds the mark back; whoever holds on longest has to go ---- */
struct oldest {
    int64_t ms;
};

static void find_oldest(struct edge_core *e, struct econn *c, void *arg)
{
    struct oldest *o = arg;
    int64_t ms = delivery_oldest_ms(e->delivery, &c->d);
    if (ms < o->ms)
        o->ms = ms;
}

static void cut_oldest(struct edge_core *e, struct econn *c, void *arg)
{
    const struct oldest *o = arg;
    int64_t ms = delivery_oldest_ms(e->delivery, &c->d);
    if (ms != INT64_MAX && ms <= o->ms) {
        edge_kicked(e, c, IM__CODE__SLOW_READER);
        edge_close(e, c, EDGE_CUT_SLOW);
    }
}

static void unblock(struct edge_core *e)
{
    struct oldest o = {INT64_MAX};
    edge_conn_each(e, find_oldest, &o);
    if (o.ms == INT64_MAX || e->now_ms - o.ms < 1000)
        return;
    o.ms += (e->now_ms - o.ms) / 4;
    edge_conn_each(e, cut_oldest, &o);
}

/* ---- leaving ---- */
static uint32_t jitter(uint32_t handle, uint32_t upto)
{
    return (uint32_t)((uint64_t)(handle * 2654435769u) * upto >> 32);
}

static void say_goaway(struct edge_core *e, struct econn *c, void *arg)
{
    (void)arg;
    if (c->state == C_CLOSING)
        return;
    Im__GoAway m = IM__GO_AWAY__INIT;
    m.code = IM__CODE__SHUTTING_DOWN;
    m.message = (char *)"this edge is going; connect to another one";
    m.retry_after_ms = jitter(c->handle, 1000);
    edge_write(e, c, IM__FRAME_TYPE__GOAWAY, 0, &m.base);
}

static void close_idle(struct edge_core *e, struct econn *c, void *arg)
{
    const bool *all = arg;
    if (c->state == C_CLOSING)
        return;
    bool owes = c->flying || c->sends || c->pend || delivery_count(&c->d);
    if (*all || !owes)
        edge_close(e, c, EDGE_CUT_DRAIN);
}

void edge_core_drain(struct edge_core *e, int64_t grace_ms)
{
    if (e->draining)
        return;
    e->draining = true;
    e->drain_at_ms = e->now_ms + grace_ms;
    edge_conn_each(e, say_goaway, NULL);
    arena_reset(e->arena);
}

bool edge_core_drained(const struct edge_core *e)
{
    return e->draining && !e->stats.connections && !e->stats.in_flight && !e->out_waiting && !e->out_flying;
}

static void commit(struct edge_core *e)
{
    int64_t mark = offsets_mark(e->offsets);
    bool due = mark != e->committed && e->now_ms >= e->commit_at_ms;
    if (!due && e->now_ms - e->committed_ms < e->lim.recommit_ms)
        return;
    e->committed = mark;
    e->committed_ms = e->now_ms;
    e->commit_at_ms = e->now_ms + e->lim.commit_ms;
    crash_at("edge:commit");
    e->out->commit(e->ctx, mark);
}

void edge_core_tick(struct edge_core *e)
{
    ticking = e;
    e->wheel_ms = e->now_ms;
    timer_wheel_advance(e->wheel, e->now_ms);
    ticking = NULL;
    if (e->draining) {
        bool all = e->now_ms >= e->drain_at_ms;
        edge_conn_each(e, close_idle, &all);
    }
    if (e->claimed && offsets_full(e->offsets) && e->now_ms >= e->cut_at_ms) {
        e->cut_at_ms = e->now_ms + 250;
        unblock(e);
    }
    edge_outbox_run(e);
    if (e->claimed)
        commit(e);
    e->stats.unconfirmed = delivery_total(e->delivery);
    arena_reset(e->arena);
}

/* ---- the slot ---- */
void edge_core_claimed(struct edge_core *e, uint32_t slot, uint64_t epoch, int64_t next)
{
    if (e->claimed)
        edge_core_lost(e);
    e->offsets = edge_must(offsets_new(next, e->lim.window));
    delivery_reset(e->delivery, e->offsets);
    e->slot = slot;
    e->epoch = epoch;
    e->committed = next;
    e->committed_ms = e->commit_at_ms = e->now_ms;
    e->claimed = true;
}

static void drop(struct edge_core *e, struct econn *c, void *arg)
{
    (void)arg;
    if (c->state == C_CLOSING)
        return;
    if (c->state == C_SESSION)
        edge_error(e, c, 0, IM__CODE__BUSY, NULL, jitter(c->handle, 2000));
    edge_close(e, c, EDGE_CUT_LEASE);
}

void edge_core_lost(struct edge_core *e)
{
    if (!e->claimed)
        return;
    edge_conn_each(e, drop, NULL);
    edge_outbox_forget(e);
    delivery_reset(e->delivery, NULL);
    departed_clear(e->departed);
    offsets_free(e->offsets);
    e->offsets = NULL;
    e->claimed = false;
    arena_reset(e->arena);
}

bool edge_core_full(const struct edge_core *e)
{
    return !e->claimed || offsets_full(e->offsets) || e->out_waiting >= EDGE_OUTBOX_MAX;
}

int64_t edge_core_mark(const struct edge_core *e)
{
    return e->claimed ? offsets_mark(e->offsets) : -1;
}

void edge_core_busy(struct edge_core *e, bool busy)
{
    e->busy = busy;
}

const struct edge_stats *edge_core_stats(const struct edge_core *e)
{
    return &e->stats;
}
