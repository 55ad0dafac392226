/* kconsumer_offsets.c: what the group has committed, and commits. */
#include "common/base/kconsumer_int.h"
#include "common/base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOOKUP_MS       5000
#define LOOKUP_RETRY_MS 250

int kc_topic_index(const struct kconsumer *c, const char *name)
{
    for (size_t i = 0; i < c->conf.n_inputs; i++)
        if (!strcmp(c->conf.topics[c->conf.inputs[i]].name, name))
            return c->conf.inputs[i];
    return -1;
}

/* ---- what the owner is told ---- */
void kc_tell(struct kconsumer *c, kc_parts_fn *fn)
{
    struct kpart *ids = calloc(c->n_parts + 1, sizeof *ids);
    size_t n = c->n_parts;
    for (size_t i = 0; ids && i < n; i++)
        ids[i] = c->parts[i].id;
    if (ids)
        fn(c->conf.ctx, ids, n);
    free(ids);
}

void kc_tell_error(struct kconsumer *c, enum kconsumer_error kind, const char *why)
{
    c->conf.ops.error(c->conf.ctx, kind, NULL, why);
}

/* ---- committed offsets, asked at each assignment ---- */
static void ask_work(struct kask *ask)
{
    struct kc_ask *q = container_of(ask, struct kc_ask, ask);
    q->err = rd_kafka_committed(ask->rk, q->list, LOOKUP_MS);
}

static void ask_release(struct kask *ask)
{
    struct kc_ask *q = container_of(ask, struct kc_ask, ask);
    if (q->list)
        rd_kafka_topic_partition_list_destroy(q->list);
    free(q);
}

struct kc_ask *kc_ask_new(rd_kafka_t *rk, struct loop_waker *waker)
{
    struct kc_ask *q = calloc(1, sizeof *q);
    if (q)
        kask_init(&q->ask, rk, waker, ask_work, ask_release);
    return q;
}

void kc_lookup(struct kconsumer *c)
{
    struct kc_ask *q = c->lookup;
    if (kask_busy(&q->ask))
        return; /* about an earlier assignment: its answer asks again */
    if (q->list)
        rd_kafka_topic_partition_list_destroy(q->list);
    q->list = rd_kafka_topic_partition_list_new((int)c->n_parts);
    for (size_t i = 0; i < c->n_parts; i++)
        rd_kafka_topic_partition_list_add(q->list, c->conf.topics[c->parts[i].id.topic].name,
                                          c->parts[i].id.part);
    q->epoch = c->epoch;
    if (kask_start(&q->ask))
        loop_timer_start(c->loop, &c->retry, LOOKUP_RETRY_MS);
}

void kc_lookup_again(struct timer *t)
{
    struct kconsumer *c = container_of(t, struct kconsumer, retry);
    if (c->state == KC_LOOKUP)
        kc_lookup(c);
}

static rd_kafka_resp_err_t note_committed(struct kconsumer *c)
{
    const struct kc_ask *q = c->lookup;
    for (int i = 0; !q->err && i < q->list->cnt; i++) {
        const rd_kafka_topic_partition_t *tp = &q->list->elems[i];
        if (tp->err)
            return tp->err;
        int topic = kc_topic_index(c, tp->topic);
        struct kc_part *p = topic < 0 ? NULL : kc_find(c, (uint16_t)topic, tp->partition);
        if (p)
            p->id.offset = tp->offset < 0 ? -1 : tp->offset;
    }
    return q->err;
}

void kc_lookup_serve(struct kconsumer *c)
{
    if (!kask_take(&c->lookup->ask) || c->state != KC_LOOKUP)
        return;
    if (c->lookup->epoch != c->epoch) {
        kc_lookup(c);
        return;
    }
    rd_kafka_resp_err_t err = note_committed(c);
    if (err) {
        loop_timer_start(c->loop, &c->retry, LOOKUP_RETRY_MS);
        kc_tell_error(c, KCONSUMER_TRANSIENT, rd_kafka_err2str(err));
        return;
    }
    c->state = KC_ASSIGNED;
    kc_tell(c, c->conf.ops.assigned);
}

/* ---- commits ---- */
static int commit_errno(const rd_kafka_event_t *ev)
{
    rd_kafka_resp_err_t err = rd_kafka_event_error((rd_kafka_event_t *)ev);
    const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list((rd_kafka_event_t *)ev);
    for (int i = 0; !err && list && i < list->cnt; i++)
        err = list->elems[i].err;
    if (!err || err == RD_KAFKA_RESP_ERR__NO_OFFSET)
        return 0;
    log_warn("kafka commit refused", log_str("error", rd_kafka_err2name(err)));
    return kconf_errno(err) == -EAGAIN ? -EAGAIN : -ESTALE;
}

static void commit_unlink(struct kc_commit *m)
{
    *m->prev = m->next;
    if (m->next)
        m->next->prev = m->prev;
    free(m);
}

int kconsumer_commit(struct kconsumer *c, const struct kpart *parts, size_t n, kcommit_fn *done, void *ctx)
{
    if ((c->state != KC_ASSIGNED && c->state != KC_REVOKING) || !c->n_parts)
        return -ENOENT;
    if (rd_kafka_assignment_lost(c->rk))
        return -ESTALE;
    struct kc_commit *m = calloc(1, sizeof *m);
    if (!m)
        return -ENOMEM;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);
    for (size_t i = 0; i < n; i++)
        rd_kafka_topic_partition_list_add(list, c->conf.topics[parts[i].topic].name, parts[i].part)->offset =
            parts[i].offset;
    *m = (struct kc_commit){c->commits, &c->commits, done, ctx};
    if (m->next)
        m->next->prev = &m->next;
    c->commits = m;
    rd_kafka_resp_err_t err = rd_kafka_commit_queue(c->rk, list, c->events, NULL, m);
    rd_kafka_topic_partition_list_destroy(list);
    if (!err)
        return 0;
    commit_unlink(m);
    return kconf_errno(err);
}

void kc_commit_end(struct kc_commit *m, int rc)
{
    kcommit_fn *done = m->done;
    void *ctx = m->ctx;
    commit_unlink(m);
    if (done)
        done(ctx, rc);
}

void kc_commit_done(rd_kafka_event_t *ev)
{
    struct kc_commit *m = rd_kafka_event_opaque(ev);
    if (m)
        kc_commit_end(m, commit_errno(ev));
}
