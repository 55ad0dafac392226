#include "offline/minder.h"

#include "common/base/kconsumer.h"
#include "common/base/kgroups.h"
#include "common/base/kproducer.h"
#include "common/base/log.h"
#include "offline/minder_core.h"

#include <errno.h>
#include <stdlib.h>

#define ASK_MS 2000

struct held { /* a slot we joined */
    struct minder *m;
    uint32_t slot;
    struct kconsumer *consumer;
    uint16_t topic;
    bool leaving;
    bool absent; /* it could not be made */
};

struct report { /* a send on its way, or one that could not be made */
    struct ksend send;
    struct minder *m;
    uint64_t tag;
    struct report *next;
};

struct minder {
    struct daemon_run *run;
    const struct deploy *deploy;
    struct minder_core *core;
    struct kgroups *asker;
    struct kproducer *producer;
    struct held *held; /* by slot */
    uint32_t n_slots;
    struct timer poll;
    struct loop_job job;    /* what must not be done inside a callback */
    struct report *refused; /* sends that the producer did not take */
    const char **groups;    /* of the description under way */
    uint32_t *described;    /* their slots */
    void (*drained)(void *ctx);
    void *ctx;
};

static int64_t now(const struct minder *m)
{
    return loop_now_ms(m->run->loop);
}

static void later(struct minder *m);

/* ---- the consumer of one slot ---- */

static void on_assigned(void *ctx, const struct kpart *parts, size_t n)
{
    struct held *h = ctx;
    if (n == 0)
        return; /* somebody else has it */
    if (parts[0].offset < 0) {
        log_error("a slot's group has no committed offset: were the topics created by parleyctl?",
                  log_uint("slot", h->slot));
        minder_released(h->m->core, h->slot, false, now(h->m));
        return;
    }
    minder_assigned(h->m->core, h->slot, parts[0].offset, now(h->m));
    if (!minder_holds(h->m->core, h->slot))
        return;
    log_info("minding a slot", log_uint("slot", h->slot), log_int("from", parts[0].offset));
    kconsumer_start(h->consumer, h->topic, 0, parts[0].offset);
}

static void on_revoked(void *ctx, const struct kpart *parts, size_t n)
{
    struct held *h = ctx;
    (void)parts;
    if (n && !h->leaving)
        minder_released(h->m->core, h->slot, true, now(h->m));
    kconsumer_revoke_done(h->consumer);
}

static void on_lost(void *ctx, const struct kpart *parts, size_t n)
{
    struct held *h = ctx;
    (void)parts;
    if (n)
        minder_released(h->m->core, h->slot, false, now(h->m));
}

static bool on_message(void *ctx, const struct record *rec, struct kmsg *msg)
{
    struct held *h = ctx;
    (void)msg;
    minder_record(h->m->core, h->slot, rec, now(h->m));
    return false;
}

static void on_error(void *ctx, enum kconsumer_error err, const struct kpart *part, const char *reason)
{
    struct held *h = ctx;
    (void)part;
    if (err == KCONSUMER_TRANSIENT)
        return;
    log_error("a minded slot cannot be read", log_uint("slot", h->slot), log_str("why", reason));
    minder_released(h->m->core, h->slot, false, now(h->m));
}

static void finish_drain(struct minder *m)
{
    if (!m->drained || minder_joined(m->core))
        return;
    void (*fn)(void *) = m->drained;
    m->drained = NULL;
    fn(m->ctx);
}

static void on_closed(void *ctx)
{
    struct held *h = ctx;
    struct minder *m = h->m;
    uint32_t slot = h->slot;
    kconsumer_free(h->consumer);
    *h = (struct held){0};
    log_info("no longer minding a slot", log_uint("slot", slot));
    minder_gone(m->core, slot, now(m));
    finish_drain(m);
}

/* ---- what the core wants ---- */

static void do_join(void *ctx, uint32_t slot)
{
    struct minder *m = ctx;
    struct held *h = &m->held[slot];
    *h = (struct held){.m = m, .slot = slot, .topic = topic_of_slot(slot)};
    const struct kconsumer_conf conf = {
        .kafka = m->deploy->kafka,
        .group = topics_group(m->deploy->topics, GROUP_SLOT0 + slot),
        .topics = m->deploy->ktopics,
        .n_topics = m->deploy->n_ktopics,
        .inputs = &h->topic,
        .n_inputs = 1,
        .queue_kbytes = 2048,
        .turn_max = 256,
        .ctx = h,
        .ops = {on_assigned, on_revoked, on_lost, on_message, on_error},
    };
    h->consumer = kconsumer_new(m->run->loop, &conf);
    if (!h->consumer) {
        h->absent = true; /* the core is told when it is not in the middle of something */
        later(m);
    }
}

static void do_leave(void *ctx, uint32_t slot)
{
    struct held *h = &((struct minder *)ctx)->held[slot];
    h->leaving = true;
    if (h->consumer)
        kconsumer_close(h->consumer, on_closed, h);
}

static void commit_done(void *ctx, int err)
{
    struct held *h = ctx;
    if (err == -ESTALE && h->m) /* it may be gone by now */
        minder_released(h->m->core, h->slot, false, now(h->m));
}

static void do_commit(void *ctx, uint32_t slot, int64_t next)
{
    struct held *h = &((struct minder *)ctx)->held[slot];
    struct kpart part = {.topic = h->topic, .part = 0, .offset = next};
    if (h->consumer)
        kconsumer_commit(h->consumer, &part, 1, commit_done, h);
}

static void do_pause(void *ctx, uint32_t slot, bool paused)
{
    struct held *h = &((struct minder *)ctx)->held[slot];
    if (paused)
        kconsumer_pause(h->consumer, h->topic, 0);
    else
        kconsumer_resume(h->consumer, h->topic, 0);
}

static void on_report(struct ksend *s, const struct kreport *k)
{
    struct report *r = container_of(s, struct report, send);
    minder_sent(r->m->core, r->tag, k->outcome, now(r->m));
    free(r);
}

static void do_send(void *ctx, uint16_t topic, int32_t part, struct slice key, struct slice value,
                    uint64_t tag)
{
    struct minder *m = ctx;
    struct report *r = tag ? calloc(1, sizeof *r) : NULL;
    if (tag && !r)
        abort();
    if (r)
        *r = (struct report){.send = {on_report}, .m = m, .tag = tag};
    if (value.n == 0)
        value.p = NULL;
    if (kproducer_send(m->producer, topic, part, key, value, r ? &r->send : NULL) == 0 || !r)
        return;
    r->next = m->refused; /* the core is told when it is not in the middle of something */
    m->refused = r;
    later(m);
}

/* ---- outside of callbacks ---- */

static void work(struct loop_job *job)
{
    struct minder *m = container_of(job, struct minder, job);
    while (m->refused) {
        struct report *r = m->refused;
        m->refused = r->next;
        minder_sent(m->core, r->tag, SENT_FAILED, now(m));
        free(r);
    }
    for (uint32_t i = 0; i < m->n_slots; i++) {
        if (!m->held[i].absent)
            continue;
        m->held[i] = (struct held){0};
        minder_gone(m->core, i, now(m));
    }
    finish_drain(m);
}

static void later(struct minder *m)
{
    loop_defer(m->run->loop, &m->job, work);
}

static enum minder_group judge(const struct kgroup *g)
{
    if (g->err || g->state == KGROUP_UNKNOWN || g->state == KGROUP_REBALANCING)
        return MINDER_UNKNOWN;
    return g->n_members ? MINDER_MEMBERS : MINDER_EMPTY;
}

static void on_groups(void *ctx, int err, const struct kgroup *groups, size_t n)
{
    struct minder *m = ctx;
    if (err)
        log_warn("cannot see who holds the slots", log_err(err));
    for (size_t i = 0; i < n; i++)
        minder_described(m->core, m->described[i], judge(&groups[i]), now(m));
}

static void on_poll(struct timer *t)
{
    struct minder *m = container_of(t, struct minder, poll);
    size_t n = 0;
    loop_timer_start(m->run->loop, &m->poll, MINDER_POLL_MS);
    minder_tick(m->core, now(m));
    if (kgroups_busy(m->asker)) /* `described` is its */
        return;
    for (uint32_t i = 0; i < m->n_slots; i++) {
        if (!minder_watches(m->core, i))
            continue;
        m->described[n] = i;
        m->groups[n++] = topics_group(m->deploy->topics, GROUP_SLOT0 + i);
    }
    int rc = n ? kgroups_describe(m->asker, m->groups, n, on_groups, m) : 0;
    if (rc)
        log_warn("cannot ask who holds the slots", log_err(rc));
}

static void on_fatal(void *ctx, int code, const char *reason)
{
    struct minder *m = ctx;
    (void)code;
    log_error("the minder's producer is dead", log_str("why", reason));
    daemon_fail(m->run);
}

static const struct minder_effects effects = {do_join, do_leave, do_commit, do_pause, do_send};

struct minder *minder_new(struct daemon_run *run, const struct deploy *d, const struct follow *views,
                          const struct minder_settings *s)
{
    struct minder *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->run = run;
    m->deploy = d;
    m->n_slots = topics_slots(d->topics);
    timer_init(&m->poll, on_poll);
    const struct minder_conf conf = {.lease = views->lease,
                                     .presence = views->presence,
                                     .offline_parts = topics_get(d->topics, T_OFFLINE)->parts,
                                     .instance = d->instance,
                                     .max_slots = (uint32_t)s->max_slots,
                                     .topics = d->topics,
                                     .effects = &effects,
                                     .ctx = m};
    const struct kproducer_conf producer = {.kafka = d->kafka,
                                            .topics = d->ktopics,
                                            .n_topics = d->n_ktopics,
                                            .max_kbytes = 65536,
                                            .ctx = m,
                                            .fatal = on_fatal};
    m->held = calloc(m->n_slots, sizeof *m->held);
    m->groups = calloc(m->n_slots, sizeof *m->groups);
    m->described = calloc(m->n_slots, sizeof *m->described);
    m->core = minder_core_new(&conf);
    m->asker = kgroups_new(run->loop, &d->kafka, NULL, ASK_MS);
    m->producer = kproducer_new(run->loop, &producer);
    if (!m->held || !m->groups || !m->described || !m->core || !m->asker || !m->producer) {
        log_error("cannot start minding slots");
        minder_free(m);
        return NULL;
    }
    loop_timer_start(run->loop, &m->poll, MINDER_POLL_MS);
    return m;
}

void minder_lease_changed(struct minder *m)
{
    if (m)
        minder_lease(m->core, now(m));
}

void minder_drain(struct minder *m, void (*done)(void *ctx), void *ctx)
{
    if (!m) {
        done(ctx);
        return;
    }
    m->drained = done;
    m->ctx = ctx;
    minder_stop(m->core, now(m));
    later(m);
}

void minder_free(struct minder *m)
{
    if (!m)
        return;
    loop_timer_stop(m->run->loop, &m->poll);
    for (uint32_t i = 0; m->held && i < m->n_slots; i++)
        if (m->held[i].consumer)
            kconsumer_free(m->held[i].consumer);
    if (m->producer)
        kproducer_free(m->producer, 500);
    loop_cancel(m->run->loop, &m->job);
    while (m->refused) {
        struct report *r = m->refused;
        m->refused = r->next;
        free(r);
    }
    kgroups_free(m->asker);
    minder_core_free(m->core);
    free(m->described);
    free(m->groups);
    free(m->held);
    free(m);
}
