/* parcel.h: a queued ChatPush as it lies in Redis: what its sender said is sealed under the sender's key, the rest is
 * clear. So a queue needs no looking after when somebody is erased: nobody can open it any more.
 *
 * A ChatPush of somebody without a key, or that says nothing of the sender's own, is kept as it came. A row of before
 * there were parcels is one, too. Which key is used the view says at that moment; a row that is made again under the
 * same key has the same bytes. */
#ifndef PARLEY_OFFLINE_PARCEL_H
#define PARLEY_OFFLINE_PARCEL_H

#include "common/im/bodykeys.h"

/* `keys` may be NULL: nothing is sealed, opened or left out. The results are in the batch's arena, or are the argument. */
struct slice parcel_close(struct bodykeys *keys, struct slice push, struct fx *);
/* The ChatPush again, never longer than it was; of somebody who was erased: without what was said, marked `erased`.
 * Takes what parcel_close gave, and any ChatPush. */
struct slice parcel_open(struct bodykeys *keys, struct slice parcel, struct fx *);
/* The key is not in the view yet: it has to wait. */
bool parcel_waits(struct bodykeys *keys, struct slice parcel);

#endif
