/* tell.h: who hears of a record's outcome, and how it reaches them.
 *
 * Gathers per slot over a batch (deliver.h); the message's payload is encoded once, in the batch's arena. */
#ifndef PARLEY_FANOUT_TELL_H
#define PARLEY_FANOUT_TELL_H

#include "common/im/convrec.h"
#include "fanout/core.h"

struct tell;
struct tell *tell_new(const struct fanout_views *); /* views are borrowed; NULL: no memory */
void tell_free(struct tell *);

/* The sender's connection gets the outcome, if its epoch is live. An accepted message goes to every live session of
 * the members but the sending device's own, and to im.offline for each member with a device not reached so. */
void tell_outcome(struct tell *, struct fx *, const struct conv *, const struct convrec *,
                  const struct conv_outcome *);
void tell_end(struct tell *, struct fx *);

#endif
