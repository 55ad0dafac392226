/* ranges.h: which numbers of a conversation are here: a short list of runs without holes, ascending.
 *
 * A set, not a maximum: what lies above a hole does not hide that the hole is one. Past `max` runs the
 * lowest hole is given up (its numbers then count as here). Zero-initialised is empty. */
#ifndef PARLEY_CLIENT_RANGES_H
#define PARLEY_CLIENT_RANGES_H

#include <stdbool.h>
#include <stdint.h>

#define RANGES_MAX 16

struct range {
    uint64_t from, upto; /* both belong to it */
};

struct ranges {
    struct range *v;
    uint32_t n, cap;
    uint32_t max; /* 0: RANGES_MAX */
};

void ranges_release(struct ranges *);
bool ranges_has(const struct ranges *, uint64_t seq);
int ranges_add(struct ranges *, uint64_t from, uint64_t upto); /* -EINVAL: from 0 or above upto; -ENOMEM */
struct range ranges_last(const struct ranges *);               /* {0, 0}: empty */

#endif
