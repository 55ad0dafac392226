/* minder_core.h: who looks after a delivery slot that no edge holds: the decisions, without I/O.
 *
 * A slot whose group has no members twice in a row is joined, after a delay of this worker's own so that one worker
 * does it and not all. Whoever is assigned ends the dead holder's epoch (EXPIRE), hands every message back to its
 * recipients' queues (OffBounce), drops everything else, removes the dead sessions from im.presence, and goes on
 * reading until somebody WANTs or CLAIMs the slot. Positions are committed only below what has been acked. A slot
 * that was never claimed has nothing in it and is left alone.
 *
 * An item for many names handles only. Who they were is known from im.presence: the view, and the sessions that it
 * remembers as ended. What is in history goes back as one record per partition with a list of users (OffGroup). A
 * handle that nobody knows (its session ended long ago, and this worker has not seen it) is counted and logged.
 *
 * The owner feeds both views first and then says what happened; one thread; times are monotonic milliseconds. */
#ifndef PARLEY_OFFLINE_MINDER_CORE_H
#define PARLEY_OFFLINE_MINDER_CORE_H

#include "common/base/core.h"
#include "common/im/lease.h"
#include "common/im/presence.h"

#define MINDER_POLL_MS 1000 /* how often the owner describes the groups of minder_watches() */

struct minder_core;
struct topics;

struct minder_effects { /* called from within the inputs below; none may call back into the minder */
    void (*join)(void *ctx, uint32_t slot);
    void (*leave)(void *ctx, uint32_t slot); /* answered by minder_gone(), now or later */
    void (*commit)(void *ctx, uint32_t slot, int64_t next);
    void (*pause)(void *ctx, uint32_t slot,
                  bool paused); /* no record comes while paused, from the next one on */
    /* part: FX_BY_KEY or a number. Copied by the callee. tag 0: no report wanted. value.n == 0: tombstone. */
    void (*send)(void *ctx, uint16_t topic, int32_t part, struct slice key, struct slice value, uint64_t tag);
};

enum minder_group {                 /* what a group's description says; our own membership included */
                    MINDER_UNKNOWN, /* not described, rebalancing: says nothing */
                    MINDER_EMPTY,
                    MINDER_MEMBERS,
};

struct minder_conf {
    const struct lease *lease;       /* borrowed */
    const struct presence *presence; /* borrowed; it should remember (presence_remember) */
    int32_t offline_parts;           /* partitions of im.offline */
    const char *instance;            /* who we are: seeds the delay, goes into EXPIRE; borrowed */
    uint32_t max_slots;              /* joined at once */
    const struct topics *topics;     /* names for dead letters; borrowed. NULL: none are written */
    const struct minder_effects *effects;
    void *ctx;
};

struct minder_core *minder_core_new(const struct minder_conf *); /* the lease view is at its end */
void minder_core_free(struct minder_core *);

bool minder_watches(const struct minder_core *, uint32_t slot); /* its group should be described */
void minder_described(struct minder_core *, uint32_t slot, enum minder_group, int64_t now_ms);
/* We have the slot and read it from `next` on. */
void minder_assigned(struct minder_core *, uint32_t slot, int64_t next, int64_t now_ms);
/* Somebody else is about to get it, or (may_commit false) has: we leave. */
void minder_released(struct minder_core *, uint32_t slot, bool may_commit, int64_t now_ms);
/* We are out of the group: after leave(), or because it was lost. */
void minder_gone(struct minder_core *, uint32_t slot, int64_t now_ms);
void minder_record(struct minder_core *, uint32_t slot, const struct record *, int64_t now_ms);
void minder_sent(struct minder_core *, uint64_t tag, enum sent, int64_t now_ms);
/* The lease view changed. */
void minder_lease(struct minder_core *, int64_t now_ms);
void minder_tick(struct minder_core *, int64_t now_ms); /* every MINDER_POLL_MS or more often */
void minder_stop(struct minder_core *, int64_t now_ms); /* commits and leaves everything; joins no more */

bool minder_holds(const struct minder_core *, uint32_t slot);
uint32_t minder_joined(const struct minder_core *); /* slots joined or being left */

#endif
