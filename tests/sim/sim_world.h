/* sim_world.h: who lives in a run. */
#ifndef PARLEY_SIM_SIM_WORLD_H
#define PARLEY_SIM_SIM_WORLD_H

#include "tests/sim/sim_client.h"
#include "tests/sim/sim_edge.h"
#include "tests/sim/sim_group.h"
#include "tests/sim/sim_proc.h"
#include "tests/sim/sim_query.h"
#include "tests/sim/sim_slots.h"
#include "tests/sim/sim_store.h"

struct sim_world {
    struct sim_stores stores;
    struct sim_group groups[SIM_GROUPS];
    struct sim_proc procs[SIM_KINDS][SIM_WORKERS];
    struct sim_proc *members[SIM_KINDS][SIM_WORKERS];
    struct sim_slot slots[SIM_SLOTS];
    struct sim_edge edges[SIM_EDGES];
    struct sim_user users[SIM_USERS];
    struct sim_room rooms[SIM_ROOMS];
    struct sim_query query;
    struct sim_client clients[SIM_DEVICES];
    uint32_t n_clients;
};

#endif
