/* pipeline_tools.c: the servers, parleyctl, PostgreSQL, Redis, files. */
#include "tests/support/pipeline_int.h"

#include "common/base/kadmin.h"
#include "common/im/schema.h"
#include "common/im/topics.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

const char *pl_keep(struct pl *pl, char *text)
{
    free(pl->text);
    return pl->text = text;
}

char *pl_read_fd(int fd)
{
    size_t n = 0, room = 4096;
    char *text = malloc(room);
    ssize_t got = 0;
    while (text && fd >= 0 && ((got = read(fd, text + n, room - n - 1)) > 0 || (got < 0 && errno == EINTR))) {
        n += got > 0 ? (size_t)got : 0;
        if (n + 1024 > room)
            text = realloc(text, room *= 2);
    }
    if (fd >= 0)
        close(fd);
    assert_non_null(text);
    text[n] = 0;
    return text;
}

char *pl_read_file(const char *path)
{
    return pl_read_fd(open(path, O_RDONLY | O_CLOEXEC));
}

void pl_remove_folder(const struct pl *pl)
{
    DIR *d = opendir(pl->folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[PATH_MAX + 300];
        snprintf(path, sizeof path, "%s/%s", pl->folder, e->d_name);
        unlink(path);
    }
    if (d)
        closedir(d);
    rmdir(pl->folder);
}

/* ---- programs ---- */

void pl_environment(const struct pl *pl)
{
    /* The file says where the servers are; the environment would win over it. */
    unsetenv("PARLEY_KAFKA");
    unsetenv("PARLEY_POSTGRES");
    unsetenv("PARLEY_REDIS");
    unsetenv("CRASH_AT");
    setenv("PARLEY_CONFIG", pl->config, 1);
}

/* out: stdout only, or with stderr too. */
static int run(const struct pl *pl, const char *const *argv, const char *env, bool both, bool servers,
               char **out)
{
    int ends[2], status = -1;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t parent = getpid(), pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1); /* it died before that */
        dup2(ends[1], STDOUT_FILENO);
        if (both)
            dup2(ends[1], STDERR_FILENO);
        if (!servers)
            pl_environment(pl);
        if (env)
            putenv(strdup(env));
        execv(argv[0], (char *const *)(uintptr_t)argv);
        fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    close(ends[1]);
    *out = pl_read_fd(ends[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int pl_run(struct pl *pl, const char *const *argv, const char *env, char **out)
{
    char path[PATH_MAX + 64];
    const char *args[32] = {path};
    for (int i = 1; argv[i] && i < 31; i++)
        args[i] = argv[i];
    snprintf(path, sizeof path, "%s/%s", pl->bins, argv[0]);
    return run(pl, args, env, true, false, out);
}

const char *pl_bins(const struct pl *pl)
{
    return pl->bins;
}

const char *pl_conninfo(struct pl *pl)
{
    char *text;
    assert_true(asprintf(&text, "%s options='-c search_path=%s'", getenv("PARLEY_POSTGRES"), pl->schema) > 0);
    return pl_keep(pl, text);
}

const char *pl_ctl(struct pl *pl, const char *const *words)
{
    char path[PATH_MAX + 64], *out;
    const char *args[32] = {path, "-q"};
    for (int i = 0; words[i] && i < 29; i++)
        args[i + 2] = words[i];
    snprintf(path, sizeof path, "%s/parleyctl", pl->bins);
    int rc = run(pl, args, NULL, false, false, &out);
    pl_keep(pl, out);
    if (rc)
        fail_msg("parleyctl %s %s ended with %d", words[0], words[1] ? words[1] : "", rc);
    return out;
}

void pl_server(struct pl *pl, const char *verb, const char *name)
{
    char path[PATH_MAX + 64], *out;
    snprintf(path, sizeof path, "%s/tools/servers", pl ? pl->tree : ".");
    int rc = run(pl, (const char *const[]){path, verb, name, NULL}, NULL, true, true, &out);
    if (rc)
        fail_msg("tools/servers %s %s: %s", verb, name, out);
    free(out);
}

/* ---- PostgreSQL ---- */

static bool pg_up(struct pl *pl)
{
    if (pl->pg && PQstatus(pl->pg) == CONNECTION_OK)
        return true;
    char text[1200];
    PQfinish(pl->pg);
    snprintf(text, sizeof text,
             "%s connect_timeout=5 options='-c search_path=%s -c client_min_messages=warning'",
             getenv("PARLEY_POSTGRES"), pl->schema);
    pl->pg = PQconnectdb(text);
    return PQstatus(pl->pg) == CONNECTION_OK;
}

static PGresult *ask(struct pl *pl, const char *sql)
{
    if (!pg_up(pl))
        return NULL;
    PGresult *r = PQexec(pl->pg, sql);
    if (PQresultStatus(r) == PGRES_TUPLES_OK || PQresultStatus(r) == PGRES_COMMAND_OK)
        return r;
    bool there = PQstatus(pl->pg) == CONNECTION_OK;
    char why[512];
    snprintf(why, sizeof why, "%s", PQerrorMessage(pl->pg));
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    there = there && state && strncmp(state, "57", 2) != 0; /* going down, coming up */
    PQclear(r);
    if (there)
        fail_msg("%s: %s", sql, why);
    return NULL;
}

void pl_schema(struct pl *pl)
{
    char sql[128];
    snprintf(sql, sizeof sql, "CREATE SCHEMA IF NOT EXISTS %s", pl->schema);
    PGresult *r = ask(pl, sql);
    assert_non_null(r);
    PQclear(r);
    PL_CTL(pl, "migrate");
}

int64_t pl_number(struct pl *pl, const char *fmt, ...)
{
    char sql[2000];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(sql, sizeof sql, fmt, ap);
    va_end(ap);
    PGresult *r = ask(pl, sql);
    int64_t v = -1;
    if (r && PQntuples(r) == 1 && !PQgetisnull(r, 0, 0))
        v = strtoll(PQgetvalue(r, 0, 0), NULL, 10);
    PQclear(r);
    return v;
}

bool pl_rows(struct pl *pl, void (*row)(void *ctx, char **columns), void *ctx, const char *fmt, ...)
{
    char sql[2000], *columns[16];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(sql, sizeof sql, fmt, ap);
    va_end(ap);
    PGresult *r = ask(pl, sql);
    for (int i = 0; r && i < PQntuples(r); i++) {
        for (int c = 0; c < PQnfields(r) && c < 16; c++)
            columns[c] = PQgetisnull(r, i, c) ? NULL : PQgetvalue(r, i, c);
        row(ctx, columns);
    }
    PQclear(r);
    return r != NULL;
}

/* ---- Redis ---- */

static redisContext *redis(void)
{
    char host[128];
    const char *at = getenv("PARLEY_REDIS"), *colon = at ? strrchr(at, ':') : NULL;
    if (!colon)
        return NULL;
    snprintf(host, sizeof host, "%.*s", (int)(colon - at), at);
    redisContext *c =
        redisConnectWithTimeout(host, (int)strtol(colon + 1, NULL, 10), (struct timeval){.tv_sec = 5});
    if (c && c->err) {
        redisFree(c);
        return NULL;
    }
    return c;
}

void pl_redis(struct pl *pl, const char *command)
{
    (void)pl;
    redisContext *c = redis();
    redisReply *r = c ? redisCommand(c, command) : NULL;
    if (!r || r->type == REDIS_REPLY_ERROR)
        fail_msg("Redis: %s: %s", command, r ? r->str : "no answer");
    freeReplyObject(r);
    redisFree(c);
}

static void drop_keys(const struct pl *pl)
{
    static const char script[] =
        "for _, k in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', k) end";
    char pattern[64];
    redisContext *c = redis();
    snprintf(pattern, sizeof pattern, "*%s*", pl->prefix);
    redisReply *r = c ? redisCommand(c, "EVAL %s 0 %s", script, pattern) : NULL;
    if (r)
        freeReplyObject(r);
    if (c)
        redisFree(c);
}

/* ---- all of it ---- */

static void drop_topics(const struct pl *pl)
{
    char err[256];
    const struct kconf kafka = {.bootstrap = getenv("PARLEY_KAFKA"), .client_id = "test"};
    struct topics *topics = topics_new(NULL, "small", pl->prefix, err, sizeof err);
    struct kadmin *admin = kadmin_new(&kafka, 10000);
    for (size_t i = 0; topics && admin && i < topics_count(topics); i++)
        if (kadmin_delete_topic(admin, topics_name(topics, (uint16_t)i)) == -ETIMEDOUT)
            break;
    kadmin_free(admin);
    topics_free(topics);
}

void pl_clean_servers(struct pl *pl)
{
    char sql[128];
    snprintf(sql, sizeof sql, "DROP SCHEMA IF EXISTS %s CASCADE", pl->schema);
    if (pg_up(pl))
        PQclear(PQexec(pl->pg, sql));
    drop_keys(pl);
    drop_topics(pl);
}
