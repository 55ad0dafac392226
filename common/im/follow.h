/* follow.h: a process's views of im.lease and im.presence, kept up to date from Kafka.
 *
 * A view's Kafka client that dies, and a record that is newer than this program, end the process (daemon_fail).
 * Loop thread only. */
#ifndef PARLEY_IM_FOLLOW_H
#define PARLEY_IM_FOLLOW_H

#include "common/base/daemon.h"
#include "common/im/deploy.h"
#include "common/im/lease.h"
#include "common/im/presence.h"

struct kview;

/* FOLLOW_ENDED: with the sessions that ended last (presence_remember). FOLLOW_LATER: presence may be some ms late, for
 * far fewer fetches; not for who decides whom a message goes to. */
enum { FOLLOW_LEASE = 1, FOLLOW_PRESENCE = 2, FOLLOW_ENDED = 4, FOLLOW_LATER = 8 };
#define FOLLOW_ENDED_MAX 65536

struct follow { /* zeroed: nothing is followed */
    struct lease *lease;
    struct presence *presence;
    /* private */
    struct kview *lease_log, *presence_log;
    void (*moved)(void *ctx, const struct session *, bool gone);
    struct daemon_run *run;
    void (*caught_up)(void *ctx);
    void (*changed)(void *ctx);
    void *ctx;
};

/* Calls caught_up(ctx) once, when the views have seen what was there at the start; changed(ctx), which may be NULL,
 * after each record of im.lease. 0 or negative errno, having logged why. */
int MUST_CHECK follow_init(struct follow *, struct daemon_run *, const struct deploy *, unsigned what,
                           void (*caught_up)(void *ctx), void (*changed)(void *ctx), void *ctx);
/* From now on moved(ctx of above, session, gone) is called after each record of im.presence that changed the view. */
void follow_moves(struct follow *, void (*moved)(void *ctx, const struct session *, bool gone));
void follow_release(struct follow *);     /* zeroed again */
bool follow_ready(const struct follow *); /* everything followed has caught up */

#endif
