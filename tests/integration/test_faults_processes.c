/* Each process is killed, or leaves in order, under traffic: nothing acked is lost, nothing is shown twice. */
#include "tests/support/traffic.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

static struct pl *pl;

static int setup(void **state)
{
    (void)state;
    pl = pl_up(&(struct pl_conf){.n = {3, 2, 2, 1, 2, 1}});
    return 0;
}

static int heal(void **state)
{
    (void)state;
    pl_supervise(pl, false);
    for (int k = 0; k < PL_ALWAYS; k++)
        for (int i = 0; i < pl_count(pl, (enum pl_kind)k); i++)
            if (!pl_running(pl, (enum pl_kind)k, i))
                pl_start(pl, (enum pl_kind)k, i, NULL);
            else
                pl_signal(pl, (enum pl_kind)k, i, SIGCONT);
    pl_wait_ready(pl);
    return 0;
}

/* kill -9, and it stays away while the others take over; then it comes back. */
static void kill_one(enum pl_kind kind)
{
    struct traffic *t = traffic_new(pl, &(struct traffic_conf){0});
    traffic_more(t, 100 + traffic_random(t, 50));
    int victim = (int)traffic_random(t, (size_t)pl_count(pl, kind));
    int status = traffic_stop(t, kind, victim, SIGKILL);
    assert_true(WIFSIGNALED(status));
    traffic_more(t, 150);
    pl_start(pl, kind, victim, NULL);
    traffic_more(t, 50);
    TRAFFIC_UNTIL(t, pl, pl_ready(pl, kind, victim));
    assert_int_equal(traffic_refused(t), 0);
    traffic_settle(t);
}

static void a_router_is_killed(void **state)
{
    (void)state;
    kill_one(PL_ROUTER);
}

static void a_fanout_is_killed(void **state)
{
    (void)state;
    kill_one(PL_FANOUT);
}

static void the_persister_is_killed(void **state)
{
    (void)state;
    kill_one(PL_PERSISTER);
}

static void an_offline_worker_is_killed(void **state)
{
    (void)state;
    kill_one(PL_OFFLINE);
}

static bool lease_says(const char *kind)
{
    const char *p = PL_CTL(pl, "tail", "lease", "--from", "beginning", "--until-end", "--json");
    return strstr(p, kind) != NULL;
}

/* Its clients go elsewhere, its slot is minded, its sessions are over for everybody. */
static void an_edge_is_killed(void **state)
{
    (void)state;
    struct traffic *t = traffic_new(pl, &(struct traffic_conf){0});
    traffic_more(t, 100 + traffic_random(t, 50));
    int victim = traffic_edge(t);
    traffic_stop(t, PL_EDGE, victim, SIGKILL);
    TRAFFIC_UNTIL(t, pl, traffic_reconnects(t) > 0 && traffic_online(t));
    traffic_more(t, 100);
    TRAFFIC_UNTIL(t, pl, lease_says("EXPIRE"));
    pl_start(pl, PL_EDGE, victim, NULL);
    traffic_more(t, 50);
    TRAFFIC_UNTIL(t, pl, pl_ready(pl, PL_EDGE, victim));
    assert_int_equal(traffic_refused(t), 0);
    traffic_settle(t);
}

/* Killed and at once started again, by a supervisor, again and again. */
static void everything_dies_in_turn_and_is_started_again(void **state)
{
    (void)state;
    struct traffic *t = traffic_new(pl, &(struct traffic_conf){0});
    pl_supervise(pl, true);
    for (int k = 0; k < PL_ALWAYS; k++) {
        traffic_more(t, 20 + traffic_random(t, 30));
        pl_signal(pl, (enum pl_kind)k, (int)traffic_random(t, (size_t)pl_count(pl, (enum pl_kind)k)),
                  SIGKILL);
    }
    TRAFFIC_UNTIL(t, pl, pl_deaths(pl) >= PL_ALWAYS);
    traffic_more(t, 100);
    assert_int_equal(traffic_refused(t), 0);
    traffic_settle(t);
}

static void a_rolling_restart_fails_no_send(void **state)
{
    (void)state;
    struct traffic *t = traffic_new(pl, &(struct traffic_conf){0});
    for (int k = 0; k < PL_ALWAYS; k++)
        for (int i = 0; i < pl_count(pl, (enum pl_kind)k); i++) {
            traffic_more(t, 20);
            int status = traffic_stop(t, (enum pl_kind)k, i, SIGTERM);
            assert_true(WIFEXITED(status));
            assert_int_equal(WEXITSTATUS(status), 0);
            pl_start(pl, (enum pl_kind)k, i, NULL);
            TRAFFIC_UNTIL(t, pl, pl_ready(pl, (enum pl_kind)k, i));
        }
    traffic_more(t, 50);
    assert_int_equal(traffic_refused(t), 0);
    traffic_settle(t);
}

/* SIGSTOP past every time limit, then SIGCONT: it finds that it has been replaced, and says nothing twice. */
static void one_sleeps_past_its_lease_and_wakes(enum pl_kind kind)
{
    struct traffic *t = traffic_new(pl, &(struct traffic_conf){0});
    traffic_more(t, 50 + traffic_random(t, 50));
    pl_signal(pl, kind, 0, SIGSTOP);
    int64_t asleep = clock_mono_ms();
    size_t before = traffic_acked(t);
    /* Longer than the group's session time-out, or somebody else has long taken over. */
    TRAFFIC_UNTIL(t, pl, clock_mono_ms() - asleep > 12000 && traffic_acked(t) > before + 100);
    pl_signal(pl, kind, 0, SIGCONT);
    traffic_more(t, 50);
    TRAFFIC_UNTIL(t, pl, pl_ready(pl, kind, 0));
    traffic_settle(t);
}

static void an_edge_sleeps_past_its_lease_and_wakes(void **state)
{
    (void)state;
    one_sleeps_past_its_lease_and_wakes(PL_EDGE);
}

static void a_fanout_sleeps_past_its_lease_and_wakes(void **state)
{
    (void)state;
    one_sleeps_past_its_lease_and_wakes(PL_FANOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_router_is_killed, heal),
        cmocka_unit_test_teardown(a_fanout_is_killed, heal),
        cmocka_unit_test_teardown(the_persister_is_killed, heal),
        cmocka_unit_test_teardown(an_offline_worker_is_killed, heal),
        cmocka_unit_test_teardown(an_edge_is_killed, heal),
        cmocka_unit_test_teardown(everything_dies_in_turn_and_is_started_again, heal),
        cmocka_unit_test_teardown(a_rolling_restart_fails_no_send, heal),
        cmocka_unit_test_teardown(an_edge_sleeps_past_its_lease_and_wakes, heal),
        cmocka_unit_test_teardown(a_fanout_sleeps_past_its_lease_and_wakes, heal),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, NULL));
}
