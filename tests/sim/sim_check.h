/* sim_check.h: is what came out what was promised? Judged by what clients did and saw, and by the stores' rows. */
#ifndef PARLEY_SIM_SIM_CHECK_H
#define PARLEY_SIM_SIM_CHECK_H

#include "tests/sim/sim.h"

bool sim_quiet(struct sim *, char *why, size_t n); /* nothing is on its way anywhere */
void sim_check_live(struct sim *); /* whoever is connected has everything, without logging in again */
void sim_check(struct sim *);
void sim_check_cells_now(struct sim *);

#endif
