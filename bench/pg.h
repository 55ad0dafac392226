/* pg.h: short-hands for blocking PostgreSQL work. They end the process (exit status 1) with a message on failure. */
#ifndef PARLEY_BENCH_PG_H
#define PARLEY_BENCH_PG_H

#include <libpq-fe.h>
#include <stdint.h>

PGconn *pg_open(const char *conninfo);
void pg_run(PGconn *, const char *sql);
int64_t pg_number(PGconn *, const char *sql); /* of one row and column */

#endif
