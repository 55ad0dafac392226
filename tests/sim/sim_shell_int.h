/* sim_shell_int.h: between sim_shell.c (batches, sends, puts, commits) and sim_shell_open.c. */
#ifndef PARLEY_SIM_SIM_SHELL_INT_H
#define PARLEY_SIM_SIM_SHELL_INT_H

#include "tests/sim/sim_shell.h"

void sim_shell_open_store(struct sim_shell *);
void sim_shell_turn(struct sim_shell *); /* there may be something to do */
void sim_shell_commit(struct sim_shell *);
/* Calls fn later, unless the partition has been closed or opened again by then. */
void sim_shell_after(struct sim_shell *, int64_t us, void (*fn)(struct sim_shell *));

#endif
