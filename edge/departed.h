/* departed.h: whose the sessions were that ended last.
 *
 * A delivery record for many names handles only. One that was written before the writer knew of a session's end is handed
 * back to that session's device; this says which. The last DEPARTED_MAX are kept: 40 bytes each, whether or not the session
 * missed anything. One thread. */
#ifndef PARLEY_EDGE_DEPARTED_H
#define PARLEY_EDGE_DEPARTED_H

#include "common/im/ids.h"

#define DEPARTED_MAX 32768

struct departed_one {
    struct id16 user;
    uint64_t login_offset;
    uint32_t device, handle;
};

struct departed;
struct departed *departed_new(uint32_t max); /* NULL: no memory */
void departed_free(struct departed *);
void departed_clear(struct departed *); /* another epoch: its handles are others */
/* The oldest goes when it is full. A handle is added once. */
void departed_add(struct departed *, const struct departed_one *);
const struct departed_one *departed_get(const struct departed *,
                                        uint32_t handle); /* NULL: not one of the last */

#endif
