#include "common/base/kview_int.h"

#include "common/base/kstats.h"
#include "common/base/log.h"

#include <errno.h>
#include <stdio.h>

int kfeed_init(struct kfeed *f, struct loop *loop, const struct kconf *kc, const struct kfeed_fetch *how,
               void (*fn)(struct loop_waker *), void *opaque,
               void (*error)(rd_kafka_t *, int err, const char *reason, void *opaque))
{
    static const uint64_t one = 1;
    char min[16], wait[16];
    snprintf(min, sizeof min, "%u", how->min_bytes ? how->min_bytes : 1);
    snprintf(wait, sizeof wait, "%u", how->wait_ms ? how->wait_ms : 100);
    /* The group is only a name: nothing is subscribed, joined or committed. */
    const char *const defaults[] = {"group.id",
                                    "parley-view",
                                    "enable.auto.commit",
                                    "false",
                                    "enable.auto.offset.store",
                                    "false",
                                    "auto.offset.reset",
                                    how->reset,
                                    "enable.partition.eof",
                                    "true",
                                    "fetch.min.bytes",
                                    min,
                                    "fetch.wait.max.ms",
                                    wait,
                                    "fetch.error.backoff.ms",
                                    "20",
                                    "queued.max.messages.kbytes",
                                    "16384",
                                    NULL};
    *f = (struct kfeed){0};
    rd_kafka_conf_t *conf = kconf_build(kc, defaults);
    if (!conf)
        return -EINVAL;
    rd_kafka_conf_set_opaque(conf, opaque);
    rd_kafka_conf_set_error_cb(conf, error);
    kstats_ask(conf, kc);
    char why[256];
    f->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (!f->rk) {
        log_error("kafka reader not created", log_str("why", why));
        rd_kafka_conf_destroy(conf);
        return -EIO;
    }
    rd_kafka_poll_set_consumer(f->rk);
    kstats_follow(f->rk, "view");
    int rc = loop_waker_init(loop, &f->waker, fn);
    if (rc < 0) {
        kfeed_release(f, loop);
        return rc;
    }
    f->waker_up = true;
    f->queue = rd_kafka_queue_get_consumer(f->rk);
    rd_kafka_queue_io_event_enable(f->queue, loop_waker_fd(&f->waker), &one, sizeof one);
    return 0;
}

void kfeed_release(struct kfeed *f, struct loop *loop)
{
    if (f->queue) {
        rd_kafka_queue_io_event_enable(f->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(f->queue);
    }
    kstats_forget(f->rk);
    if (f->rk) {
        rd_kafka_assign(f->rk, NULL);
        rd_kafka_destroy_flags(f->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    }
    if (f->waker_up)
        loop_waker_release(loop, &f->waker);
    *f = (struct kfeed){0};
}

int kfeed_assign(struct kfeed *f, const char *topic, int32_t first, int32_t n, int64_t from)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n);
    for (int32_t i = 0; i < n; i++)
        rd_kafka_topic_partition_list_add(list, topic, first + i)->offset = from;
    rd_kafka_resp_err_t err = rd_kafka_assign(f->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return kconf_errno(err);
}

struct record kfeed_record(const rd_kafka_message_t *m, uint16_t topic)
{
    rd_kafka_timestamp_type_t type;
    return (struct record){.topic = topic,
                           .part = m->partition,
                           .offset = m->offset,
                           .time_ms = rd_kafka_message_timestamp(m, &type),
                           .key = {m->key, m->key_len},
                           .value = {m->payload, m->len}};
}
