/* minder.h: the minder's hands: groups described, slots joined and read, records written (minder_core.h decides).
 *
 * One Kafka consumer per minded slot, one producer, one client that asks about groups. Loop thread only. */
#ifndef PARLEY_OFFLINE_MINDER_H
#define PARLEY_OFFLINE_MINDER_H

#include "common/base/daemon.h"
#include "common/im/deploy.h"
#include "common/im/follow.h"

struct minder;

struct minder_settings {
    int64_t max_slots;
};

/* The views have caught up and outlive it. NULL: logged. */
struct minder *minder_new(struct daemon_run *, const struct deploy *, const struct follow *,
                          const struct minder_settings *);
void minder_lease_changed(struct minder *); /* NULL is fine */
/* Leaves all slots, then done(ctx) once. NULL: at once. */
void minder_drain(struct minder *, void (*done)(void *ctx), void *ctx);
void minder_free(struct minder *);

#endif
