#include "common/base/db.h"

#include "common/base/backoff.h"
#include "common/base/loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATEMENTS_MAX 32
#define PREPARED_MAX   64
#define CHECK_MS       1000

/* One Sync: a call, or the preparing of a statement (fn NULL, n 0), which has a transaction of its own so that a
 * refused call cannot undo it. */
struct call {
    struct call *next;
    db_fn *fn;
    void *ctx;
    int64_t sent_ms;
    const struct db_stmt *prepares;
    PGresult *failed; /* the first error */
    size_t n, got;
    PGresult *results[];
};

enum state { DOWN, CONNECTING, SETTING_UP, UP };

struct db {
    struct loop *loop;
    struct db_conf conf;
    char *conninfo, *setup;
    PGconn *conn;
    enum state state;
    struct loop_fd watch;
    struct loop_job flush, fail; /* a break found inside db_run is told at the end of the turn */
    struct timer retry, check;
    struct backoff backoff;
    int64_t connect_started_ms;
    struct call *head, **tail;
    uint32_t in_flight;
    bool want_writable;
    const struct db_stmt *prepared[PREPARED_MAX];
    size_t n_prepared;
};

static void broken(struct db *d, const char *fallback);
static void connect_start(struct db *d);

/* ---- answers ---- */

static void call_free(struct call *c)
{
    for (size_t i = 0; i < c->got; i++)
        PQclear(c->results[i]);
    PQclear(c->failed);
    free(c);
}

static struct call *pop(struct db *d)
{
    struct call *c = d->head;
    d->head = c->next;
    if (!d->head)
        d->tail = &d->head;
    d->in_flight--;
    return c;
}

static void answer_down(struct call *c, const char *why)
{
    const struct db_result r = {.status = DB_DOWN, .message = why};
    if (c->fn)
        c->fn(c->ctx, &r);
    call_free(c);
}

static void answer(struct call *c)
{
    struct db_result r = {
        .status = DB_OK, .message = "", .results = (const PGresult *const *)c->results, .n = c->got};
    char line[256];
    if (c->failed) {
        const char *state = PQresultErrorField(c->failed, PG_DIAG_SQLSTATE);
        const char *text = PQresultErrorField(c->failed, PG_DIAG_MESSAGE_PRIMARY);
        (void)snprintf(r.sqlstate, sizeof r.sqlstate, "%s", state ? state : "");
        (void)snprintf(line, sizeof line, "%s", text ? text : PQresultErrorMessage(c->failed));
        r.status = DB_ERROR;
        r.message = line;
        r.results = NULL;
        r.n = 0;
    }
    if (c->fn)
        c->fn(c->ctx, &r);
    call_free(c);
}

static void answer_all_down(struct db *d, const char *why)
{
    while (d->head)
        answer_down(pop(d), why);
}

static void tell_writable(struct db *d)
{
    if (!d->want_writable || d->in_flight >= d->conf.max_calls)
        return;
    d->want_writable = false;
    if (d->conf.writable)
        d->conf.writable(d->conf.ctx);
}

/* ---- results ---- */

static void take(struct db *d, PGresult *r)
{
    struct call *c = d->head;
    switch (PQresultStatus(r)) {
    case PGRES_PIPELINE_SYNC:
        PQclear(r);
        pop(d);
        if (c->failed || c->got == c->n) {
            answer(c);
        } else { /* whoever asked counts on one result each */
            answer_down(c, "fewer answers than statements");
            broken(d, "fewer answers than statements");
        }
        return;
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
        if (c->got < c->n) {
            c->results[c->got++] = r;
            return;
        }
        break; /* a statement was prepared */
    case PGRES_PIPELINE_ABORTED:
        break;
    default:
        if (!c->failed) {
            c->failed = r;
            return;
        }
    }
    PQclear(r);
}

/* A statement that cannot be prepared leaves its name free; the calls that use it fail with PostgreSQL's own words. */
static void forget_if_failed(struct db *d)
{
    const struct call *c = d->head;
    if (!c->prepares || !c->failed)
        return;
    for (size_t i = 0; i < d->n_prepared; i++)
        if (d->prepared[i] == c->prepares) {
            d->prepared[i] = d->prepared[--d->n_prepared];
            return;
        }
}

static void read_results(struct db *d)
{
    int nothing = 0;
    while (d->state == UP && d->head && !PQisBusy(d->conn) && nothing < 2) {
        PGresult *r = PQgetResult(d->conn);
        if (!r) { /* ends one statement's results; twice: nothing is here yet */
            nothing++;
            continue;
        }
        nothing = 0;
        if (PQresultStatus(r) == PGRES_PIPELINE_SYNC)
            forget_if_failed(d);
        take(d, r);
    }
    if (d->state == UP)
        tell_writable(d);
}

static void write_out(struct db *d)
{
    int rc = PQflush(d->conn);
    if (rc < 0)
        broken(d, "write failed");
    else
        (void)loop_mod(d->loop, &d->watch, EPOLLIN | (rc ? EPOLLOUT : 0));
}

static void flush_job(struct loop_job *job)
{
    struct db *d = container_of(job, struct db, flush);
    if (d->state == UP)
        write_out(d);
}

static void fail_job(struct loop_job *job)
{
    struct db *d = container_of(job, struct db, fail);
    if (d->state != DOWN)
        broken(d, "the connection failed");
}

/* ---- connecting ---- */

static void disconnect(struct db *d)
{
    loop_del(d->loop, &d->watch);
    loop_cancel(d->loop, &d->flush);
    loop_cancel(d->loop, &d->fail);
    PQfinish(d->conn);
    d->conn = NULL;
    d->n_prepared = 0;
    d->state = DOWN;
}

static void broken(struct db *d, const char *fallback)
{
    char why[256];
    const char *said = d->conn ? PQerrorMessage(d->conn) : "";
    (void)snprintf(why, sizeof why, "%s", *said ? said : fallback);
    why[strcspn(why, "\n")] = '\0';
    disconnect(d);
    loop_timer_start(d->loop, &d->retry, backoff_next_ms(&d->backoff));
    answer_all_down(d, why);
    if (d->conf.down)
        d->conf.down(d->conf.ctx, why);
}

static void became_up(struct db *d)
{
    if (!PQenterPipelineMode(d->conn)) {
        broken(d, "no pipeline mode");
        return;
    }
    d->state = UP;
    backoff_reset(&d->backoff);
    if (d->conf.up)
        d->conf.up(d->conf.ctx);
    if (d->state == UP) {
        d->want_writable = d->want_writable || d->in_flight == 0;
        tell_writable(d);
    }
}

static void connected(struct db *d)
{
    if (PQsetnonblocking(d->conn, 1) != 0) {
        broken(d, "cannot be made non-blocking");
        return;
    }
    if (!d->setup) {
        became_up(d);
        return;
    }
    d->state = SETTING_UP;
    if (!PQsendQuery(d->conn, d->setup))
        broken(d, "the set-up was not sent");
    else
        write_out(d);
}

static void read_setup(struct db *d)
{
    while (!PQisBusy(d->conn)) {
        PGresult *r = PQgetResult(d->conn);
        if (!r) {
            became_up(d);
            return;
        }
        ExecStatusType s = PQresultStatus(r);
        PQclear(r);
        if (s != PGRES_COMMAND_OK && s != PGRES_TUPLES_OK) {
            broken(d, "the set-up was refused");
            return;
        }
    }
}

static void on_socket(struct loop_fd *fd, uint32_t events);

/* libpq may change its socket from one call to the next while it tries several addresses. */
static void connect_go_on(struct db *d)
{
    PostgresPollingStatusType s = PQconnectPoll(d->conn);
    if (s == PGRES_POLLING_OK) {
        loop_del(d->loop, &d->watch);
        if (loop_add(d->loop, &d->watch, PQsocket(d->conn), EPOLLIN, on_socket))
            broken(d, "no descriptor to wait on");
        else
            connected(d);
        return;
    }
    if (s == PGRES_POLLING_FAILED) {
        broken(d, "connection refused");
        return;
    }
    loop_del(d->loop, &d->watch);
    uint32_t events = s == PGRES_POLLING_READING ? EPOLLIN : EPOLLOUT;
    if (PQsocket(d->conn) < 0 || loop_add(d->loop, &d->watch, PQsocket(d->conn), events, on_socket))
        broken(d, "no descriptor to wait on");
}

static void on_socket(struct loop_fd *fd, uint32_t events)
{
    struct db *d = container_of(fd, struct db, watch);
    if (d->state == CONNECTING) {
        connect_go_on(d);
        return;
    }
    if (events & EPOLLOUT)
        write_out(d);
    if (d->state < SETTING_UP || !(events & ~(uint32_t)EPOLLOUT))
        return;
    if (!PQconsumeInput(d->conn)) {
        broken(d, "the connection was closed");
        return;
    }
    if (d->state == SETTING_UP)
        read_setup(d);
    else
        read_results(d);
}

static void ignore_notice(void *ctx, const PGresult *r)
{
    (void)ctx;
    (void)r;
}

static void connect_start(struct db *d)
{
    d->conn = PQconnectStart(d->conninfo);
    if (d->conn)
        PQsetNoticeReceiver(d->conn, ignore_notice, NULL);
    d->connect_started_ms = loop_now_ms(d->loop);
    if (!d->conn || PQstatus(d->conn) == CONNECTION_BAD) {
        broken(d, "no connection");
        return;
    }
    d->state = CONNECTING;
    if (PQsocket(d->conn) < 0 || loop_add(d->loop, &d->watch, PQsocket(d->conn), EPOLLOUT, on_socket))
        broken(d, "no descriptor to wait on");
}

static void on_retry(struct timer *t)
{
    connect_start(container_of(t, struct db, retry));
}

static void on_check(struct timer *t)
{
    struct db *d = container_of(t, struct db, check);
    int64_t since = d->state == CONNECTING || d->state == SETTING_UP ? d->connect_started_ms
                    : d->head                                        ? d->head->sent_ms
                                                                     : INT64_MAX;
    if (d->state != DOWN && since != INT64_MAX && loop_now_ms(d->loop) - since > d->conf.timeout_ms)
        broken(d, d->state == UP ? "no answer in time" : "no connection in time");
    loop_timer_start(d->loop, &d->check, CHECK_MS);
}

/* ---- calls ---- */

static struct call *call_new(struct db *d, size_t n, db_fn *fn, void *ctx)
{
    struct call *c = calloc(1, sizeof *c + n * sizeof(PGresult *));
    if (!c)
        return NULL;
    *c = (struct call){.fn = fn, .ctx = ctx, .n = n, .sent_ms = loop_now_ms(d->loop)};
    return c;
}

static void push(struct db *d, struct call *c)
{
    *d->tail = c;
    d->tail = &c->next;
    d->in_flight++;
}

static bool prepare(struct db *d, const struct db_stmt *s)
{
    for (size_t i = 0; i < d->n_prepared; i++)
        if (d->prepared[i] == s)
            return true;
    struct call *c = d->n_prepared < PREPARED_MAX ? call_new(d, 0, NULL, NULL) : NULL;
    if (!c)
        return false;
    c->prepares = s;
    push(d, c); /* before sending: an answer must find it */
    d->prepared[d->n_prepared++] = s;
    return PQsendPrepare(d->conn, s->name, s->sql, s->types ? s->n_params : 0, s->types) &&
           PQpipelineSync(d->conn);
}

static bool send_call(struct db *d, const struct db_call *calls, size_t n)
{
    int binary[64];
    for (size_t i = 0; i < 64; i++)
        binary[i] = 1;
    for (size_t i = 0; i < n; i++)
        if (!PQsendQueryPrepared(d->conn, calls[i].stmt->name, calls[i].stmt->n_params, calls[i].values,
                                 calls[i].lengths, binary, 1))
            return false;
    return PQpipelineSync(d->conn);
}

int db_run(struct db *d, const struct db_call *calls, size_t n, db_fn *fn, void *ctx)
{
    if (n == 0 || n > STATEMENTS_MAX)
        return -EINVAL;
    if (d->state != UP)
        return -ENOTCONN;
    if (d->in_flight >= d->conf.max_calls) {
        d->want_writable = true;
        return -EAGAIN;
    }
    struct call *c = call_new(d, n, fn, ctx);
    if (!c)
        return -ENOMEM;
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++)
        ok = calls[i].stmt->n_params <= 64 && prepare(d, calls[i].stmt);
    push(d, c);
    ok = ok && send_call(d, calls, n);
    if (ok)
        loop_defer(d->loop, &d->flush, flush_job);
    else
        loop_defer(d->loop, &d->fail, fail_job); /* answers this call DB_DOWN with all others */
    return 0;
}

/* ---- life ---- */

struct db *db_new(struct loop *loop, const struct db_conf *conf)
{
    struct db *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->loop = loop;
    d->conf = *conf;
    d->conf.max_calls = conf->max_calls ? conf->max_calls : 64;
    d->conf.timeout_ms = conf->timeout_ms ? conf->timeout_ms : 30000;
    d->conninfo = strdup(conf->conninfo ? conf->conninfo : "");
    d->setup = conf->setup ? strdup(conf->setup) : NULL;
    if (!d->conninfo || (conf->setup && !d->setup)) {
        free(d->conninfo);
        free(d->setup);
        free(d);
        return NULL;
    }
    d->tail = &d->head;
    backoff_init(&d->backoff, 100, 5000, rand_u64());
    timer_init(&d->retry, on_retry);
    timer_init(&d->check, on_check);
    loop_timer_start(loop, &d->retry, 1); /* callbacks never come from inside db_new */
    loop_timer_start(loop, &d->check, CHECK_MS);
    return d;
}

void db_free(struct db *d)
{
    if (!d)
        return;
    d->conf.up = NULL;
    d->conf.down = NULL;
    d->conf.writable = NULL;
    if (d->conn)
        disconnect(d);
    loop_timer_stop(d->loop, &d->retry);
    loop_timer_stop(d->loop, &d->check);
    answer_all_down(d, "closed");
    free(d->conninfo);
    free(d->setup);
    free(d);
}

bool db_up(const struct db *d)
{
    return d->state == UP;
}
