/* restore.h: fanout's cells again, from the persister's, when Redis has lost them.
 *
 * One read-only snapshot of PostgreSQL gives the persister's mark, its cells and what it numbered. With C the offset up
 * to which fanout had sent and P the persister's mark:
 *     no mark     the log from its beginning, quiet below C
 *     P <= C      cells as of P, then the log from P, quiet below C
 *     P > C       cells as of P; the log from C, where records below P are told and pushed with the numbers they
 *                 have and change nothing (F_AHEAD, F_DECIDED: see core.h)
 * PostgreSQL away or without tables: said, and tried again. On a connection of its own, on the loop, row by row. */
#ifndef PARLEY_FANOUT_RESTORE_H
#define PARLEY_FANOUT_RESTORE_H

#include "common/base/shell.h"

struct loop;

struct restore_conf {
    struct loop *loop;
    const char *conninfo;
};

/* For shell_decl: recover, recover_room, recover_cancel; conf is borrowed. */
void restore_begin(const struct restore_conf *, struct shell_recovery *, const struct shell_gap *);
void restore_room(struct shell_recovery *);
void restore_cancel(struct shell_recovery *);

/* Where the log is read from, and up to where the cells go. `mark` < 0: the persister has none. */
struct restore_plan {
    int64_t next, quiet;
    int64_t ahead; /* 0: cells are not ahead of `next` */
};
struct restore_plan restore_plan(int64_t mark, int64_t committed);

#endif
