/* kgroups.c: the handle is the loop's; the question with client, input and output is the thread's while it asks. */
#include "common/base/kgroups.h"

#include "common/base/kask.h"
#include "common/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct question {
    struct kask ask;
    rd_kafka_conf_t *conf; /* until the client is made */
    bool consumer;
    int timeout_ms, err;
    char **names; /* of groups; or the one topic */
    size_t n_names;
    struct kgroup *groups;
    struct kgroup_part *parts;
    int32_t n_parts;
};

struct kgroups {
    struct loop *loop;
    struct loop_waker waker;
    struct question *q;
    kgroups_fn *fn;
    kgroups_progress_fn *progress;
    void *ctx;
};

/* ---- the thread ---- */
static void make_client(struct question *q)
{
    char why[256];
    q->ask.rk =
        q->conf ? rd_kafka_new(q->consumer ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, q->conf, why, sizeof why)
                : NULL;
    if (q->ask.rk)
        q->conf = NULL;
    else
        log_error("kafka client not created", log_str("why", q->conf ? why : "out of memory"));
}

static enum kgroup_state state_of(const char *s)
{
    static const struct {
        const char *name;
        enum kgroup_state state;
    } states[] = {{"Stable", KGROUP_STABLE},
                  {"Empty", KGROUP_EMPTY},
                  {"Dead", KGROUP_DEAD},
                  {"PreparingRebalance", KGROUP_REBALANCING},
                  {"CompletingRebalance", KGROUP_REBALANCING}};
    for (size_t i = 0; s && i < sizeof states / sizeof *states; i++)
        if (!strcmp(s, states[i].name))
            return states[i].state;
    return KGROUP_UNKNOWN;
}

static void fill(struct kgroup *out, const struct rd_kafka_group_info *info)
{
    /* Kafka 4 answers GROUP_ID_NOT_FOUND for what older brokers call a dead group. */
    bool none = info->err == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND;
    out->err = none ? 0 : kconf_errno(info->err);
    out->state = none ? KGROUP_DEAD : out->err ? KGROUP_UNKNOWN : state_of(info->state);
    out->n_members = (size_t)info->member_cnt;
    for (size_t i = 0; i < out->n_members && i < KGROUP_MEMBERS; i++)
        snprintf(out->client_ids[i], sizeof out->client_ids[i], "%s", info->members[i].client_id);
}

/* A group that no broker lists does not exist; when not all brokers have answered, nobody knows. */
static int look(struct question *q)
{
    const struct rd_kafka_group_list *list = NULL;
    rd_kafka_resp_err_t err = rd_kafka_list_groups(q->ask.rk, NULL, &list, q->timeout_ms);
    if (err && err != RD_KAFKA_RESP_ERR__PARTIAL) {
        if (list)
            rd_kafka_group_list_destroy(list);
        return kconf_errno(err);
    }
    for (size_t i = 0; i < q->n_names; i++) {
        struct kgroup *g = &q->groups[i];
        g->err = err ? -EAGAIN : 0;
        g->state = err ? KGROUP_UNKNOWN : KGROUP_DEAD;
        for (int k = 0; list && k < list->group_cnt; k++)
            if (!strcmp(list->groups[k].group, g->name))
                fill(g, &list->groups[k]);
    }
    if (list)
        rd_kafka_group_list_destroy(list);
    return 0;
}

static int progress(struct question *q)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(q->n_parts);
    for (int32_t i = 0; i < q->n_parts; i++)
        rd_kafka_topic_partition_list_add(list, q->names[0], i);
    int rc = kconf_errno(rd_kafka_committed(q->ask.rk, list, q->timeout_ms));
    for (int i = 0; i < list->cnt && !rc; i++) {
        const rd_kafka_topic_partition_t *tp = &list->elems[i];
        struct kgroup_part *p = &q->parts[tp->partition];
        p->committed = tp->offset >= 0 ? tp->offset : -1;
        rc = kconf_errno(tp->err);
        if (!rc)
            rc = kconf_errno(rd_kafka_query_watermark_offsets(q->ask.rk, q->names[0], tp->partition, &p->low,
                                                              &p->high, q->timeout_ms));
    }
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

static void work(struct kask *ask)
{
    struct question *q = container_of(ask, struct question, ask);
    if (!q->ask.rk)
        make_client(q);
    q->err = !q->ask.rk ? -ENOMEM : q->parts ? progress(q) : look(q);
}

/* ---- the loop ---- */
static void forget(struct question *q)
{
    for (size_t i = 0; q->names && i < q->n_names; i++)
        free(q->names[i]);
    free(q->names);
    free(q->groups);
    free(q->parts);
    q->names = NULL;
    q->groups = NULL;
    q->parts = NULL;
    q->n_names = 0;
    q->n_parts = 0;
}

static void release(struct kask *ask)
{
    struct question *q = container_of(ask, struct question, ask);
    forget(q);
    if (q->conf)
        rd_kafka_conf_destroy(q->conf);
    free(q);
}

static void on_wake(struct loop_waker *w)
{
    struct kgroups *k = container_of(w, struct kgroups, waker);
    struct question *q = k->q;
    if (!kask_take(&q->ask))
        return;
    struct kgroup *groups = q->groups; /* the owner may ask again from inside */
    struct kgroup_part *parts = q->parts;
    struct question told = {.names = q->names, .n_names = q->n_names, .groups = groups, .parts = parts};
    size_t n = q->n_names;
    int32_t n_parts = q->n_parts;
    int err = q->err;
    q->names = NULL;
    q->groups = NULL;
    q->parts = NULL;
    forget(q);
    if (parts)
        k->progress(k->ctx, err, err ? NULL : parts, err ? 0 : n_parts);
    else
        k->fn(k->ctx, err, err ? NULL : groups, err ? 0 : n);
    forget(&told);
}

static int ask(struct kgroups *k, const char *const *names, size_t n)
{
    struct question *q = k->q;
    q->names = calloc(n + 1, sizeof *q->names);
    bool ok = q->names && (q->groups || q->parts);
    for (; ok && q->n_names < n; q->n_names += ok) {
        ok = (q->names[q->n_names] = strdup(names[q->n_names])) != NULL;
        if (ok && q->groups)
            q->groups[q->n_names].name = q->names[q->n_names];
    }
    int rc = ok ? kask_start(&q->ask) : -ENOMEM;
    if (rc)
        forget(q);
    return rc;
}

int kgroups_describe(struct kgroups *k, const char *const *names, size_t n, kgroups_fn *fn, void *ctx)
{
    if (kask_busy(&k->q->ask))
        return -EBUSY;
    k->fn = fn;
    k->ctx = ctx;
    k->q->groups = calloc(n + 1, sizeof *k->q->groups);
    return ask(k, names, n);
}

int kgroups_progress(struct kgroups *k, const char *topic, int32_t n, kgroups_progress_fn *fn, void *ctx)
{
    if (kask_busy(&k->q->ask))
        return -EBUSY;
    k->progress = fn;
    k->ctx = ctx;
    k->q->parts = calloc((size_t)n + 1, sizeof *k->q->parts);
    k->q->n_parts = n;
    return ask(k, &topic, 1);
}

bool kgroups_busy(const struct kgroups *k)
{
    return kask_busy(&k->q->ask);
}

struct kgroups *kgroups_new(struct loop *loop, const struct kconf *kafka, const char *group, int timeout_ms)
{
    const char *const defaults[] = {"enable.auto.commit", "false", "group.id", group, NULL};
    struct kgroups *k = calloc(1, sizeof *k);
    struct question *q = calloc(1, sizeof *q);
    rd_kafka_conf_t *conf = kconf_build(kafka, group ? defaults : NULL);
    if (!k || !q || !conf || loop_waker_init(loop, &k->waker, on_wake) < 0) {
        if (conf)
            rd_kafka_conf_destroy(conf);
        free(k);
        free(q);
        return NULL;
    }
    k->loop = loop;
    k->q = q;
    kask_init(&q->ask, NULL, &k->waker, work, release);
    q->conf = conf;
    q->consumer = group != NULL;
    q->timeout_ms = timeout_ms;
    return k;
}

void kgroups_free(struct kgroups *k)
{
    if (!k)
        return;
    kask_drop(&k->q->ask, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    loop_waker_release(k->loop, &k->waker);
    free(k);
}
