/* sim_link.h: a connection between a client and an edge: two queues of frames, each delivered in order, late.
 *
 * It can be cut at any moment: frames on the way are lost, and each side hears of it in its own time. A client that
 * does not read lets the frames pile up; past a limit the edge's shell cuts it. */
#ifndef PARLEY_SIM_SIM_LINK_H
#define PARLEY_SIM_SIM_LINK_H

#include "common/base/core.h"
#include "tests/sim/sim.h"

#define LINK_BEHIND 400 /* frames; more: the client is too slow */

struct sim_client;
struct sim_edge;

struct sim_frame {
    struct sim_frame *next;
    uint16_t type;
    uint32_t seq_id;
    struct slice payload;
};
struct sim_frames {
    struct sim_frame *first, **last;
    uint32_t n;
    bool scheduled;
};

struct sim_link {
    struct sim *sim;
    struct sim_client *client;
    struct sim_edge *edge;
    uint32_t edge_life, conn;
    struct sim_link *next;       /* of the edge's */
    struct sim_frames up, down;  /* to the edge, to the client */
    bool accepted;               /* the edge has it, as `conn` */
    bool paused;                 /* by the edge's core */
    bool closing;                /* by the edge: what is pending goes out first */
    bool edge_done, client_done; /* that side knows that it is over */
    bool cut;                    /* nothing goes through any more */
    bool unread;                 /* the client does not read */
};

struct sim_link *sim_link_open(struct sim_client *, struct sim_edge *);
void sim_link_up(struct sim_link *, uint16_t type, uint32_t seq_id, struct slice payload);
void sim_link_down(struct sim_link *, uint16_t type, uint32_t seq_id, struct slice payload);
void sim_link_resume(struct sim_link *);        /* the core takes frames again */
void sim_link_close_by_edge(struct sim_link *); /* after what is pending */
void sim_link_hang_up(struct sim_link *);       /* the client closes */
void sim_link_cut(struct sim_link *);           /* the network does */
void sim_link_edge_died(struct sim_link *);
void sim_link_read(struct sim_link *); /* the client reads again */

#endif
