/* sim_plant.h: defects built in: most by way of the shell, which leaves the product as it is; some are in the product
 * itself, behind planted() of common/base/crash.h. */
#ifndef PARLEY_SIM_SIM_PLANT_H
#define PARLEY_SIM_SIM_PLANT_H

#include "tests/sim/sim_edge.h"

/* no-duplicates: the same record of im.conversation with client_seq 0. */
struct slice sim_plant_unnumbered(struct sim *, struct slice value);
/* empty-queue: what was written to a client counts as confirmed, so that its queue forgets it. */
void sim_plant_confirm(struct sim_link *, uint16_t type, uint32_t seq_id, struct slice payload);
/* bounce-lost: a record of im.offline without the items that have no payload. */
struct slice sim_plant_no_pointers(struct sim *, struct slice value);
void sim_plant_inside(enum sim_plant); /* what planted() says from now on */

#endif
