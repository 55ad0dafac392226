#include "auditor/retention.h"

#include "common/base/clock.h"
#include "common/base/kask.h"
#include "common/base/log.h"
#include "common/base/metrics.h"

#include <stdio.h>
#include <stdlib.h>

#define TIMEOUT_MS 5000

METRIC_GAUGE(close_to, "parley_auditor_retention_close",
             "Partitions of which a reader's next record is older than three quarters of the retention.",
             "group");

struct line { /* one group, one partition */
    uint32_t group;
    uint16_t topic;
    int32_t part;
    struct retention_place place;
};

struct question { /* the thread's while it asks */
    struct kask ask;
    struct kconf kafka;
    char *bootstrap, *client;
    json_t *properties;
    struct line *lines;
    size_t n;
    char **groups; /* names, by line */
    char **topics;
    int64_t *keep_ms;
    int64_t now_ms;
    bool failed;
};

struct retention {
    struct loop *loop;
    struct loop_waker waker;
    const struct deploy *deploy;
    struct report *report;
    struct question *q;
    uint32_t slot; /* asked next */
};

enum retention_state retention_judge(const struct retention_place *p)
{
    if (p->committed < 0)
        return RETENTION_FINE;
    if (p->committed < p->low)
        return RETENTION_OVERTOOK;
    return p->young >= 0 && p->committed < p->high && p->committed < p->young ? RETENTION_CLOSE
                                                                              : RETENTION_FINE;
}

/* ---- the thread ---- */

static bool ask_line(struct question *q, size_t i)
{
    struct retention_place *p = &q->lines[i].place;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *at = rd_kafka_topic_partition_list_add(list, q->topics[i], q->lines[i].part);
    bool ok = !rd_kafka_committed(q->ask.rk, list, TIMEOUT_MS) && !at->err;
    p->committed = ok && at->offset >= 0 ? at->offset : -1;
    p->young = -1;
    if (ok && q->keep_ms[i] > 0) {
        at->offset = q->now_ms - q->keep_ms[i] / 4 * 3;
        ok = !rd_kafka_offsets_for_times(q->ask.rk, list, TIMEOUT_MS) && !at->err;
        p->young = at->offset;
    }
    bool none = ok && q->keep_ms[i] > 0 && p->young < 0;
    ok = ok && !rd_kafka_query_watermark_offsets(q->ask.rk, q->topics[i], q->lines[i].part, &p->low, &p->high,
                                                 TIMEOUT_MS);
    if (none)
        p->young = p->high;
    rd_kafka_topic_partition_list_destroy(list);
    return ok;
}

static bool client_of(struct question *q, const char *group)
{
    const char *const defaults[] = {"enable.auto.commit", "false", "group.id", group, NULL};
    char why[256];
    rd_kafka_conf_t *conf = kconf_build(&q->kafka, defaults);
    if (q->ask.rk)
        rd_kafka_destroy_flags(q->ask.rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    q->ask.rk = conf ? rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why) : NULL;
    if (!q->ask.rk && conf)
        rd_kafka_conf_destroy(conf);
    return q->ask.rk;
}

static void work(struct kask *ask)
{
    struct question *q = container_of(ask, struct question, ask);
    const char *group = NULL;
    for (size_t i = 0; i < q->n && !q->failed; i++) {
        if (!group || strcmp(group, q->groups[i]) != 0)
            q->failed = !client_of(q, q->groups[i]);
        group = q->groups[i];
        q->failed = q->failed || !ask_line(q, i);
    }
    if (q->ask.rk)
        rd_kafka_destroy_flags(q->ask.rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    q->ask.rk = NULL;
}

/* ---- the loop ---- */

static void forget(struct question *q)
{
    for (size_t i = 0; i < q->n; i++) {
        free(q->groups[i]);
        free(q->topics[i]);
    }
    free(q->lines);
    free(q->groups);
    free(q->topics);
    free(q->keep_ms);
    q->lines = NULL;
    q->groups = q->topics = NULL;
    q->keep_ms = NULL;
    q->n = 0;
}

static void release(struct kask *ask)
{
    struct question *q = container_of(ask, struct question, ask);
    forget(q);
    json_decref(q->properties);
    free(q->bootstrap);
    free(q->client);
    free(q);
}

static void judge(struct retention *r, const struct question *q, size_t i, int64_t *close)
{
    const struct line *l = &q->lines[i];
    char what[160];
    snprintf(what, sizeof what, "%s has read up to %lld, the log begins at %lld", q->groups[i],
             (long long)l->place.committed, (long long)l->place.low);
    enum retention_state state = retention_judge(&l->place);
    if (state == RETENTION_OVERTOOK) {
        const struct finding f = {.kind = FOUND_RETENTION,
                                  .topic = q->topics[i],
                                  .part = l->part,
                                  .offset = l->place.committed,
                                  .what = what};
        report_add(r->report, &f);
    } else if (state == RETENTION_CLOSE) {
        log_warn("retention will soon remove what a reader has not read", log_str("group", q->groups[i]),
                 log_str("topic", q->topics[i]), log_int("part", l->part),
                 log_int("committed", l->place.committed),
                 log_int("behind", l->place.high - l->place.committed));
        *close += 1;
    }
}

static void on_wake(struct loop_waker *w)
{
    struct retention *r = container_of(w, struct retention, waker);
    struct question *q = r->q;
    if (!kask_take(&q->ask))
        return;
    for (size_t i = 0, from = 0; i < q->n && !q->failed; i = from) {
        int64_t close = 0;
        for (; from < q->n && q->lines[from].group == q->lines[i].group; from++)
            judge(r, q, from, &close);
        if (q->lines[i].group < GROUP_SLOT0 || close)
            metric_set(metric_with(&close_to, q->lines[i].group < GROUP_SLOT0 ? q->groups[i] : "slots"),
                       close);
    }
    forget(q);
}

/* All that a group reads, except what is read by no committed place. */
static bool add_group(struct retention *r, struct question *q, uint32_t group)
{
    const struct topics *topics = r->deploy->topics;
    for (size_t i = 0; i < topics_count(topics); i++) {
        const struct topic *t = topics_get(topics, (uint16_t)i);
        for (int32_t p = 0; topics_reads(topics, group, (uint16_t)i) && p < t->parts; p++) {
            q->groups[q->n] = strdup(topics_group(topics, group));
            q->topics[q->n] = strdup(t->name);
            q->keep_ms[q->n] = t->compact ? -1 : t->retention_ms;
            q->lines[q->n] = (struct line){.group = group, .topic = (uint16_t)i, .part = p};
            q->n++;
            if (!q->groups[q->n - 1] || !q->topics[q->n - 1])
                return false;
        }
    }
    return true;
}

void retention_ask(struct retention *r)
{
    struct question *q = r->q;
    const struct topics *topics = r->deploy->topics;
    size_t room = 0;
    if (kask_busy(&q->ask))
        return;
    for (size_t i = 0; i < topics_count(topics); i++)
        room += (size_t)topics_get(topics, (uint16_t)i)->parts * (GROUP_SLOT0 + 1);
    q->lines = calloc(room, sizeof *q->lines);
    q->groups = calloc(room, sizeof *q->groups);
    q->topics = calloc(room, sizeof *q->topics);
    q->keep_ms = calloc(room, sizeof *q->keep_ms);
    bool ok = q->lines && q->groups && q->topics && q->keep_ms;
    for (uint32_t g = 0; ok && g < GROUP_SLOT0; g++)
        ok = add_group(r, q, g);
    ok = ok && add_group(r, q, GROUP_SLOT0 + r->slot);
    r->slot = (r->slot + 1) % topics_slots(topics);
    q->now_ms = clock_wall_ms();
    q->failed = false;
    if (!ok || kask_start(&q->ask))
        forget(q);
}

struct retention *retention_new(struct loop *loop, const struct deploy *deploy, struct report *report)
{
    struct retention *r = calloc(1, sizeof *r);
    struct question *q = calloc(1, sizeof *q);
    if (!r || !q || loop_waker_init(loop, &r->waker, on_wake) < 0) {
        free(r);
        free(q);
        return NULL;
    }
    r->loop = loop;
    r->deploy = deploy;
    r->report = report;
    r->q = q;
    q->bootstrap = strdup(deploy->kafka.bootstrap);
    q->client = strdup(deploy->kafka.client_id);
    q->properties = deploy->kafka.properties ? json_deep_copy(deploy->kafka.properties) : NULL;
    q->kafka = (struct kconf){.bootstrap = q->bootstrap, .client_id = q->client, .properties = q->properties};
    kask_init(&q->ask, NULL, &r->waker, work, release);
    if (q->bootstrap && q->client)
        return r;
    retention_free(r);
    return NULL;
}

void retention_free(struct retention *r)
{
    if (!r)
        return;
    kask_drop(&r->q->ask, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    loop_waker_release(r->loop, &r->waker);
    free(r);
}
