/* sim_slots.h: the delivery slots' consumer groups: edges and minders join and leave, one member reads and commits.
 *
 * A member that dies or is stopped is missed after the session time-out; until then a rebalance waits for it. Whoever
 * was expelled hears of it late: its commits are refused. */
#ifndef PARLEY_SIM_SIM_SLOTS_H
#define PARLEY_SIM_SIM_SLOTS_H

#include "tests/sim/sim_log.h"

struct sim_slot;
struct sim_member {
    struct sim_member *next;
    struct sim_slot *slot;
    struct sim_actor *actor;
    uint32_t life;
    uint64_t id; /* the lowest one gets the partition */
    bool edge, out;
    void *ctx;
    void (*assigned)(void *ctx, int64_t next);
    void (*revoked)(void *ctx); /* of the owner, before a rebalance in good order */
    void (*lost)(void *ctx);    /* was expelled */
};
struct sim_slot {
    struct sim *sim;
    uint32_t number, generation;
    struct sim_member *members, *owner;
    bool rebalancing;
    int64_t committed;
};

void sim_slots_init(struct sim *, struct sim_slot *slots);
/* Fill in edge, ctx and the calls first; the rest is done here. */
void sim_slot_join(struct sim_slot *, struct sim_member *, struct sim_actor *);
void sim_slot_leave(struct sim_member *);
int sim_slot_commit(struct sim_member *, int64_t next); /* -ESTALE */
bool sim_slot_has_edge(const struct sim_slot *);
size_t sim_slot_members(const struct sim_slot *);
void sim_slots_died(struct sim *, struct sim_actor *, uint32_t life);
void sim_slots_away(struct sim *,
                    struct sim_actor *);    /* stopped: expelled if it does not come back in time */
void sim_slot_rebalance(struct sim_slot *); /* for no reason of its own */

#endif
