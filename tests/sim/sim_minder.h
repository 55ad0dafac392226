/* sim_minder.h: the offline worker's minder with its slots' groups, as offline/minder.c runs it. */
#ifndef PARLEY_SIM_SIM_MINDER_H
#define PARLEY_SIM_SIM_MINDER_H

#include "offline/minder_core.h"
#include "tests/sim/sim_slots.h"

struct sim_proc;
struct sim_minded {
    struct sim_minder *m;
    uint32_t slot;
    struct sim_member *member; /* NULL: not in the group */
    struct sim_reader *reader;
    bool leaving;
};
struct sim_minder {
    struct sim_proc *proc;
    struct minder_core *core; /* NULL: closed */
    struct sim_minded held[SIM_SLOTS];
};

void sim_minder_open(struct sim_minder *, struct sim_proc *);
void sim_minder_close(struct sim_minder *);
void sim_minder_lease_changed(struct sim_minder *);

#endif
