/* A deployment on Kafka, PostgreSQL and Redis in containers of this program's own: what a test of yours may look like. */
#include "tests/support/container.h"
#include "tests/support/person.h"

#include <stdio.h>
#include <stdlib.h>

/* cmocka.h wants these first */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define WAIT_MS  240000
#define PASSWORD "only-for-this-test"

static struct container_run *run;
static struct container *kafka, *postgres, *redis;
static struct pl *pl;

#define OK(call)                                             \
    do {                                                     \
        if (call)                                            \
            fail_msg("%s: %s", #call, container_error(run)); \
    } while (0)

/* Clients are told an address by the broker itself, so the port is chosen before it starts. */
static void start_kafka(void)
{
    char advertised[120];
    const int port = container_free_port();
    const struct container_port ports[] = {{9092, port}, {0}};
    snprintf(advertised, sizeof advertised, "KAFKA_ADVERTISED_LISTENERS=INSIDE://localhost:19092,HOST://127.0.0.1:%d", port);
    const char *const env[] = {
        advertised,
        "KAFKA_LISTENERS=INSIDE://:19092,HOST://:9092,CONTROLLER://:9093",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP=INSIDE:PLAINTEXT,HOST:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_INTER_BROKER_LISTENER_NAME=INSIDE",
        "KAFKA_CONTROLLER_LISTENER_NAMES=CONTROLLER",
        "KAFKA_CONTROLLER_QUORUM_VOTERS=1@localhost:9093",
        "KAFKA_PROCESS_ROLES=broker,controller",
        "KAFKA_NODE_ID=1",
        "KAFKA_LOG_DIRS=/var/lib/kafka/data",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE=false",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR=1",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS=1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR=1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR=1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS=0",
        "CLUSTER_ID=cGFybGV5LW9uZS1icm9rZXI",
        NULL,
    };
    OK(container_start_new(run, &(struct container_conf){.image = "apache/kafka:4.1.0", .env = env, .ports = ports}, &kafka));
}

static void start_others(void)
{
    const struct container_port pg[] = {{5432, 0}, {0}}, kv[] = {{6379, 0}, {0}};
    const char *const env[] = {"POSTGRES_USER=parley", "POSTGRES_DB=parley", "POSTGRES_PASSWORD=" PASSWORD, NULL};
    const char *const command[] = {"redis-server", "--appendonly", "yes", "--maxmemory-policy", "noeviction", NULL};
    OK(container_start_new(run, &(struct container_conf){.image = "postgres:17", .env = env, .ports = pg, .shm = 256 << 20}, &postgres));
    OK(container_start_new(run, &(struct container_conf){.image = "redis:8", .command = command, .ports = kv}, &redis));
}

static int setup(void **state)
{
    char kafka_at[64], postgres_at[200], redis_at[64];
    (void)state;
    OK(container_run_new("org.parley.tests", &run));
    start_kafka();
    start_others();
    OK(container_wait_port(redis, 6379, WAIT_MS));
    OK(container_wait_port(postgres, 5432, WAIT_MS)); /* while it makes its first files it has no port */
    OK(container_wait_port(kafka, 9092, WAIT_MS));
    snprintf(kafka_at, sizeof kafka_at, "127.0.0.1:%d", container_host_port(kafka, 9092));
    snprintf(redis_at, sizeof redis_at, "127.0.0.1:%d", container_host_port(redis, 6379));
    snprintf(postgres_at, sizeof postgres_at, "host=127.0.0.1 port=%d user=parley dbname=parley password=" PASSWORD,
             container_host_port(postgres, 5432));
    setenv("PARLEY_KAFKA", kafka_at, 1);
    setenv("PARLEY_POSTGRES", postgres_at, 1);
    setenv("PARLEY_REDIS", redis_at, 1);
    pl = pl_up(&(struct pl_conf){0});
    return 0;
}

static void talk(struct person *alice, struct person *bob, const char *text)
{
    size_t before = bob->n_said;
    person_placed(alice, person_say(alice, bob->login, "%s", text));
    person_wait_said(bob, before + 1);
    assert_string_equal(bob->said[before].text, text);
    person_confirm(bob);
}

static void a_message_comes(void **state)
{
    struct person alice = {0}, bob = {0};
    (void)state;
    person_new(&alice, pl, 0, "alice", "a");
    person_new(&bob, pl, 1, "bob", "b");
    talk(&alice, &bob, "hello");
    talk(&bob, &alice, "hello yourself");
    person_free(&alice);
    person_free(&bob);
}

static void redis_dies_and_comes_back(void **state)
{
    struct person alice = {0}, bob = {0};
    (void)state;
    person_new(&alice, pl, 0, "alice", "a");
    person_new(&bob, pl, 1, "bob", "b");
    talk(&alice, &bob, "before");
    OK(container_kill(redis));
    uint64_t n = person_say(&alice, bob.login, "%s", "meanwhile");
    person_accepted(&alice, n);
    OK(container_start(redis));
    person_placed(&alice, n);
    person_wait_said(&bob, 2);
    assert_string_equal(bob.said[1].text, "meanwhile");
    person_free(&alice);
    person_free(&bob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_comes),
        cmocka_unit_test(redis_dies_and_comes_back),
    };
    int failed = pl_finish(cmocka_run_group_tests(tests, setup, NULL));
    container_run_free(run); /* after the deployment has cleaned up behind itself */
    return failed;
}
