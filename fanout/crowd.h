/* crowd.h: where some users are, kept so that telling all of them costs a copy of their handles.
 *
 * Per slot the handles of live sessions, per partition of im.offline the users with a device that is not live. Built
 * from the views; true as long as they do not change (crowd_fresh). Plain lists, nothing is counted twice unless a
 * user is added twice. One thread. */
#ifndef PARLEY_FANOUT_CROWD_H
#define PARLEY_FANOUT_CROWD_H

#include "common/im/conv.h"
#include "common/im/deliver.h"
#include "fanout/core.h"

struct crowd;
struct crowd *crowd_new(const struct fanout_views *); /* borrowed; NULL: no memory */
void crowd_free(struct crowd *);

/* Empties it; `conv` is only remembered. */
void crowd_begin(struct crowd *, struct id16 conv);
/* `here`: a device of the user's that counts as reached although nobody sees it live; 0: none. */
void crowd_add(struct crowd *, struct id16 user, uint32_t here);
/* Likewise, and queued also when every device is reached: what a device missed before would have no end else. */
void crowd_add_leaving(struct crowd *, struct id16 user, uint32_t here);
/* The members of a group who see the number `seq`; its roster must be loaded. */
void crowd_add_roster(struct crowd *, const struct conv *, uint64_t seq, struct id16 user, uint32_t here);

/* Is it of this conversation and do the views still say the same? */
bool crowd_fresh(const struct crowd *, struct id16 conv);
/* The highest number from which on one of the roster sees anything; UINT64_MAX: some were left out. */
uint64_t crowd_from(const struct crowd *);
void crowd_spoil(struct crowd *); /* its conversation's members have changed */

/* One item per slot, to everybody but `except` (may be NULL). Returns how many sessions. */
size_t crowd_tell(struct crowd *, struct deliver *, struct fx *, const struct deliver_item *,
                  const struct session *except);
/* im.offline: one record per partition, for those with a device that was not reached; `left`: it is their last number.
 * Returns how many users. */
size_t crowd_queue(const struct crowd *, struct fx *, uint64_t seq, bool left, struct slice trace);

/* Of one user: is there a device that none of `served` is? */
bool crowd_misses(const uint32_t *devices, size_t n, const uint32_t *served, size_t n_served);

#endif
