/* kadmin_groups.c: who is in a consumer group. */
#include "common/base/kadmin_int.h"

#include <errno.h>
#include <stdlib.h>

struct kadmin_ask { /* a request on the loop */
    struct kadmin_ask *next, **prev;
    kadmin_groups_fn *fn;
    void *ctx;
    size_t n;
    char **names;
};

static void ask_free(struct kadmin_ask *q)
{
    *q->prev = q->next;
    if (q->next)
        q->next->prev = q->prev;
    for (size_t i = 0; q->names && i < q->n; i++)
        free(q->names[i]);
    free(q->names);
    free(q);
}

static enum kadmin_state state_of(rd_kafka_consumer_group_state_t s)
{
    switch (s) {
    case RD_KAFKA_CONSUMER_GROUP_STATE_STABLE:
        return KGROUP_STABLE;
    case RD_KAFKA_CONSUMER_GROUP_STATE_PREPARING_REBALANCE:
    case RD_KAFKA_CONSUMER_GROUP_STATE_COMPLETING_REBALANCE:
        return KGROUP_REBALANCING;
    case RD_KAFKA_CONSUMER_GROUP_STATE_DEAD:
        return KGROUP_DEAD;
    case RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY:
        return KGROUP_EMPTY;
    default:
        return KGROUP_UNKNOWN;
    }
}

static void fill(struct kadmin_group *out, const rd_kafka_ConsumerGroupDescription_t *d)
{
    const rd_kafka_error_t *e = rd_kafka_ConsumerGroupDescription_error(d);
    if (e) {
        /* Kafka 4 answers GROUP_ID_NOT_FOUND for what older brokers call a dead group. */
        bool none = rd_kafka_error_code(e) == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND;
        out->err = none ? 0 : kconf_errno(rd_kafka_error_code(e));
        out->state = none ? KGROUP_DEAD : KGROUP_UNKNOWN;
        return;
    }
    out->state = state_of(rd_kafka_ConsumerGroupDescription_state(d));
    out->n_members = rd_kafka_ConsumerGroupDescription_member_count(d);
    for (size_t i = 0; i < out->n_members && i < sizeof out->members / sizeof *out->members; i++) {
        const rd_kafka_MemberDescription_t *m = rd_kafka_ConsumerGroupDescription_member(d, i);
        snprintf(out->members[i].client_id, sizeof out->members[i].client_id, "%s",
                 rd_kafka_MemberDescription_client_id(m));
        snprintf(out->members[i].member_id, sizeof out->members[i].member_id, "%s",
                 rd_kafka_MemberDescription_consumer_id(m));
    }
}

/* Results come in the order of the request; matched by name all the same. */
static void fill_all(struct kadmin_group *out, size_t n, rd_kafka_event_t *ev)
{
    size_t cnt;
    const rd_kafka_ConsumerGroupDescription_t **d =
        rd_kafka_DescribeConsumerGroups_result_groups(rd_kafka_event_DescribeConsumerGroups_result(ev), &cnt);
    for (size_t i = 0; i < n; i++) {
        out[i].err = -EIO;
        for (size_t k = 0; k < cnt; k++) {
            if (strcmp(rd_kafka_ConsumerGroupDescription_group_id(d[k]), out[i].group))
                continue;
            out[i].err = 0;
            fill(&out[i], d[k]);
            break;
        }
    }
}

static void describe(struct kadmin *a, const char *const *groups, size_t n, rd_kafka_queue_t *q, void *opaque)
{
    rd_kafka_AdminOptions_t *o = kadmin_options(a, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
    rd_kafka_AdminOptions_set_opaque(o, opaque);
    rd_kafka_DescribeConsumerGroups(a->rk, (const char **)groups, n, o, q);
    rd_kafka_AdminOptions_destroy(o);
}

int kadmin_describe_group(struct kadmin *a, const char *group, struct kadmin_group *out)
{
    describe(a, &group, 1, a->queue, NULL);
    rd_kafka_event_t *ev = rd_kafka_queue_poll(a->queue, a->timeout_ms + 1000);
    if (!ev)
        return kadmin_fail(a, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL);
    int rc = rd_kafka_event_error(ev)
                 ? kadmin_fail(a, rd_kafka_event_error(ev), rd_kafka_event_error_string(ev))
                 : 0;
    if (!rc) {
        *out = (struct kadmin_group){.group = group};
        fill_all(out, 1, ev);
        rc = out->err;
    }
    rd_kafka_event_destroy(ev);
    return rc;
}

/* ---- on the loop ---- */
static void answer(struct kadmin *a, rd_kafka_event_t *ev)
{
    (void)a;
    struct kadmin_ask *q = rd_kafka_event_opaque(ev);
    int err = kconf_errno(rd_kafka_event_error(ev));
    struct kadmin_group *out = err ? NULL : calloc(q->n, sizeof *out);
    if (!err && !out)
        err = -ENOMEM;
    for (size_t i = 0; out && i < q->n; i++)
        out[i].group = q->names[i];
    if (out)
        fill_all(out, q->n, ev);
    q->fn(q->ctx, err, out, out ? q->n : 0);
    free(out);
    ask_free(q);
}

static void on_wake(struct loop_waker *w)
{
    struct kadmin *a = container_of(w, struct kadmin, waker);
    rd_kafka_event_t *ev;
    while ((ev = rd_kafka_queue_poll(a->loop_queue, 0))) {
        if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_DESCRIBECONSUMERGROUPS_RESULT)
            answer(a, ev);
        rd_kafka_event_destroy(ev);
    }
}

int kadmin_attach(struct kadmin *a, struct loop *loop)
{
    static const uint64_t one = 1;
    if (a->loop_queue)
        return -EALREADY;
    int rc = loop_waker_init(loop, &a->waker, on_wake);
    if (rc < 0)
        return rc;
    a->loop = loop;
    a->loop_queue = rd_kafka_queue_new(a->rk);
    rd_kafka_queue_io_event_enable(a->loop_queue, loop_waker_fd(&a->waker), &one, sizeof one);
    return 0;
}

void kadmin_detach(struct kadmin *a)
{
    while (a->asks)
        ask_free(a->asks);
    if (!a->loop_queue)
        return;
    rd_kafka_queue_io_event_enable(a->loop_queue, -1, NULL, 0);
    rd_kafka_queue_destroy(a->loop_queue);
    loop_waker_release(a->loop, &a->waker);
    a->loop_queue = NULL;
}

int kadmin_describe_groups(struct kadmin *a, const char *const *groups, size_t n, kadmin_groups_fn *fn,
                           void *ctx)
{
    struct kadmin_ask *q = n && a->loop_queue ? calloc(1, sizeof *q) : NULL;
    if (!q)
        return n && a->loop_queue ? -ENOMEM : -EINVAL;
    *q = (struct kadmin_ask){.next = a->asks, .prev = &a->asks, .fn = fn, .ctx = ctx, .n = n};
    if (q->next)
        q->next->prev = &q->next;
    a->asks = q;
    q->names = calloc(n, sizeof *q->names);
    for (size_t i = 0; q->names && i < n; i++)
        if (!(q->names[i] = strdup(groups[i]))) {
            ask_free(q);
            return -ENOMEM;
        }
    if (!q->names) {
        q->n = 0;
        ask_free(q);
        return -ENOMEM;
    }
    describe(a, (const char *const *)q->names, n, a->loop_queue, q);
    return 0;
}
