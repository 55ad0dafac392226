/* schema_wait.h: may a process work with this database? For those that ask it before they begin.
 *
 * The caller runs schema_ask on a connection and hands the answer over. Loop thread only. */
#ifndef PARLEY_IM_SCHEMA_WAIT_H
#define PARLEY_IM_SCHEMA_WAIT_H

#include "common/base/daemon.h"
#include "common/base/db.h"

#define SCHEMA_RETRY_MS 2000

extern const struct db_stmt schema_ask;

enum schema_state {
    SCHEMA_THERE,
    SCHEMA_LATER, /* ask again after SCHEMA_RETRY_MS: not there yet, or too old */
    SCHEMA_DOWN,  /* ask again when PostgreSQL is up */
    SCHEMA_NEVER  /* newer than this program: said so, and the process ends (daemon_fail) */
};
/* Also says what is waited for, as readiness "schema". */
enum schema_state schema_take(struct daemon_run *, const struct db_result *);

#endif
