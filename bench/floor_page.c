/* floor_page.c: a bare keyset SELECT of a page, prepared, over the same kind of connections as the query process has, binary
 * results, several in flight on each connection by libpq's pipeline mode. */
#include "bench/args.h"
#include "bench/bench.h"
#include "bench/kfloor.h"
#include "bench/page.h"
#include "bench/pg.h"
#include "bench/procs.h"
#include "bench/result.h"

#include "common/base/macros.h"

#include <endian.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>

#define CONNECTIONS 16

static const char page_sql[] =
    "SELECT seq, sender, device, client_seq, msg_id, time_ms, kind, text, content_type, data, target, "
    "reply_to, users, "
    "logins, role, flags, until_ms FROM messages WHERE conv = $1 AND seq < $2 ORDER BY seq DESC LIMIT 50";

struct bare {
    const char *postgres, *accounts;
    uint64_t rows, connections, in_flight, warm_ms, measure_ms, seed;
    struct arg_list processes;
    struct procs procs;
    struct page_set set;
    struct rng rng;
    struct lane {
        PGconn *db;
        unsigned n, head;
        struct {
            int64_t at;
            uint64_t before;
        } q[64];
    } lane[CONNECTIONS];
    struct hist *h;
    uint64_t done;
    int64_t begin, end;
    const char *failure;
};

static void ask(struct bare *b, struct lane *l)
{
    struct page_place at = page_random(&b->set, &b->rng);
    uint64_t be = htobe64(at.before);
    const char *values[2] = {(const char *)b->set.conv[at.i].b, (const char *)&be};
    unsigned k = (l->head + l->n++) % 64;
    l->q[k].at = now_ns();
    l->q[k].before = at.before;
    if (!PQsendQueryPrepared(l->db, "page", 2, values, (const int[]){16, 8}, (const int[]){1, 1}, 1) ||
        !PQpipelineSync(l->db))
        kfloor_die("PostgreSQL", PQerrorMessage(l->db));
}

/* Right: a whole page that ends below what was asked for. */
static void take(struct bare *b, struct lane *l, const PGresult *r)
{
    uint64_t seq;
    int64_t now = now_ns();
    if (PQresultStatus(r) != PGRES_TUPLES_OK)
        kfloor_die("PostgreSQL", PQerrorMessage(l->db));
    if (PQntuples(r) != PAGE_ROWS ||
        (memcpy(&seq, PQgetvalue(r, 0, 0), 8), be64toh(seq) != l->q[l->head].before - 1))
        b->failure = "a page is not what it should be";
    if (l->q[l->head].at >= b->begin && now < b->end) {
        hist_add(b->h, now - l->q[l->head].at);
        b->done++;
    }
    l->head = (l->head + 1) % 64;
    l->n--;
}

static void receive(struct bare *b, struct lane *l)
{
    if (!PQconsumeInput(l->db))
        kfloor_die("PostgreSQL", PQerrorMessage(l->db));
    while (!PQisBusy(l->db)) {
        PGresult *r = PQgetResult(l->db);
        if (!r) { /* between two statements */
            if (PQisBusy(l->db) || !(r = PQgetResult(l->db)))
                return;
        }
        if (PQresultStatus(r) != PGRES_PIPELINE_SYNC)
            take(b, l, r);
        PQclear(r);
    }
}

static void drive(struct bare *b)
{
    struct pollfd p[CONNECTIONS];
    int64_t now = now_ns();
    bool counting = false;
    b->begin = now + (int64_t)b->warm_ms * 1000000;
    b->end = b->begin + (int64_t)b->measure_ms * 1000000;
    for (unsigned busy = 1; busy;) {
        busy = 0;
        now = now_ns();
        if (!counting && now >= b->begin)
            procs_begin(&b->procs), counting = true;
        for (uint64_t i = 0; i < b->connections; i++) {
            struct lane *l = &b->lane[i];
            uint64_t share = b->in_flight / b->connections + (i < b->in_flight % b->connections);
            while (now < b->end && l->n < share)
                ask(b, l);
            busy += l->n;
            p[i] = (struct pollfd){PQsocket(l->db), PQflush(l->db) ? POLLIN | POLLOUT : POLLIN, 0};
        }
        if (busy && poll(p, b->connections, 5000) <= 0)
            kfloor_die("PostgreSQL", "no answer for 5 s");
        for (uint64_t i = 0; i < b->connections; i++)
            if (p[i].revents)
                receive(b, &b->lane[i]);
    }
    procs_end(&b->procs);
}

static void connect_all(struct bare *b)
{
    for (uint64_t i = 0; i < b->connections; i++) {
        struct lane *l = &b->lane[i];
        l->db = pg_open(b->postgres);
        PGresult *r = PQprepare(l->db, "page", page_sql, 2, (const Oid[]){17, 20});
        if (PQresultStatus(r) != PGRES_COMMAND_OK || PQsetnonblocking(l->db, 1) ||
            !PQenterPipelineMode(l->db))
            kfloor_die("PostgreSQL", PQerrorMessage(l->db));
        PQclear(r);
    }
}

int command_floor_page(int argc, char **argv)
{
    static struct bare b = {
        .rows = 1000000, .connections = 3, .in_flight = 1, .warm_ms = 500, .measure_ms = 3000, .seed = 1};
    struct people people;
    const struct arg args[] = {
        {"postgres", ARG_TEXT, &b.postgres, "conninfo (env: $PARLEY_POSTGRES)"},
        {"accounts", ARG_TEXT, &b.accounts, "file of accounts (parley-bench accounts)"},
        {"rows", ARG_NUMBER, &b.rows, "in the table, at least (1000000)"},
        {"connections", ARG_NUMBER, &b.connections,
         "to PostgreSQL (3, what query.connections leaves for history)"},
        {"in-flight", ARG_NUMBER, &b.in_flight, "questions over all of them (1)"},
        {"warm-ms", ARG_NUMBER, &b.warm_ms, "before measuring (500)"},
        {"measure-ms", ARG_NUMBER, &b.measure_ms, "how long (3000)"},
        {"process", ARG_LIST, &b.processes, "name=pid: count its CPU time; once for each"},
        {"seed", ARG_NUMBER, &b.seed, "of the places (1)"},
    };
    int rc = args_parse("parley-bench floor page: a bare keyset SELECT of 50 rows.", args, ARRAY_LEN(args),
                        argc, argv);
    if (rc)
        return rc - 1;
    b.postgres = args_postgres(b.postgres);
    if (!b.postgres || !b.connections || b.connections > CONNECTIONS || !b.in_flight ||
        b.in_flight > 60 * b.connections || procs_init(&b.procs, &b.processes) ||
        people_read(&people, b.accounts, PAGE_PEOPLE))
        return 2;
    PGconn *db = pg_open(b.postgres);
    page_fill(&b.set, db, &people, b.rows);
    PQfinish(db);
    b.rng.state = b.seed;
    b.h = hist_new();
    connect_all(&b);
    drive(&b);
    json_t *o = result_new("floor-page", b.seed);
    if (b.failure)
        json_object_set_new(o, "failure", json_string(b.failure));
    json_object_set_new(o, "table_rows", json_integer((json_int_t)(b.set.n * PAGE_CONV)));
    json_object_set_new(o, "in_flight", json_integer((json_int_t)b.in_flight));
    json_object_set_new(o, "pages_per_s", json_real((double)b.done * 1000 / (double)b.measure_ms));
    json_object_set_new(o, "page_us", result_latency(b.h));
    json_object_set_new(o, "cpu_us_per_page", procs_json(&b.procs, b.done));
    for (uint64_t i = 0; i < b.connections; i++)
        PQfinish(b.lane[i].db);
    page_release(&b.set);
    people_release(&people);
    hist_free(b.h);
    return result_print(o, !b.failure);
}
