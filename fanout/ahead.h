/* ahead.h: records whose outcome the cells know already, after a recovery from a persister that was further.
 *
 * The cells then stand at F_AHEAD while the log is read again from where fanout had sent. Below F_AHEAD nothing is
 * applied: an accepted record has its number in F_DECIDED, and for the others the sender's ring still holds the
 * outcome (a client has at most 64 unresolved sends, the ring keeps 64). */
#ifndef PARLEY_FANOUT_AHEAD_H
#define PARLEY_FANOUT_AHEAD_H

#include "common/base/core.h"
#include "common/im/conv.h"

struct decided;

struct ahead {
    bool known;
    int64_t until;        /* records below this offset are in the cells */
    struct decided *rows; /* of this batch, by offset */
};

void ahead_release(struct ahead *);
/* True: rows are wanted that are not here yet. */
bool ahead_plan(struct ahead *, int64_t offset, struct want *);
void ahead_load(struct ahead *, uint8_t table, struct slice key, struct slice row);
static inline bool ahead_has(const struct ahead *a, int64_t offset)
{
    return offset < a->until;
}
/* What was decided for this record; false: nobody waits for it any more. Drops its row. */
bool ahead_outcome(struct ahead *, int64_t offset, const struct conv *, const struct conv_event *,
                   struct conv_outcome *, struct fx *);
void ahead_end(struct ahead *); /* between batches */

#endif
