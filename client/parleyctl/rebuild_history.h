/* rebuild_history.h: one run of `parleyctl rebuild history`, for its parts. */
#ifndef PARLEY_CTL_REBUILD_HISTORY_H
#define PARLEY_CTL_REBUILD_HISTORY_H

#include "client/parleyctl/rebuild_schema.h"

struct rebuild {
    struct ctl *c;
    struct rebuild_schemas s;
    struct rebuild_tasks tasks;
    int jobs;
    bool words, conversations; /* keep words for search; tell every conversation's hash */
};

/* Folds the schema up to what each task's `to` says and completes it, when it is the shadow. */
int rebuild_advance(struct rebuild *, const char *conninfo, const char *schema_q, bool quiet);

/* rebuild_verify.c. Both sides at the same offsets, hashed and compared. CTL_FAILED also when they differ. */
int rebuild_verify(struct rebuild *);

/* rebuild_swap.c. Each is one transaction, after having asked. */
int rebuild_swap(struct rebuild *);
int rebuild_undo_swap(struct rebuild *);
int rebuild_drop_old(struct rebuild *);

#endif
