/* announce.h: who must hear that a session began or is over. All of it waits for the verdict of a login that is on
 * its way for the same user (pending.h). `at` is the offset in im.inbound of what happened. */
#ifndef PARLEY_ROUTER_ANNOUNCE_H
#define PARLEY_ROUTER_ANNOUNCE_H

#include "router/verbs.h"

/* im.presence: the session, with the account's devices as of `at`. */
void announce_presence(struct router *, const struct account *, const struct session *, int64_t at,
                       struct fx *);
/* The account's devices changed: its other sessions' presence again, so that whichever of them outlives the others
 * names them all. */
void announce_devices(struct router *, const struct account *, const struct session *but, int64_t at,
                      struct fx *);
/* im.presence: no such session any more. */
void announce_gone(struct router *, const struct session *, struct fx *);
/* To the session's edge: tell the client, close. */
void announce_kick(struct router *, const struct session *, Im__Code, struct fx *);
/* im.offline */
void announce_login(struct router *, const struct inbound *, const struct session *, bool new_device,
                    struct fx *);
void announce_end(struct router *, const struct session *, struct slice trace, struct fx *);
/* im.offline: the same, and the device is no more. A device without a session: `s` has user and device only. */
void announce_dropped(struct router *, const struct session *s, struct slice trace, struct fx *);
/* The sessions that `d` has, of logins before the record, are over although their connections are not: gone, told why,
 * and ended. Changes d, does not write the row. */
void announce_over(struct router *, const struct inbound *, struct account_device *d, Im__Code why,
                   struct fx *);

#endif
