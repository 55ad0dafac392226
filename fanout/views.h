/* views.h: the views of im.lease and im.presence that fanout looks at, kept up to date from Kafka. */
#ifndef PARLEY_FANOUT_VIEWS_H
#define PARLEY_FANOUT_VIEWS_H

#include "common/base/daemon.h"
#include "common/im/deploy.h"
#include "fanout/core.h"

struct kview;

struct views {
    struct fanout_views cores; /* for the cores */
    /* private */
    struct lease *lease;
    struct presence *presence;
    struct kview *lease_log, *presence_log;
    struct daemon_run *run;
    void (*caught_up)(void *ctx);
    void *ctx;
};

/* Calls caught_up(ctx) once, when both have seen what was there at the start. A client that dies ends the process
 * (daemon_fail). 0 or negative errno, having logged why. */
int MUST_CHECK views_init(struct views *, struct daemon_run *, const struct deploy *, void (*caught_up)(void *ctx),
                          void *ctx);
void views_release(struct views *);

#endif
