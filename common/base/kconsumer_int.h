/* kconsumer_int.h: what kconsumer.c (group, commits) and kconsumer_fetch.c (partitions, messages) share.
 *
 * Every partition has a queue of its own, so pausing one is not looking at it: nothing is fetched twice. A
 * change of start offsets goes into one rd_kafka_assign() with the present position of all others (never a
 * seek). A rewind takes the partition out first and puts it back once its old messages are certain to be
 * gone.
 */
#ifndef PARLEY_BASE_KCONSUMER_INT_H
#define PARLEY_BASE_KCONSUMER_INT_H

#include "common/base/kask.h"
#include "common/base/kconsumer.h"
#include "common/base/loop.h"

enum kc_state { KC_IDLE, KC_LOOKUP, KC_ASSIGNED, KC_REVOKING };

struct kc_part {
    struct kpart id; /* offset: committed when assigned */
    int64_t next;    /* to be handed out next */
    bool started, paused;
    bool in_assign;          /* part of the last rd_kafka_assign */
    bool rewound;            /* `next` was set by the owner: nothing that is queued counts */
    rd_kafka_queue_t *queue; /* while in_assign */
};

struct kc_commit {
    struct kc_commit *next, **prev;
    kcommit_fn *done;
    void *ctx;
};

struct
    kc_ask { /* committed offsets; the client is shared with its thread and outlives the consumer if it must */
    struct kask ask;
    uint64_t epoch; /* of the assignment that it is about */
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t err;
};

struct kconsumer {
    struct loop *loop;
    struct kconsumer_conf conf;
    rd_kafka_t *rk;
    rd_kafka_queue_t *events, *group_queue;
    struct loop_waker waker;
    struct loop_job apply, leave;
    struct kc_ask *lookup;
    struct timer keep_alive, retry;
    enum kc_state state;
    uint64_t epoch; /* of the assignment: answers to older questions are dropped */
    struct kc_part *parts;
    size_t n_parts, turn_at;
    struct kc_commit *commits;
    char *member;
    bool waker_up, fatal, told_fatal, serving, closing, closed_told;
    bool *dead; /* set when freed inside a callback */
    void (*closed)(void *);
    void *closed_ctx;
};

struct kc_part *kc_find(const struct kconsumer *, uint16_t topic, int32_t part);
void kc_apply(struct loop_job *); /* carries starts and halts to librdkafka */
void kc_assign(struct kconsumer *, const rd_kafka_topic_partition_list_t *); /* and waits for its effect */
void kc_stop_part(struct kc_part *);                                         /* forgets its queue */
void kc_clear_parts(struct kconsumer *);
bool kc_serve_parts(struct kconsumer *, bool *dead); /* true: there is more */

/* kconsumer_offsets.c */
typedef void kc_parts_fn(void *, const struct kpart *, size_t);
int kc_topic_index(const struct kconsumer *, const char *name);
void kc_tell(struct kconsumer *, kc_parts_fn *);
void kc_tell_error(struct kconsumer *, enum kconsumer_error, const char *why);
struct kc_ask *kc_ask_new(rd_kafka_t *, struct loop_waker *);
void kc_lookup(struct kconsumer *);
void kc_lookup_again(struct timer *);
void kc_lookup_serve(struct kconsumer *);
void kc_commit_done(rd_kafka_event_t *);
void kc_commit_end(struct kc_commit *, int rc);

#endif
