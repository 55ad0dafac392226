/* kproducer.h: an idempotent producer whose delivery reports arrive on the loop thread.
 *
 * A report comes exactly once for every accepted send that has a struct ksend: SENT_OK means the record is in
 * the log with acks=all; SENT_FAILED that it certainly is not; SENT_UNKNOWN that it may be (timed out in
 * flight). kproducer_free gives the outstanding ones their report before it returns, so their memory may go
 * afterwards.
 *
 * Back-pressure: -EAGAIN means nothing was taken; stop reading your source and wait for `writable`.
 * A fatal error ends the instance: `fatal` is called once, sends then return -EPIPE; free it and make a new
 * one (or exit) and repeat what was not reported SENT_OK.
 */
#ifndef PARLEY_BASE_KPRODUCER_H
#define PARLEY_BASE_KPRODUCER_H

#include "common/base/core.h"
#include "common/base/kconf.h"

struct loop;
struct kproducer;

struct kreport {
    enum sent outcome;
    rd_kafka_resp_err_t err;
    uint16_t topic;
    int32_t part;
    int64_t offset;     /* valid when SENT_OK */
    struct slice value; /* the payload; for kproducer_send_ref the caller's own pointer */
};

/* Embedded in the caller's struct; must stay put until its report. No allocation per send on our side. */
struct ksend {
    void (*done)(struct ksend *, const struct kreport *);
};

struct kproducer_conf {
    struct kconf kafka;
    const struct ktopic *topics; /* borrowed for the producer's life */
    size_t n_topics;
    const uint16_t *warm; /* topics whose metadata is fetched at start (short blocking calls); NULL: all */
    size_t n_warm;
    uint32_t max_messages;       /* in flight before -EAGAIN; 0: 100000 */
    uint32_t max_kbytes;         /* the same in KiB; 0: 262144 */
    uint32_t linger_ms;          /* 0 or at least 1 */
    uint32_t timeout_ms;         /* then a send is SENT_UNKNOWN/FAILED; 0: 300000 */
    void *ctx;                   /* of the callbacks; each may be NULL */
    void (*writable)(void *ctx); /* after a -EAGAIN: there is room again */
    void (*ready)(void *ctx);    /* all topics' leaders are known: first sends will not stall */
    void (*fatal)(void *ctx, int code, const char *reason);
};

struct kproducer *kproducer_new(struct loop *, const struct kproducer_conf *);
void kproducer_free(struct kproducer *,
                    int flush_ms); /* flush up to flush_ms (blocking), report the rest, destroy */

/* part: a number, or FX_BY_KEY. The key is always copied; send copies the value, send_ref keeps the pointer
 * until the report (s must then not be NULL). value.p == NULL: tombstone. s may be NULL: fire and forget
 * (errors are counted). Returns 0, -EAGAIN (queue full, or partition count not yet known), -EPIPE (fatal),
 * -EMSGSIZE, -EINVAL. */
int kproducer_send(struct kproducer *, uint16_t topic, int32_t part, struct slice key, struct slice value,
                   struct ksend *s);
int kproducer_send_ref(struct kproducer *, uint16_t topic, int32_t part, struct slice key, struct slice value,
                       struct ksend *s);

/* Serves reports now instead of at the next wake-up (end of a turn, waiting in a test). */
void kproducer_poll(struct kproducer *);

bool kproducer_ready(const struct kproducer *);
int32_t kproducer_partitions(const struct kproducer *, uint16_t topic); /* from metadata; 0: not known yet */

struct kproducer_stats {
    uint64_t in_flight, in_flight_bytes;
    uint64_t sent, ok, failed, unknown, full; /* totals since start */
};
void kproducer_stats(const struct kproducer *, struct kproducer_stats *);

#endif
