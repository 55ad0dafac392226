/* snapshot.h: the auditor's cells, when Redis has lost them: the persister's, as of its mark, in one read-only snapshot.
 *
 * The log is then read from that mark: what lies before it and was not judged is counted as unjudged. Without a mark in
 * PostgreSQL the log is read from its beginning. On a connection of its own, on the loop, row by row; PostgreSQL away:
 * said, and tried again. */
#ifndef PARLEY_AUDITOR_SNAPSHOT_H
#define PARLEY_AUDITOR_SNAPSHOT_H

#include "common/base/shell.h"

struct loop;

struct snapshot_conf { /* borrowed */
    struct loop *loop;
    const char *conninfo;
};

/* For shell_decl: recover, recover_room, recover_cancel. */
void snapshot_begin(const struct snapshot_conf *, struct shell_recovery *, const struct shell_gap *);
void snapshot_room(struct shell_recovery *);
void snapshot_cancel(struct shell_recovery *);

#endif
