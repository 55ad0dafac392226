#include "common/base/kadmin.h"
#include "common/base/clock.h"
#include "common/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

struct kadmin {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue; /* answers */
    int timeout_ms;
    char why[256];
};

static int fail(struct kadmin *a, rd_kafka_resp_err_t err, const char *why)
{
    snprintf(a->why, sizeof a->why, "%s", why && *why ? why : rd_kafka_err2str(err));
    return kconf_errno(err);
}

struct kadmin *kadmin_new(const struct kconf *kc, int timeout_ms)
{
    char why[256];
    struct kadmin *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->timeout_ms = timeout_ms;
    rd_kafka_conf_t *conf = kconf_build(kc, NULL);
    if (!conf || !(a->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why))) {
        if (conf) {
            log_error("kafka admin client not created", log_str("why", why));
            rd_kafka_conf_destroy(conf);
        }
        free(a);
        return NULL;
    }
    a->queue = rd_kafka_queue_new(a->rk);
    return a;
}

void kadmin_free(struct kadmin *a)
{
    if (!a)
        return;
    rd_kafka_queue_destroy(a->queue);
    rd_kafka_destroy(a->rk);
    free(a);
}

const char *kadmin_error(const struct kadmin *a)
{
    return a->why;
}

static rd_kafka_AdminOptions_t *options(struct kadmin *a, rd_kafka_admin_op_t op)
{
    char why[128];
    rd_kafka_AdminOptions_t *o = rd_kafka_AdminOptions_new(a->rk, op);
    rd_kafka_AdminOptions_set_request_timeout(o, a->timeout_ms, why, sizeof why);
    if (op == RD_KAFKA_ADMIN_OP_CREATETOPICS || op == RD_KAFKA_ADMIN_OP_DELETETOPICS)
        rd_kafka_AdminOptions_set_operation_timeout(o, a->timeout_ms, why, sizeof why);
    return o;
}

/* The answer; NULL with *rc set when there is none. */
static rd_kafka_event_t *await(struct kadmin *a, int *rc)
{
    rd_kafka_event_t *ev = rd_kafka_queue_poll(a->queue, a->timeout_ms + 1000);
    *rc = 0;
    if (!ev) {
        *rc = fail(a, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL);
    } else if (rd_kafka_event_error(ev)) {
        *rc = fail(a, rd_kafka_event_error(ev), rd_kafka_event_error_string(ev));
        rd_kafka_event_destroy(ev);
        ev = NULL;
    }
    return ev;
}

/* ---- cluster ---- */
int kadmin_brokers(struct kadmin *a, int *count)
{
    const rd_kafka_metadata_t *md;
    rd_kafka_resp_err_t err = rd_kafka_metadata(a->rk, 0, NULL, &md, a->timeout_ms);
    if (err)
        return fail(a, err, NULL);
    *count = md->broker_cnt;
    rd_kafka_metadata_destroy(md);
    return *count > 0 ? 0 : -EAGAIN;
}

int kadmin_ping(struct kadmin *a)
{
    int n;
    return kadmin_brokers(a, &n);
}

int kadmin_cluster_id(struct kadmin *a, char *out, size_t n)
{
    char *id = rd_kafka_clusterid(a->rk, a->timeout_ms);
    if (!id)
        return fail(a, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL);
    snprintf(out, n, "%s", id);
    rd_kafka_mem_free(a->rk, id);
    return 0;
}

/* ---- topics ---- */
static int topic_result(struct kadmin *a, const rd_kafka_topic_result_t **r, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (rd_kafka_topic_result_error(r[i]))
            return fail(a, rd_kafka_topic_result_error(r[i]), rd_kafka_topic_result_error_string(r[i]));
    return 0;
}

/* The controller has made it; the brokers hear of it a moment later. */
static int await_topic(struct kadmin *a, const char *name)
{
    int64_t end = clock_mono_ms() + a->timeout_ms;
    int32_t n;
    int rc;
    while ((rc = kadmin_partitions(a, name, &n)) == -ENOENT && clock_mono_ms() < end)
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    return rc;
}

int kadmin_create_topic(struct kadmin *a, const char *name, int32_t partitions, int replication,
                        const struct kadmin_config *configs, size_t n)
{
    char why[256];
    int rc;
    rd_kafka_NewTopic_t *t =
        rd_kafka_NewTopic_new(name, partitions, replication ? replication : -1, why, sizeof why);
    if (!t)
        return fail(a, RD_KAFKA_RESP_ERR__INVALID_ARG, why);
    for (size_t i = 0; i < n; i++)
        rd_kafka_NewTopic_set_config(t, configs[i].name, configs[i].value);
    rd_kafka_AdminOptions_t *o = options(a, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_CreateTopics(a->rk, &t, 1, o, a->queue);
    rd_kafka_AdminOptions_destroy(o);
    rd_kafka_NewTopic_destroy(t);
    rd_kafka_event_t *ev = await(a, &rc);
    if (!ev)
        return rc;
    size_t cnt;
    const rd_kafka_topic_result_t **r =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(ev), &cnt);
    rc = topic_result(a, r, cnt);
    rd_kafka_event_destroy(ev);
    return rc ? rc : await_topic(a, name);
}

int kadmin_delete_topic(struct kadmin *a, const char *name)
{
    int rc;
    size_t cnt;
    rd_kafka_DeleteTopic_t *t = rd_kafka_DeleteTopic_new(name);
    rd_kafka_AdminOptions_t *o = options(a, RD_KAFKA_ADMIN_OP_DELETETOPICS);
    rd_kafka_DeleteTopics(a->rk, &t, 1, o, a->queue);
    rd_kafka_AdminOptions_destroy(o);
    rd_kafka_DeleteTopic_destroy(t);
    rd_kafka_event_t *ev = await(a, &rc);
    if (!ev)
        return rc;
    const rd_kafka_topic_result_t **r =
        rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(ev), &cnt);
    rc = topic_result(a, r, cnt);
    rd_kafka_event_destroy(ev);
    return rc;
}

/* Asks for all topics: a topic handle kept for the asking would make the client remember a missing topic. */
int kadmin_partitions(struct kadmin *a, const char *name, int32_t *count)
{
    const rd_kafka_metadata_t *md;
    rd_kafka_resp_err_t err = rd_kafka_metadata(a->rk, 1, NULL, &md, a->timeout_ms);
    if (err)
        return fail(a, err, NULL);
    int rc = -ENOENT;
    for (int i = 0; i < md->topic_cnt; i++) {
        if (strcmp(md->topics[i].topic, name))
            continue;
        rc = md->topics[i].err ? fail(a, md->topics[i].err, NULL) : 0;
        if (!rc)
            *count = md->topics[i].partition_cnt;
    }
    rd_kafka_metadata_destroy(md);
    return rc == -ENOENT ? fail(a, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, NULL) : rc;
}

static int copy_config(struct kadmin *a, rd_kafka_event_t *ev, const char *key, char *out, size_t n)
{
    size_t n_res, n_ent;
    const rd_kafka_ConfigResource_t **res =
        rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(ev), &n_res);
    if (!n_res)
        return -ENOENT;
    if (rd_kafka_ConfigResource_error(res[0]))
        return fail(a, rd_kafka_ConfigResource_error(res[0]), rd_kafka_ConfigResource_error_string(res[0]));
    const rd_kafka_ConfigEntry_t **ent = rd_kafka_ConfigResource_configs(res[0], &n_ent);
    for (size_t i = 0; i < n_ent; i++) {
        const char *value = rd_kafka_ConfigEntry_value(ent[i]);
        if (strcmp(rd_kafka_ConfigEntry_name(ent[i]), key) || !value)
            continue;
        snprintf(out, n, "%s", value);
        return 0;
    }
    return fail(a, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, "no such topic setting");
}

int kadmin_topic_config(struct kadmin *a, const char *name, const char *key, char *out, size_t n)
{
    int rc;
    rd_kafka_ConfigResource_t *r = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name);
    rd_kafka_AdminOptions_t *o = options(a, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_DescribeConfigs(a->rk, &r, 1, o, a->queue);
    rd_kafka_AdminOptions_destroy(o);
    rd_kafka_ConfigResource_destroy(r);
    rd_kafka_event_t *ev = await(a, &rc);
    if (!ev)
        return rc;
    rc = copy_config(a, ev, key, out, n);
    rd_kafka_event_destroy(ev);
    return rc;
}

int kadmin_watermarks(struct kadmin *a, const char *topic, int32_t part, int64_t *low, int64_t *high)
{
    rd_kafka_resp_err_t err = rd_kafka_query_watermark_offsets(a->rk, topic, part, low, high, a->timeout_ms);
    return err ? fail(a, err, NULL) : 0;
}

/* ---- group offsets ---- */
static int group_errors(struct kadmin *a, const rd_kafka_group_result_t **g, size_t n_groups)
{
    if (n_groups != 1)
        return -EIO;
    const rd_kafka_error_t *e = rd_kafka_group_result_error(g[0]);
    if (e)
        return fail(a, rd_kafka_error_code(e), rd_kafka_error_string(e));
    const rd_kafka_topic_partition_list_t *l = rd_kafka_group_result_partitions(g[0]);
    for (int i = 0; l && i < l->cnt; i++)
        if (l->elems[i].err)
            return fail(a, l->elems[i].err, NULL);
    return 0;
}

/* By a consumer that never joins: librdkafka 2.0.2's Admin API dies of a broker that cannot yet say who coordinates the
 * group, as a fresh one does, and rd_kafka_committed() waits for it. */
static rd_kafka_t *member_of(struct kadmin *a, const char *group)
{
    char why[256] = "no memory";
    rd_kafka_conf_t *conf = rd_kafka_conf_dup(rd_kafka_conf(a->rk));
    rd_kafka_t *rk = NULL;
    if (rd_kafka_conf_set(conf, "group.id", group, why, sizeof why) == RD_KAFKA_CONF_OK)
        rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        snprintf(a->why, sizeof a->why, "%s", why);
    }
    return rk;
}

int kadmin_group_offsets(struct kadmin *a, const char *group, const char *topic, int64_t *offsets, int32_t n)
{
    rd_kafka_t *rk = member_of(a, group);
    if (!rk)
        return -ENOMEM;
    rd_kafka_topic_partition_list_t *l = rd_kafka_topic_partition_list_new(n);
    for (int32_t p = 0; p < n; p++)
        rd_kafka_topic_partition_list_add(l, topic, p);
    rd_kafka_resp_err_t err = rd_kafka_committed(rk, l, a->timeout_ms);
    for (int i = 0; i < l->cnt && !err; i++) {
        err = l->elems[i].err;
        offsets[l->elems[i].partition] = l->elems[i].offset < 0 ? -1 : l->elems[i].offset;
    }
    rd_kafka_topic_partition_list_destroy(l);
    rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return err ? fail(a, err, NULL) : 0;
}

int kadmin_commit_offsets(struct kadmin *a, const char *group, const char *topic, const int64_t *offsets,
                          int32_t n)
{
    int rc;
    size_t cnt;
    rd_kafka_topic_partition_list_t *l = rd_kafka_topic_partition_list_new(n);
    for (int32_t p = 0; p < n; p++)
        if (offsets[p] >= 0)
            rd_kafka_topic_partition_list_add(l, topic, p)->offset = offsets[p];
    rd_kafka_AlterConsumerGroupOffsets_t *req = rd_kafka_AlterConsumerGroupOffsets_new(group, l);
    rd_kafka_AdminOptions_t *o = options(a, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS);
    rd_kafka_AlterConsumerGroupOffsets(a->rk, &req, 1, o, a->queue);
    rd_kafka_AdminOptions_destroy(o);
    rd_kafka_AlterConsumerGroupOffsets_destroy(req);
    rd_kafka_topic_partition_list_destroy(l);
    rd_kafka_event_t *ev = await(a, &rc);
    if (!ev)
        return rc;
    const rd_kafka_group_result_t **g = rd_kafka_AlterConsumerGroupOffsets_result_groups(
        rd_kafka_event_AlterConsumerGroupOffsets_result(ev), &cnt);
    rc = group_errors(a, g, cnt);
    rd_kafka_event_destroy(ev);
    return rc == -ESTALE ? -EBUSY : rc;
}
