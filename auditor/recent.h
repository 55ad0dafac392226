/* recent.h: what the last numbered sends of a partition were answered, kept beside the reducer and not by its rules.
 *
 * At most RECENT_MAX, the oldest are forgotten first: about 10 MB a partition. One thread. */
#ifndef PARLEY_AUDITOR_RECENT_H
#define PARLEY_AUDITOR_RECENT_H

#include "common/im/conv.h"

#define RECENT_MAX 65536

struct recent;
struct recent *recent_new(void);
void recent_free(struct recent *);

struct recent_answer {
    int64_t offset; /* of the record */
    uint64_t seq;
    uint16_t reason; /* 0: it has a place, or was noted */
};
/* What was answered first; NULL: not known (any more). Until the next call that changes something. */
const struct recent_answer *recent_find(const struct recent *, const struct conv_event *);
void recent_add(struct recent *, const struct conv_event *, const struct recent_answer *);

#endif
