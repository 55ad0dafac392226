/* sim_shell.h: a core and its partition: the second shell beside common/base/shell.h, in the same order of effects.
 *
 * Batches of random size are planned, loaded, stepped; their sends go out; once all are acked their rows and the mark
 * are put; then the offsets are committed. Up to four batches overlap. It opens at its store's mark, recovers when that
 * is missing or behind, and opens again whenever an effect fails for good. fx_* and want_add of core.h are here. */
#ifndef PARLEY_SIM_SIM_SHELL_H
#define PARLEY_SIM_SIM_SHELL_H

#include "tests/sim/sim_group.h"
#include "tests/sim/sim_producer.h"
#include "tests/sim/sim_store.h"

struct sim_shell;
struct sim_recovery { /* filled by recover() */
    struct sim_rows rows;
    int64_t next[STORE_TOPICS], quiet[STORE_TOPICS];
    bool again; /* not possible now */
};

struct sim_core { /* what a kind of process declares */
    const char *name;
    const struct core_ops *ops;
    enum sim_store_name store;
    /* Makes the rows again, at once. NULL: from the beginning of the log. */
    void (*recover)(struct sim_shell *, struct sim_recovery *);
    const char *p_step, *p_sent, *p_acked, *p_put, *p_commit; /* names of the crash points */
};

enum sim_shell_state { SHELL_OPENING, SHELL_RUNNING, SHELL_DRAINING, SHELL_CLOSED };
struct sim_batch;

struct sim_shell {
    struct sim *sim;
    struct sim_proc *proc;
    struct sim_group *group;
    const struct sim_core *decl;
    int32_t part;
    const void *settings;
    void *shared;
    enum sim_shell_state state;
    bool *cancelled; /* of this opening: what it asked for is not answered any more */
    struct sim_handle handle;
    void *core;
    int64_t committed[STORE_TOPICS], next[STORE_TOPICS];
    struct store_mark mark;
    struct sim_reader readers[STORE_TOPICS];
    struct sim_queued *queue, **queue_tail;
    uint32_t n_queue;
    struct sim_batch *loading, *batches, **batches_tail;
    uint32_t n_batches;
    bool putting, turn_scheduled, commit_scheduled, mark_due;
    struct sim_put put;
};

struct sim_shell *sim_shell_open(struct sim_proc *, struct sim_group *, const struct sim_core *, int32_t part,
                                 const int64_t *committed, const void *settings, void *shared);
void sim_shell_close(struct sim_shell *);                   /* lost, or the process died */
void sim_shell_drain(struct sim_shell *);                   /* finishes, then sim_group_drained() */
void sim_shell_reopen(struct sim_shell *, const char *why); /* as after a failed effect */
bool sim_shell_idle(const struct sim_shell *);

#endif
