#include "client/parleyctl/rebuild_put.h"

#include "client/parleyctl/rebuild_copy.h"
#include "client/parleyctl/rebuild_pg.h"
#include "client/parleyctl/rebuild_rows.h"
#include "persister/rows.h"
#include "persister/tables.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_ROWS  5000u
#define CHUNK_BYTES (2u << 20)

struct put {
    PGconn *write, *read;
    const char *store;
    int32_t part, part_be;
    size_t n_topics;
    int64_t generation, serial, next[STORE_TOPICS];
    struct held *held, *answer;
    struct seen *seen; /* NULL: any key may be there */
    struct copy *messages;
    struct db_array columns[STORE_PG_COLUMNS], keys;
    bool began;
    uint64_t rows;
    char error[256];
};

const int64_t *put_next(const struct put *p)
{
    return p->next;
}
size_t put_bytes(const struct put *p)
{
    return held_bytes(p->held);
}
uint64_t put_rows(const struct put *p)
{
    return p->rows;
}
const char *put_error(const struct put *p)
{
    return p->error;
}

static int failed(struct put *p, PGconn *c, const char *what)
{
    const char *why = PQerrorMessage(c);
    if (!*p->error)
        snprintf(p->error, sizeof p->error, "%s: %.*s", what, (int)strcspn(why, "\n"), why);
    return -EIO;
}

static int run(struct put *p, const char *sql)
{
    PGresult *r = PQexec(p->write, sql);
    ExecStatusType s = PQresultStatus(r);
    PQclear(r);
    return s == PGRES_COMMAND_OK || s == PGRES_TUPLES_OK ? 0 : failed(p, p->write, "PostgreSQL refused");
}

/* ---- statements of tables.c: $1 store, $2 partition, then arrays ---- */

static PGresult *statement(PGconn *c, struct put *p, const char *sql, const struct db_array *arrays, size_t n)
{
    static const Oid types[2 + STORE_PG_COLUMNS] = {DB_OID_TEXT, DB_OID_INT4};
    const char *values[2 + STORE_PG_COLUMNS] = {p->store, (const char *)&p->part_be};
    int lengths[2 + STORE_PG_COLUMNS] = {(int)strlen(p->store), sizeof p->part_be},
                    binary[2 + STORE_PG_COLUMNS];
    for (size_t i = 0; i < n; i++) {
        values[2 + i] = arrays[i].p;
        lengths[2 + i] = (int)arrays[i].n;
    }
    for (size_t i = 0; i < 2 + n; i++)
        binary[i] = 1;
    return PQexecParams(c, sql, 2 + (int)n, types, values, lengths, binary, 1);
}

static int write_arrays(struct put *p, const char *sql, struct db_array *arrays, size_t n)
{
    if (arrays[0].count == 0)
        return 0;
    for (size_t i = 0; i < n; i++)
        db_array_end(&arrays[i]);
    PGresult *r = statement(p->write, p, sql, arrays, n);
    ExecStatusType s = PQresultStatus(r);
    PQclear(r);
    return s == PGRES_COMMAND_OK || s == PGRES_TUPLES_OK ? 0 : failed(p, p->write, "rows were refused");
}

static void start_arrays(struct put *p, const struct store_pg_table *t)
{
    db_array_start(&p->keys, DB_OID_BYTEA);
    for (size_t i = 0; i < t->n_columns; i++)
        db_array_start(&p->columns[i], t->types ? t->types[i] : DB_OID_BYTEA);
}

static int write_both(struct put *p, const struct store_pg_table *t)
{
    int rc = t->remove ? write_arrays(p, t->remove, &p->keys, 1) : 0;
    if (!rc && t->upsert)
        rc = write_arrays(p, t->upsert, p->columns, t->n_columns);
    start_arrays(p, t);
    return rc;
}

static int add_to_arrays(struct put *p, const struct store_pg_table *t, const struct held_row *r)
{
    if (r->row.n == 0) {
        db_array_bytes(&p->keys, r->key.p, r->key.n);
        return 0;
    }
    if (t->split)
        return t->split(r->key, r->row, p->columns);
    db_array_bytes(&p->columns[0], r->key.p, r->key.n);
    db_array_bytes(&p->columns[1], r->row.p, r->row.n);
    return 0;
}

/* What cannot be in the table yet went by COPY. */
static bool by_copy(const struct put *p, const struct held_row *r)
{
    return r->table == P_BLOCK || (r->table == P_CELL && !seen_maybe(p->seen, r->table, r->key));
}

static int write_table(struct put *p, const struct store_pg_table *t)
{
    start_arrays(p, t);
    for (const struct held_row *r = held_first(p->held, t->table); r; r = r->next) {
        if (by_copy(p, r))
            continue;
        if (add_to_arrays(p, t, r)) {
            snprintf(p->error, sizeof p->error, "a row does not fit the table %s", t->name);
            return -EBADMSG;
        }
        if (((size_t)p->keys.count + (size_t)p->columns[0].count >= CHUNK_ROWS ||
             p->columns[t->n_columns - 1].n >= CHUNK_BYTES) &&
            write_both(p, t))
            return -EIO;
    }
    return write_both(p, t);
}

static int copy_new(struct put *p, uint8_t table, const char *sql)
{
    struct copy *c = NULL;
    int rc = 0;
    for (const struct held_row *r = held_first(p->held, table); r && !rc; r = r->next) {
        if (!by_copy(p, r) || r->row.n == 0)
            continue;
        if (!c)
            c = copy_begin(p->write, sql);
        rc = !c                ? -EIO
             : table == P_CELL ? copy_cell(c, p->part, r->key, r->row)
                               : copy_block(c, p->part, r->key, r->row);
    }
    if (c)
        rc = copy_end(c, rc);
    return rc ? failed(p, p->write, "COPY") : 0;
}

/* ---- the owner of a fold ---- */

static int begin(struct put *p)
{
    int rc = p->began ? 0 : run(p, "BEGIN");
    p->began = true;
    return rc;
}

int put_row(void *put, const struct store_row *r)
{
    struct put *p = put;
    if (!r->append) {
        held_put(p->held, r->table, r->key, r->row);
        return 0;
    }
    int rc = begin(p);
    if (!rc && !p->messages)
        p->messages = copy_begin(p->write, persister_copy_messages);
    if (!rc)
        rc = p->messages ? copy_message(p->messages, p->part, r->table == P_EVENT, r->row) : -EIO;
    p->rows++;
    return rc ? failed(p, p->write, "COPY of messages") : 0;
}

static const struct store_pg_table *table_of(uint8_t number)
{
    for (size_t i = 0; i < PERSISTER_TABLES; i++)
        if (persister_tables[i].table == number)
            return &persister_tables[i];
    return NULL;
}

/* Those of one table that only the database knows. */
static int ask(struct put *p, uint8_t table)
{
    db_array_start(&p->keys, DB_OID_BYTEA);
    for (const struct held_row *r = held_first(p->answer, table); r; r = r->next)
        db_array_bytes(&p->keys, r->key.p, r->key.n);
    db_array_end(&p->keys);
    PGresult *res = statement(p->read, p, table_of(table)->load, &p->keys, 1);
    int rc = PQresultStatus(res) == PGRES_TUPLES_OK ? 0 : failed(p, p->read, "rows cannot be read");
    for (int i = 0; !rc && i < PQntuples(res); i++)
        held_put(p->answer, table, (struct slice){PQgetvalue(res, i, 0), (size_t)PQgetlength(res, i, 0)},
                 (struct slice){PQgetvalue(res, i, 1), (size_t)PQgetlength(res, i, 1)});
    PQclear(res);
    return rc;
}

int put_load(void *put, struct fold *f, const struct store_key *keys, size_t n)
{
    struct put *p = put;
    int rc = 0;
    held_clear(p->answer);
    for (size_t i = 0; i < n; i++) {
        const struct held_row *r = held_find(p->held, keys[i].table, keys[i].key);
        if (r)
            fold_loaded(f, keys[i].table, keys[i].key, r->row);
        else if (!seen_maybe(p->seen, keys[i].table, keys[i].key))
            fold_loaded(f, keys[i].table, keys[i].key, (struct slice){0});
        else
            held_put(p->answer, keys[i].table, keys[i].key, (struct slice){0});
    }
    for (uint8_t t = 0; t < STORE_TABLES && !rc; t++)
        if (held_first(p->answer, t))
            rc = ask(p, t);
    for (uint8_t t = 0; t < STORE_TABLES && !rc; t++)
        for (const struct held_row *r = held_first(p->answer, t); r; r = r->next)
            fold_loaded(f, t, r->key, r->row);
    return rc;
}

/* ---- commit ---- */

static int fence(struct put *p, const int64_t *next)
{
    char sql[400], list[STORE_TOPICS * 24] = "";
    for (size_t i = 0; i < p->n_topics; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%lld", i ? "," : "", (long long)next[i]);
    snprintf(sql, sizeof sql, "SELECT parley_fence('%s', %d, %lld, %lld, true, '{%s}', '{%s}')", p->store,
             p->part, (long long)p->generation, (long long)p->serial + 1, list, list);
    return run(p, sql);
}

int put_commit(struct put *p, const int64_t *next)
{
    int rc = begin(p);
    if (p->messages)
        rc = copy_end(p->messages, rc) ? failed(p, p->write, "COPY of messages") : rc;
    p->messages = NULL;
    if (!rc)
        rc = copy_new(p, P_CELL, persister_copy_cells);
    if (!rc)
        rc = copy_new(p, P_BLOCK, persister_copy_blocks);
    for (size_t i = 0; i < PERSISTER_TABLES && !rc; i++)
        if (persister_tables[i].upsert)
            rc = write_table(p, &persister_tables[i]);
    if (!rc)
        rc = fence(p, next);
    if (!rc)
        rc = run(p, "COMMIT");
    if (rc)
        return rc;
    for (uint8_t t = 0; t < STORE_TABLES; t++)
        for (const struct held_row *r = held_first(p->held, t); r; r = r->next)
            seen_add(p->seen, t, r->key);
    held_clear(p->held);
    p->began = false;
    p->serial++;
    memcpy(p->next, next, p->n_topics * sizeof *next);
    return 0;
}

/* ---- open ---- */

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
        return failed(p, p->write, "the mark cannot be taken");
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
    return ok && !rc ? 0 : failed(p, p->read, "cells cannot be listed");
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
    p->answer = held_new();
    p->write = PQconnectdb(conninfo);
    p->read = PQconnectdb(conninfo);
    int rc = PQstatus(p->write) != CONNECTION_OK  ? failed(p, p->write, "PostgreSQL is not reachable")
             : PQstatus(p->read) != CONNECTION_OK ? failed(p, p->read, "PostgreSQL is not reachable")
                                                  : 0;
    /* A commit that a crash of the server takes back takes its mark back too. */
    if (!rc)
        rc = run(p, "SET synchronous_commit = off; SET client_min_messages = warning");
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
    held_free(p->answer);
    seen_free(p->seen);
    free(p);
}
