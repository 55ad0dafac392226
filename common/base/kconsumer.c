/* kconsumer.c: the member: rebalances, committed offsets, commits, closing. */
#include "common/base/kconsumer.h"
#include "common/base/kconsumer_int.h"
#include "common/base/kstats.h"
#include "common/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define KEEP_ALIVE_MS 1000
#define MAX_POLL_MS   "60000"
#define HEARTBEAT_MS  "500"

static void serve(struct kconsumer *);

/* ---- assignment ---- */
static void drop_assignment(struct kconsumer *c)
{
    c->epoch++;
    c->state = KC_IDLE;
    kc_clear_parts(c);
    kc_assign(c, NULL);
}

static void on_assign(struct kconsumer *c, const rd_kafka_topic_partition_list_t *list)
{
    kc_clear_parts(c);
    c->epoch++;
    c->parts = calloc((size_t)list->cnt + 1, sizeof *c->parts);
    for (int i = 0; c->parts && i < list->cnt; i++) {
        int topic = kc_topic_index(c, list->elems[i].topic);
        if (topic >= 0)
            c->parts[c->n_parts++].id = (struct kpart){(uint16_t)topic, list->elems[i].partition, -1};
    }
    free(c->member);
    char *id = rd_kafka_memberid(c->rk);
    c->member = id ? strdup(id) : NULL;
    if (id)
        rd_kafka_mem_free(c->rk, id);
    /* Nothing is fetched before the owner has said from where. */
    rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);
    kc_assign(c, none);
    rd_kafka_topic_partition_list_destroy(none);
    c->state = KC_LOOKUP;
    if (c->n_parts) {
        kc_lookup(c);
    } else {
        c->state = KC_ASSIGNED;
        kc_tell(c, c->conf.ops.assigned);
    }
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *list,
                         void *opaque)
{
    struct kconsumer *c = opaque;
    if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        on_assign(c, list);
        return;
    }
    bool known = c->state == KC_ASSIGNED || c->state == KC_REVOKING; /* the owner has heard of it */
    bool lost = rd_kafka_assignment_lost(rk) || err != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS;
    if (!known || lost) {
        if (known)
            kc_tell(c, c->conf.ops.lost);
        drop_assignment(c);
        return;
    }
    loop_cancel(c->loop, &c->apply);
    c->state = KC_REVOKING;
    kc_tell(c, c->conf.ops.revoked);
}

void kconsumer_revoke_done(struct kconsumer *c)
{
    if (c->state == KC_REVOKING)
        drop_assignment(c);
}

/* ---- the loop ---- */
static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    struct kconsumer *c = opaque;
    (void)rk;
    if (err == RD_KAFKA_RESP_ERR__FATAL)
        c->fatal = true;
    else if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        kc_tell_error(c, KCONSUMER_TRANSIENT, reason);
}

static bool serve_events(struct kconsumer *c, const bool *dead)
{
    rd_kafka_event_t *ev;
    while (!*dead && (ev = rd_kafka_queue_poll(c->events, 0))) {
        if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_OFFSET_COMMIT)
            kc_commit_done(ev);
        rd_kafka_event_destroy(ev);
    }
    if (!*dead)
        kc_lookup_serve(c);
    return !*dead;
}

/* Group messages: callbacks run inside the poll; what it returns are errors of the whole client. */
static bool serve_group(struct kconsumer *c, const bool *dead)
{
    rd_kafka_message_t *m;
    while (!*dead && (m = rd_kafka_consumer_poll(c->rk, 0))) {
        if (m->err && kconf_errno(m->err) != -EPIPE)
            kc_tell_error(c, KCONSUMER_TRANSIENT, rd_kafka_message_errstr(m));
        rd_kafka_message_destroy(m);
    }
    return !*dead;
}

static void serve(struct kconsumer *c)
{
    bool dead = false;
    if (c->serving)
        return;
    c->serving = true;
    c->dead = &dead;
    if (!serve_group(c, &dead) || !serve_events(c, &dead))
        return;
    if (c->state == KC_ASSIGNED && kc_serve_parts(c, &dead))
        loop_wake(&c->waker);
    if (dead)
        return;
    c->dead = NULL;
    c->serving = false;
    if (c->fatal && !c->told_fatal) {
        char why[256] = "";
        rd_kafka_fatal_error(c->rk, why, sizeof why);
        c->told_fatal = true;
        kc_tell_error(c, KCONSUMER_FATAL, why);
    } else if (c->closing && !c->closed_told && rd_kafka_consumer_closed(c->rk)) {
        c->closed_told = true;
        c->closed(c->closed_ctx);
    }
}

static void on_wake(struct loop_waker *w)
{
    serve(container_of(w, struct kconsumer, waker));
}

static void on_keep_alive(struct timer *t)
{
    struct kconsumer *c = container_of(t, struct kconsumer, keep_alive);
    loop_timer_start(c->loop, t, c->closing ? 20 : KEEP_ALIVE_MS);
    serve(c);
}

/* ---- making and ending ---- */
static rd_kafka_t *make_client(struct kconsumer *c)
{
    char wait[16], min[16], session[16], queue[16], why[256];
    const struct kconsumer_conf *k = &c->conf;
    snprintf(wait, sizeof wait, "%u", k->fetch_wait_ms);
    snprintf(min, sizeof min, "%u", k->fetch_min_bytes);
    snprintf(session, sizeof session, "%u", k->session_ms);
    snprintf(queue, sizeof queue, "%u", k->queue_kbytes);
    /* clang-format off */
    const char *const defaults[] = {
        "group.id", k->group, "enable.auto.commit", "false", "enable.auto.offset.store", "false",
        "auto.offset.reset", "error", "partition.assignment.strategy", "range", "fetch.min.bytes", min,
        "fetch.wait.max.ms", wait, "fetch.error.backoff.ms", "20", "session.timeout.ms", session,
        "heartbeat.interval.ms", HEARTBEAT_MS, "max.poll.interval.ms", MAX_POLL_MS,
        "queued.max.messages.kbytes", queue, k->instance_id ? "group.instance.id" : NULL, k->instance_id, NULL};
    /* clang-format on */
    rd_kafka_conf_t *conf = kconf_build(&k->kafka, defaults);
    if (!conf)
        return NULL;
    rd_kafka_conf_set_opaque(conf, c);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_OFFSET_COMMIT);
    kstats_ask(conf, &k->kafka);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (!rk) {
        log_error("kafka consumer not created", log_str("why", why));
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rd_kafka_poll_set_consumer(rk);
    kstats_follow(rk, k->group);
    return rk;
}

static int subscribe(struct kconsumer *c)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)c->conf.n_inputs);
    for (size_t i = 0; i < c->conf.n_inputs; i++)
        rd_kafka_topic_partition_list_add(list, c->conf.topics[c->conf.inputs[i]].name,
                                          RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t err = rd_kafka_subscribe(c->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return kconf_errno(err);
}

static void set_defaults(struct kconsumer_conf *k)
{
    k->fetch_wait_ms = k->fetch_wait_ms ? k->fetch_wait_ms : 100;
    k->fetch_min_bytes = k->fetch_min_bytes ? k->fetch_min_bytes : 1;
    k->session_ms = k->session_ms ? k->session_ms : 6000;
    k->queue_kbytes = k->queue_kbytes ? k->queue_kbytes : 16384;
    k->turn_max = k->turn_max ? k->turn_max : 4096;
}

struct kconsumer *kconsumer_new(struct loop *loop, const struct kconsumer_conf *conf)
{
    static const uint64_t one = 1;
    struct kconsumer *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->loop = loop;
    c->conf = *conf;
    set_defaults(&c->conf);
    timer_init(&c->keep_alive, on_keep_alive);
    timer_init(&c->retry, kc_lookup_again);
    if (!(c->rk = make_client(c)) || loop_waker_init(loop, &c->waker, on_wake) < 0)
        goto fail;
    c->waker_up = true;
    if (!(c->lookup = kc_ask_new(c->rk, &c->waker)))
        goto fail;
    c->events = rd_kafka_queue_new(c->rk);
    c->group_queue = rd_kafka_queue_get_consumer(c->rk);
    rd_kafka_queue_io_event_enable(c->events, loop_waker_fd(&c->waker), &one, sizeof one);
    rd_kafka_queue_io_event_enable(c->group_queue, loop_waker_fd(&c->waker), &one, sizeof one);
    if (subscribe(c) < 0)
        goto fail;
    loop_timer_start(loop, &c->keep_alive, KEEP_ALIVE_MS);
    return c;
fail:
    kconsumer_free(c);
    return NULL;
}

/* Not from inside a rebalance: librdkafka would wait for its end for ever. */
static void on_leave(struct loop_job *job)
{
    struct kconsumer *c = container_of(job, struct kconsumer, leave);
    c->closing = true;
    rd_kafka_error_t *e = rd_kafka_consumer_close_queue(c->rk, c->group_queue);
    if (e) {
        log_warn("kafka close", log_str("why", rd_kafka_error_string(e)));
        rd_kafka_error_destroy(e);
    }
    loop_timer_start(c->loop, &c->keep_alive, 1);
}

void kconsumer_close(struct kconsumer *c, void (*closed)(void *), void *ctx)
{
    c->closed = closed;
    c->closed_ctx = ctx;
    if (!c->closing)
        loop_defer(c->loop, &c->leave, on_leave);
}

/* A question under way keeps the client; nothing of it may find its way here any more. */
static void end_client(struct kconsumer *c)
{
    bool flags = !(c->closing && rd_kafka_consumer_closed(c->rk)) && !c->fatal;
    if (c->group_queue) {
        rd_kafka_queue_io_event_enable(c->group_queue, -1, NULL, 0);
        rd_kafka_queue_destroy(c->group_queue);
    }
    if (c->events) {
        rd_kafka_queue_io_event_enable(c->events, -1, NULL, 0);
        rd_kafka_queue_destroy(c->events);
    }
    if (c->lookup)
        kask_drop(&c->lookup->ask, flags ? RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE : 0);
    else
        rd_kafka_destroy_flags(c->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

void kconsumer_free(struct kconsumer *c)
{
    if (!c)
        return;
    if (c->dead)
        *c->dead = true;
    if (c->waker_up) {
        kc_clear_parts(c);
        loop_timer_stop(c->loop, &c->keep_alive);
        loop_timer_stop(c->loop, &c->retry);
        loop_cancel(c->loop, &c->leave);
    }
    while (c->commits)
        kc_commit_end(c->commits, -ESTALE);
    kstats_forget(c->rk);
    if (c->rk)
        end_client(c);
    if (c->waker_up)
        loop_waker_release(c->loop, &c->waker);
    free(c->member);
    free(c);
}

bool kconsumer_owned(const struct kconsumer *c, uint16_t topic, int32_t part)
{
    return (c->state == KC_ASSIGNED || c->state == KC_REVOKING) && kc_find(c, topic, part);
}

const char *kconsumer_member(const struct kconsumer *c)
{
    return c->member ? c->member : "";
}
