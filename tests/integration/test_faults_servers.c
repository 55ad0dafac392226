/* Kafka, PostgreSQL and Redis go away and come back under traffic: it costs time, never a message. */
#include "tests/support/traffic.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct pl *pl;

static int setup(void **state)
{
    (void)state;
    pl = pl_up(&(struct pl_conf){0});
    return 0;
}

/* A test may have failed in the middle. */
static int heal(void **state)
{
    (void)state;
    pl_server(pl, "start-one", "kafka");
    pl_server(pl, "start-one", "postgres");
    pl_server(pl, "start-one", "redis");
    pl_wait_ready(pl);
    return 0;
}

static void nothing_goes_wrong(void **state)
{
    (void)state;
    struct traffic *t = traffic_new(pl, &(struct traffic_conf){0});
    traffic_more(t, 300);
    assert_int_equal(traffic_refused(t), 0);
    assert_int_equal(traffic_reconnects(t), 0);
    traffic_settle(t);
}

static void postgresql_stops_and_starts(void **state)
{
    (void)state;
    struct traffic *t = traffic_new(pl, &(struct traffic_conf){0});
    traffic_more(t, 100);
    pl_server(pl, "stop-one", "postgres");
    traffic_more(t, 300); /* live delivery goes on */
    TRAFFIC_UNTIL(t, pl, !pl_ready(pl, PL_PERSISTER, 0));
    pl_server(pl, "start-one", "postgres");
    traffic_more(t, 100);
    assert_int_equal(traffic_reconnects(t), 0);
    assert_int_equal(traffic_refused(t), 0);
    traffic_settle(t);
}

static void postgresql_is_killed(void **state)
{
    (void)state;
    struct traffic *t = traffic_new(pl, &(struct traffic_conf){0});
    for (int i = 0; i < 3; i++) {
        traffic_more(t, 50 + traffic_random(t, 50));
        pl_server(pl, "kill9", "postgres");
        traffic_more(t, 50);
        pl_server(pl, "start-one", "postgres");
    }
    traffic_more(t, 50);
    traffic_settle(t);
}

static void redis_forgets_everything(void **state)
{
    (void)state;
    struct traffic *t = traffic_new(pl, &(struct traffic_conf){0});
    for (int i = 0; i < 3; i++) {
        traffic_more(t, 100 + traffic_random(t, 50));
        pl_redis(pl, "FLUSHALL");
    }
    traffic_more(t, 100);
    traffic_settle(t);
}

/* Sends are accepted meanwhile; their places come later. */
static void redis_stops_and_starts(void **state)
{
    (void)state;
    struct traffic *t = traffic_new(pl, &(struct traffic_conf){0});
    traffic_more(t, 100);
    traffic_send(t, false);
    TRAFFIC_UNTIL(t, pl, traffic_resolved(t));
    pl_server(pl, "stop-one", "redis");
    size_t accepted = traffic_accepted(t);
    traffic_send(t, true);
    TRAFFIC_UNTIL(t, pl, traffic_accepted(t) >= accepted + 30);
    TRAFFIC_UNTIL(t, pl,
                  !pl_ready(pl, PL_FANOUT, 0) && !pl_ready(pl, PL_ROUTER, 0) && !pl_ready(pl, PL_OFFLINE, 0));
    pl_server(pl, "start-one", "redis");
    traffic_more(t, 150);
    assert_int_equal(traffic_reconnects(t), 0);
    assert_int_equal(traffic_refused(t), 0);
    traffic_settle(t);
}

static void redis_is_killed(void **state)
{
    (void)state;
    struct traffic *t = traffic_new(pl, &(struct traffic_conf){0});
    for (int i = 0; i < 2; i++) {
        traffic_more(t, 50 + traffic_random(t, 50));
        pl_server(pl, "kill9", "redis");
        pl_server(pl, "start-one", "redis");
    }
    traffic_more(t, 100);
    traffic_settle(t);
}

static void the_broker_is_killed(void **state)
{
    (void)state;
    struct traffic *t = traffic_new(pl, &(struct traffic_conf){0});
    traffic_more(t, 100 + traffic_random(t, 50));
    pl_server(pl, "kill9", "kafka");
    pl_server(pl, "start-one", "kafka");
    traffic_more(t, 150);
    traffic_settle(t);
}

static void all_three_at_once(void **state)
{
    (void)state;
    struct traffic *t = traffic_new(pl, &(struct traffic_conf){0});
    traffic_more(t, 100 + traffic_random(t, 50));
    pl_server(pl, "kill9", "kafka");
    pl_server(pl, "kill9", "postgres");
    pl_server(pl, "kill9", "redis");
    pl_server(pl, "start-one", "redis");
    pl_server(pl, "start-one", "postgres");
    pl_server(pl, "start-one", "kafka");
    traffic_more(t, 150);
    traffic_settle(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(nothing_goes_wrong, heal),
        cmocka_unit_test_teardown(postgresql_stops_and_starts, heal),
        cmocka_unit_test_teardown(postgresql_is_killed, heal),
        cmocka_unit_test_teardown(redis_forgets_everything, heal),
        cmocka_unit_test_teardown(redis_stops_and_starts, heal),
        cmocka_unit_test_teardown(redis_is_killed, heal),
        cmocka_unit_test_teardown(the_broker_is_killed, heal),
        cmocka_unit_test_teardown(all_three_at_once, heal),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, NULL));
}
