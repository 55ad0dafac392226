/* sim_edge.h: an edge: the real core, with a slot as edge/slot.c takes it, and clients' links for sockets. */
#ifndef PARLEY_SIM_SIM_EDGE_H
#define PARLEY_SIM_SIM_EDGE_H

#include "edge/core.h"
#include "tests/sim/sim_link.h"
#include "tests/sim/sim_producer.h"
#include "tests/sim/sim_slots.h"
#include "tests/sim/sim_view.h"

enum sim_hold {
    HOLD_VIEW,
    HOLD_PICK,
    HOLD_WANT,
    HOLD_JOIN,
    HOLD_CLAIM,
    HOLD_HELD,
    HOLD_REJOIN,
    HOLD_LEAVE,
    HOLD_OFF
};

#define EDGE_CONNS 256

struct sim_edge {
    struct sim_actor actor; /* must be first */
    struct edge_core *core;
    struct sim_producer producer;
    struct sim_view view;
    struct sim_link *conns[EDGE_CONNS], *links;
    bool stays_dead, draining, lost_by_core;

    enum sim_hold hold;
    uint32_t turn; /* counts the states: a timer of an earlier one is void */
    uint32_t slot;
    int64_t epoch, since, to_commit;
    struct sim_member *member;
    struct sim_reader *reader;
    int64_t join_ms;
};

void sim_edges_init(struct sim *);
void sim_edge_start(struct sim_edge *);
void sim_edge_kill(struct sim_actor *);
void sim_edge_pause(struct sim_edge *, int64_t us);
void sim_edge_drain(struct sim_edge *);
void sim_edge_lose(struct sim_edge *, const char *why); /* its lease, for no reason of its own */

/* From its links. */
bool sim_edge_accept(struct sim_edge *, struct sim_link *);
void sim_edge_frame(struct sim_edge *, struct sim_link *, const struct sim_frame *);
void sim_edge_slow(struct sim_edge *, struct sim_link *);
void sim_edge_gone(struct sim_edge *, struct sim_link *);

/* sim_hold.c */
void sim_hold_start(struct sim_edge *);
void sim_hold_commit(struct sim_edge *, int64_t next);
void sim_hold_lost(struct sim_edge *, const char *why);
void sim_hold_lease_changed(void *edge);
void sim_hold_give_back(struct sim_edge *, int64_t next);
void sim_edge_enter(struct sim_edge *); /* tells the core the time */

#endif
