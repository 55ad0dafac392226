#include "edge/groups.h"

#include <errno.h>
#include <string.h>

rd_kafka_t *groups_client(const struct kconf *kafka, const char *group)
{
    const char *const defaults[] = {"enable.auto.commit", "false", group ? "group.id" : NULL, group, NULL};
    char why[256];
    rd_kafka_conf_t *conf = kconf_build(kafka, defaults);
    if (!conf)
        return NULL;
    rd_kafka_t *rk = rd_kafka_new(group ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!rk)
        rd_kafka_conf_destroy(conf);
    return rk;
}

static void note(struct groups_state *g, const struct rd_kafka_group_info *info)
{
    g->members = (size_t)info->member_cnt;
    for (int i = 0; i < info->member_cnt; i++)
        g->edge |= strncmp(info->members[i].client_id, "parley-edge", 11) == 0;
}

int groups_look(rd_kafka_t *rk, struct groups_state *g, size_t n, int ms)
{
    const struct rd_kafka_group_list *list = NULL;
    if (rd_kafka_list_groups(rk, NULL, &list, ms)) { /* a part of the answer is none */
        if (list)
            rd_kafka_group_list_destroy(list);
        return -EAGAIN;
    }
    int rc = 0;
    for (size_t k = 0; k < n; k++) {
        g[k].edge = false;
        g[k].members = 0;
        for (int i = 0; i < list->group_cnt; i++) {
            if (strcmp(list->groups[i].group, g[k].name))
                continue;
            if (list->groups[i].err && list->groups[i].err != RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND)
                rc = -EAGAIN;
            note(&g[k], &list->groups[i]);
        }
    }
    rd_kafka_group_list_destroy(list);
    return rc;
}

int groups_progress(rd_kafka_t *rk, const char *topic, int32_t n, int64_t *committed, int64_t *low,
                    int64_t *high, int ms)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n);
    for (int32_t i = 0; i < n; i++)
        rd_kafka_topic_partition_list_add(list, topic, i);
    int rc = rd_kafka_committed(rk, list, ms) ? -EAGAIN : 0;
    for (int i = 0; i < list->cnt && rc == 0; i++) {
        const rd_kafka_topic_partition_t *p = &list->elems[i];
        committed[p->partition] = p->offset >= 0 ? p->offset : -1;
        if (p->err || rd_kafka_query_watermark_offsets(rk, topic, p->partition, &low[p->partition],
                                                       &high[p->partition], ms))
            rc = -EAGAIN;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}
