/* sim_check_int.h: between the parts of the judgement: sim_check.c (sends and what was shown), sim_check_room.c (groups),
 * sim_check_store.c. */
#ifndef PARLEY_SIM_SIM_CHECK_INT_H
#define PARLEY_SIM_SIM_CHECK_INT_H

#include "persister/rows.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_world.h"

struct place {
    struct message_row row;
    uint32_t text;
    struct slice users;
};
struct history { /* one conversation */
    struct id16 conv;
    struct place *v;
    uint64_t n;
    bool room, opened; /* opened: who comes sees what was before, at least for some time */
    uint64_t from[SIM_USERS][16], to[SIM_USERS][16]; /* who sees what */
    uint32_t n_times[SIM_USERS];
};

struct check {
    struct sim *s;
    struct history h[SIM_USERS * (SIM_USERS + 1) + SIM_ROOMS + 1];
    size_t n;
};

/* Goes through the events of a group and finds who was a member when, by rules of its own. */
void sim_room_model(struct check *, struct history *);
bool sim_room_sees(const struct history *, uint64_t seq, uint32_t user);
void sim_check_rooms(struct check *);

void sim_check_cells(struct sim *);
void sim_check_queues(struct sim *);
void sim_check_marks(struct sim *);
void sim_check_presence(struct sim *, const struct sim_proc *);

#endif
