/* throttle.h: at most one thing per (who, conversation) and time, for what may be dropped anyway.
 *
 * A table of fixed size without lists: two that fall on one place forget each other, so that sometimes one more passes. Nothing per connection. One thread. */
#ifndef PARLEY_EDGE_THROTTLE_H
#define PARLEY_EDGE_THROTTLE_H

#include "common/im/ids.h"

struct throttle;
struct throttle *throttle_new(uint32_t places); /* a power of two; NULL: no memory */
void throttle_free(struct throttle *);
/* True, and remembered, when the last one passed at least every_ms ago. */
bool throttle_pass(struct throttle *, uint32_t who, struct id16 conv, uint32_t now_ms, uint32_t every_ms);

#endif
