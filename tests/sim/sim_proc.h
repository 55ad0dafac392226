/* sim_proc.h: one running router, fanout, persister or offline worker: its cores, views, producer, and its lives. */
#ifndef PARLEY_SIM_SIM_PROC_H
#define PARLEY_SIM_SIM_PROC_H

#include "fanout/core.h"
#include "tests/sim/sim_minder.h"
#include "tests/sim/sim_shell.h"
#include "tests/sim/sim_view.h"

enum sim_kind { PROC_ROUTER, PROC_FANOUT, PROC_PERSISTER, PROC_OFFLINE, SIM_KINDS };
enum sim_group_name { SGROUP_ROUTER, SGROUP_FANOUT, SGROUP_CONV, SGROUP_USERS, SGROUP_OFFLINE, SIM_GROUPS };

struct sim_proc {
    struct sim_actor actor; /* must be first */
    enum sim_kind kind;
    bool ready, expelled;
    bool stays_dead; /* until somebody starts it */
    struct sim_producer producer;
    struct sim_view view;
    struct fanout_views views;
    struct sim_shell *shells[2][SIM_PARTS];
    struct sim_minder minder;
};

void sim_procs_init(struct sim *);
void sim_proc_start(struct sim_proc *);
void sim_proc_kill(struct sim_actor *); /* it comes back, unless stays_dead */
void sim_proc_pause(struct sim_proc *, int64_t us);
/* From the group. */
void sim_proc_assigned(struct sim_proc *, struct sim_group *, int32_t part, const int64_t *committed);
void sim_proc_lost(struct sim_proc *, struct sim_group *, int32_t part);
void sim_proc_drain(struct sim_proc *, struct sim_group *, int32_t part);

/* sim_recover.c: rows made again, as each process does it */
void sim_recover_router(struct sim_shell *, struct sim_recovery *);
void sim_recover_fanout(struct sim_shell *, struct sim_recovery *);
void sim_recover_offline(struct sim_shell *, struct sim_recovery *);

#endif
