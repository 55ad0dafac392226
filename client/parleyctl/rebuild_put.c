#include "client/parleyctl/rebuild_put_int.h"

#include "persister/rows.h"
#include "persister/tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_ROWS  5000u
#define CHUNK_BYTES (2u << 20)

const int64_t *put_next(const struct put *p)
{
    return p->next;
}
size_t put_bytes(const struct put *p)
{
    return held_bytes(p->held) + held_bytes(p->once);
}
uint64_t put_rows(const struct put *p)
{
    return p->rows;
}
const char *put_error(const struct put *p)
{
    return p->error;
}

int put_failed(struct put *p, PGconn *c, const char *what)
{
    const char *why = PQerrorMessage(c);
    if (!*p->error)
        snprintf(p->error, sizeof p->error, "%s: %.*s", what, (int)strcspn(why, "\n"), why);
    return -EIO;
}

int put_do(struct put *p, const char *sql)
{
    PGresult *r = PQexec(p->write, sql);
    ExecStatusType s = PQresultStatus(r);
    PQclear(r);
    return s == PGRES_COMMAND_OK || s == PGRES_TUPLES_OK ? 0 : put_failed(p, p->write, "PostgreSQL refused");
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
    return s == PGRES_COMMAND_OK || s == PGRES_TUPLES_OK ? 0 : put_failed(p, p->write, "rows were refused");
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
    if (r->n == 0) {
        db_array_bytes(&p->keys, r->key, r->key_n);
        return 0;
    }
    if (t->split)
        return t->split(held_key(r), held_value(r), p->columns);
    db_array_bytes(&p->columns[0], r->key, r->key_n);
    db_array_bytes(&p->columns[1], r->row, r->n);
    return 0;
}

/* What cannot be in the table yet went by COPY. */
static bool by_copy(const struct put *p, const struct held_row *r)
{
    return r->table == P_BLOCK || (r->table == P_CELL && !seen_maybe(p->seen, r->table, held_key(r)));
}

static int write_table(struct put *p, const struct store_pg_table *t)
{
    start_arrays(p, t);
    for (const struct held_row *r = held_first(p->of[t->table], t->table); r; r = r->next) {
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
    for (const struct held_row *r = held_first(p->of[table], table); r && !rc; r = r->next) {
        if (!by_copy(p, r) || r->n == 0)
            continue;
        if (!c)
            c = copy_begin(p->write, sql);
        rc = !c                ? -EIO
             : table == P_CELL ? copy_cell(c, p->part, held_key(r), held_value(r))
                               : copy_block(c, p->part, held_key(r), held_value(r));
    }
    if (c)
        rc = copy_end(c, rc);
    return rc ? put_failed(p, p->write, "COPY") : 0;
}

/* ---- the owner of a fold ---- */

static int begin(struct put *p)
{
    int rc = p->began ? 0 : put_do(p, "BEGIN");
    p->began = true;
    return rc;
}

int put_row(void *put, const struct store_row *r)
{
    struct put *p = put;
    if (!r->append) {
        held_put(p->of[r->table], r->table, r->key, r->row);
        return 0;
    }
    int rc = begin(p);
    if (!rc && !p->messages)
        p->messages = copy_begin(p->write, persister_copy_messages);
    if (!rc)
        rc = p->messages ? copy_message(p->messages, p->part, r->table == P_EVENT, r->row) : -EIO;
    p->rows++;
    return rc ? put_failed(p, p->write, "COPY of messages") : 0;
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
        db_array_bytes(&p->keys, r->key, r->key_n);
    db_array_end(&p->keys);
    PGresult *res = statement(p->read, p, table_of(table)->load, &p->keys, 1);
    int rc = PQresultStatus(res) == PGRES_TUPLES_OK ? 0 : put_failed(p, p->read, "rows cannot be read");
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
            fold_loaded(f, keys[i].table, keys[i].key, held_value(r));
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
            fold_loaded(f, t, held_key(r), held_value(r));
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
    return put_do(p, sql);
}

int put_commit(struct put *p, const int64_t *next, size_t keep)
{
    int rc = begin(p);
    if (p->messages)
        rc = copy_end(p->messages, rc) ? put_failed(p, p->write, "COPY of messages") : rc;
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
        rc = put_do(p, "COMMIT");
    if (rc)
        return rc;
    for (uint8_t t = 0; t < STORE_TABLES; t++)
        for (const struct held_row *r = held_first(p->held, t); r; r = r->next)
            seen_add(p->seen, t, held_key(r));
    held_clear(p->once);
    if (held_bytes(p->held) > keep)
        held_clear(p->held);
    else
        held_settle(p->held);
    p->began = false;
    p->serial++;
    memcpy(p->next, next, p->n_topics * sizeof *next);
    return 0;
}
