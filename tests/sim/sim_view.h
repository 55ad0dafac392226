/* sim_view.h: a process's own views of im.lease and im.presence, each late in its own way. */
#ifndef PARLEY_SIM_SIM_VIEW_H
#define PARLEY_SIM_SIM_VIEW_H

#include "common/im/lease.h"
#include "common/im/presence.h"
#include "tests/sim/sim_log.h"

struct sim_view {
    struct lease *lease;
    struct presence *presence; /* NULL: not followed */
    struct sim_reader *lease_log, *presence_log[SIM_PARTS];
    int64_t lease_goal, presence_goal[SIM_PARTS]; /* the ends when it was opened */
    void (*lease_changed)(void *ctx);
    void *ctx;
};

void sim_view_open(struct sim_view *, struct sim_actor *, bool presence, void (*lease_changed)(void *),
                   void *ctx);
void sim_view_close(struct sim_view *);
bool sim_view_ready(const struct sim_view *); /* has seen what was there when it was opened */
void sim_view_lag(struct sim_view *, int64_t us);
bool sim_view_current(const struct sim_view *); /* has seen everything */

#endif
