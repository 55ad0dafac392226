/* sim_conf.c: a seed's shape: how many of everything, and which troubles it likes. */
#include "tests/sim/sim_conf.h"

#include "common/base/rand.h"

const char *const sim_plant_names[SIM_PLANTS] = {
    [PLANT_NONE] = "none",
    [PLANT_EARLY_ACK] = "early-ack",
    [PLANT_EARLY_COMMIT] = "early-commit",
    [PLANT_NO_DUPLICATES] = "no-duplicates",
    [PLANT_EMPTY_QUEUE] = "empty-queue",
    [PLANT_NO_FENCE] = "no-fence",
    [PLANT_NO_EPOCH] = "no-epoch",
    [PLANT_NEWS_EARLY] = "news-early",
    [PLANT_BOUNCE_LOST] = "bounce-lost",
    [PLANT_LEFT_TOLD] = "left-still-told",
    [PLANT_NO_MEMBERSHIP] = "conv-no-membership",
    [PLANT_FORGET_MUTE] = "conv-forget-mute",
    [PLANT_OFF_BY_ONE] = "conv-seq-off-by-one",
};

const char *const sim_fault_names[SIM_FAULTS] = {
    [FAULT_KILL_EDGE] = "edge killed",
    [FAULT_KILL_ROUTER] = "router killed",
    [FAULT_KILL_FANOUT] = "fanout killed",
    [FAULT_KILL_PERSISTER] = "persister killed",
    [FAULT_KILL_OFFLINE] = "offline killed",
    [FAULT_CRASH_POINT] = "killed at a step",
    [FAULT_PAUSE] = "process stopped",
    [FAULT_ZOMBIE_WROTE] = "zombie's write refused",
    [FAULT_REBALANCE] = "rebalance",
    [FAULT_REWIND] = "partition opened again",
    [FAULT_WIPE] = "Redis emptied",
    [FAULT_ROLLBACK] = "Redis lost its last writes",
    [FAULT_STORE_DOWN] = "Redis away",
    [FAULT_PG_DOWN] = "PostgreSQL away",
    [FAULT_PUT_UNANSWERED] = "store's answer lost",
    [FAULT_SEND_FAILED] = "send failed",
    [FAULT_SEND_UNKNOWN] = "send's fate unknown",
    [FAULT_LOG_SLOW] = "log slow",
    [FAULT_VIEW_LATE] = "view late",
    [FAULT_DRAIN_EDGE] = "edge drained",
    [FAULT_LEASE_LOST] = "lease lost",
    [FAULT_NO_EDGE] = "edges away for long",
    [FAULT_NO_ROUTER] = "routers away, clients and edges gone",
    [FAULT_CUT] = "connection cut",
    [FAULT_SLOW_READER] = "client does not read",
    [FAULT_SILENT] = "client does not confirm",
    [FAULT_TAKEOVER] = "device logs in twice",
    [FAULT_FLOOD] = "one send many times",
    [FAULT_FRESH] = "client forgot everything",
    [FAULT_KILL_QUERY] = "query killed",
    [FAULT_REVOKE] = "devices revoked",
};

static const uint32_t usual[SIM_FAULTS] = {
    [FAULT_KILL_EDGE] = 8,     [FAULT_KILL_ROUTER] = 8,
    [FAULT_KILL_FANOUT] = 8,   [FAULT_KILL_PERSISTER] = 5,
    [FAULT_KILL_OFFLINE] = 8,  [FAULT_CRASH_POINT] = 20,
    [FAULT_PAUSE] = 8,         [FAULT_REBALANCE] = 8,
    [FAULT_REWIND] = 6,        [FAULT_WIPE] = 4,
    [FAULT_ROLLBACK] = 6,      [FAULT_STORE_DOWN] = 4,
    [FAULT_PG_DOWN] = 3,       [FAULT_PUT_UNANSWERED] = 100,
    [FAULT_SEND_FAILED] = 100, [FAULT_LOG_SLOW] = 100,
    [FAULT_VIEW_LATE] = 8,     [FAULT_DRAIN_EDGE] = 3,
    [FAULT_LEASE_LOST] = 4,    [FAULT_NO_EDGE] = 2,
    [FAULT_NO_ROUTER] = 2,     [FAULT_CUT] = 12,
    [FAULT_SLOW_READER] = 5,   [FAULT_SILENT] = 4,
    [FAULT_TAKEOVER] = 10,     [FAULT_FLOOD] = 8,
    [FAULT_FRESH] = 2,         [FAULT_KILL_QUERY] = 5,
    [FAULT_REVOKE] = 8,
};

void sim_conf_of(struct sim_conf *c, uint64_t seed, enum sim_plant plant)
{
    struct rng r = {seed * 0x2545f4914f6cdd1d + 1};
    *c = (struct sim_conf){.seed = seed, .plant = plant};
    c->parts = 1 + (uint32_t)rng_below(&r, SIM_PARTS);
    c->conv_parts = 1 + (uint32_t)rng_below(&r, SIM_PARTS);
    c->users = 2 + (uint32_t)rng_below(&r, SIM_USERS - 1);
    c->edges = 2 + (uint32_t)rng_below(&r, SIM_EDGES - 1);
    c->workers = 1 + (rng_below(&r, 4) != 0);
    for (uint32_t i = 0; i < c->users; i++)
        c->devices_of[i] = 1 + (uint32_t)rng_below(&r, 2);
    c->chaos = (2 + (int64_t)rng_below(&r, 16)) * 1000000;
    c->fault_every_ms = 50 + (uint32_t)rng_below(&r, 900);
    c->sends = 2 + (uint32_t)rng_below(&r, 20);
    c->faults = rng_below(&r, 20) != 0;
    c->patient = rng_below(&r, 8) == 0;
    c->view_lag = (int64_t)rng_below(&r, 3) * 30000;
    c->unconfirmed = rng_below(&r, 4) ? 64 : 6;
    c->queue_cap = rng_below(&r, 8) ? 100000 : 4;
    for (int i = 0; i < SIM_FAULTS; i++) /* a seed has its own taste */
        c->weights[i] = c->faults && rng_below(&r, 4) ? usual[i] * (uint32_t)(1 + rng_below(&r, 4)) : 0;
    c->rooms = (uint32_t)rng_below(&r, SIM_ROOMS + 2);
    c->rooms = c->rooms > SIM_ROOMS ? 1 : c->rooms;
    c->room_share = c->rooms ? 300 + (uint32_t)rng_below(&r, 600) : 0;
    c->op_share = rng_below(&r, 4) ? 50 + (uint32_t)rng_below(&r, 400) : 0;
    c->receipts = rng_below(&r, 2) ? (uint32_t)rng_below(&r, 100) : 0;
    c->group_cap = rng_below(&r, 6) ? 100 : 2 + (uint32_t)rng_below(&r, 2);
    c->receipt_cap = 1 + (uint32_t)rng_below(&r, 4);
    c->recall_limit_ms = rng_below(&r, 6) ? 0 : 1000;
    c->strangers_refused = rng_below(&r, 12) == 0;
    if (rng_below(&r, 3)) /* devices that go are not what most seeds are about */
        c->weights[FAULT_REVOKE] = 0;
}
