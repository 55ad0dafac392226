#include "bench/ends.h"

#include "common/base/kconf.h"
#include "common/im/topics.h"

#include <errno.h>
#include <stdio.h>

static int add(rd_kafka_t *rk, const struct topic *t, uint64_t *sum)
{
    for (int32_t p = 0; p < t->parts; p++) {
        int64_t low, high;
        rd_kafka_resp_err_t err = rd_kafka_query_watermark_offsets(rk, t->name, p, &low, &high, 10000);
        if (err) {
            fprintf(stderr, "parley-bench: %s: %s\n", t->name, rd_kafka_err2str(err));
            return -EIO;
        }
        *sum += (uint64_t)high;
    }
    return 0;
}

int ends_read(const char *kafka, struct ends *out)
{
    char why[256];
    int rc = -EIO;
    *out = (struct ends){0};
    struct topics *t = topics_new(NULL, "small", "", why, sizeof why);
    rd_kafka_conf_t *conf =
        kconf_build(&(struct kconf){.bootstrap = kafka, .client_id = "parley-bench"}, NULL);
    rd_kafka_t *rk = t && conf ? rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why) : NULL;
    if (!rk) {
        fprintf(stderr, "parley-bench: topics: %s\n", why);
    } else {
        rc = add(rk, topics_get(t, T_INBOUND), &out->inbound) ||
             add(rk, topics_get(t, T_CONVERSATION), &out->conversation) ||
             add(rk, topics_get(t, T_OFFLINE), &out->offline);
        for (uint32_t s = 0; !rc && s < topics_slots(t); s++)
            rc = add(rk, topics_get(t, topic_of_slot(s)), &out->deliver);
        rd_kafka_destroy(rk);
    }
    topics_free(t);
    return rc ? -EIO : 0;
}
