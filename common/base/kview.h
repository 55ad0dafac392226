/* kview.h: readers without a group.
 *
 * kview follows every partition of one small or compacted topic from its beginning, for ever: im.presence,
 * im.lease. `caught_up` is called once, when everything that was in the topic at the start has been handed
 * over; then it is live. krange reads offsets [from, to) of one partition once, and stops: recovery. Both
 * belong to the loop thread.
 */
#ifndef PARLEY_BASE_KVIEW_H
#define PARLEY_BASE_KVIEW_H

#include "common/base/core.h"
#include "common/base/kconf.h"

struct loop;
struct kview;
struct krange;

struct kview_conf {
    struct kconf kafka;
    uint16_t topic;     /* index to put into struct record */
    const char *name;   /* topic name, borrowed */
    int32_t partitions; /* from the deployment profile; required */
    /* A fetch waits for so much, up to fetch_wait_ms, so that many small batches do not cost a fetch each; 0: 1 byte,
     * that is every record at once, and 100 ms. */
    uint32_t fetch_min_bytes, fetch_wait_ms;
    void *ctx;
    void (*message)(void *ctx, const struct record *); /* value.p == NULL: tombstone */
    void (*caught_up)(void *ctx);                      /* may be NULL */
    void (*error)(void *ctx, bool fatal,
                  const char *reason); /* fatal: free it, make a new one; may be NULL */
};

struct kview *kview_new(struct loop *, const struct kview_conf *);
void kview_free(struct kview *);
bool kview_caught_up(const struct kview *);
/* Next offset of a partition: how far this view has seen. */
int64_t kview_position(const struct kview *, int32_t part);

struct krange_conf {
    struct kconf kafka;
    uint16_t topic;
    const char *name;
    int32_t part;
    int64_t from, to; /* to is exclusive; to <= from: done at once (on the next turn) */
    void *ctx;
    /* false: not taken; the same record comes again, first, after krange_resume. */
    bool (*message)(void *ctx, const struct record *);
    void (*done)(void *ctx,
                 int err); /* 0; -ERANGE: the log ends before `to` or `from` is gone; -EIO. Free it then */
};

struct krange *krange_new(struct loop *, const struct krange_conf *);
void krange_resume(struct krange *);
void krange_free(struct krange *); /* allowed inside done */

#endif
