/* The templates of consumers/ beside a live pipeline: C and Python are killed and started again in the middle, and agree
 * with a count made from the log by itself; the SQL ones are run or, for ClickHouse, checked. */
#include "tests/support/receiver.h"
#include "tests/support/script.h"
#include "tests/support/traffic.h"

#include "common/im/convrec.h"
#include "common/im/topics.h"

#include <errno.h>
#include <libpq-fe.h>
#include <librdkafka/rdkafka.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <uthash.h>

#include <cmocka.h>

static struct pl *pl;
static char python[4096], gen[4200];

/* ---- a database schema for each ---- */

static void run_sql(const char *schema, const char *file)
{
    char head[256], conninfo[2048];
    (void)snprintf(head, sizeof head, "CREATE SCHEMA IF NOT EXISTS %s; SET search_path = %s", schema, schema);
    (void)snprintf(conninfo, sizeof conninfo, "%s options='-c client_min_messages=warning'",
                   getenv("PARLEY_POSTGRES"));
    FILE *f = fopen(file, "r");
    assert_non_null(f);
    char *text = calloc(1, 65536);
    assert_true(fread(text, 1, 65535, f) > 0);
    (void)fclose(f);
    PGconn *pg = PQconnectdb(conninfo);
    PQclear(PQexec(pg, head));
    PGresult *r = PQexec(pg, text);
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", file, PQerrorMessage(pg));
    PQclear(r);
    PQfinish(pg);
    free(text);
}

static const char *schema(const char *which) /* "t0123abcd_c" */
{
    static char name[64];
    (void)snprintf(name, sizeof name, "t%.8s_%s", pl_prefix(pl) + 1, which);
    return name;
}

static void drop_schema(const char *which)
{
    char conninfo[2048];
    (void)snprintf(conninfo, sizeof conninfo, "%s options='-c client_min_messages=warning'",
                   getenv("PARLEY_POSTGRES"));
    PGconn *pg = PQconnectdb(conninfo);
    char sql[128];
    (void)snprintf(sql, sizeof sql, "DROP SCHEMA IF EXISTS %s CASCADE", schema(which));
    PQclear(PQexec(pg, sql));
    PQfinish(pg);
}

/* ---- the consumers ---- */

static pid_t start_c(void)
{
    char path[4200], conninfo[1200];
    (void)snprintf(path, sizeof path, "%s/per_minute", pl_bins(pl));
    (void)snprintf(conninfo, sizeof conninfo, "%s options='-c search_path=%s'", getenv("PARLEY_POSTGRES"),
                   schema("c"));
    char variable[1400];
    (void)snprintf(variable, sizeof variable, "PARLEY_POSTGRES=%s", conninfo);
    return script_start(
        (const char *const[]){"/usr/bin/env", variable, path, "--config", pl_config(pl), NULL});
}

static pid_t start_python(void)
{
    char conninfo[1400], where[4300];
    (void)snprintf(conninfo, sizeof conninfo, "PARLEY_POSTGRES=%s options='-c search_path=%s'",
                   getenv("PARLEY_POSTGRES"), schema("py"));
    (void)snprintf(where, sizeof where, "PARLEY_GEN=%s", gen);
    return script_start((const char *const[]){"/usr/bin/env", conninfo, where, python,
                                              "consumers/python/per_minute.py", "--prefix", pl_prefix(pl),
                                              NULL});
}

static int end(pid_t pid, int signal)
{
    int status = 0;
    kill(pid, signal);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static int64_t counted(const char *which)
{
    return pl_number(pl, "SELECT coalesce(sum(messages), 0) FROM %s.per_minute", schema(which));
}

/* ---- the same from the log, by itself ---- */

struct bin { /* key: conversation, minute; or a message's id */
    UT_hash_handle hh;
    uint8_t key[24];
    int64_t n;
};
static struct bin *seen, *bins;

static struct bin *bin_of(struct bin **table, const uint8_t *key, size_t n)
{
    struct bin *b;
    HASH_FIND(hh, *table, key, n, b);
    if (b)
        return b;
    b = calloc(1, sizeof *b);
    assert_non_null(b);
    memcpy(b->key, key, n);
    HASH_ADD_KEYPTR(hh, *table, b->key, n, b);
    return b;
}

static void take(const rd_kafka_message_t *m)
{
    struct convrec rec;
    uint8_t key[24];
    int64_t ms = rd_kafka_message_timestamp(m, NULL), minute = ms / 60000;
    if (convrec_decode((struct slice){m->payload, m->len}, ms, &rec) ||
        rec.event.kind != IM__CONV_KIND__CONV_MESSAGE || bin_of(&seen, rec.msg_id.b, ID_SIZE)->n++)
        return;
    memcpy(key, rec.event.conv.b, ID_SIZE);
    memcpy(key + ID_SIZE, &minute, sizeof minute);
    bin_of(&bins, key, sizeof key)->n++;
}

static void forget(void)
{
    struct bin *tables[] = {seen, bins}, *b, *tmp;
    for (size_t i = 0; i < 2; i++)
        HASH_ITER (hh, tables[i], b, tmp) {
            HASH_DEL(tables[i], b);
            free(b);
        }
    seen = bins = NULL;
}

/* Returns the messages; *records: everything in the topic. */
static int64_t count_log(int64_t *records)
{
    char why[256], name[128];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    static const char *const set[] = {"enable.partition.eof", "true",    "group.id", "test",
                                      "auto.offset.reset",    "earliest"};
    rd_kafka_conf_set(conf, "bootstrap.servers", getenv("PARLEY_KAFKA"), NULL, 0);
    for (size_t i = 0; i < ARRAY_LEN(set); i += 2)
        rd_kafka_conf_set(conf, set[i], set[i + 1], NULL, 0);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    assert_non_null(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(2);
    (void)snprintf(name, sizeof name, "%sim.conversation", pl_prefix(pl));
    for (int32_t p = 0; p < 2; p++)
        rd_kafka_topic_partition_list_add(list, name, p)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    forget();
    *records = 0;
    for (int ends = 0; ends < 2;) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 1000);
        if (m && m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            ends++;
        else if (m && !m->err)
            take(m), ++*records;
        if (m)
            rd_kafka_message_destroy(m);
    }
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    int64_t n = 0;
    for (struct bin *b = bins; b; b = b->hh.next)
        n += b->n;
    return n;
}

static void compare(void *ctx, char **columns)
{
    uint8_t key[24] = {0};
    int64_t minute = strtoll(columns[1], NULL, 10);
    for (unsigned i = 0; i < ID_SIZE; i++) {
        unsigned byte;
        assert_int_equal(sscanf(columns[0] + 2 * i, "%2x", &byte), 1);
        key[i] = (uint8_t)byte;
    }
    memcpy(key + ID_SIZE, &minute, sizeof minute);
    assert_int_equal(bin_of(&bins, key, sizeof key)->n, strtoll(columns[2], NULL, 10));
    ++*(size_t *)ctx;
}

static void agrees(const char *which)
{
    size_t rows = 0;
    assert_true(pl_rows(pl, compare, &rows, "SELECT encode(conv, 'hex'), minute, messages FROM %s.per_minute",
                        schema(which)));
    assert_int_equal(rows, HASH_COUNT(bins));
}

/* ---- the tests ---- */

static int setup(void **state)
{
    char folder[4096];
    const char *build = getenv("PARLEY_BUILD");
    (void)state;
    pl = pl_up(&(struct pl_conf){0});
    (void)snprintf(folder, sizeof folder, "%.4000s/consumers", build && *build ? build : "build");
    (void)snprintf(gen, sizeof gen, "%s/gen", folder);
    int rc = script_run((const char *const[]){"tests/consumers/venv", folder, NULL}, python, sizeof python);
    if (rc == 3)
        fail_msg("the Python package registry cannot be reached: the template in Python needs its packages");
    assert_int_equal(rc, 0);
    run_sql(schema("c"), "schema/sql/001_store.sql");
    run_sql(schema("c"), "consumers/c/schema.sql");
    run_sql(schema("py"), "consumers/python/schema.sql");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    drop_schema("c");
    drop_schema("py");
    forget();
    return 0;
}

static void c_and_python_count_what_the_log_holds(void **state)
{
    (void)state;
    int64_t records, messages;
    struct traffic *t = traffic_new(pl, &(struct traffic_conf){.people = 3, .devices = 1, .pace_ms = 10});
    struct talk *talk = talk_new(pl);
    pid_t c = start_c(), py = start_python();
    for (int round = 0; round < 2; round++) {
        int64_t so_far = counted("c");
        traffic_more(t, 50);
        for (unsigned i = 1; i <= 40; i++) { /* a router that was restarted writes some again */
            talk_say(talk, i % 4, (unsigned)round * 100 + i, "");
            talk_say(talk, i % 4, (unsigned)round * 100 + 1 + i / 2, "");
        }
        talk_flush(talk);
        TRAFFIC_UNTIL(t, pl, counted("c") > so_far && counted("py") > 0);
        end(c, SIGKILL);
        end(py, SIGKILL);
        traffic_more(t, 20);
        c = start_c();
        py = start_python();
    }
    traffic_settle(t);
    talk_free(talk);
    messages = count_log(&records);
    assert_true(messages > 200 && records > messages); /* there were repeats */
    UNTIL(pl, counted("c") >= messages && counted("py") >= messages);
    agrees("c");
    agrees("py");
    assert_int_equal(end(c, SIGTERM), 0);
    assert_int_equal(end(py, SIGTERM), 0);
}

static void a_view_over_the_read_models(void **state)
{
    (void)state;
    char name[64];
    (void)snprintf(name, sizeof name, "t%.8s", pl_prefix(pl) + 1);
    run_sql(name, "consumers/sql/postgresql.sql");
    int64_t rows = pl_number(pl, "SELECT count(*) FROM messages WHERE kind = 1");
    assert_true(rows > 0);
    assert_int_equal(pl_number(pl, "SELECT sum(messages) FROM messages_per_minute"), rows);
    assert_int_equal(pl_number(pl, "SELECT sum(messages) FROM conversation_activity"), rows);
}

static void a_table_of_clickhouse(void **state)
{
    (void)state;
    assert_int_equal(script_run((const char *const[]){python, "tests/consumers/check_clickhouse.py",
                                                      "consumers/sql/clickhouse.sql", gen, NULL},
                                NULL, 0),
                     0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(c_and_python_count_what_the_log_holds),
        cmocka_unit_test(a_view_over_the_read_models),
        cmocka_unit_test(a_table_of_clickhouse),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, teardown));
}
