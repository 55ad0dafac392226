#include "tests/sim/sim_producer.h"

struct sending {
    struct sending *next;
    struct sim_producer *producer;
    struct slice key, value;
    sim_report_fn *report;
    void *ctx;
    uint64_t tag;
    enum sent outcome;
    int64_t offset;
};

struct sim_queue { /* of one partition */
    struct sim_queue *next;
    struct sim_producer *producer;
    uint16_t topic;
    int32_t part;
    struct sending *first, **last;
    bool scheduled;
    int64_t reports_until; /* reports keep the order */
};

static struct sim_queue *queue_of(struct sim_producer *p, uint16_t topic, int32_t part)
{
    struct sim_queue *q = p->queues;
    while (q && (q->topic != topic || q->part != part))
        q = q->next;
    if (q)
        return q;
    q = sim_alloc(p->actor->sim, sizeof *q);
    *q = (struct sim_queue){.next = p->queues, .producer = p, .topic = topic, .part = part};
    q->last = &q->first;
    p->queues = q;
    return q;
}

static void report(void *ctx, uint64_t arg)
{
    struct sending *r = ctx;
    (void)arg;
    r->producer->in_flight--;
    if (r->report)
        r->report(r->ctx, r->tag, r->outcome, r->offset);
}

static struct sending *take(struct sim_queue *q)
{
    struct sending *r = q->first;
    q->first = r->next;
    if (!q->first)
        q->last = &q->first;
    return r;
}

static void append(struct sim_queue *q, struct sending *r)
{
    r->offset = sim_log_append(q->producer->actor->sim, q->topic, q->part, r->key, r->value);
}

static void land_one(struct sim_queue *q)
{
    struct sim_actor *a = q->producer->actor;
    struct sim *s = a->sim;
    struct sending *r = take(q);
    unsigned trouble = s->calm ? 0 : s->conf.weights[FAULT_SEND_FAILED];
    r->outcome = SENT_OK;
    r->offset = -1;
    if (trouble && sim_chance(s, 5) && sim_chance(s, trouble)) {
        r->outcome = sim_chance(s, 500) ? SENT_FAILED : SENT_UNKNOWN;
        sim_fault(s, r->outcome == SENT_FAILED ? FAULT_SEND_FAILED : FAULT_SEND_UNKNOWN);
        sim_trace(s, "%s: a record for %u/%d %s", a->name, q->topic, q->part,
                  r->outcome == SENT_FAILED ? "fails" : "is unknown");
    }
    if (r->outcome == SENT_OK || (r->outcome == SENT_UNKNOWN && sim_chance(s, 500)))
        append(q, r);
    int64_t at = s->now + sim_delay(s);
    if (at <= q->reports_until)
        at = q->reports_until + 1;
    q->reports_until = at;
    sim_at(s, a, at - s->now, report, r, 0);
}

static void land(void *ctx, uint64_t arg);

static void schedule(struct sim_queue *q)
{
    struct sim *s = q->producer->actor->sim;
    if (q->scheduled || !q->first)
        return;
    q->scheduled = true;
    int64_t slow = 0;
    if (!s->calm && sim_chance(s, 3) && sim_chance(s, s->conf.weights[FAULT_LOG_SLOW])) {
        slow = sim_between(s, 0, 1500 * MS);
        sim_fault(s, FAULT_LOG_SLOW);
    }
    sim_at(s, q->producer->actor, sim_delay(s) + slow, land, q, 0);
}

static void land(void *ctx, uint64_t arg)
{
    struct sim_queue *q = ctx;
    (void)arg;
    q->scheduled = false;
    uint64_t n = 1 + sim_below(q->producer->actor->sim, 6);
    while (n-- && q->first) {
        land_one(q);
        if (q->producer->point && sim_point(q->producer->actor, q->producer->point))
            return;
    }
    schedule(q);
}

void sim_send(struct sim_producer *p, uint16_t topic, int32_t part, struct slice key, struct slice value,
              sim_report_fn *fn, void *ctx, uint64_t tag)
{
    struct sim *s = p->actor->sim;
    if (part < 0)
        part = sim_log_partition(s, topic, key);
    struct sim_queue *q = queue_of(p, topic, part);
    struct sending *r = sim_alloc(s, sizeof *r);
    *r = (struct sending){.producer = p,
                          .key = sim_copy(s, key),
                          .value = sim_copy(s, value),
                          .report = fn,
                          .ctx = ctx,
                          .tag = tag};
    *q->last = r;
    q->last = &r->next;
    p->in_flight++;
    if (p->early && fn) { /* told before it is true */
        r->report = NULL;
        struct sending *early = sim_alloc(s, sizeof *early);
        *early = (struct sending){.producer = p,
                                  .report = fn,
                                  .ctx = ctx,
                                  .tag = tag,
                                  .outcome = SENT_OK,
                                  .offset = sim_log_end(s, topic, part)};
        p->in_flight++;
        sim_at(s, p->actor, 1, report, early, 0);
    }
    schedule(q);
}

static void land_late(void *ctx, uint64_t arg)
{
    (void)arg;
    struct sim_queue *q = ctx;
    append(q, take(q));
}

void sim_producer_crash(struct sim_producer *p)
{
    struct sim *s = p->actor->sim;
    for (struct sim_queue *q = p->queues; q; q = q->next) {
        uint64_t n = 0;
        for (struct sending *r = q->first; r; r = r->next)
            n++;
        n = sim_below(s, n + 1);
        int64_t delay = sim_chance(s, 100) ? sim_between(s, 0, 300 * MS) : 0;
        while (n--)
            sim_at(s, NULL, delay, land_late, q, 0);
    }
    p->queues = NULL; /* the next life has its own */
    p->in_flight = 0;
}

void sim_producer_stop(struct sim_producer *p)
{
    for (struct sim_queue *q = p->queues; q; q = q->next)
        for (uint64_t n = sim_below(p->actor->sim, 4); n && q->first; n--)
            land_one(q);
}
