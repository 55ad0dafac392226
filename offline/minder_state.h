/* minder_state.h: inside the minder: its state, and what it writes (minder_drain.c). */
#ifndef PARLEY_OFFLINE_MINDER_STATE_H
#define PARLEY_OFFLINE_MINDER_STATE_H

#include "common/base/offsets.h"
#include "offline/minder_core.h"

#include <uthash.h>

enum mstate { M_AWAY, M_JOINING, M_HELD, M_LEAVING };

struct mslot {
    enum mstate state;
    int64_t delay_ms;    /* of this worker before joining */
    int64_t want, claim; /* of the lease view, as acted upon */
    int64_t want_ms;     /* when the last WANT was seen */
    uint32_t empty;      /* descriptions in a row without members */
    int64_t empty_ms, since_ms, left_ms, commit_ms, sweep_ms;
    struct offsets *offsets; /* M_HELD */
    int64_t committed;
    uint32_t in_flight; /* sends without a report */
    bool paused;
};

struct mtag { /* a send on its way */
    UT_hash_handle hh;
    uint64_t tag;
    uint32_t slot;
    ticket ticket; /* 0: of no record */
};

struct minder_core {
    struct minder_conf conf;
    uint32_t n_slots, n_joined;
    struct mslot *slots;
    struct arena *arena;   /* for unpacking one record */
    struct mpoint *points; /* of one item: who missed it */
    size_t cap_points;
    struct mtag *tags;
    uint64_t last_tag;
    bool stopping;
};

struct mpoint {
    int32_t part; /* of im.offline */
    struct id16 user;
};

struct mtag *minder_take_tag(struct minder_core *, uint64_t tag); /* the caller frees it; NULL: forgotten */
void minder_forget_tags(struct minder_core *, uint32_t slot);     /* UINT32_MAX: all */
void minder_expire(struct minder_core *,
                   uint32_t slot); /* ends the epoch that the slot is claimed under, if any */
void minder_sweep(struct minder_core *, uint32_t slot); /* dead sessions leave im.presence */
void minder_flow(struct minder_core *, uint32_t slot);  /* pauses and resumes */

/* minder_drain.c, for minder_bounce.c: sends it on behalf of a record, whose position it holds until the report. */
void minder_send_held(struct minder_core *, uint32_t slot, int32_t part, struct slice key,
                      const Im__OfflineRecord *, ticket held);
/* What of an item of an ended epoch is anybody's, back to im.offline. */
void minder_bounce_item(struct minder_core *, uint32_t slot, uint64_t epoch, const Im__DeliverItem *,
                        ticket held);

#endif
