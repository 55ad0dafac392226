/* sim_fault.h: trouble, at random moments, of random kinds; and its end. */
#ifndef PARLEY_SIM_SIM_FAULT_H
#define PARLEY_SIM_SIM_FAULT_H

#include "tests/sim/sim.h"

void sim_faults_start(struct sim *); /* until conf.chaos is over */
void sim_faults_end(struct sim *);   /* everything heals */

#endif
