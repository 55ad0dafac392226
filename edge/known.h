/* known.h: accounts that are known to exist, by user id; the least recently used goes when the cache is full.
 *
 * Accounts are never removed, so a positive answer is true for ever; one taken on trust (the router was away) only
 * for a while. One thread. */
#ifndef PARLEY_EDGE_KNOWN_H
#define PARLEY_EDGE_KNOWN_H

#include "common/im/ids.h"

struct known;

struct known *known_new(uint32_t max); /* NULL: no memory */
void known_free(struct known *);
/* The login name, "" when only the id is known; NULL: not known. Valid until the next known_add(). */
const char *known_get(struct known *, struct id16 user, int64_t now_ms);
void known_add(struct known *, struct id16 user, const char *login,
               int64_t until_ms); /* INT64_MAX: for ever */
uint32_t known_count(const struct known *);

#endif
