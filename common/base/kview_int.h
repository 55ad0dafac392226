/* kview_int.h: the client that kview.c and krange.c have in common: a consumer that assigns itself. */
#ifndef PARLEY_BASE_KVIEW_INT_H
#define PARLEY_BASE_KVIEW_INT_H

#include "common/base/kview.h"
#include "common/base/loop.h"

struct kfeed {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    struct loop_waker waker;
    bool waker_up;
};

#define KFEED_TURN 4096 /* messages handed out per loop turn */

struct kfeed_fetch {
    const char *reset;           /* auto.offset.reset */
    uint32_t min_bytes, wait_ms; /* 0: 1 and 100 */
};

/* Wakes fn when there is something to poll. -EIO, -errno: logged. */
int kfeed_init(struct kfeed *, struct loop *, const struct kconf *, const struct kfeed_fetch *,
               void (*fn)(struct loop_waker *), void *opaque,
               void (*error)(rd_kafka_t *, int err, const char *reason, void *opaque));
void kfeed_release(struct kfeed *, struct loop *);
/* `n` partitions from `first` on, all from the same offset (which may be a logical one). */
int kfeed_assign(struct kfeed *, const char *topic, int32_t first, int32_t n, int64_t from);

struct record kfeed_record(const rd_kafka_message_t *, uint16_t topic);

#endif
