/* restore.h: an endpoint's cells when it has none: from the persister's, or from the log.
 *
 * With C the position of the endpoint and P the persister's mark: P <= C: cells as of P, then the log from P, telling
 * nothing below C. P > C, no mark, or PostgreSQL away: the log from its beginning, telling nothing below C. One
 * statement is one snapshot of mark and cells. On a connection of its own, on the loop, row by row. */
#ifndef PARLEY_WEBHOOKS_RESTORE_H
#define PARLEY_WEBHOOKS_RESTORE_H

#include "common/base/shell.h"

struct loop;

/* For shell_decl: recover, recover_room, recover_cancel. */
void restore_begin(struct loop *, const char *conninfo, struct shell_recovery *, const struct shell_gap *);
void restore_room(struct shell_recovery *);
void restore_cancel(struct shell_recovery *);

#endif
