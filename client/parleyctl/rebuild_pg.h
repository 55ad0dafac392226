/* rebuild_pg.h: plain blocking PostgreSQL for the rebuild: connections that look into one schema, questions of one line.
 *
 * Whatever fails says why on stderr. One thread, blocking. */
#ifndef PARLEY_CTL_REBUILD_PG_H
#define PARLEY_CTL_REBUILD_PG_H

#include "common/base/macros.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#define PG_NAME 64 /* of an identifier, with its end */

/* The same place with `schema` as search path; malloc'ed. NULL: conninfo cannot be read, no memory. */
char *rpg_conninfo(const char *conninfo, const char *schema);
/* NULL: not reachable. Whoever calls ends it with PQfinish(). */
PGconn *rpg_open(const char *conninfo);

/* 0 or -EIO. */
int rpg_do(PGconn *, const char *sql, ...) PRINTF_LIKE(2, 3);
/* NULL: failed. PQclear() it. */
PGresult *rpg_ask(PGconn *, const char *sql, ...) PRINTF_LIKE(2, 3);
/* The one value; `none` when there is no row or it is NULL; -1 (and said so) when the question failed. */
int64_t rpg_number(PGconn *, int64_t none, const char *sql, ...) PRINTF_LIKE(3, 4);
/* The one value as text: 0, -ENOENT: no row or NULL, -EIO: failed. */
int rpg_text(PGconn *, char *out, size_t n, const char *sql, ...) PRINTF_LIKE(4, 5);
void rpg_complain(PGconn *, const char *what); /* PostgreSQL's last words */

#endif
