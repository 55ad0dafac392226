/* Death at chosen instructions, under traffic; needs make CRASH_POINTS=1.
 *
 * The seed (SEED, or TEST_SEED) chooses which points, in which order, at which passing; CRASH_EACH=N: how many
 * of each kind of process (5). TEST_CASE chooses a case; TEST_PLANT names a defect for the case that must notice
 * it: tests/planted runs these. */
#include "common/base/rand.h"
#include "common/im/ids.h"
#include "tests/support/person.h"
#include "tests/support/traffic.h"

#include "proto/client.pb-c.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#define ALL_MS     80000 /* for all the points */
#define NUDGE_MS   8000
#define SETTLE_MS  10000 /* with a defect planted it will not settle */
#define POINTS_MAX 9
#define SAID       10
#define KINDS      PL_QUERY /* the kinds before it: query keeps nothing, so it has no points */

static struct pl *pl;
static uint64_t seed;

static const struct point {
    const char *name;
    unsigned first, spread; /* passing: first + 0 … spread - 1 */
} points[KINDS][POINTS_MAX] = {
    [PL_EDGE] = {{"edge:parsed", 3, 20},
                 {"edge:produced", 3, 20},
                 {"edge:reported", 3, 20},
                 {"edge:acked", 30, 40},
                 {"edge:write", 30, 40},
                 {"edge:midframe", 30, 40},
                 {"edge:commit", 1, 2}},
    [PL_ROUTER] = {{"router:step", 1, 10},
                   {"router:sent", 1, 10},
                   {"router:acked", 1, 10},
                   {"router:put", 1, 3},
                   {"router:commit", 1, 3},
                   {"router:verdict", 1, 3}},
    [PL_FANOUT] = {{"fanout:step", 1, 10},
                   {"fanout:sent", 1, 10},
                   {"fanout:acked", 1, 10},
                   {"fanout:put", 1, 10},
                   {"fanout:commit", 1, 3}},
    [PL_PERSISTER] = {{"persister:step", 1, 10}, {"persister:put", 1, 10}, {"persister:commit", 1, 3}},
    [PL_OFFLINE] = {{"offline:step", 1, 3},
                    {"offline:sent", 1, 2},
                    {"offline:acked", 1, 2},
                    {"offline:put", 1, 2},
                    {"offline:commit", 1, 2},
                    {"offline:item", 1, 2},
                    {"offline:page", 1, 2},
                    {"minder:expire", 1, 1},
                    {"minder:commit", 1, 1}},
};

/* The points of one kind, one after the other; with several processes each waits for a point of its own. */
struct chain {
    const struct point *points[POINTS_MAX];
    int n, next, fired;
    char env[PL_EACH_MAX][64]; /* "": runs as usual */
};

static int setup(void **state)
{
    (void)state;
    const char *s = getenv("TEST_SEED") ? getenv("TEST_SEED") : getenv("SEED");
    seed = s ? strtoull(s, NULL, 10) : rand_u64() % 1000000;
    fprintf(stderr, "SEED=%llu\n", (unsigned long long)seed);
    pl = pl_up(&(struct pl_conf){.n = {2, 1, 1, 1, 1}});
    return 0;
}

static int heal(void **state)
{
    (void)state;
    pl_server(pl, "start-one", "kafka");
    for (int k = 0; k < KINDS; k++)
        for (int i = 0; i < pl_count(pl, (enum pl_kind)k); i++)
            if (!pl_running(pl, (enum pl_kind)k, i))
                pl_start(pl, (enum pl_kind)k, i, NULL);
    pl_wait_ready(pl);
    return 0;
}

static const char *plant(const char *name)
{
    const char *p = getenv("TEST_PLANT");
    return p && !strcmp(p, name) ? name : NULL;
}

static struct traffic *traffic_here(bool broken)
{
    return traffic_new(pl, &(struct traffic_conf){.seed = seed, .settle_ms = broken ? SETTLE_MS : 0});
}

static void restart(enum pl_kind kind, int i, const char *env)
{
    pl_stop(pl, kind, i, SIGTERM);
    pl_start(pl, kind, i, env);
}

/* It was that point that killed it, and nothing else. */
static void died_there(enum pl_kind kind, int i, const char *env)
{
    char said[96];
    int status = pl_wait_end(pl, kind, i);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail_msg("%s: ended with status %x instead", env, (unsigned)status);
    if (!*env)
        return;
    snprintf(said, sizeof said, "\ncrash point %s\n", strchr(env, '=') + 1);
    if (!strstr(pl_log(pl, kind, i), said))
        fail_msg("%s: killed, but not there", env);
}

/* ---- every point ---- */

static void choose(struct traffic *t, struct chain *c, enum pl_kind kind)
{
    const char *each = getenv("CRASH_EACH");
    int most = each ? (int)strtol(each, NULL, 10) : 5;
    *c = (struct chain){0};
    while (c->n < POINTS_MAX && points[kind][c->n].name) {
        c->points[c->n] = &points[kind][c->n];
        c->n++;
    }
    for (int i = c->n - 1; i > 0; i--) {
        int k = (int)traffic_random(t, (size_t)i + 1);
        const struct point *p = c->points[i];
        c->points[i] = c->points[k];
        c->points[k] = p;
    }
    c->n = c->n < most ? c->n : most;
}

static void start_next(struct traffic *t, struct chain *c, enum pl_kind kind, int i)
{
    c->env[i][0] = 0;
    if (c->next < c->n) {
        const struct point *p = c->points[c->next++];
        snprintf(c->env[i], sizeof c->env[i], "CRASH_AT=%s:%u", p->name,
                 p->first + (unsigned)traffic_random(t, p->spread));
    }
    pl_start(pl, kind, i, c->env[i][0] ? c->env[i] : NULL);
    pl_expect_end(pl, kind, i);
}

static bool look_after(struct traffic *t, struct chain *chains)
{
    bool over = true;
    for (int k = 0; k < KINDS; k++)
        for (int i = 0; i < pl_count(pl, (enum pl_kind)k); i++) {
            struct chain *c = &chains[k];
            if (!pl_running(pl, (enum pl_kind)k, i)) {
                died_there((enum pl_kind)k, i, c->env[i]);
                c->fired += c->env[i][0] != 0;
                if (c->env[i][0])
                    fprintf(stderr, "died: %s\n", c->env[i]);
                start_next(t, c, (enum pl_kind)k, i);
            }
            over &= !c->env[i][0];
        }
    return over;
}

/* Logins, bounces and dead slots are what some points wait for, and a point in an edge waits for clients: an edge
 * that has no point of its own dies. */
static void nudge(struct traffic *t, const struct chain *edges, int64_t *at)
{
    bool armed[2] = {edges->env[0][0] != 0, edges->env[1][0] != 0};
    if (clock_mono_ms() < *at || (armed[0] && armed[1]) || !pl_ready(pl, PL_EDGE, 0) ||
        !pl_ready(pl, PL_EDGE, 1))
        return;
    *at = clock_mono_ms() + NUDGE_MS;
    int victim = armed[0] ? 1 : armed[1] ? 0 : (int)traffic_random(t, 2);
    pl_signal(pl, PL_EDGE, victim, SIGKILL);
}

static void say_pending(const struct chain *chains)
{
    for (int k = 0; k < KINDS; k++)
        for (int i = 0; i < pl_count(pl, (enum pl_kind)k); i++)
            if (chains[k].env[i][0])
                fprintf(stderr, "not reached: %s\n", chains[k].env[i]);
}

static void every_kind_dies_at_its_points(void **state)
{
    (void)state;
    struct chain chains[KINDS];
    struct traffic *t = traffic_new(pl, &(struct traffic_conf){.seed = seed, .away = true});
    traffic_more(t, 50);
    for (int k = KINDS - 1; k >= 0; k--) {
        choose(t, &chains[k], (enum pl_kind)k);
        for (int i = 0; i < pl_count(pl, (enum pl_kind)k); i++) {
            pl_stop(pl, (enum pl_kind)k, i, SIGTERM);
            start_next(t, &chains[k], (enum pl_kind)k, i);
        }
    }
    int64_t by = clock_mono_ms() + pl_ms(ALL_MS), nudge_at = clock_mono_ms() + NUDGE_MS;
    while (!look_after(t, chains)) {
        traffic_turn(t);
        nudge(t, &chains[PL_EDGE], &nudge_at);
        if (clock_mono_ms() > by)
            say_pending(chains);
        traffic_in_time(t, by, "every crash point");
    }
    for (int k = 0; k < KINDS; k++) {
        assert_int_equal(chains[k].fired, chains[k].n);
        for (int i = 0; i < pl_count(pl, (enum pl_kind)k); i++)
            if (!pl_running(pl, (enum pl_kind)k, i))
                pl_start(pl, (enum pl_kind)k, i, NULL);
    }
    traffic_more(t, 50);
    TRAFFIC_UNTIL(t, pl, traffic_online(t));
    traffic_settle(t);
}

/* ---- one by one: each notices one planted defect ---- */

/* Dies between the log's confirmation and the ack: the sender sends again, and it is one message. */
static void a_send_that_was_not_acked_is_sent_again_and_is_one(void **state)
{
    (void)state;
    bool broken = plant("no-duplicate-check");
    const char *at = "CRASH_AT=edge:reported:5";
    if (broken) {
        restart(PL_FANOUT, 0, "PARLEY_PLANT=no-duplicate-check");
        restart(PL_PERSISTER, 0, "PARLEY_PLANT=no-duplicate-check");
    }
    for (int i = 0; i < 2; i++) { /* wherever the clients go */
        restart(PL_EDGE, i, at);
        pl_expect_end(pl, PL_EDGE, i);
    }
    pl_wait_ready(pl);
    struct traffic *t = traffic_here(broken);
    TRAFFIC_UNTIL(t, pl, !pl_running(pl, PL_EDGE, 0) && !pl_running(pl, PL_EDGE, 1));
    for (int i = 0; i < 2; i++) {
        died_there(PL_EDGE, i, at);
        pl_start(pl, PL_EDGE, i, NULL);
    }
    TRAFFIC_UNTIL(t, pl, traffic_online(t));
    traffic_more(t, 30);
    traffic_settle(t);
}

/* Dies when its mark says that a batch is done: all that the batch had to say has been said. */
static void a_mark_says_that_the_output_is_out(void **state)
{
    (void)state;
    bool broken = plant("commit-early");
    const char *at = broken ? "CRASH_AT=fanout:put:5 PARLEY_PLANT=commit-early" : "CRASH_AT=fanout:put:5";
    struct traffic *t = traffic_here(broken);
    traffic_more(t, 30);
    restart(PL_FANOUT, 0, at);
    pl_expect_end(pl, PL_FANOUT, 0);
    TRAFFIC_UNTIL(t, pl, !pl_running(pl, PL_FANOUT, 0));
    died_there(PL_FANOUT, 0, "CRASH_AT=fanout:put:5");
    pl_start(pl, PL_FANOUT, 0, NULL);
    traffic_more(t, 30);
    traffic_settle(t);
}

static void row(void *ctx, char **columns)
{
    checker_history(ctx, 0, strtoull(columns[0], NULL, 10), (uint32_t)strtoul(columns[1], NULL, 10));
}

static void tell(void *ctx, enum breach kind, const char *what)
{
    (void)ctx;
    fprintf(stderr, "%s: %s\n", breach_names[kind], what);
}

static void say(struct checker *c, struct person *p, const char *to, uint32_t msg, uint64_t *client_seq)
{
    checker_sent(c, msg, 0, 0);
    *client_seq = person_say(p, to, "%u", msg);
}

/* Says SAID things to a Kafka that is not there, until the edge has dealt with all of them. */
static void say_in_vain(struct checker *c, struct person *p, const char *to, uint64_t *seqs)
{
    pl_server(pl, "kill9", "kafka");
    for (uint32_t i = 1; i <= SAID; i++)
        say(c, p, to, i, &seqs[i]);
    assert_int_equal(raw_send(p->raw, IM__FRAME_TYPE__HEARTBEAT, 7, NULL), 0);
    UNTIL(pl, (person_pump(p), p->heartbeats || p->closed));
    assert_true(p->heartbeats);
    for (uint32_t i = 1; i <= SAID; i++)
        if (person_ack(p, seqs[i], IM__STAGE__ACCEPTED))
            checker_acked(c, i);
}

/* The log is away, then the edge dies: what was acked meanwhile would be gone. What was not is sent again. */
static void nothing_is_acked_before_the_log_has_it(void **state)
{
    (void)state;
    struct person p, other;
    struct checker *c = checker_new();
    uint64_t seqs[SAID + 2];
    char text[16];
    if (plant("ack-early")) {
        restart(PL_EDGE, 0, "PARLEY_PLANT=ack-early");
        pl_wait_ready(pl);
    }
    person_new(&other, pl, 1, "other", "phone");
    person_new(&p, pl, 0, "says", "phone");
    say(c, &p, other.login, 0, &seqs[0]);
    checker_placed(c, 0, person_placed(&p, seqs[0]));
    say_in_vain(c, &p, other.login, seqs);
    assert_true(WIFSIGNALED(pl_stop(pl, PL_EDGE, 0, SIGKILL)));
    pl_server(pl, "start-one", "kafka");
    pl_start(pl, PL_EDGE, 0, NULL);
    pl_wait_ready(pl);
    person_join(&p, pl, 0, &p, "phone");
    for (uint32_t i = 1; i <= SAID; i++) {
        if (person_ack(&p, seqs[i], IM__STAGE__ACCEPTED))
            continue;
        snprintf(text, sizeof text, "%u", i);
        person_send(&p, seqs[i], other.login, text);
        checker_placed(c, i, person_placed(&p, seqs[i]));
    }
    /* Once this one is there, so is all that came before. */
    say(c, &p, other.login, SAID + 1, &seqs[SAID + 1]);
    checker_placed(c, SAID + 1, person_placed(&p, seqs[SAID + 1]));
    char sender[ID_HEX];
    struct id16 user;
    memcpy(user.b, p.user, sizeof user.b);
    id_hex(user, sender);
    UNTIL(pl, pl_number(pl, "SELECT count(*) FROM messages WHERE client_seq = %llu",
                        (unsigned long long)seqs[SAID + 1]) == 1);
    assert_true(
        pl_rows(pl, row, c, "SELECT seq, text FROM messages WHERE sender = decode('%s', 'hex')", sender));
    size_t breaches = checker_judge(c, tell, NULL);
    checker_free(c);
    person_free(&p);
    person_free(&other);
    if (breaches)
        fail_msg("%zu breaches", breaches);
}

int main(void)
{
#ifndef PARLEY_CRASH_POINTS
    fprintf(stderr, "this needs the crash points: make CRASH_POINTS=1\n");
    return 2;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_send_that_was_not_acked_is_sent_again_and_is_one, heal),
        cmocka_unit_test_teardown(a_mark_says_that_the_output_is_out, heal),
        cmocka_unit_test_teardown(every_kind_dies_at_its_points, heal),
        cmocka_unit_test_teardown(nothing_is_acked_before_the_log_has_it, heal),
    };
    if (getenv("TEST_CASE"))
        cmocka_set_test_filter(getenv("TEST_CASE"));
    return pl_finish(cmocka_run_group_tests(tests, setup, NULL));
}
