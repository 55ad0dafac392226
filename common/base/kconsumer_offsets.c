/* kconsumer_offsets.c: what the group has committed, and commits. */
#include "common/base/kconsumer_int.h"
#include "common/base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
void kc_lookup(struct kconsumer *c)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)c->n_parts);
    for (size_t i = 0; i < c->n_parts; i++)
        rd_kafka_topic_partition_list_add(list, c->conf.topics[c->parts[i].id.topic].name,
                                          c->parts[i].id.part);
    rd_kafka_ListConsumerGroupOffsets_t *req = rd_kafka_ListConsumerGroupOffsets_new(c->conf.group, list);
    rd_kafka_AdminOptions_t *opt =
        rd_kafka_AdminOptions_new(c->rk, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    char why[128];
    rd_kafka_AdminOptions_set_request_timeout(opt, 5000, why, sizeof why);
    rd_kafka_AdminOptions_set_opaque(opt, (void *)(uintptr_t)c->epoch);
    rd_kafka_ListConsumerGroupOffsets(c->rk, &req, 1, opt, c->events);
    rd_kafka_AdminOptions_destroy(opt);
    rd_kafka_ListConsumerGroupOffsets_destroy(req);
    rd_kafka_topic_partition_list_destroy(list);
}

void kc_lookup_again(struct timer *t)
{
    struct kconsumer *c = container_of(t, struct kconsumer, retry);
    if (c->state == KC_LOOKUP)
        kc_lookup(c);
}

static rd_kafka_resp_err_t note_committed(struct kconsumer *c, rd_kafka_event_t *ev)
{
    rd_kafka_resp_err_t err = rd_kafka_event_error(ev);
    if (err)
        return err;
    size_t n = 0;
    const rd_kafka_group_result_t **groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(ev), &n);
    if (n != 1)
        return RD_KAFKA_RESP_ERR__FAIL;
    const rd_kafka_error_t *e = rd_kafka_group_result_error(groups[0]);
    if (e)
        return rd_kafka_error_code(e);
    const rd_kafka_topic_partition_list_t *list = rd_kafka_group_result_partitions(groups[0]);
    for (int i = 0; list && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *tp = &list->elems[i];
        if (tp->err)
            return tp->err;
        int topic = kc_topic_index(c, tp->topic);
        struct kc_part *p = topic < 0 ? NULL : kc_find(c, (uint16_t)topic, tp->partition);
        if (p)
            p->id.offset = tp->offset < 0 ? -1 : tp->offset;
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void kc_lookup_done(struct kconsumer *c, rd_kafka_event_t *ev)
{
    if (c->state != KC_LOOKUP || (uint64_t)(uintptr_t)rd_kafka_event_opaque(ev) != c->epoch)
        return;
    rd_kafka_resp_err_t err = note_committed(c, ev);
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
