#include "bench/pg.h"
#include "bench/kfloor.h"

#include <stdlib.h>

PGconn *pg_open(const char *conninfo)
{
    PGconn *db = PQconnectdb(conninfo);
    if (PQstatus(db) != CONNECTION_OK)
        kfloor_die("PostgreSQL", PQerrorMessage(db));
    return db;
}

void pg_run(PGconn *db, const char *sql)
{
    PGresult *r = PQexec(db, sql);
    if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK)
        kfloor_die("PostgreSQL", PQerrorMessage(db));
    PQclear(r);
}

int64_t pg_number(PGconn *db, const char *sql)
{
    PGresult *r = PQexec(db, sql);
    if (PQresultStatus(r) != PGRES_TUPLES_OK || PQntuples(r) != 1)
        kfloor_die("PostgreSQL", PQerrorMessage(db));
    int64_t v = strtoll(PQgetvalue(r, 0, 0), NULL, 10);
    PQclear(r);
    return v;
}
