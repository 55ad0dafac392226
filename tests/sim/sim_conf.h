/* sim_conf.h: what a seed decides before the first event, what can go wrong, and the defects that can be planted. */
#ifndef PARLEY_SIM_SIM_CONF_H
#define PARLEY_SIM_SIM_CONF_H

#include <stdbool.h>
#include <stdint.h>

#define SIM_SLOTS   3
#define SIM_PARTS   2 /* at most, of a keyed topic */
#define SIM_USERS   6
#define SIM_DEVICES 10 /* of all users */
#define SIM_ADMIN   0  /* the user who may announce */
#define SIM_EDGES   3
#define SIM_ROOMS   2 /* groups, at most */
#define SIM_WORKERS 2 /* of each kind */

enum sim_fault {
    FAULT_KILL_EDGE,
    FAULT_KILL_ROUTER,
    FAULT_KILL_FANOUT,
    FAULT_KILL_PERSISTER,
    FAULT_KILL_OFFLINE,
    FAULT_CRASH_POINT,
    FAULT_PAUSE,
    FAULT_ZOMBIE_WROTE, /* a refused put or commit */
    FAULT_REBALANCE,
    FAULT_REWIND,
    FAULT_WIPE,
    FAULT_ROLLBACK,
    FAULT_STORE_DOWN,
    FAULT_PG_DOWN,
    FAULT_PUT_UNANSWERED,
    FAULT_SEND_FAILED,
    FAULT_SEND_UNKNOWN,
    FAULT_LOG_SLOW,
    FAULT_VIEW_LATE,
    FAULT_DRAIN_EDGE,
    FAULT_LEASE_LOST,
    FAULT_NO_EDGE,
    FAULT_NO_ROUTER,
    FAULT_CUT,
    FAULT_SLOW_READER,
    FAULT_SILENT,
    FAULT_TAKEOVER,
    FAULT_FLOOD, /* one send many times, over two edges */
    FAULT_FRESH, /* a client forgot everything */
    FAULT_KILL_QUERY,
    FAULT_REVOKE, /* a user ends devices of theirs */
    SIM_FAULTS
};
extern const char *const sim_fault_names[SIM_FAULTS];

enum sim_plant {
    PLANT_NONE,
    PLANT_EARLY_ACK,     /* sends are reported before they are in the log */
    PLANT_EARLY_COMMIT,  /* mark and commit before the output is acked */
    PLANT_NO_DUPLICATES, /* client_seq is lost on the way to the conversation */
    PLANT_EMPTY_QUEUE,   /* an offline queue forgets what was sent, confirmed or not */
    PLANT_NO_FENCE,      /* the store takes puts of whoever */
    PLANT_NO_EPOCH,      /* a lease does not tell its holders apart */
    PLANT_BOUNCE_LOST,   /* what an edge hands back without a payload is dropped */
    PLANT_PRODUCT,       /* from here on they are in the product, behind planted(): */
    PLANT_NEWS_EARLY =
        PLANT_PRODUCT,   /* a mark goes with the first cursor, not with that of the last device */
    PLANT_LEFT_TOLD,     /* who was removed is told what comes after */
    PLANT_NO_MEMBERSHIP, /* strangers may write */
    PLANT_FORGET_MUTE,   /* and the muted */
    PLANT_OFF_BY_ONE,    /* a number is left out */
    SIM_PLANTS
};
extern const char *const sim_plant_names[SIM_PLANTS];

struct sim_conf {
    uint64_t seed;
    enum sim_plant plant;
    uint32_t parts, conv_parts, users, edges, workers;
    uint32_t devices_of[SIM_USERS];
    int64_t chaos; /* how long there is trouble, microseconds */
    uint32_t fault_every_ms;
    uint32_t sends; /* per device, about */
    bool faults;
    bool patient; /* waits for what is tidied up rarely */
    uint32_t weights[SIM_FAULTS];
    int64_t view_lag; /* a view is at most this late, as a rule */
    uint32_t unconfirmed, queue_cap;
    uint32_t rooms;                                   /* groups that are made */
    uint32_t room_share;                              /* per mille of what clients do is done there */
    uint32_t op_share;                                /* per mille of what they do is no message */
    uint32_t receipts;                                /* per mille of a client's ticks */
    uint32_t group_cap, receipt_cap, recall_limit_ms; /* of the routers */
    bool strangers_refused;
};

void sim_conf_of(struct sim_conf *, uint64_t seed, enum sim_plant);

#endif
