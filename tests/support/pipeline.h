/* pipeline.h: a deployment of a test program's own on the real servers: topics with a prefix, a schema in
 * PostgreSQL, keys with a prefix in Redis, and several processes of each kind from the build.
 *
 * Everything blocks, and everything that goes wrong fails the running cmocka test with a message. The servers
 * are those of PARLEY_KAFKA, PARLEY_POSTGRES, PARLEY_REDIS (without them the tests are skipped); `tools/servers`
 * with PARLEY_STATE stops and starts them. Processes die with the test program, however it ends.
 *
 * The usual program:
 *     static struct pl *pl;
 *     static int setup(void **state) { pl = pl_up(&(struct pl_conf){0}); … }
 *     int main(void) { return pl_finish(cmocka_run_group_tests(tests, setup, NULL)); }
 */
#ifndef PARLEY_SUPPORT_PIPELINE_H
#define PARLEY_SUPPORT_PIPELINE_H

#include "common/base/clock.h"
#include "common/base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum pl_kind {
    PL_EDGE,
    PL_ROUTER,
    PL_FANOUT,
    PL_PERSISTER,
    PL_OFFLINE,
    PL_QUERY,
    PL_WEBHOOKS,
    PL_AUDITOR,
    PL_KINDS
};
#define PL_ALWAYS \
    PL_WEBHOOKS /* those before it are in every deployment, the others where a test asks for them */
#define PL_EACH_MAX 6

struct pl;

struct pl_conf {
    int n[PL_KINDS];           /* how many of each; all zero: 2, 2, 2, 1, 2, 1, no webhooks, no auditor */
    const char *settings;      /* JSON laid over parley.json: {"edge": {"login": "1s"}} */
    bool no_topics, no_schema; /* leave that out */
    const char
        *edge_env[PL_EACH_MAX]; /* settings of one edge alone: "PARLEY_EDGE_TOKEN=1s PARLEY_EDGE_RATE=5" */
    bool no_start;              /* start nothing yet */
};

struct pl *pl_up(const struct pl_conf *); /* everything made, started and ready */
/* Stops and removes all deployments of this program; logs of processes are shown and kept when `failed` (the
 * number of failed tests, returned as it is). */
int pl_finish(int failed);

const char *pl_prefix(const struct pl *);      /* of topics, groups, keys */
const char *pl_config(const struct pl *);      /* path of parley.json */
const char *pl_folder(const struct pl *);      /* for files of the test */
const char *pl_bins(const struct pl *);        /* where the build's programs are */
const char *pl_conninfo(struct pl *);          /* PostgreSQL, with the schema; until the next call */
const char *pl_edge(const struct pl *, int i); /* "127.0.0.1:21001" */
const char *pl_edges(const struct pl *,
                     int first); /* all, comma between, beginning with this one; until the next call */
int pl_count(const struct pl *, enum pl_kind);

/* ---- processes ---- */
/* env: one more variable, "CRASH_AT=router:sent:3", or NULL. Does not wait. */
void pl_start(struct pl *, enum pl_kind, int i, const char *env);
void pl_signal(struct pl *, enum pl_kind, int i, int signal);
/* Sends the signal, waits for the end; status as of waitpid(). */
int pl_stop(struct pl *, enum pl_kind, int i, int signal);
void pl_expect_end(struct pl *, enum pl_kind, int i); /* it may end from now on */
int pl_wait_end(struct pl *, enum pl_kind, int i);    /* waits for an end that is expected */
bool pl_running(struct pl *, enum pl_kind, int i);
bool pl_ready(struct pl *, enum pl_kind, int i);
/* What /readyz or another path says; "" when it does not answer. Valid until the next call. */
const char *pl_http(struct pl *, enum pl_kind, int i, const char *path, int *status);
double pl_metric(struct pl *, enum pl_kind, int i, const char *name); /* sum over its labels; -1: not there */
void pl_wait_ready(struct pl *);
const char *pl_log(struct pl *, enum pl_kind, int i); /* all it has logged; until the next call */
/* From now on what dies is started again, without `env`, and pl_deaths() counts; else a death fails the test. */
void pl_supervise(struct pl *, bool);
int pl_deaths(const struct pl *);

/* ---- waiting ---- */
#define PL_WAIT_MS 60000
int pl_ms(int ms); /* longer in slow builds: every deadline goes through here */
/* A moment's pause in which the processes are looked after; fails the test once it is later than `by`. */
void pl_turn(struct pl *, int64_t by, const char *what, const char *file, int line);
void pl_look_after(struct pl *); /* the same without the pause */
#define UNTIL(pl, cond)                                    \
    do {                                                   \
        int64_t by_ = clock_mono_ms() + pl_ms(PL_WAIT_MS); \
        while (!(cond))                                    \
            pl_turn(pl, by_, #cond, __FILE__, __LINE__);   \
    } while (0)

/* ---- servers and tools ---- */
/* Makes the PostgreSQL schema, when pl_up() was told not to. */
void pl_schema(struct pl *);
/* tools/servers VERB NAME: kill9, stop-one, start-one, pause, resume of kafka, postgres, redis. */
/* pl may be NULL when the tree is the working folder. */
void pl_server(struct pl *, const char *verb, const char *name);
/* parleyctl with the deployment's configuration; its stdout, until the next call. Fails the test when it fails. */
const char *pl_ctl(struct pl *, const char *const *args);
#define PL_CTL(pl, ...) pl_ctl(pl, (const char *const[]){__VA_ARGS__, NULL})
/* Any program of BUILD/bin, its exit status and what it wrote (stdout and stderr). */
int pl_run(struct pl *, const char *const *argv, const char *env, char **out);

/* One number; -1: no row, or PostgreSQL away. */
int64_t pl_number(struct pl *, const char *sql, ...) PRINTF_LIKE(2, 3);
/* Each row, columns as text (NULL: null). False: PostgreSQL is away. */
bool pl_rows(struct pl *, void (*row)(void *ctx, char **columns), void *ctx, const char *sql, ...)
    PRINTF_LIKE(4, 5);
void pl_redis(struct pl *, const char *command); /* words between blanks: "FLUSHALL" */

#endif
