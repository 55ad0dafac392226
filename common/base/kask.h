/* kask.h: one blocking question at a time to a Kafka client, on a thread of its own; the answer is seen on the loop.
 *
 * This is how group coordinators are asked. librdkafka's Admin API asks them without blocking, but aborts the process
 * when the broker goes away meanwhile (its issue 4605); the older blocking calls do not.
 *
 * Embedded in a struct of its own on the heap, which also holds question and answer: these are the thread's from
 * kask_start() to the wake, the loop thread's otherwise. kask_drop() may come at any time and never waits: a thread
 * that is still asking then ends the client and frees the struct itself.
 */
#ifndef PARLEY_BASE_KASK_H
#define PARLEY_BASE_KASK_H

#include "common/base/loop.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>

struct kask {
    rd_kafka_t *rk;                 /* the thread may make it */
    void (*work)(struct kask *);    /* thread; blocks for a bounded time */
    void (*release)(struct kask *); /* frees the struct, the client is gone; loop or thread */
    struct loop_waker *waker;       /* woken after each work() */
    pthread_mutex_t lock;           /* of what follows */
    bool running, answered, orphan;
};

void kask_init(struct kask *, rd_kafka_t *, struct loop_waker *, void (*work)(struct kask *),
               void (*release)(struct kask *));
/* -EBUSY: the last one is not answered and taken yet; -EAGAIN: no thread to be had. */
int MUST_CHECK kask_start(struct kask *);
bool kask_take(struct kask *); /* true once for each question, when it is answered */
bool kask_busy(struct kask *); /* a question is under way or its answer not taken */
/* Ends the client (rd_kafka_destroy_flags) and the struct, now or when the thread is done. Its queues have no
 * wake-ups left and are destroyed, its waker may go afterwards. */
void kask_drop(struct kask *, int destroy_flags);

#endif
