#include "fanout/restore.h"

#include "common/base/db.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/metrics.h"
#include "common/im/schema.h"
#include "fanout/core.h"

#include <errno.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS 15000 /* to connect, and from one row to the next */

METRIC_COUNTER(restored, "parley_fanout_restored_rows_total",
               "Rows taken from PostgreSQL after Redis lost them.");
METRIC_COUNTER(restores, "parley_fanout_restores_total", "Recoveries, by how they ended.", "end");

enum stage { CONNECTING, BEGIN, MARK, CELLS, DECIDED, STAGES };

struct restore {
    struct loop *loop;
    struct shell_recovery *shell;
    PGconn *pg;
    struct loop_fd watch;
    struct timer patience;
    enum stage stage;
    int32_t part;
    int64_t committed, mark;
    struct restore_plan plan;
    bool paused;
};

struct restore_plan restore_plan(int64_t mark, int64_t committed)
{
    if (mark < 0)
        return (struct restore_plan){0, committed, 0};
    if (mark <= committed)
        return (struct restore_plan){mark, committed, 0};
    return (struct restore_plan){committed, committed, mark};
}

static void restore_free(struct restore *r)
{
    shell_recovery_set_user(r->shell, NULL);
    loop_timer_stop(r->loop, &r->patience);
    loop_del(r->loop, &r->watch);
    PQfinish(r->pg);
    free(r);
}

static void fail(struct restore *r, const char *why)
{
    struct shell_recovery *shell = r->shell;
    char line[160];
    snprintf(line, sizeof line, "cells from PostgreSQL: %.*s", (int)strcspn(why, "\n"), why);
    metric_add(metric_with(&restores, "failed"), 1);
    restore_free(r);
    shell_recovery_fail(shell, true, line);
}

static void fail_result(struct restore *r, const PGresult *res)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    if (state && strcmp(state, "42P01") == 0)
        fail(r, schema_complaint(0));
    else
        fail(r, PQerrorMessage(r->pg));
}

/* ---- queries; one at a time, rows one by one ---- */

static bool ask(struct restore *r)
{
    static const char *const sql[STAGES] = {
        [BEGIN] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        [MARK] = "SELECT next[1] FROM parley_marks WHERE store = '" SCHEMA_STORE_CONV
                 "' AND part = $1::int4 AND present",
        [CELLS] = "SELECT key, row FROM cells WHERE part = $1::int4",
        [DECIDED] =
            "SELECT conv_offset, seq, time_ms, until_ms, users FROM messages WHERE conv_part = $1::int4 AND "
            "conv_offset >= $2::int8",
    };
    static const int n_params[STAGES] = {[MARK] = 1, [CELLS] = 1, [DECIDED] = 2};
    char part[16], from[24];
    snprintf(part, sizeof part, "%" PRId32, r->part);
    snprintf(from, sizeof from, "%" PRId64, r->committed);
    const char *args[] = {part, from};
    return PQsendQueryParams(r->pg, sql[r->stage], n_params[r->stage], NULL, args, NULL, NULL, 1) &&
           PQsetSingleRowMode(r->pg);
}

static void take_row(struct restore *r, const PGresult *res)
{
    uint8_t key[F_DECIDED_KEY], row[F_DECIDED_ROW];
    size_t n;
    switch (r->stage) {
    case MARK:
        r->mark = db_get_i64(res, 0, 0);
        return;
    case CELLS:
        shell_recovery_row(r->shell, F_CELL,
                           (struct slice){PQgetvalue(res, 0, 0), (size_t)PQgetlength(res, 0, 0)},
                           (struct slice){PQgetvalue(res, 0, 1), (size_t)PQgetlength(res, 0, 1)});
        break;
    case DECIDED:
        fanout_decided_key(db_get_i64(res, 0, 0), key);
        n = fanout_decided_row((uint64_t)db_get_i64(res, 0, 1), db_get_i64(res, 0, 2), db_get_i64(res, 0, 3),
                               (struct slice){PQgetvalue(res, 0, 4), (size_t)PQgetlength(res, 0, 4)}, row);
        shell_recovery_row(r->shell, F_DECIDED, (struct slice){key, sizeof key}, (struct slice){row, n});
        break;
    default:
        return;
    }
    metric_add(&restored, 1);
}

static void finish(struct restore *r)
{
    struct shell_recovery *shell = r->shell;
    struct restore_plan plan = r->plan;
    uint8_t row[F_AHEAD_ROW];
    bool from_log = r->mark < 0;
    if (!from_log) { /* also when 0: an older one must not stay */
        fanout_ahead_row(plan.ahead, row);
        shell_recovery_row(shell, F_AHEAD, fanout_ahead_key, (struct slice){row, sizeof row});
    }
    log_info("cells restored", log_int("part", r->part), log_int("mark", r->mark), log_int("from", plan.next),
             log_int("quiet", plan.quiet));
    metric_add(metric_with(&restores, from_log ? "from the log" : "from PostgreSQL"), 1);
    restore_free(r);
    if (from_log)
        shell_recovery_from_start(shell);
    else
        shell_recovery_done(shell, &plan.next, &plan.quiet);
}

/* True: go on with `stage`; false: finished or failed, r is gone. */
static bool next_stage(struct restore *r)
{
    if (r->stage == MARK) {
        r->plan = restore_plan(r->mark, r->committed);
        if (r->mark < 0) {
            finish(r);
            return false;
        }
    }
    r->stage++;
    if (r->stage == STAGES || (r->stage == DECIDED && r->plan.ahead == 0)) {
        finish(r);
        return false;
    }
    if (ask(r))
        return true;
    fail(r, PQerrorMessage(r->pg));
    return false;
}

/* Takes what has arrived. */
static void pump(struct restore *r)
{
    while (!shell_recovery_full(r->shell)) {
        if (PQisBusy(r->pg)) {
            loop_timer_start(r->loop, &r->patience, PATIENCE_MS);
            return;
        }
        PGresult *res = PQgetResult(r->pg);
        ExecStatusType status = res ? PQresultStatus(res) : PGRES_COMMAND_OK;
        if (!res) {
            if (!next_stage(r))
                return;
        } else if (status == PGRES_SINGLE_TUPLE) {
            take_row(r, res);
        } else if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
            fail_result(r, res);
            PQclear(res);
            return;
        }
        PQclear(res);
    }
    r->paused = true;
    loop_timer_stop(r->loop, &r->patience);
    if (loop_mod(r->loop, &r->watch, 0))
        fail(r, "cannot wait for its connection");
}

static void on_ready(struct loop_fd *watch, uint32_t events);

static void connecting(struct restore *r)
{
    PostgresPollingStatusType s = PQconnectPoll(r->pg);
    loop_del(r->loop, &r->watch); /* libpq may have opened another socket */
    if (s == PGRES_POLLING_FAILED) {
        fail(r, PQerrorMessage(r->pg));
        return;
    }
    uint32_t events = s == PGRES_POLLING_WRITING ? EPOLLOUT : EPOLLIN;
    if (loop_add(r->loop, &r->watch, PQsocket(r->pg), events, on_ready)) {
        fail(r, "cannot watch its connection");
        return;
    }
    if (s != PGRES_POLLING_OK)
        return;
    r->stage = BEGIN;
    if (!ask(r))
        fail(r, PQerrorMessage(r->pg));
}

static void on_ready(struct loop_fd *watch, uint32_t events)
{
    struct restore *r = container_of(watch, struct restore, watch);
    (void)events;
    if (r->stage == CONNECTING) {
        connecting(r);
        return;
    }
    if (!PQconsumeInput(r->pg)) {
        fail(r, PQerrorMessage(r->pg));
        return;
    }
    pump(r);
}

static void on_patience(struct timer *timer)
{
    fail(container_of(timer, struct restore, patience), "no answer");
}

void restore_begin(const struct restore_conf *conf, struct shell_recovery *shell, const struct shell_gap *gap)
{
    struct restore *r = calloc(1, sizeof *r);
    if (!r) {
        shell_recovery_fail(shell, true, "no memory");
        return;
    }
    r->loop = conf->loop;
    r->shell = shell;
    r->part = gap->part;
    r->committed = gap->committed[0];
    r->mark = -1;
    timer_init(&r->patience, on_patience);
    shell_recovery_set_user(shell, r);
    r->pg = PQconnectStart(conf->conninfo);
    if (!r->pg || PQstatus(r->pg) == CONNECTION_BAD) {
        fail(r, r->pg ? PQerrorMessage(r->pg) : "no memory");
        return;
    }
    if (loop_add(r->loop, &r->watch, PQsocket(r->pg), EPOLLOUT, on_ready)) {
        fail(r, "cannot watch its connection");
        return;
    }
    loop_timer_start(r->loop, &r->patience, PATIENCE_MS);
}

void restore_room(struct shell_recovery *shell)
{
    struct restore *r = shell_recovery_user(shell);
    if (!r || !r->paused)
        return;
    r->paused = false;
    if (loop_mod(r->loop, &r->watch, EPOLLIN))
        fail(r, "cannot wait for its connection");
    else
        pump(r);
}

void restore_cancel(struct shell_recovery *shell)
{
    struct restore *r = shell_recovery_user(shell);
    if (r)
        restore_free(r);
}
