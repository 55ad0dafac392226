/* rebuild_complete.c: what loading a shadow left out, on several connections at once. */
#include "client/parleyctl/progress.h"
#include "client/parleyctl/rebuild_schema.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define CREW_MAX 16
#define WAIT_MS  1000
#define BLOCKS   64

/* Connections that each get a statement after the other until there is none. */
struct crew {
    const char *(*next)(void *ctx, const PGresult *last); /* NULL: no more for this one */
    void (*tick)(void *ctx);
    void *ctx;
    PGconn *db[CREW_MAX];
    int n;
    bool failed;
};

static void give(struct crew *w, int i, const PGresult *last)
{
    const char *sql = w->failed ? NULL : w->next(w->ctx, last);
    if (sql && PQsendQuery(w->db[i], sql))
        return;
    if (sql) {
        rpg_complain(w->db[i], "not sent");
        w->failed = true;
    }
    PQfinish(w->db[i]);
    w->db[i] = NULL;
}

static void take(struct crew *w, int i)
{
    PGresult *last = NULL;
    if (!PQconsumeInput(w->db[i])) {
        rpg_complain(w->db[i], "the connection broke");
        w->failed = true;
        PQfinish(w->db[i]);
        w->db[i] = NULL;
        return;
    }
    if (PQisBusy(w->db[i]))
        return;
    for (PGresult *r; (r = PQgetResult(w->db[i]));) {
        PQclear(last);
        last = r;
        ExecStatusType s = PQresultStatus(r);
        if (s != PGRES_COMMAND_OK && s != PGRES_TUPLES_OK && !w->failed) {
            rpg_complain(w->db[i], "refused");
            w->failed = true;
        }
    }
    give(w, i, last);
    PQclear(last);
}

static int crew_run(struct crew *w, const char *conninfo, int jobs)
{
    w->n = jobs < CREW_MAX ? jobs : CREW_MAX;
    for (int i = 0; i < w->n && !w->failed; i++) {
        w->db[i] = rpg_open(conninfo);
        w->failed = !w->db[i];
        if (w->db[i])
            give(w, i, NULL);
    }
    for (;;) {
        struct pollfd fds[CREW_MAX];
        nfds_t n = 0;
        for (int i = 0; i < w->n; i++)
            if (w->db[i])
                fds[n++] = (struct pollfd){.fd = PQsocket(w->db[i]), .events = POLLIN};
        if (n == 0)
            return w->failed ? CTL_FAILED : CTL_OK;
        (void)poll(fds, n, WAIT_MS);
        for (int i = 0; i < w->n; i++)
            if (w->db[i])
                take(w, i);
        if (w->tick)
            w->tick(w->ctx);
    }
}

/* ---- indexes ---- */

struct indexes {
    PGresult *list;
    int at;
    char sql[4096];
};

/* One transaction makes the index, gives a key its constraint and takes it off the list. */
static const char *next_index(void *ctx, const PGresult *last)
{
    struct indexes *x = ctx;
    (void)last;
    if (x->at == PQntuples(x->list))
        return NULL;
    const char *name = PQgetvalue(x->list, x->at, 0), *def = PQgetvalue(x->list, x->at, 1);
    bool key = PQgetvalue(x->list, x->at, 2)[0] == 't';
    x->at++;
    char promote[300] = "";
    if (key)
        snprintf(promote, sizeof promote,
                 "ALTER TABLE messages ADD CONSTRAINT %s PRIMARY KEY USING INDEX %s;", name, name);
    snprintf(x->sql, sizeof x->sql, "%s;%s DELETE FROM rebuild_indexes WHERE name = '%s'", def, promote,
             name);
    return x->sql;
}

/* The key first and alone: promoting it waits for all others that read the table. */
static int make_indexes(struct rebuild_schemas *s, struct ctl *c, const char *which, int jobs)
{
    struct indexes x = {
        .list = rpg_ask(s->db, "SELECT name, def, key FROM %s.rebuild_indexes WHERE %s", s->shadow_q, which)};
    struct crew crew = {.next = next_index, .ctx = &x};
    if (!x.list)
        return CTL_FAILED;
    int n = PQntuples(x.list), rc = CTL_OK;
    if (n) {
        ctl_say(c, "making %d index%s", n, n == 1 ? "" : "es");
        rc = crew_run(&crew, s->shadow_info, jobs);
    }
    PQclear(x.list);
    return rc;
}

/* ---- words for search: by the function that the persister's indexer calls ---- */

struct words {
    struct progress bar;
    uint64_t done, all;
};

static const char *next_words(void *ctx, const PGresult *last)
{
    struct words *w = ctx;
    uint64_t n = last ? strtoull(PQgetvalue(last, 0, 0), NULL, 10) : BLOCKS;
    w->done += last ? n : 0;
    return n == BLOCKS ? "SELECT parley_index_blocks(64)" : NULL;
}

static void show_words(void *ctx)
{
    struct words *w = ctx;
    progress_show(&w->bar, w->done, w->all);
}

static int make_words(struct rebuild_schemas *s, struct ctl *c, int jobs)
{
    int64_t n = rpg_number(s->db, 0, "SELECT count(*) FROM %s.search_blocks WHERE NOT done", s->shadow_q);
    struct words w = {.all = n > 0 ? (uint64_t)n : 0};
    struct crew crew = {.next = next_words, .tick = show_words, .ctx = &w};
    if (n <= 0)
        return n ? CTL_FAILED : CTL_OK;
    progress_begin(&w.bar, "words for search", "blocks", 0, c->quiet);
    int rc = crew_run(&crew, s->shadow_info, jobs);
    progress_end(&w.bar, w.done);
    return rc;
}

/* ---- the rest ---- */

static int make_marks(struct rebuild_schemas *s, const struct rebuild_tasks *ts)
{
    for (size_t i = 0; i < ts->n; i++)
        if (rpg_do(
                s->db,
                "INSERT INTO %s.parley_marks VALUES ('%s', %d, 1, 0, true, '%s', '%s') ON CONFLICT (store, "
                "part) DO UPDATE SET present = true",
                s->shadow_q, rebuild_store(&ts->v[i]), ts->v[i].part, ts->v[i].users ? "{0,0}" : "{0}",
                ts->v[i].users ? "{0,0}" : "{0}"))
            return CTL_FAILED;
    return CTL_OK;
}

static int tidy(struct rebuild_schemas *s)
{
    static const char *const tables[] = {"messages", "memberships", "conversations",
                                         "accounts", "cells",       "search_blocks"};
    PGconn *db = rpg_open(s->shadow_info);
    int rc = db ? 0 : -EIO;
    for (size_t i = 0; i < ARRAY_LEN(tables) && !rc; i++)
        rc = rpg_do(db, "ANALYZE %s", tables[i]);
    if (!rc)
        rc = rpg_do(db, "ALTER TABLE messages RESET (autovacuum_enabled); "
                        "ALTER TABLE search_blocks RESET (autovacuum_enabled)");
    PQfinish(db);
    return rc ? CTL_FAILED : rebuild_note(s, "complete", "yes");
}

int rebuild_complete(struct rebuild_schemas *s, struct ctl *c, const struct rebuild_tasks *ts, int jobs,
                     bool words)
{
    char complete[8];
    int rc = make_marks(s, ts);
    if (!rc)
        rc = make_indexes(s, c, "key", jobs);
    if (!rc)
        rc = make_indexes(s, c, "name NOT LIKE 'search%'", jobs);
    if (!rc && words)
        rc = make_words(s, c, jobs);
    if (!rc)
        rc = make_indexes(s, c, "true", jobs);
    if (!rc)
        rc = rebuild_noted(s, "complete", complete, sizeof complete);
    return rc || *complete ? rc : tidy(s);
}
