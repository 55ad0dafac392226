#include "webhooks/outbox.h"

#include "common/base/backoff.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <uthash.h>

enum lane_state { LANE_READY, LANE_TIMED, LANE_UNDERWAY, LANE_HELD };

struct lane {
    UT_hash_handle hh;
    struct id16 id;
    enum lane_state state;
    int64_t due_ms; /* TIMED */
    struct delivery *first, **tail;
    TAILQ_ENTRY(lane) entry; /* of ready or timed */
};
TAILQ_HEAD(lane_list, lane);

struct outbox {
    struct outbox_conf conf;
    struct lane *lanes;
    struct lane_list ready, timed; /* timed: soonest first */
    struct lane *probe;
    enum circuit circuit;
    struct backoff open_for;
    int64_t open_until_ms, pause_until_ms;
    uint32_t failures, underway;
    size_t count;
    struct rng rng;
};

struct outbox *outbox_new(const struct outbox_conf *conf)
{
    struct outbox *o = calloc(1, sizeof *o);
    if (!o)
        return NULL;
    o->conf = *conf;
    o->rng.state = conf->seed;
    TAILQ_INIT(&o->ready);
    TAILQ_INIT(&o->timed);
    backoff_init(&o->open_for, conf->open_ms, conf->open_max_ms, conf->seed + 1);
    return o;
}

void outbox_free(struct outbox *o)
{
    free(o);
}

/* ---- lanes ---- */

static void make_ready(struct outbox *o, struct lane *l)
{
    l->state = LANE_READY;
    TAILQ_INSERT_TAIL(&o->ready, l, entry);
}

static void make_timed(struct outbox *o, struct lane *l, int64_t due_ms)
{
    struct lane *at = TAILQ_LAST(&o->timed, lane_list);
    l->state = LANE_TIMED;
    l->due_ms = due_ms;
    while (at && at->due_ms > due_ms)
        at = TAILQ_PREV(at, lane_list, entry);
    if (at)
        TAILQ_INSERT_AFTER(&o->timed, at, l, entry);
    else
        TAILQ_INSERT_HEAD(&o->timed, l, entry);
}

static void unlist(struct outbox *o, struct lane *l)
{
    if (l->state == LANE_READY)
        TAILQ_REMOVE(&o->ready, l, entry);
    else if (l->state == LANE_TIMED)
        TAILQ_REMOVE(&o->timed, l, entry);
}

/* The present one is under way no more. */
static void put_down(struct outbox *o, struct lane *l)
{
    if (l->state == LANE_UNDERWAY)
        o->underway--;
    if (o->probe == l)
        o->probe = NULL;
}

static void unlink_delivery(struct outbox *o, struct delivery *d)
{
    struct lane *l = d->lane;
    *d->prev = d->next;
    if (d->next)
        d->next->prev = d->prev;
    else
        l->tail = d->prev;
    d->lane = NULL;
    o->count--;
}

/* The head has gone, the lane is in no list. */
static void go_on(struct outbox *o, struct lane *l)
{
    if (l->first) {
        make_ready(o, l);
        return;
    }
    HASH_DEL(o->lanes, l);
    free(l);
}

int outbox_add(struct outbox *o, struct delivery *d, struct id16 id)
{
    struct lane *l;
    HASH_FIND(hh, o->lanes, id.b, ID_SIZE, l);
    if (!l) {
        l = calloc(1, sizeof *l);
        if (!l)
            return -ENOMEM;
        l->id = id;
        l->tail = &l->first;
        HASH_ADD(hh, o->lanes, id, ID_SIZE, l);
        make_ready(o, l);
    }
    *d = (struct delivery){.prev = l->tail, .lane = l};
    *l->tail = d;
    l->tail = &d->next;
    o->count++;
    return 0;
}

void outbox_remove(struct outbox *o, struct delivery *d)
{
    struct lane *l = d->lane;
    bool head = l->first == d;
    if (head) {
        put_down(o, l);
        unlist(o, l);
    }
    unlink_delivery(o, d);
    if (head)
        go_on(o, l);
}

/* ---- the circuit ---- */

static void close_circuit(struct outbox *o)
{
    struct lane *l;
    o->failures = 0;
    if (o->circuit == CIRCUIT_CLOSED)
        return;
    o->circuit = CIRCUIT_CLOSED;
    o->pause_until_ms = 0;
    backoff_reset(&o->open_for);
    while ((l = TAILQ_FIRST(&o->timed))) {
        TAILQ_REMOVE(&o->timed, l, entry);
        make_ready(o, l);
    }
}

static void count_failure(struct outbox *o, bool probe, int64_t now_ms)
{
    o->failures++;
    if ((o->circuit == CIRCUIT_HALF_OPEN && probe) ||
        (o->circuit == CIRCUIT_CLOSED && o->failures >= o->conf.failures)) {
        o->circuit = CIRCUIT_OPEN;
        o->open_until_ms = now_ms + backoff_next_ms(&o->open_for);
    }
}

/* ---- attempts ---- */

static struct lane *choose(struct outbox *o, int64_t now_ms)
{
    struct lane *l;
    while ((l = TAILQ_FIRST(&o->timed)) && l->due_ms <= now_ms) {
        TAILQ_REMOVE(&o->timed, l, entry);
        make_ready(o, l);
    }
    l = TAILQ_FIRST(&o->ready);
    if (o->circuit == CIRCUIT_CLOSED)
        return o->underway < o->conf.parallel ? l : NULL;
    if (o->circuit == CIRCUIT_OPEN && now_ms < o->open_until_ms)
        return NULL;
    o->circuit = CIRCUIT_HALF_OPEN;
    return o->probe ? NULL : l ? l : TAILQ_FIRST(&o->timed);
}

struct delivery *outbox_take(struct outbox *o, int64_t now_ms)
{
    if (now_ms < o->pause_until_ms)
        return NULL;
    struct lane *l = choose(o, now_ms);
    if (!l)
        return NULL;
    unlist(o, l);
    l->state = LANE_UNDERWAY;
    o->underway++;
    if (o->circuit == CIRCUIT_HALF_OPEN)
        o->probe = l;
    l->first->tries++;
    return l->first;
}

static int64_t retry_ms(struct outbox *o, uint32_t tries)
{
    int64_t step = o->conf.retry_ms;
    for (uint32_t i = 1; i < tries && step < o->conf.retry_max_ms; i++)
        step *= 2;
    step = step < o->conf.retry_max_ms ? step : o->conf.retry_max_ms;
    return step - (int64_t)rng_below(&o->rng, (uint64_t)step / 2 + 1);
}

static void pause_all(struct outbox *o, int64_t pause_ms, int64_t now_ms)
{
    int64_t until = now_ms + (pause_ms < o->conf.wait_max_ms ? pause_ms : o->conf.wait_max_ms);
    if (until > o->pause_until_ms)
        o->pause_until_ms = until;
}

enum outbox_next outbox_done(struct outbox *o, struct delivery *d, enum attempt how, int64_t pause_ms,
                             int64_t now_ms)
{
    struct lane *l = d->lane;
    bool probe = o->probe == l;
    put_down(o, l);
    if (how == ATTEMPT_OK || how == ATTEMPT_BUSY)
        close_circuit(o);
    else
        count_failure(o, probe, now_ms);
    if (how == ATTEMPT_OK) {
        l->state = LANE_HELD;
        unlink_delivery(o, d);
        go_on(o, l);
        return OUTBOX_ENDED;
    }
    if (how == ATTEMPT_REFUSED && d->tries >= o->conf.refusals) {
        l->state = LANE_HELD;
        return OUTBOX_BURY;
    }
    if (pause_ms > 0)
        pause_all(o, pause_ms, now_ms);
    make_timed(o, l, now_ms + retry_ms(o, d->tries));
    return OUTBOX_AGAIN;
}

/* ---- looking at it ---- */

int64_t outbox_due(const struct outbox *o)
{
    const struct lane *timed = TAILQ_FIRST(&o->timed);
    bool ready = !TAILQ_EMPTY(&o->ready);
    int64_t due;
    if (!ready && !timed)
        return INT64_MAX;
    if (o->circuit == CIRCUIT_CLOSED)
        due = o->underway >= o->conf.parallel ? INT64_MAX : ready ? 0 : timed->due_ms;
    else if (o->circuit == CIRCUIT_OPEN)
        due = o->open_until_ms;
    else
        due = o->probe ? INT64_MAX : 0;
    return due > o->pause_until_ms ? due : o->pause_until_ms;
}

enum circuit outbox_circuit(const struct outbox *o)
{
    return o->circuit;
}

size_t outbox_count(const struct outbox *o)
{
    return o->count;
}

uint32_t outbox_underway(const struct outbox *o)
{
    return o->underway;
}
