/* deployment.h: a small deployment of a test's own on the real servers: topics with a prefix, a schema in PostgreSQL,
 * and processes from the build. Include it once per test. Everything blocks; failures fail the test. */
#ifndef PARLEY_TESTS_DEPLOYMENT_H
#define PARLEY_TESTS_DEPLOYMENT_H

#include "common/base/clock.h"
#include "common/base/kadmin.h"
#include "common/base/rand.h"
#include "common/im/schema.h"
#include "common/im/secrets.h"
#include "common/im/topics.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <libpq-fe.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 60000
#define UNTIL(cond)                                        \
    do {                                                   \
        int64_t end_ = clock_mono_ms() + WAIT_MS;          \
        while (!(cond)) {                                  \
            if (clock_mono_ms() > end_)                    \
                fail_msg("waited too long for %s", #cond); \
            usleep(20000);                                 \
        }                                                  \
    } while (0)

struct deployment {
    char prefix[32];     /* of topics, groups and Redis keys */
    char conninfo[1024]; /* with the search path of `schema` */
    char bins[PATH_MAX];
    char key[64]; /* file of the master key */
    struct topics *topics;
    struct kadmin *admin;
    rd_kafka_t *producer;
    PGconn *pg;
    int schemas;
    pid_t children[64]; /* 0: stopped */
    size_t n_children;
};

static inline const char *server(const char *name)
{
    const char *v = getenv(name);
    if (!v || !*v)
        skip();
    return v;
}

static inline void sql(PGconn *pg, const char *text)
{
    PGresult *res = PQexec(pg, text);
    if (PQresultStatus(res) != PGRES_COMMAND_OK && PQresultStatus(res) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", text, PQerrorMessage(pg));
    PQclear(res);
}

/* One number, or -1 when there is no row or table. */
static inline int64_t number(PGconn *pg, const char *text)
{
    PGresult *res = PQexec(pg, text);
    int64_t v = -1;
    if (PQresultStatus(res) == PGRES_TUPLES_OK && PQntuples(res) == 1 && !PQgetisnull(res, 0, 0))
        v = strtoll(PQgetvalue(res, 0, 0), NULL, 10);
    PQclear(res);
    return v;
}

/* A fresh, empty schema becomes the one that processes started from now on use. */
static inline void deployment_new_schema(struct deployment *d)
{
    char text[256];
    struct migrate_result r;
    PQfinish(d->pg);
    d->pg = PQconnectdb(server("PARLEY_POSTGRES"));
    if (PQstatus(d->pg) != CONNECTION_OK)
        fail_msg("%s", PQerrorMessage(d->pg));
    snprintf(text, sizeof text, "CREATE SCHEMA \"%s%d\"", d->prefix, ++d->schemas);
    sql(d->pg, text);
    snprintf(text, sizeof text, "SET search_path = \"%s%d\"", d->prefix, d->schemas);
    sql(d->pg, text);
    snprintf(d->conninfo, sizeof d->conninfo, "%s options='-c search_path=%s%d'", server("PARLEY_POSTGRES"),
             d->prefix, d->schemas);
    if (schema_migrate(d->conninfo, "", NULL, NULL, &r))
        fail_msg("migrate: %s", r.error);
}

static inline void deployment_make_topics(struct deployment *d)
{
    int64_t zeros[64] = {0};
    for (size_t i = 0; i < topics_count(d->topics); i++) {
        const struct topic *t = topics_get(d->topics, (uint16_t)i);
        const struct kadmin_config config[] = {{"message.timestamp.type", "LogAppendTime"}};
        int rc;
        /* A broker that has just started may still be fenced; an answer may be lost. */
        UNTIL((rc = kadmin_create_topic(d->admin, t->name, t->parts, 1, config, 1)) == 0 || rc == -EEXIST);
    }
    for (uint32_t g = 0; g < topics_groups(d->topics); g++) {
        for (size_t i = 0; i < topics_count(d->topics); i++) {
            const struct topic *t = topics_get(d->topics, (uint16_t)i);
            if (topics_reads(d->topics, g, (uint16_t)i))
                /* The group's coordinator may not be there yet, after a start of the broker. */
                UNTIL(!kadmin_commit_offsets(d->admin, topics_group(d->topics, g), t->name, zeros, t->parts));
        }
    }
}

static inline void deployment_init(struct deployment *d)
{
    char err[256] = "", exe[PATH_MAX];
    memset(d, 0, sizeof *d);
    snprintf(d->prefix, sizeof d->prefix, "t%08x", (unsigned)rand_u64());
    const struct kconf kafka = {.bootstrap = server("PARLEY_KAFKA"), .client_id = "test"};
    d->admin = kadmin_new(&kafka, 20000);
    d->topics = topics_new(NULL, "small", d->prefix, err, sizeof err);
    if (!d->topics)
        fail_msg("%s", err);
    assert_non_null(d->admin);
    deployment_make_topics(d);
    rd_kafka_conf_t *conf = kconf_build(&kafka, NULL);
    rd_kafka_conf_set(conf, "partitioner", "murmur2_random", err, sizeof err);
    d->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, err, sizeof err);
    assert_non_null(d->producer);
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    assert_true(n > 0);
    exe[n] = 0;
    snprintf(d->bins, sizeof d->bins, "%.4000s/../../bin", dirname(exe));
    snprintf(d->key, sizeof d->key, "/tmp/%s.key", d->prefix);
    assert_int_equal(secrets_create(d->key), 0);
    deployment_new_schema(d);
}

/* Sends the signal and waits; the exit status as of waitpid(). */
static inline int deployment_stop(struct deployment *d, pid_t pid, int signal)
{
    int status = 0;
    for (size_t i = 0; i < d->n_children; i++)
        if (d->children[i] == pid)
            d->children[i] = 0;
    kill(pid, signal);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static inline void deployment_release(struct deployment *d)
{
    char text[256];
    for (size_t i = 0; i < d->n_children; i++)
        if (d->children[i])
            deployment_stop(d, d->children[i], SIGKILL);
    for (int i = 1; i <= d->schemas; i++) {
        snprintf(text, sizeof text, "SET client_min_messages = warning; DROP SCHEMA \"%s%d\" CASCADE",
                 d->prefix, i);
        sql(d->pg, text);
    }
    for (size_t i = 0; i < topics_count(d->topics); i++)
        kadmin_delete_topic(d->admin, topics_name(d->topics, (uint16_t)i));
    PQfinish(d->pg);
    unlink(d->key);
    rd_kafka_destroy(d->producer);
    kadmin_free(d->admin);
    topics_free(d->topics);
}

/* Starts BUILD/bin/parley-NAME with this deployment's settings; `crash_at` may be NULL. */
static inline pid_t deployment_start(struct deployment *d, const char *name, const char *crash_at)
{
    char path[PATH_MAX + 32], http[64];
    snprintf(path, sizeof path, "%s/parley-%s", d->bins, name);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid) {
        assert_true(d->n_children < 64);
        d->children[d->n_children++] = pid;
        return pid;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(http, sizeof http, "PARLEY_%s_HTTP", name);
    for (char *p = http; *p; p++)
        *p = (char)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p);
    setenv(http, "off", 1);
    setenv("PARLEY_POSTGRES", d->conninfo, 1);
    setenv("PARLEY_TOPICS_PREFIX", d->prefix, 1);
    setenv("PARLEY_SECRETS_MASTER_KEY_FILE", d->key, 1);
    setenv("PARLEY_LOG_LEVEL", getenv("TEST_LOG") ? getenv("TEST_LOG") : "error", 1);
    if (crash_at)
        setenv("CRASH_AT", crash_at, 1);
    dup2(STDERR_FILENO, STDOUT_FILENO); /* stdout is the test's report */
    execl(path, path, (char *)NULL);
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    _exit(127);
}

static inline void deployment_produce(struct deployment *d, uint16_t topic, const struct record *r)
{
    const char *name = topics_name(d->topics, topic);
    int32_t part = topics_partition(d->topics, topic, r->key);
    rd_kafka_resp_err_t err =
        rd_kafka_producev(d->producer, RD_KAFKA_V_TOPIC(name), RD_KAFKA_V_PARTITION(part),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(r->key.p, r->key.n),
                          RD_KAFKA_V_VALUE((void *)(uintptr_t)r->value.p, r->value.n), RD_KAFKA_V_END);
    assert_int_equal(err, 0);
    rd_kafka_poll(d->producer, 0);
}

static inline void deployment_flush(struct deployment *d)
{
    assert_int_equal(rd_kafka_flush(d->producer, 20000), 0);
}

static inline int64_t deployment_end(struct deployment *d, uint16_t topic, int32_t part)
{
    int64_t low = -1, high = -1;
    assert_int_equal(kadmin_watermarks(d->admin, topics_name(d->topics, topic), part, &low, &high), 0);
    return high;
}

/* The group has committed everything there is. */
static inline bool deployment_caught_up(struct deployment *d, enum topic_group group, uint16_t topic)
{
    int64_t offsets[64];
    const struct topic *t = topics_get(d->topics, topic);
    if (kadmin_group_offsets(d->admin, topics_group(d->topics, group), t->name, offsets, t->parts))
        return false;
    for (int32_t p = 0; p < t->parts; p++)
        if (offsets[p] < deployment_end(d, topic, p))
            return false;
    return true;
}

/* Every value of a partition, in order. */
static inline void deployment_read(struct deployment *d, uint16_t topic,
                                   void (*each)(void *ctx, int32_t part, struct slice value), void *ctx)
{
    char err[256];
    const struct kconf kafka = {.bootstrap = server("PARLEY_KAFKA"), .client_id = "test"};
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, kconf_build(&kafka, NULL), err, sizeof err);
    assert_non_null(rk);
    rd_kafka_topic_t *t = rd_kafka_topic_new(rk, topics_name(d->topics, topic), NULL);
    for (int32_t p = 0; p < topics_get(d->topics, topic)->parts; p++) {
        int64_t next = 0, end = deployment_end(d, topic, p);
        assert_int_equal(rd_kafka_consume_start(t, p, 0), 0);
        int64_t give_up = clock_mono_ms() + WAIT_MS;
        while (next < end) {
            assert_true(clock_mono_ms() < give_up);
            rd_kafka_message_t *m = rd_kafka_consume(t, p, 1000);
            if (m && !m->err) {
                each(ctx, p, (struct slice){m->payload, m->len});
                next = m->offset + 1;
            }
            if (m)
                rd_kafka_message_destroy(m);
        }
        rd_kafka_consume_stop(t, p);
    }
    rd_kafka_topic_destroy(t);
    rd_kafka_destroy(rk);
}

#endif
