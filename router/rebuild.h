/* rebuild.h: the account rows of a partition again, from im.user, im.vault and im.presence, for when Redis lost them.
 *
 * No I/O: fed with records, gives rows: the accounts as they were at the committed offset of im.inbound, since what
 * came of later records comes again when they are repeated. Only sessions may be ahead of it, which changes no answer
 * (core.h). A session of im.presence that a later one of its device replaced without having
 * been told yet is kept as `stale` and told at the device's next login, which is the one that is repeated. One slice
 * of the accounts at a time. */
#ifndef PARLEY_ROUTER_REBUILD_H
#define PARLEY_ROUTER_REBUILD_H

#include "common/base/core.h"
#include "common/im/presence.h"

struct rebuild;

/* Users of `slice` of `slices` (krebuild_slice), as records of im.inbound below `committed` left them. NULL: no memory. */
struct rebuild *rebuild_new(uint32_t slice, uint32_t slices, int64_t committed);
void rebuild_free(struct rebuild *);

/* A record of im.user or im.vault. 0; -ENOTSUP: written by a newer version. What no version can read is left out. */
int rebuild_feed(struct rebuild *, const struct record *);
/* After all records: every session there is; those of other users are left out. Epochs that are over too: the core
 * asks the lease view itself. */
void rebuild_sessions(struct rebuild *, const struct presence *, const struct lease *);
/* The next row of ROUTER_ACCOUNT, borrowed until the next call; false: there is none. */
bool rebuild_row(struct rebuild *, struct slice *key, struct slice *row);

#endif
