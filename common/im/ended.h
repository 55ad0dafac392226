/* ended.h: the connections that ended last: who they were. For what is addressed to a handle that is no more.
 *
 * A ring with an index: bounded, the oldest are forgotten first; memory grows with what is in it, about 64 bytes each.
 * One thread. */
#ifndef PARLEY_IM_ENDED_H
#define PARLEY_IM_ENDED_H

#include "common/im/session.h"

struct ended;
struct ended *ended_new(uint32_t max); /* NULL: no memory */
void ended_free(struct ended *);

void ended_add(struct ended *, const struct session *);
/* NULL: not known, or forgotten. Valid until the next add. */
const struct session *ended_find(const struct ended *, uint32_t slot, uint64_t epoch, uint32_t handle);

#endif
