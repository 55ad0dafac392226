/* sim_producer.h: what a process has sent and Kafka has not confirmed yet.
 *
 * Records of one partition land in order, some time later; the report follows later still. When the process dies or
 * is stopped, each partition keeps a random part of what was on the way, from the front. A report can say that a
 * record failed (it is not in the log) or that nobody knows. A record lands at most once: an idempotent producer. */
#ifndef PARLEY_SIM_SIM_PRODUCER_H
#define PARLEY_SIM_SIM_PRODUCER_H

#include "tests/sim/sim_log.h"

typedef void sim_report_fn(void *ctx, uint64_t tag, enum sent, int64_t offset);

struct sim_queue;
struct sim_producer {
    struct sim_actor *actor;
    struct sim_queue *queues;
    uint32_t in_flight;
    bool early;        /* planted: reports before the record is in the log */
    const char *point; /* sim_point() at every landing; NULL: none */
};

/* key and value are copied. report may be NULL. */
void sim_send(struct sim_producer *, uint16_t topic, int32_t part, struct slice key, struct slice value,
              sim_report_fn *report, void *ctx, uint64_t tag);
void sim_producer_crash(struct sim_producer *); /* some of it lands after all */
void sim_producer_stop(struct sim_producer *);  /* the process was stopped: some of it lands now */

#endif
