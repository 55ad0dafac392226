#include "auditor/rounds.h"

#include "common/base/kask.h"
#include "common/base/log.h"

#include <errno.h>
#include <stdlib.h>

#define TIMEOUT_MS 5000

struct question { /* the thread's while it asks */
    struct kask ask;
    rd_kafka_conf_t *conf; /* until the client is made */
    char *topic;           /* im.conversation */
    char **names;          /* of places */
    int32_t *part;
    int32_t parts;
    size_t n;
    int64_t from_ms;
    int err;
    int64_t *committed, *low, *end, *tail_end, *tail_from;
};

struct rounds {
    struct loop_waker waker;
    struct loop *loop;
    struct rounds_conf conf;
    struct question *q;
};

/* ---- the thread ---- */

static int ask_committed(struct question *q)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(q->parts);
    for (int32_t i = 0; i < q->parts; i++)
        rd_kafka_topic_partition_list_add(list, q->topic, i);
    int rc = kconf_errno(rd_kafka_committed(q->ask.rk, list, TIMEOUT_MS));
    for (int i = 0; i < list->cnt && !rc; i++) {
        q->committed[list->elems[i].partition] = list->elems[i].offset >= 0 ? list->elems[i].offset : -1;
        rc = kconf_errno(list->elems[i].err);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

static int ask_ends(struct question *q)
{
    int64_t low;
    int rc = 0;
    for (int32_t i = 0; i < q->parts && !rc; i++)
        rc = kconf_errno(
            rd_kafka_query_watermark_offsets(q->ask.rk, q->topic, i, &q->low[i], &q->end[i], TIMEOUT_MS));
    for (size_t i = 0; i < q->n && !rc; i++)
        rc = kconf_errno(rd_kafka_query_watermark_offsets(q->ask.rk, q->names[i], q->part[i], &low,
                                                          &q->tail_end[i], TIMEOUT_MS));
    return rc;
}

/* Where nothing is that young: the end, as it was before this was asked. */
static int ask_from(struct question *q)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)q->n);
    for (size_t i = 0; i < q->n; i++)
        rd_kafka_topic_partition_list_add(list, q->names[i], q->part[i])->offset = q->from_ms;
    int rc = kconf_errno(rd_kafka_offsets_for_times(q->ask.rk, list, TIMEOUT_MS));
    for (size_t i = 0; i < q->n && !rc; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i]; /* in the order they were added */
        rc = kconf_errno(at->err);
        q->tail_from[i] = at->offset >= 0 ? at->offset : q->tail_end[i];
    }
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

static void work(struct kask *ask)
{
    struct question *q = container_of(ask, struct question, ask);
    char why[256];
    if (!q->ask.rk && q->conf) {
        q->ask.rk = rd_kafka_new(RD_KAFKA_CONSUMER, q->conf, why, sizeof why);
        if (q->ask.rk)
            q->conf = NULL;
        else
            log_error("kafka client not created", log_str("why", why));
    }
    q->err = q->ask.rk ? ask_committed(q) : -ENOMEM;
    if (!q->err)
        q->err = ask_ends(q);
    if (!q->err && q->from_ms >= 0)
        q->err = ask_from(q);
}

/* ---- the loop ---- */

static void release(struct kask *ask)
{
    struct question *q = container_of(ask, struct question, ask);
    for (size_t i = 0; q->names && i < q->n; i++)
        free(q->names[i]);
    free(q->topic);
    free(q->names);
    free(q->part);
    free(q->committed);
    free(q->low);
    free(q->end);
    free(q->tail_end);
    free(q->tail_from);
    if (q->conf)
        rd_kafka_conf_destroy(q->conf);
    free(q);
}

static void on_wake(struct loop_waker *w)
{
    struct rounds *r = container_of(w, struct rounds, waker);
    struct question *q = r->q;
    if (!kask_take(&q->ask))
        return;
    if (q->err) {
        r->conf.failed(r->conf.ctx, q->err);
        return;
    }
    r->conf.answer(r->conf.ctx, &(struct rounds_answer){.parts = q->parts,
                                                        .committed = q->committed,
                                                        .low = q->low,
                                                        .end = q->end,
                                                        .n = q->n,
                                                        .tail_end = q->tail_end,
                                                        .tail_from = q->from_ms >= 0 ? q->tail_from : NULL});
}

static bool fill(struct question *q, const struct rounds_conf *conf)
{
    const struct topics *topics = conf->deploy->topics;
    size_t parts = (size_t)q->parts;
    q->topic = strdup(topics_name(topics, T_CONVERSATION));
    q->names = calloc(q->n + 1, sizeof *q->names);
    q->part = calloc(q->n + 1, sizeof *q->part);
    q->committed = calloc(parts, sizeof *q->committed);
    q->low = calloc(parts, sizeof *q->low);
    q->end = calloc(parts, sizeof *q->end);
    q->tail_end = calloc(q->n + 1, sizeof *q->tail_end);
    q->tail_from = calloc(q->n + 1, sizeof *q->tail_from);
    bool ok =
        q->topic && q->names && q->part && q->committed && q->low && q->end && q->tail_end && q->tail_from;
    for (size_t i = 0; ok && i < q->n; i++) {
        q->names[i] = strdup(topics_name(topics, conf->places[i].topic));
        q->part[i] = conf->places[i].part;
        ok = q->names[i];
    }
    return ok && q->conf;
}

struct rounds *rounds_new(struct loop *loop, const struct rounds_conf *conf)
{
    const char *const defaults[] = {"enable.auto.commit", "false", "group.id",
                                    topics_group(conf->deploy->topics, GROUP_FANOUT), NULL};
    struct rounds *r = calloc(1, sizeof *r);
    struct question *q = calloc(1, sizeof *q);
    if (!r || !q || loop_waker_init(loop, &r->waker, on_wake) < 0) {
        free(r);
        free(q);
        return NULL;
    }
    r->loop = loop;
    r->conf = *conf;
    r->q = q;
    q->n = conf->n;
    q->parts = topics_get(conf->deploy->topics, T_CONVERSATION)->parts;
    q->conf = kconf_build(&conf->deploy->kafka, defaults);
    kask_init(&q->ask, NULL, &r->waker, work, release);
    if (fill(q, conf))
        return r;
    rounds_free(r);
    return NULL;
}

void rounds_free(struct rounds *r)
{
    if (!r)
        return;
    kask_drop(&r->q->ask, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    loop_waker_release(r->loop, &r->waker);
    free(r);
}

bool rounds_ask(struct rounds *r, int64_t from_ms)
{
    if (kask_busy(&r->q->ask))
        return false;
    r->q->from_ms = from_ms;
    r->conf.begin(r->conf.ctx);
    return kask_start(&r->q->ask) == 0;
}
