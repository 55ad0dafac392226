/* kconsumer.h: a member of a consumer group, on the loop thread, never blocking it.
 *
 * Joins by subscribe (range assignor, eager), so topics of equal partition count are assigned together and
 * the coordinator fences the commits of a member it has dropped. Never commits by itself.
 *
 * Life of a partition: `assigned` (with what the group has committed) → the owner finds where to start, at
 * leisure → kconsumer_start(offset) → `message` … → `revoked`: finish, commit, kconsumer_revoke_done; or
 * `lost`: throw its state away, nothing of it may be committed any more (no answer needed). kconsumer_start
 * again with another offset rewinds; kconsumer_halt stops one partition and keeps the others.
 *
 * Back-pressure: kconsumer_pause stops `message` for that partition at once and costs nothing; librdkafka
 * keeps at most queue_kbytes per partition meanwhile. Heartbeats and polls go on while paused, idle or not
 * yet started.
 */
#ifndef PARLEY_BASE_KCONSUMER_H
#define PARLEY_BASE_KCONSUMER_H

#include "common/base/core.h"
#include "common/base/kconf.h"

struct loop;
struct kconsumer;
struct kmsg; /* a message's memory (rd_kafka_message_t) */

struct kpart {
    uint16_t topic; /* index into the process's topic table */
    int32_t part;
    int64_t offset; /* committed offset; -1: none */
};

enum kconsumer_error {
    KCONSUMER_OUT_OF_RANGE, /* the start offset is gone (retention overtook us) or beyond the end: partition
                               halted */
    KCONSUMER_PARTITION, /* another error of one partition (topic deleted, not authorised …): partition halted
                          */
    KCONSUMER_FATAL,     /* the client is dead: free it and make a new one, or exit */
    KCONSUMER_TRANSIENT, /* brokers away and the like; it retries by itself; for readyz */
};

struct kconsumer_ops {
    void (*assigned)(void *ctx, const struct kpart *, size_t n);
    void (*revoked)(void *ctx, const struct kpart *, size_t n);
    void (*lost)(void *ctx, const struct kpart *, size_t n);
    /* Borrowed until return. Return true to keep it (kmsg_free later, from any turn; it pins its fetch
     * buffer, so copy what you keep for long), false when done with it. */
    bool (*message)(void *ctx, const struct record *, struct kmsg *);
    /* part == NULL: of the whole client. */
    void (*error)(void *ctx, enum kconsumer_error, const struct kpart *part, const char *reason);
};

struct kconsumer_conf {
    struct kconf kafka;
    const char *group;
    const struct ktopic *topics; /* the process's table, borrowed for the consumer's life */
    size_t n_topics;
    const uint16_t *inputs; /* indices of the topics to subscribe to */
    size_t n_inputs;
    const char
        *instance_id; /* static membership; NULL: dynamic (a graceful stop then frees partitions at once) */
    uint32_t fetch_wait_ms;   /* 0: 100; edges 10–20 */
    uint32_t fetch_min_bytes; /* 0: 1, every record at once; more: readers that would rather have many, with a
                               * fetch_wait_ms that they can bear */
    uint32_t session_ms;      /* 0: 6000 */
    uint32_t queue_kbytes;    /* prefetched per partition; 0: 16384 */
    uint32_t turn_max;        /* messages handed out per loop turn; 0: 4096 */
    void *ctx;
    struct kconsumer_ops ops;
};

void kmsg_free(struct kmsg *);

struct kconsumer *kconsumer_new(struct loop *, const struct kconsumer_conf *);
/* Leaves the group, from inside a callback too: `revoked` (answer it as always) or `lost` come first, then closed()
 * once. Then free it. */
void kconsumer_close(struct kconsumer *, void (*closed)(void *ctx), void *ctx);
/* Without a close before: vanishes like a crash, the group notices after session_ms. Commits in flight get no
 * answer; kept messages must have been freed. */
void kconsumer_free(struct kconsumer *);

int kconsumer_start(struct kconsumer *, uint16_t topic, int32_t part, int64_t offset); /* -ENOENT: not ours */
void kconsumer_halt(struct kconsumer *, uint16_t topic, int32_t part);
void kconsumer_pause(struct kconsumer *, uint16_t topic, int32_t part);
void kconsumer_resume(struct kconsumer *, uint16_t topic, int32_t part);
void kconsumer_revoke_done(struct kconsumer *);

/* Commits; `done` is called once, on the loop. 0: stored. -EAGAIN: transient, the next commit covers it.
 * -ESTALE: refused (unknown member, old generation, not ours): the assignment is lost, whatever else is said.
 * done may be NULL. Returns 0 or -ENOENT when nothing is assigned. Partitions in revocation may be committed.
 */
typedef void kcommit_fn(void *ctx, int err);
int kconsumer_commit(struct kconsumer *, const struct kpart *, size_t n, kcommit_fn *done, void *ctx);

bool kconsumer_owned(const struct kconsumer *, uint16_t topic, int32_t part);
int64_t kconsumer_lag(const struct kconsumer *, uint16_t topic,
                      int32_t part); /* behind the high watermark; -1: unknown */
/* First offset still in the log; blocks up to 1 s: for recoveries only. Negative errno. */
int64_t kconsumer_low(struct kconsumer *, uint16_t topic, int32_t part);
const char *kconsumer_member(const struct kconsumer *); /* member id, "" before the first join */

#endif
