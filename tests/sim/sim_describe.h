/* sim_describe.h: a record in a few words, for traces. */
#ifndef PARLEY_SIM_SIM_DESCRIBE_H
#define PARLEY_SIM_SIM_DESCRIBE_H

#include "tests/sim/sim.h"

const char *sim_describe(const struct sim *, const struct record *); /* valid until the next call */
const char *sim_topic_name(uint16_t topic);

#endif
