/* rebuild_fold.h: reads partitions of im.conversation, and of im.user with im.vault, and folds them into a schema.
 *
 * One process a partition, so that they share nothing and each has its own bound of memory; some at a time. A process
 * goes on at its partition's mark and commits every few seconds, so it may be killed at any moment. */
#ifndef PARLEY_CTL_REBUILD_FOLD_H
#define PARLEY_CTL_REBUILD_FOLD_H

#include "client/parleyctl/ctl.h"

#include <sys/types.h>

#define REBUILD_TOPICS 2

/* A partition: of the store of conversations, or of that of users. Lives in memory that the processes share. */
struct rebuild_task {
    bool users;
    int32_t part;
    int64_t to[REBUILD_TOPICS];             /* fold what is below; equal to the mark: nothing to do */
    volatile int64_t next[REBUILD_TOPICS];  /* read so far */
    volatile int64_t first[REBUILD_TOPICS]; /* the mark at its begin */
    volatile uint64_t rows, poison;         /* rows of history written; records that nobody can read */
    volatile int64_t peak_kb;               /* of memory, once it has ended */
    char why[256];                          /* "" or why it failed */
    pid_t pid;                              /* runs now */
    bool ended;
};

struct rebuild_tasks {
    struct rebuild_task *v; /* first the users' partitions, then the conversations' */
    size_t n;
};

static inline size_t rebuild_topics(const struct rebuild_task *t)
{
    return t->users ? 2 : 1;
}
uint16_t rebuild_topic(const struct rebuild_task *, size_t i); /* index of its i-th topic */
const char *rebuild_store(const struct rebuild_task *);        /* as the marks name it */

/* One task per partition of the deployment. 0 or -ENOMEM. */
int rebuild_tasks_init(struct rebuild_tasks *, const struct ctl *);
void rebuild_tasks_release(struct rebuild_tasks *);

/* Sets each `to` to the present end of the log. Checks that the log begins where it can be read from. An exit code. */
int rebuild_ends(struct ctl *, struct rebuild_tasks *);

/* Folds all of them into the schema that `conninfo` looks into, `jobs` at a time, with a bar. No Kafka client of this
 * process may be alive. An exit code, after having said why it is not CTL_OK. */
int rebuild_fold(struct ctl *, struct rebuild_tasks *, const char *conninfo, int jobs, bool quiet);
extern volatile bool rebuild_interrupted; /* by Ctrl-C: the processes have ended, what they committed stays */

/* In the child: 0, or t->why says why not. */
int rebuild_work(const struct ctl *, struct rebuild_task *, const char *conninfo);

#endif
