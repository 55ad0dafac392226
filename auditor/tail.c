#include "auditor/tail.h"

#include "common/base/kview_int.h"
#include "common/base/log.h"

#include <stdlib.h>

struct tail {
    struct loop *loop;
    struct tail_conf conf;
    struct kfeed feed;
    bool fatal;
    int64_t next[];
};

struct tail_place *tail_places(const struct topics *topics, size_t *n)
{
    int32_t parts = topics_get(topics, T_OFFLINE)->parts;
    struct tail_place *list = calloc((size_t)parts + topics_slots(topics), sizeof *list);
    *n = 0;
    if (!list)
        return NULL;
    for (int32_t p = 0; p < parts; p++)
        list[(*n)++] = (struct tail_place){T_OFFLINE, p};
    for (uint32_t s = 0; s < topics_slots(topics); s++)
        list[(*n)++] = (struct tail_place){topic_of_slot(s), 0};
    return list;
}

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    struct tail *t = opaque;
    (void)rk;
    if (err != RD_KAFKA_RESP_ERR__FATAL)
        return; /* it goes on by itself */
    t->fatal = true;
    t->conf.fatal(t->conf.ctx, reason);
}

static size_t place_of(const struct tail *t, const rd_kafka_message_t *m)
{
    int topic = m->rkt ? topics_find(t->conf.deploy->topics, rd_kafka_topic_name(m->rkt)) : -1;
    size_t i = 0;
    while (i < t->conf.n && (t->conf.places[i].topic != topic || t->conf.places[i].part != m->partition))
        i++;
    return i;
}

static void take(struct tail *t, const rd_kafka_message_t *m)
{
    size_t i = place_of(t, m);
    if (i == t->conf.n)
        return;
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && m->offset > t->next[i])
        t->next[i] = m->offset;
    if (m->err || m->offset < t->next[i])
        return;
    if (m->offset > t->next[i])
        t->conf.lost(t->conf.ctx);
    t->next[i] = m->offset + 1;
    const struct record r = kfeed_record(m, t->conf.places[i].topic);
    t->conf.record(t->conf.ctx, &r);
}

static void on_wake(struct loop_waker *w)
{
    struct tail *t = container_of(container_of(w, struct kfeed, waker), struct tail, feed);
    for (int n = 0; !t->fatal && !t->conf.full(t->conf.ctx); n++) {
        if (n == KFEED_TURN) {
            loop_wake(w);
            return;
        }
        rd_kafka_message_t *m = rd_kafka_consumer_poll(t->feed.rk, 0);
        if (!m)
            return;
        take(t, m);
        rd_kafka_message_destroy(m);
    }
}

struct tail *tail_new(struct loop *loop, const struct tail_conf *conf, const int64_t *from)
{
    struct tail *t = calloc(1, sizeof *t + conf->n * sizeof *t->next);
    if (!t)
        return NULL;
    t->loop = loop;
    t->conf = *conf;
    memcpy(t->next, from, conf->n * sizeof *from);
    const struct kfeed_fetch how = {.reset = "earliest", .min_bytes = 16384, .wait_ms = 100};
    if (kfeed_init(&t->feed, loop, &conf->deploy->kafka, &how, on_wake, t, on_error)) {
        free(t);
        return NULL;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)conf->n);
    for (size_t i = 0; i < conf->n; i++)
        rd_kafka_topic_partition_list_add(list, topics_name(conf->deploy->topics, conf->places[i].topic),
                                          conf->places[i].part)
            ->offset = from[i];
    rd_kafka_resp_err_t err = rd_kafka_assign(t->feed.rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (!err)
        return t;
    log_error("delivery topics cannot be read", log_str("why", rd_kafka_err2str(err)));
    tail_free(t);
    return NULL;
}

void tail_free(struct tail *t)
{
    if (!t)
        return;
    kfeed_release(&t->feed, t->loop);
    free(t);
}

bool tail_reached(const struct tail *t, const int64_t *ends)
{
    for (size_t i = 0; i < t->conf.n; i++)
        if (t->next[i] < ends[i])
            return false;
    return true;
}

void tail_poke(struct tail *t)
{
    loop_wake(&t->feed.waker);
}
