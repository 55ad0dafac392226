/* kadmin_groups.c: who is in a consumer group. */
#include "common/base/kadmin_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ASKS_MAX 16

/* Not by the Admin API: its coordinator requests abort the process when the broker goes away under them (librdkafka issue
 * 4605). The older blocking call does not; on the loop it is made by a thread. */

struct kadmin_ask { /* a request on the loop */
    struct pool_job job;
    struct kadmin *admin; /* NULL: nobody wants to know any more */
    struct kadmin_ask *next, **prev;
    kadmin_groups_fn *fn;
    void *ctx;
    rd_kafka_t *rk;
    int timeout_ms, err;
    size_t n;
    struct kadmin_group *groups; /* with names of our own */
};

static void ask_free(struct kadmin_ask *q)
{
    for (size_t i = 0; q->groups && i < q->n; i++)
        free((char *)(uintptr_t)q->groups[i].group);
    free(q->groups);
    free(q);
}

static enum kadmin_state state_of(const char *s)
{
    static const struct {
        const char *name;
        enum kadmin_state state;
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

static void fill(struct kadmin_group *out, const struct rd_kafka_group_info *info)
{
    /* Kafka 4 answers GROUP_ID_NOT_FOUND for what older brokers call a dead group. */
    bool none = info->err == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND;
    out->err = none || !info->err ? 0 : kconf_errno(info->err);
    out->state = none ? KGROUP_DEAD : out->err ? KGROUP_UNKNOWN : state_of(info->state);
    out->n_members = (size_t)info->member_cnt;
    for (size_t i = 0; i < out->n_members && i < sizeof out->members / sizeof *out->members; i++) {
        snprintf(out->members[i].client_id, sizeof out->members[i].client_id, "%s",
                 info->members[i].client_id);
        snprintf(out->members[i].member_id, sizeof out->members[i].member_id, "%s",
                 info->members[i].member_id);
    }
}

/* A group that no broker lists does not exist; an answer of a part of the brokers is none. */
static rd_kafka_resp_err_t look(rd_kafka_t *rk, struct kadmin_group *out, size_t n, int timeout_ms)
{
    const struct rd_kafka_group_list *list = NULL;
    rd_kafka_resp_err_t err = rd_kafka_list_groups(rk, n == 1 ? out[0].group : NULL, &list, timeout_ms);
    for (size_t i = 0; i < n && !err; i++) {
        out[i] = (struct kadmin_group){.group = out[i].group, .state = KGROUP_DEAD};
        for (int k = 0; k < list->group_cnt; k++)
            if (!strcmp(list->groups[k].group, out[i].group))
                fill(&out[i], &list->groups[k]);
    }
    if (list)
        rd_kafka_group_list_destroy(list);
    return err;
}

int kadmin_describe_group(struct kadmin *a, const char *group, struct kadmin_group *out)
{
    struct kadmin_group g = {.group = group};
    rd_kafka_resp_err_t err = look(a->rk, &g, 1, a->timeout_ms);
    if (err)
        return kadmin_fail(a, err, NULL);
    *out = g;
    return g.err;
}

/* ---- on the loop ---- */
static void on_work(struct pool_job *job)
{
    struct kadmin_ask *q = container_of(job, struct kadmin_ask, job);
    q->err = kconf_errno(look(q->rk, q->groups, q->n, q->timeout_ms));
}

static void on_done(struct pool_job *job)
{
    struct kadmin_ask *q = container_of(job, struct kadmin_ask, job);
    if (q->admin) {
        *q->prev = q->next;
        if (q->next)
            q->next->prev = q->prev;
        q->fn(q->ctx, q->err, q->err ? NULL : q->groups, q->err ? 0 : q->n);
    }
    ask_free(q);
}

int kadmin_attach(struct kadmin *a, struct loop *loop)
{
    if (a->pool)
        return -EALREADY;
    return pool_new(&a->pool, loop, 1, ASKS_MAX);
}

/* Waits for the one that runs. */
void kadmin_detach(struct kadmin *a)
{
    for (struct kadmin_ask *q = a->asks; q; q = q->next)
        q->admin = NULL;
    a->asks = NULL;
    if (a->pool)
        pool_free(a->pool);
    a->pool = NULL;
}

int kadmin_describe_groups(struct kadmin *a, const char *const *groups, size_t n, kadmin_groups_fn *fn,
                           void *ctx)
{
    if (!n || !a->pool)
        return -EINVAL;
    struct kadmin_ask *q = calloc(1, sizeof *q);
    if (!q)
        return -ENOMEM;
    *q = (struct kadmin_ask){.job = {.work = on_work, .done = on_done},
                             .fn = fn,
                             .ctx = ctx,
                             .rk = a->rk,
                             .timeout_ms = a->timeout_ms,
                             .n = n,
                             .groups = calloc(n, sizeof *q->groups)};
    int rc = q->groups ? 0 : -ENOMEM;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = (q->groups[i].group = strdup(groups[i])) ? 0 : -ENOMEM;
    if (rc == 0)
        rc = pool_submit(a->pool, &q->job);
    if (rc) {
        ask_free(q);
        return rc;
    }
    q->admin = a;
    q->next = a->asks;
    q->prev = &a->asks;
    if (q->next)
        q->next->prev = &q->next;
    a->asks = q;
    return 0;
}
