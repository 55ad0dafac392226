/* sim_store.h: Redis and PostgreSQL as common/base/store.h promises them: rows and a mark, changed together.
 *
 * What is asked is carried out some time later, also when the asker died meanwhile; the answer comes later still, or
 * never: then the asker hears STORE_DOWN. Redis can lose everything, or its last second. */
#ifndef PARLEY_SIM_SIM_STORE_H
#define PARLEY_SIM_SIM_STORE_H

#include "common/base/store.h"
#include "tests/sim/sim.h"

enum sim_store_name { STORE_ROUTER, STORE_FANOUT, STORE_OFFLINE, STORE_CONV, STORE_USERS, SIM_STORES };
static inline bool sim_store_is_redis(enum sim_store_name n)
{
    return n <= STORE_OFFLINE;
}

struct sim_row {
    uint8_t table;
    struct slice key, row; /* row.n == 0: deleted */
};
struct sim_rows { /* open addressing; deleted rows keep their place */
    struct sim_row *v;
    uint32_t *slots, n, cap, mask;
};
struct sim_state { /* what a snapshot holds */
    struct sim_rows rows;
    struct store_mark mark;
};
struct sim_spart { /* of one name and partition */
    struct sim *sim;
    enum sim_store_name name;
    int32_t part;
    struct sim_state now, snapshot;
    int64_t generations;
    struct slice *appended; /* in order */
    size_t n_appended, cap_appended;
};
struct sim_stores {
    struct sim_spart part[SIM_STORES][SIM_PARTS];
    int64_t down_until[2]; /* Redis, PostgreSQL */
};

struct sim_handle { /* an opened partition, in the hands of a process */
    struct sim_spart *of;
    struct sim_actor *actor;
    int64_t generation, serial; /* the last one confirmed */
    bool putting;
    int64_t done_at, answered_at; /* of the last request */
};

void sim_stores_init(struct sim *, struct sim_stores *);
void sim_rows_put(struct sim *, struct sim_rows *, uint8_t table, struct slice key, struct slice row);
struct slice sim_rows_get(const struct sim_rows *, uint8_t table, struct slice key);

typedef void sim_opened_fn(void *ctx, enum store_rc, const struct store_mark *);
typedef void sim_done_fn(void *ctx, enum store_rc);
void sim_store_open(struct sim_handle *, sim_opened_fn *, void *ctx, const bool *cancelled);
/* keys stay put; rows are written into them. */
void sim_store_load(struct sim_handle *, struct sim_row *keys, size_t n, sim_done_fn *, void *ctx,
                    const bool *cancelled);
struct sim_put { /* stays put until it is over; may be put again */
    struct sim_row *rows;
    size_t n;
    struct slice *appends;
    size_t n_appends;
    struct store_mark mark;
    bool reset;
};
void sim_store_put(struct sim_handle *, const struct sim_put *, sim_done_fn *, void *ctx,
                   const bool *cancelled);

void sim_redis_wipe(struct sim *);
void sim_redis_snapshot(struct sim *);
bool sim_redis_rollback(struct sim *); /* false: nothing to go back to */
void sim_store_down(struct sim *, bool redis, int64_t us);

#endif
