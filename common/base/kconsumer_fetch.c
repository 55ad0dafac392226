/* kconsumer_fetch.c: from a partition's queue to the owner. */
#include "common/base/kconsumer_int.h"
#include "common/base/log.h"

#include <errno.h>
#include <stdlib.h>

static const uint64_t one = 1;

void kmsg_free(struct kmsg *m)
{
    if (m)
        rd_kafka_message_destroy((rd_kafka_message_t *)m);
}

struct kc_part *kc_find(const struct kconsumer *c, uint16_t topic, int32_t part)
{
    for (size_t i = 0; i < c->n_parts; i++)
        if (c->parts[i].id.part == part && c->parts[i].id.topic == topic)
            return &c->parts[i];
    return NULL;
}

void kc_stop_part(struct kc_part *p)
{
    if (p->queue) {
        rd_kafka_queue_io_event_enable(p->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(p->queue);
    }
    p->queue = NULL;
    p->in_assign = false;
}

void kc_clear_parts(struct kconsumer *c)
{
    for (size_t i = 0; i < c->n_parts; i++)
        kc_stop_part(&c->parts[i]);
    free(c->parts);
    c->parts = NULL;
    c->n_parts = c->turn_at = 0;
    loop_cancel(c->loop, &c->apply);
}

static bool add_part(struct kconsumer *c, struct kc_part *p)
{
    if (!p->queue) {
        p->queue = rd_kafka_queue_get_partition(c->rk, c->conf.topics[p->id.topic].name, p->id.part);
        if (!p->queue)
            return false;
        rd_kafka_queue_forward(p->queue, NULL); /* stays with us over assign() */
        rd_kafka_message_t *stale;              /* of an earlier assignment */
        while ((stale = rd_kafka_consume_queue(p->queue, 0)))
            rd_kafka_message_destroy(stale);
        rd_kafka_queue_io_event_enable(p->queue, loop_waker_fd(&c->waker), &one, sizeof one);
    }
    p->in_assign = true;
    return true;
}

/* Returns when librdkafka's main thread has carried an assign() through: the old fetchers are stopped, what they
 * fetched is outdated. Stopping takes it a few of its own turns, each question here lasts at least one. Without this,
 * a second assign() soon after the first trips an assertion (rktp_started) in 2.0.2. */
static void barrier(struct kconsumer *c)
{
    for (int i = 0; i < 8; i++) {
        rd_kafka_topic_partition_list_t *l = NULL;
        if (!rd_kafka_assignment(c->rk, &l))
            rd_kafka_topic_partition_list_destroy(l);
    }
}

void kc_assign(struct kconsumer *c, const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_resp_err_t err = rd_kafka_assign(c->rk, list);
    if (err)
        log_warn("kafka assign", log_str("group", c->conf.group), log_str("error", rd_kafka_err2name(err)));
    if (list &&
        !c->closing) /* a client that is closing may never answer; after an unassign comes a join first */
        barrier(c);
}

static void assign_parts(struct kconsumer *c, bool with_rewound)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)c->n_parts);
    for (size_t i = 0; i < c->n_parts; i++) {
        struct kc_part *p = &c->parts[i];
        if (!p->started || (p->rewound && !with_rewound))
            kc_stop_part(p);
        else if (add_part(c, p))
            rd_kafka_topic_partition_list_add(list, c->conf.topics[p->id.topic].name, p->id.part)->offset =
                p->next;
    }
    kc_assign(c, list);
    rd_kafka_topic_partition_list_destroy(list);
}

void kc_apply(struct loop_job *job)
{
    struct kconsumer *c = container_of(job, struct kconsumer, apply);
    bool rewound = false;
    if (c->state != KC_ASSIGNED || c->closing)
        return;
    for (size_t i = 0; i < c->n_parts; i++)
        rewound |= c->parts[i].rewound && c->parts[i].in_assign;
    if (rewound)
        assign_parts(c, false);
    assign_parts(c, true);
    for (size_t i = 0; i < c->n_parts; i++)
        c->parts[i].rewound = false;
    loop_wake(&c->waker);
}

int kconsumer_start(struct kconsumer *c, uint16_t topic, int32_t part, int64_t offset)
{
    struct kc_part *p = kc_find(c, topic, part);
    if (!p || c->state != KC_ASSIGNED)
        return -ENOENT;
    p->rewound = true;
    p->started = true;
    p->paused = false;
    p->next = offset;
    loop_defer(c->loop, &c->apply, kc_apply);
    return 0;
}

void kconsumer_halt(struct kconsumer *c, uint16_t topic, int32_t part)
{
    struct kc_part *p = kc_find(c, topic, part);
    if (!p || !p->started)
        return;
    p->started = false;
    loop_defer(c->loop, &c->apply, kc_apply);
}

void kconsumer_pause(struct kconsumer *c, uint16_t topic, int32_t part)
{
    struct kc_part *p = kc_find(c, topic, part);
    if (p)
        p->paused = true;
}

void kconsumer_resume(struct kconsumer *c, uint16_t topic, int32_t part)
{
    struct kc_part *p = kc_find(c, topic, part);
    if (p && p->paused) {
        p->paused = false;
        loop_wake(&c->waker);
    }
}

int64_t kconsumer_lag(const struct kconsumer *c, uint16_t topic, int32_t part)
{
    int64_t low = -1, high = -1;
    const struct kc_part *p = kc_find(c, topic, part);
    if (!p || !p->started || p->next < 0 ||
        rd_kafka_get_watermark_offsets(c->rk, c->conf.topics[topic].name, part, &low, &high) || high < 0)
        return -1;
    return high > p->next ? high - p->next : 0;
}

int64_t kconsumer_low(struct kconsumer *c, uint16_t topic, int32_t part)
{
    int64_t low = -1, high = -1;
    rd_kafka_resp_err_t err =
        rd_kafka_query_watermark_offsets(c->rk, c->conf.topics[topic].name, part, &low, &high, 1000);
    return err ? kconf_errno(err) : low;
}

static void part_error(struct kconsumer *c, struct kc_part *p, const rd_kafka_message_t *m)
{
    int rc = kconf_errno(m->err);
    struct kpart id = p->id;
    id.offset = p->next;
    if (rc == -EAGAIN) {
        c->conf.ops.error(c->conf.ctx, KCONSUMER_TRANSIENT, &id, rd_kafka_err2str(m->err));
        return;
    }
    kconsumer_halt(c, id.topic, id.part);
    c->conf.ops.error(c->conf.ctx, rc == -ERANGE ? KCONSUMER_OUT_OF_RANGE : KCONSUMER_PARTITION, &id,
                      m->payload ? rd_kafka_message_errstr(m) : rd_kafka_err2str(m->err));
}

/* false: the consumer was freed, or its partitions changed */
static bool hand_out(struct kconsumer *c, struct kc_part *p, rd_kafka_message_t *m, bool *dead)
{
    if (m->err) {
        part_error(c, p, m);
        rd_kafka_message_destroy(m);
        return !*dead;
    }
    if (m->offset < p->next || !p->started) {
        rd_kafka_message_destroy(m);
        return true;
    }
    rd_kafka_timestamp_type_t type;
    struct record r = {.topic = p->id.topic,
                       .part = p->id.part,
                       .offset = m->offset,
                       .time_ms = rd_kafka_message_timestamp(m, &type),
                       .key = {m->key, m->key_len},
                       .value = {m->payload, m->len}};
    p->next = m->offset + 1;
    if (!c->conf.ops.message(c->conf.ctx, &r, (struct kmsg *)m))
        rd_kafka_message_destroy(m);
    return !*dead;
}

bool kc_serve_parts(struct kconsumer *c, bool *dead)
{
    size_t n = c->n_parts, left = c->conf.turn_max;
    uint64_t epoch = c->epoch;
    bool more = false;
    size_t quota = n ? left / n + 1 : 0;
    for (size_t k = 0; k < n; k++) {
        struct kc_part *p = &c->parts[(c->turn_at + k) % n];
        size_t taken = 0;
        while (p->queue && p->started && !p->rewound && !p->paused && taken < quota) {
            rd_kafka_message_t *m = rd_kafka_consume_queue(p->queue, 0);
            if (!m)
                break;
            taken++;
            if (!hand_out(c, p, m, dead))
                return false;
            if (c->epoch != epoch || c->state != KC_ASSIGNED)
                return true;
        }
        more |= taken == quota;
    }
    if (n)
        c->turn_at = (c->turn_at + 1) % n;
    return more;
}
