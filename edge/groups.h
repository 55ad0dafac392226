/* groups.h: who is in the slots' consumer groups, and how far the router has read; asked from a pool thread.
 *
 * Not with librdkafka's Admin API: its coordinator requests (DescribeConsumerGroups, ListConsumerGroupOffsets) abort the
 * process when the broker goes away under them (librdkafka issue 4605, open in every release up to now). The
 * older blocking calls do not. Each function blocks up to ms; one thread at a time per handle. */
#ifndef PARLEY_EDGE_GROUPS_H
#define PARLEY_EDGE_GROUPS_H

#include "common/base/kconf.h"
#include "common/base/macros.h"

#include <stdbool.h>
#include <stddef.h>

struct groups_state {
    const char *name; /* set by the caller */
    bool edge;        /* a member's client.id begins with "parley-edge" */
    size_t members;
};

/* A client that joins nothing; `group` is whose offsets groups_committed() reads, NULL: none. NULL: no memory. */
rd_kafka_t *groups_client(const struct kconf *, const char *group);
/* 0; -EAGAIN: Kafka does not answer. A group that does not exist has no members. */
int MUST_CHECK groups_look(rd_kafka_t *, struct groups_state *, size_t n, int ms);
/* Per partition: committed offset (-1: none), first and next offset of the log. 0; -EAGAIN. */
int MUST_CHECK groups_progress(rd_kafka_t *, const char *topic, int32_t n, int64_t *committed, int64_t *low,
                               int64_t *high, int ms);

#endif
