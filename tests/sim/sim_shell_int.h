/* sim_shell_int.h: between sim_shell.c (batches, sends), sim_shell_load.c, sim_shell_put.c and sim_shell_open.c. */
#ifndef PARLEY_SIM_SIM_SHELL_INT_H
#define PARLEY_SIM_SIM_SHELL_INT_H

#include "tests/sim/sim_shell.h"

#define SHELL_BATCHES 4 /* overlap */

struct sim_batch;
void sim_shell_plan(struct sim_batch *); /* then loads, then sim_shell_step() */
void sim_shell_step(struct sim_batch *);
void sim_shell_put(struct sim_shell *);         /* what is ready of it */
bool sim_shell_early(const struct sim_shell *); /* planted: does not wait for the sends */
void sim_shell_open_store(struct sim_shell *);
void sim_shell_turn(struct sim_shell *); /* there may be something to do */
void sim_shell_commit(struct sim_shell *);
/* Calls fn later, unless the partition has been closed or opened again by then. */
void sim_shell_after(struct sim_shell *, int64_t us, void (*fn)(struct sim_shell *));

#endif
