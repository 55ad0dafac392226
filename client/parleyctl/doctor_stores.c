/* PostgreSQL and Redis. */
#include "client/parleyctl/doctor.h"
#include "client/parleyctl/rstore.h"

#include "common/base/clock.h"
#include "common/im/schema.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

/* ---- PostgreSQL ---- */

/* One value as text; "" when it may not be asked. */
static const char *ask(PGconn *pg, const char *sql, char out[256])
{
    PGresult *r = PQexec(pg, sql);
    bool ok = PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) == 1;
    snprintf(out, 256, "%s", ok ? PQgetvalue(r, 0, 0) : "");
    PQclear(r);
    return out;
}

static void durable(struct doctor *d, PGconn *pg)
{
    char fsync[256], sync[256];
    ask(pg, "SHOW fsync", fsync);
    ask(pg, "SHOW synchronous_commit", sync);
    bool ok = !strcmp(fsync, "on") && strcmp(sync, "off") != 0;
    doctor_say(d, "pg durability", ok ? DOCTOR_OK : DOCTOR_FAIL,
               "set fsync = on and synchronous_commit = on, restart PostgreSQL, then parleyctl rebuild "
               "history --verify",
               "fsync %s, synchronous_commit %s%s", fsync, sync,
               ok ? "" : ": rows that are marked as written may be lost by a crash");
}

static void size_and_place(struct doctor *d, PGconn *pg)
{
    char text[256], folder[256];
    ask(pg, "SELECT pg_size_pretty(pg_database_size(current_database()))", text);
    if (*text)
        doctor_say(d, "pg size", DOCTOR_OK, "", "%s", text);
    doctor_disk(d, "pg disk", ask(pg, "SHOW data_directory", folder));
}

static void details(struct doctor *d)
{
    const char *const names[] = {"dbname", "connect_timeout", NULL};
    const char *const values[] = {d->c->settings.deploy.postgres, "3", NULL};
    char text[256];
    PGconn *pg = PQconnectdbParams(names, values, 1);
    if (PQstatus(pg) == CONNECTION_OK) {
        int64_t before = clock_wall_ms();
        int64_t theirs =
            strtoll(ask(pg, "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint", text), NULL, 10);
        int64_t after = clock_wall_ms();
        doctor_clock(d, "pg clock", theirs < before ? before : theirs > after ? after : theirs, theirs);
        durable(d, pg);
        size_and_place(d, pg);
    }
    PQfinish(pg);
}

void doctor_postgres(struct doctor *d)
{
    struct migrate_result r = {0};
    enum migrate_state st = MIGRATE_MISSING;
    int rc = migrate_check(
        &(struct migrate){.conninfo = d->c->settings.deploy.postgres, .newest = SCHEMA_NEWEST}, &st, &r);
    doctor_say(d, "postgres", rc ? DOCTOR_FAIL : DOCTOR_OK,
               "start it, or say where it is: postgres.conninfo, PARLEY_POSTGRES", "%s",
               rc ? r.error : "answers");
    if (rc)
        return;
    doctor_say(d, "schema", st == MIGRATE_CURRENT ? DOCTOR_OK : DOCTOR_FAIL,
               st == MIGRATE_NEWER ? "use a newer release" : "parleyctl migrate",
               "at %d, this release has %d: %s", r.before, SCHEMA_NEWEST, migrate_state_name(st));
    details(d);
}

/* ---- Redis ---- */

/* A setting as text; "" when it may not be asked (a managed Redis). */
static const char *config(struct rstore *r, const char *name, char out[256])
{
    redisReply *a = redisCommand(r->redis, "CONFIG GET %s", name);
    bool ok = a && a->type == REDIS_REPLY_ARRAY && a->elements == 2 && a->element[1]->str;
    snprintf(out, 256, "%s", ok ? a->element[1]->str : "");
    if (a)
        freeReplyObject(a);
    return out;
}

void doctor_redis(struct doctor *d)
{
    struct rstore r = {0};
    char aof[256], policy[256], max[256], dir[256];
    int rc = rstore_open(d->c, &r);
    doctor_say(d, "redis", rc ? DOCTOR_FAIL : DOCTOR_OK,
               "start it, or say where it is: redis.url, PARLEY_REDIS", "%s",
               rc ? "does not answer" : "answers");
    if (rc)
        return;
    config(&r, "appendonly", aof);
    config(&r, "maxmemory-policy", policy);
    config(&r, "maxmemory", max);
    if (*aof)
        doctor_say(d, "redis aof", strcmp(aof, "yes") ? DOCTOR_WARN : DOCTOR_OK,
                   "CONFIG SET appendonly yes, and in redis.conf", "appendonly %s%s", aof,
                   strcmp(aof, "yes") ? ": after a restart all of it is made again from the log" : "");
    if (*policy)
        doctor_say(d, "redis memory", strcmp(policy, "noeviction") ? DOCTOR_FAIL : DOCTOR_OK,
                   "CONFIG SET maxmemory-policy noeviction, and in redis.conf", "maxmemory %s, policy %s%s",
                   max, policy, strcmp(policy, "noeviction") ? ": single rows may vanish" : "");
    if (*aof && !strcmp(aof, "yes"))
        doctor_disk(d, "redis disk", config(&r, "dir", dir));
    rstore_close(&r);
}
