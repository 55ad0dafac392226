/* rebuild_put_open.c: taking a partition over, and letting it go. */
#include "client/parleyctl/rebuild_put_int.h"
#include "persister/rows.h"
#include "persister/tables.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

static int take_over(struct put *p)
{
    static const char *const zeros[] = {"", "{0}", "{0,0}", "{0,0,0}", "{0,0,0,0}"};
    char sql[200];
    snprintf(sql, sizeof sql,
             "SELECT generation, serial, present, array_length(next, 1), next[1], next[2] FROM "
             "parley_open('%s', %d, '%s')",
             p->store, p->part, zeros[p->n_topics]);
    PGresult *r = PQexec(p->write, sql);
    if (PQresultStatus(r) != PGRES_TUPLES_OK || PQntuples(r) != 1 ||
        strtoul(PQgetvalue(r, 0, 3), NULL, 10) != p->n_topics) {
        PQclear(r);
        return put_failed(p, p->write, "the mark cannot be taken");
    }
    p->generation = strtoll(PQgetvalue(r, 0, 0), NULL, 10);
    p->serial = strtoll(PQgetvalue(r, 0, 1), NULL, 10);
    for (size_t i = 0; i < p->n_topics; i++)
        p->next[i] = strtoll(PQgetvalue(r, 0, 4 + (int)i), NULL, 10);
    PQclear(r);
    return 0;
}

static bool at_zero(const struct put *p)
{
    bool zero = true;
    for (size_t i = 0; i < p->n_topics; i++)
        zero = zero && p->next[i] == 0;
    return zero;
}

/* Which cells are there, from an index-only pass of the partition. */
static int look_around(struct put *p)
{
    char sql[120];
    int rc = 0;
    snprintf(sql, sizeof sql, "SELECT key FROM cells WHERE part = %d", p->part);
    bool ok = PQsendQueryParams(p->read, sql, 0, NULL, NULL, NULL, NULL, 1) && PQsetSingleRowMode(p->read);
    for (PGresult *r; ok && (r = PQgetResult(p->read)); PQclear(r)) {
        ExecStatusType s = PQresultStatus(r);
        if (s == PGRES_SINGLE_TUPLE)
            seen_add(p->seen, P_CELL, (struct slice){PQgetvalue(r, 0, 0), (size_t)PQgetlength(r, 0, 0)});
        else if (s != PGRES_TUPLES_OK)
            rc = -EIO;
    }
    return ok && !rc ? 0 : put_failed(p, p->read, "cells cannot be listed");
}

struct put *put_open(const char *conninfo, const char *store, int32_t part, size_t n_topics, bool look,
                     char *why, size_t why_n)
{
    struct put *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->store = store;
    p->part = part;
    p->part_be = (int32_t)htobe32((uint32_t)part);
    p->n_topics = n_topics;
    p->held = held_new();
    p->once = held_new();
    for (size_t t = 0; t < STORE_TABLES; t++)
        p->of[t] = p->once;
    for (size_t i = 0; i < PERSISTER_TABLES; i++)
        if (persister_tables[i].load)
            p->of[persister_tables[i].table] = p->held;
    p->answer = held_new();
    p->write = PQconnectdb(conninfo);
    p->read = PQconnectdb(conninfo);
    int rc = PQstatus(p->write) != CONNECTION_OK  ? put_failed(p, p->write, "PostgreSQL is not reachable")
             : PQstatus(p->read) != CONNECTION_OK ? put_failed(p, p->read, "PostgreSQL is not reachable")
                                                  : 0;
    /* A commit that a crash of the server takes back takes its mark back too. */
    if (!rc)
        rc = put_do(p, "SET synchronous_commit = off; SET client_min_messages = warning");
    if (!rc)
        rc = take_over(p);
    bool users = n_topics > 1, zero = at_zero(p);
    if (!rc && (zero || (look && !users))) {
        p->seen = seen_new();
        rc = zero ? 0 : look_around(p);
    }
    if (!rc)
        return p;
    snprintf(why, why_n, "%s", p->error);
    put_free(p);
    return NULL;
}

void put_free(struct put *p)
{
    if (!p)
        return;
    if (p->messages)
        copy_free(p->messages);
    PQfinish(p->write);
    PQfinish(p->read);
    for (size_t i = 0; i < STORE_PG_COLUMNS; i++)
        db_array_release(&p->columns[i]);
    db_array_release(&p->keys);
    held_free(p->held);
    held_free(p->once);
    held_free(p->answer);
    seen_free(p->seen);
    free(p);
}
