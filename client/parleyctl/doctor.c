/* doctor.c: can this machine reach what a deployment needs, and is it as it should be? Cause and fix for each no. */
#include "client/parleyctl/ctl.h"

#include "common/im/schema.h"
#include "common/im/secrets.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void report(struct ctl *c, const char *what, bool ok, const char *detail, const char *fix)
{
    if (c->json)
        ctl_put(
            json_pack("{ss sb ss ss}", "check", what, "ok", (int)ok, "detail", detail, "fix", ok ? "" : fix));
    else if (ok)
        printf("ok    %-12s %s\n", what, detail);
    else
        printf("FAIL  %-12s %s\n                   fix: %s\n", what, detail, fix);
}

static bool key_file(struct ctl *c)
{
    char path[4096], why[300] = "";
    ctl_path(c, c->settings.master_key, path, sizeof path);
    struct secrets *s = secrets_load(path, true, why, sizeof why);
    report(c, "master key", s != NULL, s ? path : why,
           "run `parleyctl init` in a new folder, or set secrets.master_key_file");
    secrets_free(s);
    return s != NULL;
}

static bool topics_right(struct ctl *c)
{
    char detail[300] = "";
    size_t absent = 0, wrong = 0, uncommitted = 0, n = topics_count(c->deploy.topics);
    int64_t *offsets = calloc(4096, sizeof *offsets);
    for (size_t i = 0; offsets && i < n; i++) {
        const struct topic *t = topics_get(c->deploy.topics, (uint16_t)i);
        int32_t have = 0;
        if (ctl_partitions(c, t, &have)) {
            absent++;
            continue;
        }
        wrong += have != t->parts;
        for (uint32_t g = 0; have == t->parts && t->parts <= 4096 && g < topics_groups(c->deploy.topics);
             g++) {
            if (!topics_reads(c->deploy.topics, g, (uint16_t)i) || ctl_offsets(c, g, t, offsets))
                continue;
            for (int32_t p = 0; p < t->parts; p++)
                uncommitted += offsets[p] < 0;
        }
    }
    free(offsets);
    snprintf(detail, sizeof detail,
             "%zu of %zu there, %zu with a wrong number of partitions, %zu commits missing", n - absent, n,
             wrong, uncommitted);
    report(c, "topics", !absent && !wrong && !uncommitted, detail,
           wrong ? "topics.profile is not the one they were made with" : "parleyctl topics create");
    return !absent && !wrong && !uncommitted;
}

static bool kafka(struct ctl *c)
{
    if (deploy_init(&c->deploy, &c->settings.deploy, "ctl")) {
        report(c, "topic table", false, "schema/topics.json cannot be used", "set topics.file");
        return false;
    }
    c->admin = kadmin_new(&c->deploy.kafka, 3000);
    bool ok = c->admin && kadmin_ping(c->admin) == 0;
    report(c, "kafka", ok,
           ok         ? c->settings.deploy.bootstrap
           : c->admin ? kadmin_error(c->admin)
                      : "no memory",
           "start it, or say where it is: kafka.bootstrap, PARLEY_KAFKA");
    return ok && topics_right(c);
}

static bool postgres(struct ctl *c)
{
    struct migrate_result r = {0};
    enum migrate_state st = MIGRATE_MISSING;
    char detail[700];
    int rc = migrate_check(
        &(struct migrate){.conninfo = c->settings.deploy.postgres, .newest = SCHEMA_NEWEST}, &st, &r);
    report(c, "postgres", !rc, rc ? r.error : "answers",
           "start it, or say where it is: postgres.conninfo, PARLEY_POSTGRES");
    if (rc)
        return false;
    snprintf(detail, sizeof detail, "at %d, this release has %d: %s", r.before, SCHEMA_NEWEST,
             migrate_state_name(st));
    report(c, "schema", st == MIGRATE_CURRENT, detail,
           st == MIGRATE_NEWER ? "use a newer release" : "parleyctl migrate");
    return st == MIGRATE_CURRENT;
}

/* redis://[user:password@]host:port[/db], host:port, unix:/path */
static redisContext *redis_open(const char *url)
{
    char copy[512], *at = copy;
    struct timeval wait = {3, 0};
    snprintf(copy, sizeof copy, "%s", url);
    if (!strncmp(at, "unix:", 5))
        return redisConnectUnixWithTimeout(at + 5, wait);
    if (!strncmp(at, "redis://", 8))
        at += 8;
    at[strcspn(at, "/")] = '\0';
    char *secret = NULL, *host = strrchr(at, '@');
    if (host) {
        *host++ = '\0';
        secret = strchr(at, ':');
        secret = secret ? secret + 1 : at;
    } else {
        host = at;
    }
    char *port = strrchr(host, ':');
    if (port)
        *port++ = '\0';
    redisContext *r = redisConnectWithTimeout(host, port ? (int)strtol(port, NULL, 10) : 6379, wait);
    if (r && !r->err)
        redisSetTimeout(r, wait);
    if (r && !r->err && secret)
        freeReplyObject(redisCommand(r, "AUTH %s", secret));
    explicit_bzero(copy, sizeof copy);
    return r;
}

static bool redis(struct ctl *c)
{
    redisContext *r = redis_open(c->settings.deploy.redis);
    redisReply *a = r && !r->err ? redisCommand(r, "PING") : NULL;
    bool ok = a && a->type != REDIS_REPLY_ERROR;
    report(c, "redis", ok,
           ok  ? "answers"
           : a ? a->str
           : r ? r->errstr
               : "no memory",
           "start it, or say where it is: redis.url, PARLEY_REDIS");
    if (a)
        freeReplyObject(a);
    if (r)
        redisFree(r);
    return ok;
}

static int run(struct ctl *c, int argc, char **argv)
{
    (void)argv;
    if (argc != 1)
        return ctl_usage("doctor [--json]");
    if (ctl_load(c))
        return CTL_FAILED;
    report(c, "settings", true, c->config ? c->config : "defaults and environment", "");
    bool ok = key_file(c);
    ok &= kafka(c);
    ok &= postgres(c);
    ok &= redis(c);
    return ok ? CTL_OK : CTL_FAILED;
}

const struct ctl_command ctl_doctor = {
    .name = "doctor",
    .about = "checks key, Kafka, topics, PostgreSQL, schema, Redis",
    .help = "Examples\n"
            "  parleyctl doctor          what is wrong here, and what helps\n"
            "  parleyctl doctor --json   one object a check\n"
            "\n"
            "Exit code 1 when a check failed.\n",
    .run = run,
};
