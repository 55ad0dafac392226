#include "bench/kfloor.h"

#include "common/base/kadmin.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

void kfloor_die(const char *what, const char *why)
{
    fprintf(stderr, "parley-bench: %s: %s\n", what, why);
    _Exit(1);
}

void kfloor_topics(const char *kafka, const char *const *names, size_t n)
{
    static const struct kadmin_config config[] = {{"retention.ms", "3600000"},
                                                  {"segment.bytes", "104857600"}};
    struct kadmin *k = kadmin_new(&(struct kconf){.bootstrap = kafka, .client_id = "parley-bench"}, 10000);
    if (!k)
        kfloor_die(kafka, "no client");
    for (size_t i = 0; i < n; i++) {
        int rc = kadmin_create_topic(k, names[i], KFLOOR_PARTS, 0, config, 2);
        if (rc && rc != -EEXIST)
            kfloor_die(names[i], kadmin_error(k));
    }
    kadmin_free(k);
}

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct kfloor_client *c = opaque;
    (void)rk;
    if (m->err)
        kfloor_die("a record was not written", rd_kafka_err2str(m->err));
    c->reported++;
}

static void start(struct kfloor_client *c, rd_kafka_type_t type, const char *kafka,
                  const char *const *defaults)
{
    static const uint64_t one = 1;
    char why[256];
    rd_kafka_conf_t *conf =
        kconf_build(&(struct kconf){.bootstrap = kafka, .client_id = "parley-bench"}, defaults);
    if (!conf)
        kfloor_die(kafka, "bad configuration");
    rd_kafka_conf_set_opaque(conf, c);
    if (type == RD_KAFKA_PRODUCER)
        rd_kafka_conf_set_dr_msg_cb(conf, on_report);
    c->rk = rd_kafka_new(type, conf, why, sizeof why);
    if (!c->rk)
        kfloor_die(kafka, why);
    c->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    c->queue =
        type == RD_KAFKA_PRODUCER ? rd_kafka_queue_get_main(c->rk) : rd_kafka_queue_get_consumer(c->rk);
    rd_kafka_queue_io_event_enable(c->queue, c->wake, &one, sizeof one);
}

void kfloor_producer(struct kfloor_client *c, const char *kafka, const char *topic, uint64_t linger_ms)
{
    char linger[24];
    const rd_kafka_metadata_t *md;
    snprintf(linger, sizeof linger, "%llu", (unsigned long long)linger_ms);
    const char *const defaults[] = {
        "enable.idempotence",           "true",   "linger.ms", linger, "partitioner", "murmur2_random",
        "queue.buffering.max.messages", "100000", NULL};
    *c = (struct kfloor_client){0};
    start(c, RD_KAFKA_PRODUCER, kafka, defaults);
    c->topic = rd_kafka_topic_new(c->rk, topic, NULL);
    rd_kafka_resp_err_t err = rd_kafka_metadata(c->rk, 0, c->topic, &md, 10000);
    if (err)
        kfloor_die(topic, rd_kafka_err2str(err));
    rd_kafka_metadata_destroy(md);
}

void kfloor_consumer(struct kfloor_client *c, const char *kafka, const char *topic)
{
    static const char *const defaults[] = {"group.id",
                                           "parley-bench",
                                           "enable.auto.commit",
                                           "false",
                                           "auto.offset.reset",
                                           "error",
                                           "fetch.min.bytes",
                                           "1",
                                           "fetch.wait.max.ms",
                                           "20",
                                           "fetch.error.backoff.ms",
                                           "20",
                                           "queued.max.messages.kbytes",
                                           "16384",
                                           NULL};
    *c = (struct kfloor_client){0};
    start(c, RD_KAFKA_CONSUMER, kafka, defaults);
    rd_kafka_poll_set_consumer(c->rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(KFLOOR_PARTS);
    for (int32_t p = 0; p < KFLOOR_PARTS; p++) {
        int64_t low, high;
        rd_kafka_resp_err_t err = rd_kafka_query_watermark_offsets(c->rk, topic, p, &low, &high, 10000);
        if (err)
            kfloor_die(topic, rd_kafka_err2str(err));
        rd_kafka_topic_partition_list_add(list, topic, p)->offset = high;
    }
    rd_kafka_resp_err_t err = rd_kafka_assign(c->rk, list);
    if (err)
        kfloor_die(topic, rd_kafka_err2str(err));
    rd_kafka_topic_partition_list_destroy(list);
}

void kfloor_release(struct kfloor_client *c)
{
    if (!c->rk)
        return;
    if (c->topic)
        rd_kafka_topic_destroy(c->topic);
    rd_kafka_queue_io_event_enable(c->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(c->queue);
    rd_kafka_destroy(c->rk);
    close(c->wake);
}

int kfloor_produce(struct kfloor_client *c, const void *key, size_t key_n, const void *value, size_t n)
{
    int32_t part = rd_kafka_msg_partitioner_murmur2(NULL, key, key_n, KFLOOR_PARTS, NULL, NULL);
    if (rd_kafka_produce(c->topic, part, RD_KAFKA_MSG_F_COPY, (void *)(uintptr_t)value, n, key, key_n,
                         NULL) == 0)
        return 1;
    if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
        kfloor_die("produce", rd_kafka_err2str(rd_kafka_last_error()));
    return 0;
}

void kfloor_reports(struct kfloor_client *c)
{
    rd_kafka_poll(c->rk, 0);
}

rd_kafka_message_t *kfloor_next(struct kfloor_client *c)
{
    rd_kafka_message_t *m = rd_kafka_consumer_poll(c->rk, 0);
    if (m && m->err)
        kfloor_die("consume", rd_kafka_message_errstr(m));
    return m;
}

void kfloor_wait(struct kfloor_client *a, struct kfloor_client *b, int ms)
{
    uint64_t n;
    struct pollfd p[2] = {{.fd = a->wake, .events = POLLIN}, {.fd = b ? b->wake : -1, .events = POLLIN}};
    if (poll(p, 2, ms) <= 0)
        return;
    for (int i = 0; i < 2; i++)
        if (p[i].revents && read(p[i].fd, &n, sizeof n) < 0 && errno != EAGAIN)
            kfloor_die("eventfd", strerror(errno));
}
