/* slot_int.h: between slot.c and slot_hold.c. */
#ifndef PARLEY_EDGE_SLOT_INT_H
#define PARLEY_EDGE_SLOT_INT_H

#include "edge/slot.h"

extern const struct kconsumer_ops slot_consumer_ops;

void slot_after(struct slot *, int64_t ms);
bool slot_say(struct slot *, Im__LeaseKind); /* the report decides how it goes on */
void slot_claimed(struct slot *, int64_t epoch);
void slot_leave(struct slot *, const char *why); /* the group, without having held the slot */
void slot_start_over(struct slot *, int64_t after_ms);
void slot_release_step(struct slot *);
void slot_close_overdue(struct slot *);
void slot_released(struct slot *);
void slot_commit_timer(struct timer *);

#endif
