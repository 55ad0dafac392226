/* sim_group.h: consumer groups of the workers: who has which partition, and up to where it is committed.
 *
 * One broker, so a commit of anybody but the owner is refused. A member that dies is missed after a while, one that
 * is stopped for too long loses its partitions without hearing of it: a zombie. */
#ifndef PARLEY_SIM_SIM_GROUP_H
#define PARLEY_SIM_SIM_GROUP_H

#include "common/base/store.h"
#include "tests/sim/sim_log.h"

#define SIM_SESSION (6 * SEC)

struct sim_proc;
struct sim_gpart {
    struct sim_proc *owner; /* NULL: nobody */
    uint32_t life;          /* of the owner */
    uint32_t handover;      /* counts the changes of owner */
    bool moving;            /* the old owner is finishing */
    struct sim_proc *next;  /* who gets it then */
    int64_t committed[STORE_TOPICS];
};
struct sim_group {
    struct sim *sim;
    const char *name;
    const uint16_t *inputs;
    size_t n_inputs;
    int32_t parts;
    struct sim_proc **members;
    size_t n_members;
    struct sim_gpart part[SIM_PARTS];
    /* the owner is told; core: which of the process's cores this group feeds */
    int core;
};

void sim_group_init(struct sim_group *, struct sim *, const char *name, const uint16_t *inputs,
                    size_t n_inputs, struct sim_proc **members, size_t n_members, int core);
void sim_group_rebalance(struct sim_group *, unsigned per_mille_moved); /* orphans always get an owner */
void sim_group_left(struct sim_group *, struct sim_proc *);             /* it died; missed after a while */
void sim_group_away(struct sim_group *, struct sim_proc *); /* it is stopped: expelled if for long */
void sim_group_drained(struct sim_group *, int32_t part, struct sim_proc *);
/* -ESTALE: not the owner any more. */
int sim_group_commit(struct sim_group *, int32_t part, const struct sim_proc *, const int64_t *next);
bool sim_group_owns(const struct sim_group *, int32_t part, const struct sim_proc *);
int64_t sim_group_lag(const struct sim_group *);

#endif
