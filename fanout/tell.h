/* tell.h: who hears of a record's outcome, and how it reaches them.
 *
 *     tell.c         the sender; a direct conversation
 *     tell_group.c   a group's members
 *     tell_note.c    what has no number: receipts, requests to join, blocks
 *     tell_system.c  everybody
 *     tell_signal.c  typing
 *     crowd.c        where the members of a group are
 *
 * Gathers per slot over a batch (deliver.h); a payload is encoded once, in the batch's arena. */
#ifndef PARLEY_FANOUT_TELL_H
#define PARLEY_FANOUT_TELL_H

#include "common/im/convcache.h"
#include "common/im/convrec.h"
#include "fanout/core.h"

struct tell;
struct tell *tell_new(const struct fanout_views *); /* views are borrowed; NULL: no memory */
void tell_free(struct tell *);

/* From plan(), after convcache_plan() for the same event: wants what telling it looks at. CORE_MORE: ask again. `past`:
 * the cells are ahead of the event. */
enum core_rc tell_plan(struct convcache *, const struct conv_event *, bool past, struct want *);

/* The sender's connection gets the outcome, if its epoch is live. What was accepted goes to every live session of those
 * who see its number, but the sending device's own, and to im.offline for those with a device not reached so. False:
 * what tell_plan() wants was not loaded. */
bool tell_outcome(struct tell *, struct fx *, const struct conv *, const struct convrec *,
                  const struct conv_outcome *);
void tell_end(struct tell *, struct fx *);

/* Typing, a record of im.signal. The same two halves; what cannot be told is left out. */
enum core_rc tell_plan_signal(struct convcache *, const Im__SignalRecord *, struct want *);
void tell_signal(struct tell *, struct fx *, const struct convcache *, const Im__SignalRecord *,
                 int64_t time_ms);

#endif
