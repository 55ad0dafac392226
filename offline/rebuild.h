/* rebuild.h: users and cursors of a partition again, from im.user and im.cursor, for when Redis lost them.
 *
 * No I/O: fed with records, gives rows; the queues follow from im.offline, read from its beginning on with sends
 * dropped. The devices come from im.user because im.offline forgets logins after its retention, the cursors come
 * first so that what is confirmed does not push what is not over the cap. When im.offline no longer begins at 0,
 * every device is told that the rest is in history. One slice of the users at a time. */
#ifndef PARLEY_OFFLINE_REBUILD_H
#define PARLEY_OFFLINE_REBUILD_H

#include "common/base/core.h"

#include <stdbool.h>

struct offline_rebuild;

/* Users of `slice` of `slices` (krebuild_slice); `truncated`: im.offline does not begin at 0. NULL: no memory. */
struct offline_rebuild *offline_rebuild_new(uint32_t slice, uint32_t slices, bool truncated);
void offline_rebuild_free(struct offline_rebuild *);

/* Records of im.user first, then of im.cursor. 0; -ENOTSUP: of a newer version. */
int offline_rebuild_feed(struct offline_rebuild *, const struct record *);
/* The next row, borrowed until the next call; false: there is none. */
bool offline_rebuild_row(struct offline_rebuild *, uint8_t *table, struct slice *key, struct slice *row);

#endif
