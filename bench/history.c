#include "bench/history.h"
#include "bench/result.h"

#include "common/base/bytes.h"
#include "common/base/loop.h"

#include <errno.h>
#include <libpq-fe.h>
#include <stdlib.h>

#define POLL_MS 20

struct history {
    struct loop *loop;
    PGconn *db;
    struct loop_fd watch;
    struct timer timer;
    bool asked;
    int64_t base, asked_ns, at_ns;
    uint64_t rows;
};

static const char ask[] =
    "SELECT coalesce(sum(next[1]), 0) FROM parley_marks WHERE store LIKE '%conversation'";

static bool take(struct history *h, PGresult *r, int64_t *out)
{
    bool ok = PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) == 1;
    if (ok)
        *out = strtoll(PQgetvalue(r, 0, 0), NULL, 10);
    else
        fprintf(stderr, "parley-bench: history: %s", PQerrorMessage(h->db));
    PQclear(r);
    return ok;
}

static void on_timer(struct timer *t)
{
    struct history *h = container_of(t, struct history, timer);
    loop_timer_start(h->loop, t, POLL_MS);
    if (h->asked)
        return;
    h->asked_ns = now_ns();
    h->asked = PQsendQuery(h->db, ask);
}

static void on_answer(struct loop_fd *w, uint32_t events)
{
    struct history *h = container_of(w, struct history, watch);
    int64_t sum;
    (void)events;
    if (!PQconsumeInput(h->db)) { /* the end says what is missing */
        loop_del(h->loop, w);
        return;
    }
    while (h->asked && !PQisBusy(h->db)) {
        PGresult *r = PQgetResult(h->db);
        if (!r) {
            h->asked = false;
        } else if (take(h, r, &sum) && sum >= h->base) {
            h->rows = (uint64_t)(sum - h->base);
            h->at_ns = h->asked_ns;
        }
    }
}

struct history *history_new(struct loop *loop, const char *conninfo)
{
    struct history *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->loop = loop;
    h->db = PQconnectdb(conninfo);
    if (PQstatus(h->db) != CONNECTION_OK) {
        fprintf(stderr, "parley-bench: PostgreSQL: %s", PQerrorMessage(h->db));
        goto fail;
    }
    if (!take(h, PQexec(h->db, ask), &h->base))
        goto fail;
    h->at_ns = now_ns();
    if (loop_add(loop, &h->watch, PQsocket(h->db), EPOLLIN, on_answer) < 0)
        goto fail;
    timer_init(&h->timer, on_timer);
    loop_timer_start(loop, &h->timer, POLL_MS);
    return h;
fail:
    PQfinish(h->db);
    free(h);
    return NULL;
}

static void end_asking(struct history *h)
{
    loop_timer_stop(h->loop, &h->timer);
    loop_del(h->loop, &h->watch);
    for (PGresult *r; h->asked && (r = PQgetResult(h->db));)
        PQclear(r);
    h->asked = false;
}

void history_free(struct history *h)
{
    if (!h)
        return;
    end_asking(h);
    PQfinish(h->db);
    free(h);
}

uint64_t history_rows(const struct history *h)
{
    return h->rows;
}

int64_t history_at_ns(const struct history *h)
{
    return h->at_ns;
}

static bool run(struct history *h, const char *sql, ExecStatusType want)
{
    PGresult *r = PQexec(h->db, sql);
    bool ok = PQresultStatus(r) == want;
    if (!ok)
        fprintf(stderr, "parley-bench: history: %s", PQerrorMessage(h->db));
    PQclear(r);
    return ok;
}

static void put_hex(struct bytes *b, const uint8_t id[16])
{
    bytes_str(b, "\\\\x");
    for (int i = 0; i < 16; i++)
        bytes_printf(b, "%02x", id[i]);
}

/* The conversations looked for, as a table, so that the server does the matching. */
static bool fill_wanted(struct history *h, const struct history_conv *c, size_t n)
{
    struct bytes b = {0};
    bool ok = run(h, "CREATE TEMP TABLE wanted (i int, conv bytea, first bytea, from_seq bigint)",
                  PGRES_COMMAND_OK) &&
              run(h, "COPY wanted FROM STDIN", PGRES_COPY_IN);
    if (!ok)
        return false;
    for (size_t i = 0; i < n; i++) {
        bytes_printf(&b, "%zu\t", i);
        put_hex(&b, c[i].conv);
        bytes_str(&b, "\t");
        put_hex(&b, c[i].first_sender);
        bytes_printf(&b, "\t%llu\n", (unsigned long long)c[i].from_seq);
    }
    ok = bytes_ok(&b) && PQputCopyData(h->db, (const char *)b.p, (int)b.n) == 1 &&
         PQputCopyEnd(h->db, NULL) == 1;
    for (PGresult *r; (r = PQgetResult(h->db));) {
        ok &= PQresultStatus(r) == PGRES_COMMAND_OK;
        PQclear(r);
    }
    bytes_release(&b);
    return ok && run(h, "ANALYZE wanted", PGRES_COMMAND_OK);
}

int history_verify(struct history *h, const struct history_conv *c, size_t n, struct check *check)
{
    char *line = NULL;
    end_asking(h);
    if (!fill_wanted(h, c, n) || !run(h,
                                      "COPY (SELECT i, (sender <> first)::int, client_seq, seq FROM messages "
                                      "m JOIN wanted w USING (conv)"
                                      " WHERE m.seq >= w.from_seq) TO STDOUT",
                                      PGRES_COPY_OUT))
        return -EIO;
    while (PQgetCopyData(h->db, &line, 0) > 0) {
        char *p = line;
        size_t i = strtoull(p, &p, 10);
        int side = strtol(p, &p, 10) != 0;
        uint64_t client_seq = strtoull(p, &p, 10), seq = strtoull(p, &p, 10);
        uint64_t number = i < n ? client_seq - c[i].base[side] - 1 : UINT64_MAX;
        check_row(check, i, side, number < UINT32_MAX ? (uint32_t)number : UINT32_MAX, seq);
        PQfreemem(line);
    }
    int rc = 0;
    for (PGresult *r; (r = PQgetResult(h->db));) {
        if (PQresultStatus(r) != PGRES_COMMAND_OK)
            rc = -EIO;
        PQclear(r);
    }
    if (rc)
        fprintf(stderr, "parley-bench: history: %s", PQerrorMessage(h->db));
    return rc;
}
