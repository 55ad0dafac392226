#include "auditor/snapshot.h"

#include "auditor/core.h"
#include "common/base/db.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/im/schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PATIENCE_MS 15000 /* to connect, and from one row to the next */

enum stage { CONNECTING, BEGIN, MARK, CELLS, STAGES };

struct snapshot {
    struct loop *loop;
    struct shell_recovery *shell;
    PGconn *pg;
    struct loop_fd watch;
    struct timer patience;
    enum stage stage;
    int32_t part;
    int64_t committed, mark;
    bool paused;
};

static void snapshot_free(struct snapshot *s)
{
    shell_recovery_set_user(s->shell, NULL);
    loop_timer_stop(s->loop, &s->patience);
    loop_del(s->loop, &s->watch);
    PQfinish(s->pg);
    free(s);
}

static void fail(struct snapshot *s, const char *why)
{
    struct shell_recovery *shell = s->shell;
    char line[160];
    snprintf(line, sizeof line, "cells from PostgreSQL: %.*s", (int)strcspn(why, "\n"), why);
    snapshot_free(s);
    shell_recovery_fail(shell, true, line);
}

static bool ask(struct snapshot *s)
{
    static const char *const sql[STAGES] = {
        [BEGIN] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        [MARK] = "SELECT next[1] FROM parley_marks WHERE store = '" SCHEMA_STORE_CONV
                 "' AND part = $1::int4 AND present",
        [CELLS] = "SELECT key, row FROM cells WHERE part = $1::int4",
    };
    char part[16];
    snprintf(part, sizeof part, "%" PRId32, s->part);
    const char *args[] = {part};
    return PQsendQueryParams(s->pg, sql[s->stage], s->stage != BEGIN, NULL, args, NULL, NULL, 1) &&
           PQsetSingleRowMode(s->pg);
}

static void take_row(struct snapshot *s, const PGresult *res)
{
    if (s->stage == MARK)
        s->mark = db_get_i64(res, 0, 0);
    else if (s->stage == CELLS)
        shell_recovery_row(s->shell, A_CELL,
                           (struct slice){PQgetvalue(res, 0, 0), (size_t)PQgetlength(res, 0, 0)},
                           (struct slice){PQgetvalue(res, 0, 1), (size_t)PQgetlength(res, 0, 1)});
}

static void finish(struct snapshot *s)
{
    struct shell_recovery *shell = s->shell;
    int64_t mark = s->mark;
    if (mark >= 0) {
        report_unjudged("skipped", mark - s->committed);
        log_info("cells taken from PostgreSQL", log_int("part", s->part), log_int("from", mark),
                 log_int("judged", s->committed));
    }
    snapshot_free(s);
    if (mark < 0)
        shell_recovery_from_start(shell);
    else
        shell_recovery_done(shell, &mark, &mark);
}

/* False: finished or failed, s is gone. */
static bool next_stage(struct snapshot *s)
{
    if ((s->stage == MARK && s->mark < 0) || ++s->stage == STAGES) {
        finish(s);
        return false;
    }
    if (ask(s))
        return true;
    fail(s, PQerrorMessage(s->pg));
    return false;
}

/* Takes what has arrived. */
static void pump(struct snapshot *s)
{
    while (!shell_recovery_full(s->shell)) {
        if (PQisBusy(s->pg)) {
            loop_timer_start(s->loop, &s->patience, PATIENCE_MS);
            return;
        }
        PGresult *res = PQgetResult(s->pg);
        ExecStatusType status = res ? PQresultStatus(res) : PGRES_COMMAND_OK;
        if (!res) {
            if (!next_stage(s))
                return;
        } else if (status == PGRES_SINGLE_TUPLE) {
            take_row(s, res);
        } else if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
            const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
            fail(s, state && strcmp(state, "42P01") == 0 ? schema_complaint(0) : PQerrorMessage(s->pg));
            PQclear(res);
            return;
        }
        PQclear(res);
    }
    s->paused = true;
    loop_timer_stop(s->loop, &s->patience);
    if (loop_mod(s->loop, &s->watch, 0))
        fail(s, "cannot wait for its connection");
}

static void on_ready(struct loop_fd *watch, uint32_t events);

static void connecting(struct snapshot *s)
{
    PostgresPollingStatusType p = PQconnectPoll(s->pg);
    loop_del(s->loop, &s->watch); /* libpq may have opened another socket */
    if (p == PGRES_POLLING_FAILED) {
        fail(s, PQerrorMessage(s->pg));
        return;
    }
    if (loop_add(s->loop, &s->watch, PQsocket(s->pg), p == PGRES_POLLING_WRITING ? EPOLLOUT : EPOLLIN,
                 on_ready)) {
        fail(s, "cannot watch its connection");
        return;
    }
    if (p != PGRES_POLLING_OK)
        return;
    s->stage = BEGIN;
    if (!ask(s))
        fail(s, PQerrorMessage(s->pg));
}

static void on_ready(struct loop_fd *watch, uint32_t events)
{
    struct snapshot *s = container_of(watch, struct snapshot, watch);
    (void)events;
    if (s->stage == CONNECTING)
        connecting(s);
    else if (!PQconsumeInput(s->pg))
        fail(s, PQerrorMessage(s->pg));
    else
        pump(s);
}

static void on_patience(struct timer *timer)
{
    fail(container_of(timer, struct snapshot, patience), "no answer");
}

void snapshot_begin(const struct snapshot_conf *conf, struct shell_recovery *shell,
                    const struct shell_gap *gap)
{
    struct snapshot *s = calloc(1, sizeof *s);
    if (!s) {
        shell_recovery_fail(shell, true, "no memory");
        return;
    }
    s->loop = conf->loop;
    s->shell = shell;
    s->part = gap->part;
    s->committed = gap->committed[0];
    s->mark = -1;
    timer_init(&s->patience, on_patience);
    shell_recovery_set_user(shell, s);
    s->pg = PQconnectStart(conf->conninfo);
    if (!s->pg || PQstatus(s->pg) == CONNECTION_BAD)
        fail(s, s->pg ? PQerrorMessage(s->pg) : "no memory");
    else if (loop_add(s->loop, &s->watch, PQsocket(s->pg), EPOLLOUT, on_ready))
        fail(s, "cannot watch its connection");
    else
        loop_timer_start(s->loop, &s->patience, PATIENCE_MS);
}

void snapshot_room(struct shell_recovery *shell)
{
    struct snapshot *s = shell_recovery_user(shell);
    if (!s || !s->paused)
        return;
    s->paused = false;
    if (loop_mod(s->loop, &s->watch, EPOLLIN))
        fail(s, "cannot wait for its connection");
    else
        pump(s);
}

void snapshot_cancel(struct shell_recovery *shell)
{
    struct snapshot *s = shell_recovery_user(shell);
    if (s)
        snapshot_free(s);
}
