/* sim_run.h: one schedule, and many. */
#ifndef PARLEY_SIM_SIM_RUN_H
#define PARLEY_SIM_SIM_RUN_H

#include "tests/sim/sim_conf.h"

struct sim_result {
    uint64_t seed, events, sends, shown, fired[SIM_FAULTS];
    char verdict[24], why[400];
};

/* The same seed and plant give the same run, event by event. */
void sim_schedule(uint64_t seed, enum sim_plant, bool tracing, struct sim_result *);
void sim_schedule_release(void); /* memory that is kept from run to run */

struct sim_job {
    uint64_t seeds, first;
    unsigned jobs; /* 0: one per core */
    enum sim_plant plant;
    bool trace, verbose;
};
int sim_job_run(const struct sim_job *); /* exit status */
int sim_self_test(void);
bool sim_plant_named(const char *, enum sim_plant *);

#endif
