/* subs.h: who wants to hear when somebody comes or goes: decisions only, no I/O, no clock.
 *
 * Soft state: a subscription lasts SUBS_TTL_MS and ends with its connection; a process that starts has none. However
 * often a user comes and goes, each subscriber hears of it at most once in SUBS_QUIET_MS, and then of the last
 * state. Memory is bounded by `max_links` (one per subscriber and subject), and of those no user has more than
 * `user_links` over all connections. One thread; times are monotonic. */
#ifndef PARLEY_QUERY_SUBS_H
#define PARLEY_QUERY_SUBS_H

#include "common/im/session.h"

#define SUBS_TTL_MS   300000
#define SUBS_QUIET_MS 1000
#define SUBS_TELL_MAX 500 /* users in one tell(), which is what one connection may ask for */

struct subs;

struct subs_env {
    void *ctx;
    bool (*online)(void *ctx, struct id16 user);
    bool (*alive)(void *ctx, const struct session *); /* false: the connection is gone */
    /* Users whose state is not what this subscriber heard last. Borrowed; must not call back. */
    void (*tell)(void *ctx, const struct session *to, const struct id16 *users, const bool *online, size_t n);
};

struct subs *subs_new(const struct subs_env *, uint32_t max_links, uint32_t user_links);
void subs_free(struct subs *);

/* Replaces what this connection asked for before; `online` is what it was told just now. n 0: nothing any more.
 * -ENOSPC: full; -EDQUOT: more than the user's share; of either nothing is left. */
int subs_set(struct subs *, const struct session *, const struct id16 *users, const bool *online, size_t n,
             int64_t now_ms);
void subs_drop(struct subs *, const struct session *); /* the connection is over */
void subs_touch(struct subs *, struct id16 user);      /* may have come or gone */
void subs_touch_all(struct subs *);
/* Forgets the connections of all users but those. */
void subs_keep(struct subs *, bool (*keep)(void *ctx, struct id16 user), void *ctx);

/* Tells what is due, drops what is over. Call it every SUBS_TICK_MS while subs_busy(). */
#define SUBS_TICK_MS 100
void subs_tick(struct subs *, int64_t now_ms);
bool subs_busy(const struct subs *);
uint32_t subs_links(const struct subs *);

#endif
