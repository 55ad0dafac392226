/* sim_plant.h: defects built in by way of the shell; the product itself is left as it is. */
#ifndef PARLEY_SIM_SIM_PLANT_H
#define PARLEY_SIM_SIM_PLANT_H

#include "tests/sim/sim_edge.h"

/* no-duplicates: the same record of im.conversation with client_seq 0. */
struct slice sim_plant_unnumbered(struct sim *, struct slice value);
/* empty-queue: what was written to a client counts as confirmed, so that its queue forgets it. */
void sim_plant_confirm(struct sim_link *, uint16_t type, uint32_t seq_id, struct slice payload);

#endif
