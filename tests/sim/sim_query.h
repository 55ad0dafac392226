/* sim_query.h: the query process, as a reader of what the persister has written: history only.
 *
 * Each answer is one look at PostgreSQL as it is then. It waits for a number at most two seconds, then says BEHIND;
 * while PostgreSQL is away it says BUSY. Questions may be answered twice, and when it dies some not at all. */
#ifndef PARLEY_SIM_SIM_QUERY_H
#define PARLEY_SIM_SIM_QUERY_H

#include "common/im/ids.h"
#include "tests/sim/sim_log.h"
#include "tests/sim/sim_producer.h"

struct sim_query {
    struct sim_actor actor; /* must be first */
    struct sim_producer producer;
    struct sim_reader *readers[SIM_PARTS];
    int64_t committed[SIM_PARTS];
};

void sim_query_init(struct sim *);
/* May this user see that number, as the persister's rows have it? For the checker. */
bool sim_query_sees(const struct sim *, struct id16 user, struct id16 conv, uint64_t seq);

#endif
