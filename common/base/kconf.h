/* kconf.h: what every Kafka client of a process has in common.
 *
 * The one loop thread owns every client here. librdkafka's own threads never call into the process: reports,
 * rebalances, errors and log lines all arrive through an eventfd on the loop.
 */
#ifndef PARLEY_BASE_KCONF_H
#define PARLEY_BASE_KCONF_H

#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <stdint.h>

struct kconf {
    const char *bootstrap; /* "host:port,host:port" */
    const char *client_id; /* shows up in the broker's group descriptions */
    const json_t
        *properties;   /* object: any librdkafka property, last word; may be NULL. Unknown: a warning */
    uint32_t stats_ms; /* how often clients on the loop tell what they count (kstats.h); 0: never */
};

/* The largest record that producers take, and the largest batch that topics do: a frame of 1 MiB with what is said
 * about it in records. Brokers need no setting of their own, the topic's counts. */
#define KCONF_RECORD_MAX "2000000"
#define KCONF_BATCH_MAX  "2097152" /* max.message.bytes */

/* A topic of the deployment; its index in the process's table is the `topic` of struct record and of fx_send.
 */
struct ktopic {
    const char *name;
    int32_t partitions; /* fixed at creation; 0: not known here */
};

/* A librdkafka configuration with kc applied on top of `defaults` ("name","value", … NULL). NULL: out of
 * memory or a bad value (logged). The caller owns it until rd_kafka_new takes it. */
rd_kafka_conf_t *kconf_build(const struct kconf *kc, const char *const *defaults);

/* murmur2 as Java's default partitioner computes it; the same for records, tombstones and every process. */
int32_t kconf_part_of(const void *key, size_t n, int32_t partitions);

/* 0, or the negative errno that best says what kind of failure this is: -EAGAIN retriable, -EIO fatal, … */
int kconf_errno(rd_kafka_resp_err_t err);

#endif
