/* slot.h: claims a delivery slot through its consumer group, keeps it, gives it back.
 *
 *   view of im.lease → pick a free slot whose group has no edge → WANT → join the group → assigned → CLAIM, whose offset
 *   is the epoch → claimed() → message()… → revoked: commit, wait to be assigned again, go on under the same epoch as
 *   long as nobody else claimed → lost: lost(), and from the start
 *
 * Lost means: the coordinator said so, a commit was refused, another CLAIM or an EXPIRE of our epoch was seen, or the
 * partition did not come back in time. Loop thread. */
#ifndef PARLEY_EDGE_SLOT_H
#define PARLEY_EDGE_SLOT_H

#include "common/base/backoff.h"
#include "common/base/kconsumer.h"
#include "common/base/kgroups.h"
#include "common/base/kproducer.h"
#include "common/base/kview.h"
#include "common/base/ready.h"
#include "common/im/deploy.h"
#include "common/im/lease.h"
#include "common/im/session.h"

enum slot_state {
    SLOT_OFF,
    SLOT_VIEW,  /* reading im.lease to its end */
    SLOT_PICK,  /* asking who is in the groups, or waiting to ask again */
    SLOT_WANT,  /* WANT is on its way */
    SLOT_JOIN,  /* in the group, not assigned */
    SLOT_CLAIM, /* assigned, CLAIM is on its way */
    SLOT_HELD,
    SLOT_REJOIN, /* held, but the group is being rebalanced */
    SLOT_LEAVE,  /* leaving the group, to start again */
    SLOT_RELEASE /* giving it back for good */
};

struct slot_ops {
    void (*claimed)(void *ctx, uint32_t slot, uint64_t epoch, int64_t next);
    void (*lost)(void *ctx, const char *why);
    bool (*message)(void *ctx, const struct record *); /* false: pause until slot_resume() */
    void (*released)(void *ctx);
    void (*fatal)(void *ctx, const char *why);
};

struct slot { /* visible for edge.c and tests; change it only through the functions */
    struct loop *loop;
    struct ready *ready;
    const struct deploy *deploy;
    const char *address; /* told in CLAIM */
    struct kproducer *producer;
    const struct slot_ops *ops;
    void *ctx;

    enum slot_state state;
    struct lease *lease;
    struct kview *view;
    struct kgroups *groups;
    struct kconsumer *consumer;
    uint32_t slot;
    int64_t epoch, committed; /* committed: as the group says */
    int64_t to_commit;        /* a commit to repeat; -1: none */
    bool committing, commit_again, paused, sending;
    uint16_t input;
    struct timer timer, commit_timer;
    struct loop_job closing;
    int64_t join_ms;  /* patience, longer after each failure */
    int64_t since_ms; /* looking for a slot */
    struct rng rng;
    struct ksend send;
};

/* The producer must outlive it. -errno. */
int MUST_CHECK slot_init(struct slot *, struct loop *, struct ready *, const struct deploy *,
                         struct kproducer *, const char *address, const struct slot_ops *, void *ctx);
void slot_release(struct slot *); /* frees; leaves the group without ceremony when it is still in it */
void slot_commit(struct slot *, int64_t next);
void slot_resume(struct slot *);
void slot_lost(struct slot *, const char *why);   /* somebody else found out */
void slot_give_back(struct slot *, int64_t next); /* commit, RELEASE, leave; then released() */

#endif
