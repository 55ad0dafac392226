#include "webhooks/restore.h"

#include "common/base/db.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/im/schema.h"
#include "webhooks/core.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS 15000 /* to connect, and from one row to the next */

struct restore {
    struct loop *loop;
    struct shell_recovery *shell;
    PGconn *pg;
    struct loop_fd watch;
    struct timer patience;
    int32_t part;
    int64_t committed, mark; /* mark -1: not known */
    bool asked;
};

static void restore_free(struct restore *r)
{
    shell_recovery_set_user(r->shell, NULL);
    loop_timer_stop(r->loop, &r->patience);
    loop_del(r->loop, &r->watch);
    PQfinish(r->pg);
    free(r);
}

/* The log has it all. */
static void from_log(struct restore *r, const char *why)
{
    struct shell_recovery *shell = r->shell;
    log_info("going through the log from its beginning, silently up to the position",
             log_int("part", r->part), log_int("position", r->committed),
             log_text("because", why, strcspn(why, "\n")));
    restore_free(r);
    shell_recovery_from_start(shell);
}

static void done(struct restore *r)
{
    struct shell_recovery *shell = r->shell;
    int64_t next = r->mark, quiet = r->committed;
    if (r->mark < 0) {
        from_log(r, "the persister has no mark");
        return;
    }
    log_info("cells taken from PostgreSQL", log_int("part", r->part), log_int("from", next),
             log_int("position", quiet));
    restore_free(r);
    shell_recovery_done(shell, &next, &quiet);
}

/* False: it is over, r is gone. */
static bool take_row(struct restore *r, const PGresult *res)
{
    r->mark = db_get_i64(res, 0, 0);
    if (r->mark > r->committed) {
        from_log(r, "the persister is past the position");
        return false;
    }
    if (!PQgetisnull(res, 0, 1))
        shell_recovery_row(r->shell, H_CELL,
                           (struct slice){PQgetvalue(res, 0, 1), (size_t)PQgetlength(res, 0, 1)},
                           (struct slice){PQgetvalue(res, 0, 2), (size_t)PQgetlength(res, 0, 2)});
    return true;
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
            done(r);
            return;
        }
        if (status == PGRES_SINGLE_TUPLE && !take_row(r, res)) {
            PQclear(res);
            return;
        }
        PQclear(res);
        if (status != PGRES_SINGLE_TUPLE && status != PGRES_TUPLES_OK) {
            from_log(r, PQerrorMessage(r->pg));
            return;
        }
    }
    loop_timer_stop(r->loop, &r->patience);
    if (loop_mod(r->loop, &r->watch, 0))
        from_log(r, "its connection cannot be waited for");
}

static bool ask(struct restore *r)
{
    static const char sql[] =
        "SELECT m.next[1], c.key, c.row FROM parley_marks m LEFT JOIN cells c ON c.part = m.part "
        "WHERE m.store = '" SCHEMA_STORE_CONV "' AND m.part = $1::int4 AND m.present";
    char part[16];
    (void)snprintf(part, sizeof part, "%" PRId32, r->part);
    const char *args[] = {part};
    r->asked = true;
    return PQsendQueryParams(r->pg, sql, 1, NULL, args, NULL, NULL, 1) && PQsetSingleRowMode(r->pg);
}

static void on_ready(struct loop_fd *watch, uint32_t events);

static void connecting(struct restore *r)
{
    PostgresPollingStatusType s = PQconnectPoll(r->pg);
    loop_del(r->loop, &r->watch); /* libpq may have opened another socket */
    uint32_t events = s == PGRES_POLLING_WRITING ? EPOLLOUT : EPOLLIN;
    if (s == PGRES_POLLING_FAILED || loop_add(r->loop, &r->watch, PQsocket(r->pg), events, on_ready) ||
        (s == PGRES_POLLING_OK && !ask(r)))
        from_log(r, PQerrorMessage(r->pg));
}

static void on_ready(struct loop_fd *watch, uint32_t events)
{
    struct restore *r = container_of(watch, struct restore, watch);
    (void)events;
    if (!r->asked)
        connecting(r);
    else if (PQconsumeInput(r->pg))
        pump(r);
    else
        from_log(r, PQerrorMessage(r->pg));
}

static void on_patience(struct timer *timer)
{
    from_log(container_of(timer, struct restore, patience), "PostgreSQL does not answer");
}

void restore_begin(struct loop *loop, const char *conninfo, struct shell_recovery *shell,
                   const struct shell_gap *gap)
{
    struct restore *r = calloc(1, sizeof *r);
    if (!r) {
        shell_recovery_fail(shell, true, "no memory");
        return;
    }
    r->loop = loop;
    r->shell = shell;
    r->part = gap->part;
    r->committed = gap->committed[0];
    r->mark = -1;
    timer_init(&r->patience, on_patience);
    shell_recovery_set_user(shell, r);
    r->pg = PQconnectStart(conninfo);
    if (!r->pg || PQstatus(r->pg) == CONNECTION_BAD ||
        loop_add(r->loop, &r->watch, PQsocket(r->pg), EPOLLOUT, on_ready))
        from_log(r, r->pg ? PQerrorMessage(r->pg) : "no memory");
    else
        loop_timer_start(r->loop, &r->patience, PATIENCE_MS);
}

void restore_room(struct shell_recovery *shell)
{
    struct restore *r = shell_recovery_user(shell);
    if (r && loop_mod(r->loop, &r->watch, EPOLLIN))
        from_log(r, "its connection cannot be waited for");
    else if (r)
        pump(r);
}

void restore_cancel(struct shell_recovery *shell)
{
    struct restore *r = shell_recovery_user(shell);
    if (r)
        restore_free(r);
}
