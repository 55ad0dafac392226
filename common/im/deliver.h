/* deliver.h: what goes to the edges, gathered over a batch: one record per slot and epoch.
 *
 * One per core; buffers are kept from batch to batch, so that a batch allocates nothing. A record is closed
 * at 256 KiB, 512 items or 8192 handles; items for one slot keep their order. */
#ifndef PARLEY_IM_DELIVER_H
#define PARLEY_IM_DELIVER_H

#include "common/im/codec.h"

#define DELIVER_BYTES (256 << 10)
#define DELIVER_ITEMS 512

struct deliver_item {
    Im__ItemKind kind;
    Im__FrameType frame_type;
    uint32_t seq_id;      /* replies */
    struct slice payload; /* borrowed during the call */
    struct id16 conv;     /* zero: none */
    uint64_t seq;
    struct slice trace; /* 24 bytes or none */
};

struct deliver;
struct deliver *deliver_new(uint32_t slots);
void deliver_free(struct deliver *);

/* To every session of `to`, whatever their slots. A full record is sent at once through fx. Unknown slots are
 * left out. For few: it sorts. */
void deliver_add(struct deliver *, struct fx *, const struct deliver_item *, const struct session *to,
                 size_t n);
void deliver_each(struct deliver *, struct fx *, const struct deliver_item *, const struct session *const *to,
                  size_t n);

/* Sessions of one slot and epoch, for those who have thousands and keep them so. Costs a copy of the handles;
 * nobody is looked at unless they are few enough to be named. */
struct deliver_slot {
    uint32_t slot;
    uint64_t epoch;
    size_t n;
    const uint32_t *handles;
    const struct session *const *who; /* the same ones; needed only when n <= CODEC_DETAILED_MAX */
};
void deliver_many(struct deliver *, struct fx *, const struct deliver_item *, const struct deliver_slot *);
/* To every session of the slot's epoch, whoever they are. */
void deliver_all(struct deliver *, struct fx *, const struct deliver_item *, uint32_t slot, uint64_t epoch);
/* Sends what was gathered; from core_ops.end. */
void deliver_flush(struct deliver *, struct fx *);
/* Forgets it, e.g. when the core is closed. */
void deliver_clear(struct deliver *);

/* One item to one session, not gathered, with a tag for core_ops.sent. */
void deliver_now(struct fx *, const struct deliver_item *, const struct session *to, uint64_t tag);

#endif
