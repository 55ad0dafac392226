/* floor_copy.c: COPY of the newest rows of `messages`, byte for byte, into a table of the same columns and indexes, on one
 * connection (the persister has one), each batch a transaction. */
#include "bench/args.h"
#include "bench/bench.h"
#include "bench/kfloor.h"
#include "bench/pg.h"
#include "bench/procs.h"
#include "bench/result.h"

#include "common/base/bytes.h"
#include "common/base/macros.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#define HEADER 19 /* of a binary COPY */

struct copy {
    const char *postgres, *table;
    uint64_t rows, batch;
    struct arg_list processes;
    struct procs procs;
    struct bytes data; /* rows without header and trailer */
    uint64_t n;
};

static size_t row_size(const uint8_t *p)
{
    uint16_t fields;
    size_t n = 2;
    memcpy(&fields, p, 2);
    for (int i = ntohs(fields); i > 0; i--) {
        uint32_t len;
        memcpy(&len, p + n, 4);
        n += 4 + (len == UINT32_MAX ? 0 : ntohl(len));
    }
    return n;
}

static void fetch(struct copy *c, PGconn *db)
{
    char sql[200], *line = NULL;
    int n;
    snprintf(sql, sizeof sql,
             "COPY (SELECT * FROM messages ORDER BY conv_offset DESC LIMIT %" PRIu64
             ") TO STDOUT (FORMAT binary)",
             c->rows);
    PGresult *r = PQexec(db, sql);
    if (PQresultStatus(r) != PGRES_COPY_OUT)
        kfloor_die("PostgreSQL", PQerrorMessage(db));
    PQclear(r);
    for (bool head = true; (n = PQgetCopyData(db, &line, 0)) > 0; head = false) {
        const uint8_t *p = (const uint8_t *)line + (head ? HEADER : 0);
        size_t len = (size_t)n - (head ? HEADER : 0);
        if (len > 2) { /* a row, and not the trailer */
            bytes_put(&c->data, p, len);
            c->n++;
        }
        PQfreemem(line);
    }
    while ((r = PQgetResult(db)))
        PQclear(r);
    if (!bytes_ok(&c->data))
        kfloor_die("copy", "no memory");
}

static void write_batch(const struct copy *c, PGconn *db, const uint8_t *p, size_t n)
{
    char sql[200];
    static const char head[HEADER] = "PGCOPY\n\377\r\n\0", trailer[2] = {-1, -1};
    snprintf(sql, sizeof sql, "COPY %s FROM STDIN (FORMAT binary)", c->table);
    PGresult *r = PQexec(db, sql);
    if (PQresultStatus(r) != PGRES_COPY_IN || PQputCopyData(db, head, HEADER) != 1 ||
        PQputCopyData(db, (const char *)p, (int)n) != 1 || PQputCopyData(db, trailer, 2) != 1 ||
        PQputCopyEnd(db, NULL) != 1)
        kfloor_die("PostgreSQL", PQerrorMessage(db));
    PQclear(r);
    while ((r = PQgetResult(db))) {
        if (PQresultStatus(r) != PGRES_COMMAND_OK)
            kfloor_die("PostgreSQL", PQerrorMessage(db));
        PQclear(r);
    }
}

static double copy_all(struct copy *c, PGconn *db)
{
    int64_t begin = now_ns();
    const uint8_t *p = c->data.p, *end = p + c->data.n;
    while (p < end) {
        const uint8_t *from = p;
        for (uint64_t i = 0; i < c->batch && p < end; i++)
            p += row_size(p);
        write_batch(c, db, from, (size_t)(p - from));
    }
    return (double)(now_ns() - begin) / 1e9;
}

int command_floor_copy(int argc, char **argv)
{
    static struct copy c = {.table = "parley_bench_copy", .rows = 100000, .batch = 500};
    char sql[400];
    const struct arg args[] = {
        {"postgres", ARG_TEXT, &c.postgres, "conninfo (env: $PARLEY_POSTGRES)"},
        {"rows", ARG_NUMBER, &c.rows, "the newest of messages (100000)"},
        {"batch", ARG_NUMBER, &c.batch, "rows of one transaction (500, as persister.batch_rows)"},
        {"table", ARG_TEXT, &c.table, "to write: one each for those that run at a time (parley_bench_copy)"},
        {"process", ARG_LIST, &c.processes, "name=pid: count its CPU time; once for each"},
    };
    int rc = args_parse("parley-bench floor copy: COPY into a table of the columns and indexes of messages.",
                        args, ARRAY_LEN(args), argc, argv);
    if (rc)
        return rc - 1;
    c.postgres = args_postgres(c.postgres);
    if (!c.postgres || !c.batch || procs_init(&c.procs, &c.processes))
        return 2;
    PGconn *db = pg_open(c.postgres);
    snprintf(sql, sizeof sql,
             "SET client_min_messages = warning; DROP TABLE IF EXISTS %s; CREATE TABLE %s (LIKE messages "
             "INCLUDING ALL)",
             c.table, c.table);
    pg_run(db, sql);
    fetch(&c, db);
    procs_begin(&c.procs);
    double s = copy_all(&c, db);
    procs_end(&c.procs);
    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", c.table);
    bool whole = c.n && pg_number(db, sql) == (int64_t)c.n;
    snprintf(sql, sizeof sql, "DROP TABLE %s", c.table);
    pg_run(db, sql);
    PQfinish(db);
    json_t *o = result_new("floor-copy", 0);
    if (!whole)
        json_object_set_new(o, "failure", json_string("rows are missing, or there were none"));
    json_object_set_new(o, "rows", json_integer((json_int_t)c.n));
    json_object_set_new(o, "batch", json_integer((json_int_t)c.batch));
    json_object_set_new(o, "seconds", json_real(s));
    json_object_set_new(o, "rows_per_s", json_real(s > 0 ? (double)c.n / s : 0));
    json_object_set_new(o, "cpu_us_per_row", procs_json(&c.procs, c.n));
    bytes_release(&c.data);
    return result_print(o, whole);
}
