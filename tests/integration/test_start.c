/* Any order of starting: what is missing is waited for and named; what cannot be right is refused and said. */
#include "tests/support/person.h"

#include "common/base/kadmin.h"
#include "tests/support/script.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

static bool says(struct pl *pl, enum pl_kind kind, const char *word)
{
    int status;
    const char *body = pl_http(pl, kind, 0, "/readyz", &status);
    return status == 503 && strstr(body, word);
}

static void a_message(struct pl *pl)
{
    struct person a, b;
    person_new(&a, pl, 0, "ann", "laptop");
    person_new(&b, pl, pl_count(pl, PL_EDGE) - 1, "bob", "phone");
    assert_int_equal(person_placed(&a, person_say(&a, b.login, "hello")), 1);
    person_wait_said(&b, 1);
    person_free(&a);
    person_free(&b);
}

static void processes_wait_for_topics_and_servers(void **state)
{
    (void)state;
    struct pl *pl = pl_up(
        &(struct pl_conf){.n = {1, 1, 1, 1, 1, 1}, .no_topics = true, .no_schema = true, .no_start = true});
    pl_server(pl, "stop-one", "redis");
    pl_server(pl, "stop-one", "postgres");
    for (int k = 0; k < PL_ALWAYS; k++)
        pl_start(pl, (enum pl_kind)k, 0, NULL);
    for (int k = 0; k < PL_ALWAYS; k++)
        UNTIL(pl, says(pl, (enum pl_kind)k, "parleyctl topics create"));
    UNTIL(pl, says(pl, PL_ROUTER, "redis") && says(pl, PL_FANOUT, "redis") && says(pl, PL_OFFLINE, "redis"));
    UNTIL(pl, says(pl, PL_PERSISTER, "postgres"));
    PL_CTL(pl, "topics", "create");
    UNTIL(pl, !says(pl, PL_ROUTER, "topics") && !says(pl, PL_EDGE, "topics"));
    UNTIL(pl, says(pl, PL_ROUTER, "redis"));
    pl_server(pl, "start-one", "redis");
    pl_server(pl, "start-one", "postgres");
    UNTIL(pl, pl_ready(pl, PL_ROUTER, 0) && pl_ready(pl, PL_OFFLINE, 0));
    UNTIL(pl, says(pl, PL_PERSISTER, "schema"));
    pl_schema(pl);
    pl_wait_ready(pl);
    a_message(pl);
    UNTIL(pl, pl_number(pl, "SELECT count(*) FROM messages WHERE text = 'hello'") == 1);
    for (int k = 0; k < PL_ALWAYS; k++)
        assert_int_equal(pl_stop(pl, (enum pl_kind)k, 0, SIGTERM), 0);
}

static void processes_wait_for_kafka(void **state)
{
    (void)state;
    struct pl *pl = pl_up(&(struct pl_conf){.n = {2, 1, 1, 1, 1, 1}, .no_start = true});
    pl_server(pl, "stop-one", "kafka");
    for (int k = PL_ALWAYS - 1; k >= 0; k--)
        for (int i = 0; i < pl_count(pl, (enum pl_kind)k); i++)
            pl_start(pl, (enum pl_kind)k, i, NULL);
    for (int k = 0; k < PL_ALWAYS; k++)
        UNTIL(pl, says(pl, (enum pl_kind)k, "kafka"));
    pl_server(pl, "start-one", "kafka");
    pl_wait_ready(pl);
    a_message(pl);
    for (int k = 0; k < PL_ALWAYS; k++)
        for (int i = 0; i < pl_count(pl, (enum pl_kind)k); i++)
            assert_int_equal(pl_stop(pl, (enum pl_kind)k, i, SIGTERM), 0);
}

static pid_t tool(struct pl *pl, const char *a, const char *b)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/parleyctl", pl_bins(pl));
    return script_start((const char *const[]){path, "-c", pl_config(pl), a, b, NULL});
}

/* As containers do: what makes topics and tables is started when the servers are. */
static void tools_wait_for_servers_that_start(void **state)
{
    (void)state;
    int status[2] = {-1, -1};
    char *out;
    struct pl *pl = pl_up(&(struct pl_conf){.n = {1, 1, 1, 1, 1, 1}, .no_topics = true, .no_start = true});
    pl_server(pl, "stop-one", "kafka");
    pl_server(pl, "stop-one", "postgres");
    const char *const topics[] = {"parleyctl", "topics", "create", "--wait", "1", "--timeout", "1", NULL};
    assert_int_equal(pl_run(pl, topics, NULL, &out), 1);
    assert_non_null(strstr(out, "waiting for Kafka"));
    free(out);
    assert_int_equal(
        pl_run(pl, (const char *const[]){"parleyctl", "migrate", "--wait", "1", NULL}, NULL, &out), 1);
    assert_non_null(strstr(out, "waiting for PostgreSQL"));
    free(out);
    pid_t pids[] = {tool(pl, "topics", "create"), 0};
    pl_server(pl, "start-one", "kafka");
    pids[1] = tool(pl, "migrate", "-q");
    pl_server(pl, "start-one", "postgres");
    for (int i = 0; i < 2; i++)
        UNTIL(pl, waitpid(pids[i], &status[i], WNOHANG) == pids[i]);
    assert_int_equal(status[0], 0);
    assert_int_equal(status[1], 0);
    PL_CTL(pl, "topics", "check");
}

static void a_wrong_partition_count_is_refused(void **state)
{
    (void)state;
    char topic[80], *out;
    const struct kconf kafka = {.bootstrap = getenv("PARLEY_KAFKA"), .client_id = "test"};
    struct pl *pl = pl_up(&(struct pl_conf){.n = {1, 1, 1, 1, 1, 1}, .no_topics = true, .no_start = true});
    struct kadmin *admin = kadmin_new(&kafka, 20000);
    assert_non_null(admin);
    snprintf(topic, sizeof topic, "%sim.inbound", pl_prefix(pl));
    const struct kadmin_config config[] = {{"message.timestamp.type", "LogAppendTime"}};
    assert_int_equal(kadmin_create_topic(admin, topic, 3, 1, config, 1), 0);
    kadmin_free(admin);
    int rc = pl_run(pl, (const char *const[]){"parleyctl", "topics", "create", NULL}, NULL, &out);
    assert_int_equal(rc, 1);
    assert_non_null(strstr(out, "3 partitions"));
    free(out);
    for (int k = 0; k < PL_ALWAYS; k++) {
        pl_start(pl, (enum pl_kind)k, 0, NULL);
        int status = pl_wait_end(pl, (enum pl_kind)k, 0);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 1);
        assert_non_null(strstr(pl_log(pl, (enum pl_kind)k, 0), "another number of partitions"));
    }
}

static void a_newer_schema_is_refused(void **state)
{
    (void)state;
    struct pl *pl = pl_up(&(struct pl_conf){.n = {1, 1, 1, 1, 1, 1}, .no_start = true});
    assert_int_equal(
        pl_number(pl, "INSERT INTO schema_version SELECT (jsonb_populate_record(v, jsonb_build_object("
                      "'version', 999))).* FROM schema_version v ORDER BY version DESC LIMIT 1"
                      " RETURNING version"),
        999);
    pl_start(pl, PL_PERSISTER, 0, NULL);
    int status = pl_wait_end(pl, PL_PERSISTER, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_non_null(strstr(pl_log(pl, PL_PERSISTER, 0), "999"));
}

static int heal(void **state)
{
    (void)state;
    if (getenv("PARLEY_STATE")) {
        pl_server(NULL, "start-one", "kafka");
        pl_server(NULL, "start-one", "postgres");
        pl_server(NULL, "start-one", "redis");
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(processes_wait_for_topics_and_servers, heal),
        cmocka_unit_test_teardown(processes_wait_for_kafka, heal),
        cmocka_unit_test_teardown(tools_wait_for_servers_that_start, heal),
        cmocka_unit_test_teardown(a_wrong_partition_count_is_refused, heal),
        cmocka_unit_test_teardown(a_newer_schema_is_refused, heal),
    };
    return pl_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
