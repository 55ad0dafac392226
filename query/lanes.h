/* lanes.h: the connections to PostgreSQL: several for everything, one for what is slow.
 *
 * Reading only: transactions are read-only, see one moment in time, and end after STATEMENT_S. Nothing is run before the
 * schema is what this release wants; that is waited for visibly. Loop thread. */
#ifndef PARLEY_QUERY_LANES_H
#define PARLEY_QUERY_LANES_H

#include "common/base/daemon.h"
#include "query/ask.h"

#define LANES_CALLS 4 /* in flight on one connection: what is behind a long one waits for it */

struct lanes;

/* room(ctx): there may be room where there was none. NULL: logged. */
struct lanes *lanes_new(struct daemon_run *, const char *conninfo, unsigned connections,
                        void (*room)(void *ctx), void *ctx);
void lanes_free(struct lanes *); /* answers what is in flight DB_DOWN first */

/* 0: fn comes. -EAGAIN: no room or PostgreSQL away; wait for room(). */
int lanes_run(struct lanes *, bool slow, const struct ask *, db_fn *, void *ctx);

#endif
