#include "common/base/kproducer.h"
#include "common/base/kstats.h"
#include "common/base/log.h"
#include "common/base/loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define WARM_FIRST_MS 30 /* how long one metadata request may hold up the loop, doubling */
#define WARM_MAX_MS   1000
#define WARM_PAUSE_MS 250

struct kproducer {
    struct loop *loop;
    struct kproducer_conf conf;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    rd_kafka_topic_t **topics;
    int32_t *partitions;
    struct loop_waker waker;
    struct timer warm;
    int warm_ms;
    bool waker_up, ready, full, dead, told_dead, closing;
    struct kproducer_stats stats;
};

static enum sent outcome_of(const rd_kafka_message_t *m)
{
    switch (rd_kafka_message_status(m)) {
    case RD_KAFKA_MSG_STATUS_PERSISTED:
        return m->err ? SENT_UNKNOWN : SENT_OK;
    case RD_KAFKA_MSG_STATUS_NOT_PERSISTED:
        return SENT_FAILED;
    default:
        return SENT_UNKNOWN;
    }
}

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void)rk;
    struct kproducer *p = opaque;
    enum sent outcome = outcome_of(m);
    p->stats.in_flight--;
    p->stats.in_flight_bytes -= m->len + m->key_len;
    *(outcome == SENT_OK ? &p->stats.ok : outcome == SENT_FAILED ? &p->stats.failed : &p->stats.unknown) += 1;
    if (outcome != SENT_OK && !p->closing)
        log_warn("kafka record not delivered", log_str("topic", rd_kafka_topic_name(m->rkt)),
                 log_int("part", m->partition),
                 log_str("outcome", outcome == SENT_FAILED ? "failed" : "unknown"),
                 log_str("why", rd_kafka_err2name(m->err)));
    struct ksend *s = m->_private;
    if (!s)
        return;
    struct kreport r = {.outcome = outcome,
                        .err = m->err,
                        .topic = (uint16_t)(uintptr_t)rd_kafka_topic_opaque(m->rkt),
                        .part = m->partition,
                        .offset = m->offset,
                        .value = {m->payload, m->len}};
    s->done(s, &r);
}

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    (void)rk;
    struct kproducer *p = opaque;
    if (err == RD_KAFKA_RESP_ERR__FATAL)
        p->dead = true;
    else
        log_warn("kafka producer", log_str("error", rd_kafka_err2name((rd_kafka_resp_err_t)err)),
                 log_str("why", reason));
}

static bool has_room(const struct kproducer *p)
{
    return p->stats.in_flight <= p->conf.max_messages / 4 * 3ull &&
           p->stats.in_flight_bytes <= p->conf.max_kbytes * 768ull;
}

/* The last callback may free the producer, so nothing follows it. */
void kproducer_poll(struct kproducer *p)
{
    rd_kafka_poll(p->rk, 0);
    if (p->dead && !p->told_dead) {
        char why[256] = "";
        int code = rd_kafka_fatal_error(p->rk, why, sizeof why);
        p->told_dead = true;
        log_error("kafka producer is dead", log_str("error", rd_kafka_err2name((rd_kafka_resp_err_t)code)),
                  log_str("why", why));
        if (p->conf.fatal)
            p->conf.fatal(p->conf.ctx, code, why);
        return;
    }
    if (p->full && has_room(p)) {
        p->full = false;
        if (p->conf.writable)
            p->conf.writable(p->conf.ctx);
    }
}

static void on_wake(struct loop_waker *w)
{
    kproducer_poll(container_of(w, struct kproducer, waker));
}

static bool note_partitions(struct kproducer *p, const rd_kafka_metadata_t *md)
{
    size_t wanted = p->conf.warm ? p->conf.n_warm : p->conf.n_topics, have = 0;
    for (size_t w = 0; w < wanted; w++) {
        size_t i = p->conf.warm ? p->conf.warm[w] : w;
        for (int t = 0; t < md->topic_cnt; t++) {
            const rd_kafka_metadata_topic_t *mt = &md->topics[t];
            if (mt->err || !mt->partition_cnt || strcmp(mt->topic, p->conf.topics[i].name))
                continue;
            bool leaders = true;
            for (int k = 0; k < mt->partition_cnt; k++)
                leaders &= mt->partitions[k].leader >= 0;
            p->partitions[i] = mt->partition_cnt;
            have += leaders;
        }
    }
    return have == wanted;
}

static void on_warm(struct timer *t)
{
    struct kproducer *p = container_of(t, struct kproducer, warm);
    const rd_kafka_metadata_t *md = NULL;
    rd_kafka_resp_err_t err = rd_kafka_metadata(p->rk, 0, NULL, &md, p->warm_ms);
    bool all = !err && note_partitions(p, md);
    if (md)
        rd_kafka_metadata_destroy(md);
    if (!all) {
        p->warm_ms = p->warm_ms > WARM_MAX_MS / 2 ? WARM_MAX_MS : p->warm_ms * 2;
        loop_timer_start(p->loop, &p->warm, WARM_PAUSE_MS);
        return;
    }
    p->ready = true;
    if (p->full && has_room(p)) {
        p->full = false;
        if (p->conf.writable)
            p->conf.writable(p->conf.ctx);
    }
    if (p->conf.ready)
        p->conf.ready(p->conf.ctx);
}

static bool open_topic(struct kproducer *p, size_t i)
{
    if (p->topics[i])
        return true;
    rd_kafka_topic_conf_t *tc = rd_kafka_default_topic_conf_dup(p->rk);
    rd_kafka_topic_conf_set_opaque(tc, (void *)(uintptr_t)i);
    p->topics[i] = rd_kafka_topic_new(p->rk, p->conf.topics[i].name, tc);
    return p->topics[i] != NULL;
}

static rd_kafka_t *make_client(struct kproducer *p)
{
    char messages[16], kbytes[16], linger[16], timeout[16], why[256];
    const struct kproducer_conf *c = &p->conf;
    snprintf(messages, sizeof messages, "%u", c->max_messages);
    snprintf(kbytes, sizeof kbytes, "%u", c->max_kbytes);
    snprintf(linger, sizeof linger, "%u", c->linger_ms);
    snprintf(timeout, sizeof timeout, "%u", c->timeout_ms);
    const char *const defaults[] = {"enable.idempotence",
                                    "true",
                                    "partitioner",
                                    "murmur2_random",
                                    "queue.buffering.max.messages",
                                    messages,
                                    "queue.buffering.max.kbytes",
                                    kbytes,
                                    "linger.ms",
                                    linger,
                                    "message.timeout.ms",
                                    timeout,
                                    NULL};
    rd_kafka_conf_t *conf = kconf_build(&c->kafka, defaults);
    if (!conf)
        return NULL;
    rd_kafka_conf_set_opaque(conf, p);
    rd_kafka_conf_set_dr_msg_cb(conf, on_report);
    rd_kafka_conf_set_error_cb(conf, on_error);
    kstats_ask(conf, &c->kafka);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!rk) {
        log_error("kafka producer not created", log_str("why", why));
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    kstats_follow(rk, "producer");
    return rk;
}

struct kproducer *kproducer_new(struct loop *loop, const struct kproducer_conf *conf)
{
    static const uint64_t one = 1;
    struct kproducer *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->loop = loop;
    p->conf = *conf;
    if (!p->conf.max_messages)
        p->conf.max_messages = 100000;
    if (!p->conf.max_kbytes)
        p->conf.max_kbytes = 262144;
    if (!p->conf.timeout_ms)
        p->conf.timeout_ms = 300000;
    p->topics = calloc(conf->n_topics + 1, sizeof(rd_kafka_topic_t *));
    p->partitions = calloc(conf->n_topics + 1, sizeof *p->partitions);
    if (!p->topics || !p->partitions || !(p->rk = make_client(p)))
        goto fail;
    for (size_t i = 0; i < conf->n_topics; i++)
        p->partitions[i] = conf->topics[i].partitions;
    size_t n_warm = conf->warm ? conf->n_warm : conf->n_topics;
    for (size_t w = 0; w < n_warm; w++)
        if (!open_topic(p, conf->warm ? conf->warm[w] : w))
            goto fail;
    if (loop_waker_init(loop, &p->waker, on_wake) < 0)
        goto fail;
    p->waker_up = true;
    p->queue = rd_kafka_queue_get_main(p->rk);
    rd_kafka_queue_io_event_enable(p->queue, loop_waker_fd(&p->waker), &one, sizeof one);
    p->warm_ms = WARM_FIRST_MS;
    timer_init(&p->warm, on_warm);
    loop_timer_start(loop, &p->warm, 1);
    return p;
fail:
    kproducer_free(p, 0);
    return NULL;
}

void kproducer_free(struct kproducer *p, int flush_ms)
{
    if (!p)
        return;
    if (p->rk) {
        if (p->stats.in_flight && flush_ms > 0 && !p->dead)
            rd_kafka_flush(p->rk, flush_ms);
        p->closing = true;
        if (p->stats.in_flight)
            log_warn("kafka producer closes with unconfirmed records",
                     log_uint("records", p->stats.in_flight));
        for (int i = 0; p->stats.in_flight && i < 50; i++) {
            rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
            rd_kafka_poll(p->rk, 100);
        }
    }
    if (p->queue) {
        rd_kafka_queue_io_event_enable(p->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(p->queue);
    }
    for (size_t i = 0; p->topics && i < p->conf.n_topics; i++)
        if (p->topics[i])
            rd_kafka_topic_destroy(p->topics[i]);
    kstats_forget(p->rk);
    if (p->rk)
        rd_kafka_destroy(p->rk);
    if (p->waker_up) {
        loop_timer_stop(p->loop, &p->warm);
        loop_waker_release(p->loop, &p->waker);
    }
    free(p->topics);
    free(p->partitions);
    free(p);
}

static int send_errno(struct kproducer *p, rd_kafka_resp_err_t err)
{
    if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        p->full = true;
        p->stats.full++;
        return -EAGAIN;
    }
    int rc = kconf_errno(err);
    return rc == -EPIPE || rc == -EMSGSIZE ? rc : -EINVAL;
}

static int produce(struct kproducer *p, uint16_t topic, int32_t part, struct slice key, struct slice value,
                   struct ksend *s, int flags)
{
    if (p->dead || p->closing)
        return -EPIPE;
    if (topic >= p->conf.n_topics || !open_topic(p, topic))
        return -EINVAL;
    if (part == FX_BY_KEY) {
        if (!p->partitions[topic]) {
            p->full = true;
            return -EAGAIN;
        }
        part = kconf_part_of(key.p, key.n, p->partitions[topic]);
    }
    if (rd_kafka_produce(p->topics[topic], part, flags, (void *)value.p, value.n, key.p, key.n, s) < 0)
        return send_errno(p, rd_kafka_last_error());
    p->stats.sent++;
    p->stats.in_flight++;
    p->stats.in_flight_bytes += value.n + key.n;
    return 0;
}

int kproducer_send(struct kproducer *p, uint16_t topic, int32_t part, struct slice key, struct slice value,
                   struct ksend *s)
{
    return produce(p, topic, part, key, value, s, RD_KAFKA_MSG_F_COPY);
}

int kproducer_send_ref(struct kproducer *p, uint16_t topic, int32_t part, struct slice key,
                       struct slice value, struct ksend *s)
{
    return s ? produce(p, topic, part, key, value, s, 0) : -EINVAL;
}

bool kproducer_ready(const struct kproducer *p)
{
    return p->ready;
}

int32_t kproducer_partitions(const struct kproducer *p, uint16_t topic)
{
    return topic < p->conf.n_topics ? p->partitions[topic] : 0;
}

void kproducer_stats(const struct kproducer *p, struct kproducer_stats *out)
{
    *out = p->stats;
}
