/* sim_log.h: the log in memory: partitions as vectors, LogAppendTime, readers that come late. */
#ifndef PARLEY_SIM_SIM_LOG_H
#define PARLEY_SIM_SIM_LOG_H

#include "common/im/topics.h"
#include "tests/sim/sim.h"

#define SIM_TOPICS (T_DELIVER0 + SIM_SLOTS)

struct sim_reader;
struct sim_part {
    struct record *v;
    int64_t n, cap;
    struct sim_reader *readers;
};
struct sim_log {
    int32_t parts[SIM_TOPICS];
    struct sim_part part[SIM_TOPICS][SIM_PARTS];
};

/* Follows one partition. deliver() gets the records in order, a few at a time; false: no more until
 * sim_reader_kick(). Belongs to an actor and dies with it. */
struct sim_reader {
    struct sim_reader *next;
    struct sim *sim;
    struct sim_actor *actor;
    uint32_t life;
    uint16_t topic;
    int32_t part;
    int64_t at;
    int64_t lag; /* at most this much later than a fetch takes */
    bool scheduled, closed, full;
    bool (*deliver)(void *ctx, const struct record *);
    void *ctx;
};

void sim_log_init(struct sim *);
int64_t sim_log_append(struct sim *, uint16_t topic, int32_t part, struct slice key, struct slice value);
int32_t sim_log_partition(const struct sim *, uint16_t topic, struct slice key);
int64_t sim_log_end(const struct sim *, uint16_t topic, int32_t part);

void sim_reader_open(struct sim_reader *, struct sim_actor *, uint16_t topic, int32_t part, int64_t at,
                     bool (*deliver)(void *, const struct record *), void *ctx);
void sim_reader_close(struct sim_reader *);
void sim_reader_kick(struct sim_reader *);

#endif
