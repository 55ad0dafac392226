#include "common/base/rand.h"
#include "common/base/timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct probe {
    struct timer t;
    int fired;
    int64_t at; /* the time advance() was given */
    struct timer_wheel *wheel;
    struct timer *other; /* stopped or started when this one fires */
    int64_t again;
};
static int64_t given;

static void on_timer(struct timer *t)
{
    struct probe *p = container_of(t, struct probe, t);
    p->fired++;
    p->at = given;
    if (p->other)
        timer_stop(p->wheel, p->other);
    if (p->again)
        timer_start(p->wheel, t, p->again);
}

static size_t go(struct timer_wheel *w, int64_t to)
{
    given = to;
    return timer_wheel_advance(w, to);
}

static void short_timers_are_exact(void **state)
{
    (void)state;
    struct timer_wheel *w = timer_wheel_new(1000);
    struct probe p = {.wheel = w};
    timer_init(&p.t, on_timer);
    for (int64_t ms = 1; ms < 256; ms++) {
        int64_t from = given = 1000 + 300 * ms;
        go(w, from);
        timer_start(w, &p.t, ms);
        assert_int_equal(timer_wheel_next(w), from + ms);
        assert_int_equal(go(w, from + ms - 1), 0);
        assert_int_equal(go(w, from + ms), 1);
        assert_false(timer_running(&p.t));
    }
    assert_int_equal(timer_wheel_next(w), INT64_MAX);
    timer_wheel_free(w);
}

static void never_early_and_little_late(void **state)
{
    (void)state;
    enum { N = 2000 };
    static struct probe p[N];
    static int64_t due[N], len[N];
    struct rng rng = {7};
    struct timer_wheel *w = timer_wheel_new(-12345);
    int64_t now = -12345;
    memset(p, 0, sizeof p);
    for (int i = 0; i < N; i++)
        timer_init(&p[i].t, on_timer);
    for (int round = 0; round < 20000; round++) {
        struct probe *q = &p[rng_below(&rng, N)];
        int i = (int)(q - p);
        if (rng_below(&rng, 8) == 0) {
            timer_stop(w, &q->t);
        } else if (!timer_running(&q->t)) {
            len[i] = 1 + (int64_t)(rng_next(&rng) >> (36 + rng_below(&rng, 28)));
            due[i] = now + len[i];
            q->fired = 0;
            timer_start(w, &q->t, len[i]);
        }
        now += (int64_t)rng_below(&rng, rng_below(&rng, 50) ? 20 : 200000);
        go(w, now);
        for (int k = 0; k < N; k += round % 50 ? N : 1) {
            int64_t latest = due[k] + len[k] / 31 + 1;
            if (p[k].fired) {
                assert_true(p[k].at >= due[k]);
                assert_int_equal(p[k].fired, 1);
            } else if (timer_running(&p[k].t)) {
                assert_true(now < latest);
            }
        }
    }
    timer_wheel_free(w);
}

static void next_is_when_the_first_fires(void **state)
{
    (void)state;
    struct rng rng = {3};
    struct timer_wheel *w = timer_wheel_new(0);
    struct probe p = {.wheel = w};
    timer_init(&p.t, on_timer);
    for (int i = 0; i < 5000; i++) {
        timer_start(w, &p.t, 1 + (int64_t)(rng_next(&rng) >> (40 + rng_below(&rng, 24))));
        int64_t next = timer_wheel_next(w);
        assert_int_equal(go(w, next - 1), 0);
        assert_int_equal(go(w, next), 1);
    }
    timer_start(w, &p.t, INT64_MAX); /* shortened, not overflowed */
    assert_true(timer_wheel_next(w) - given <= INT64_C(600000000));
    timer_stop(w, &p.t);
    assert_int_equal(timer_wheel_next(w), INT64_MAX);
    timer_wheel_free(w);
}

static void callbacks_stop_and_start(void **state)
{
    (void)state;
    struct timer_wheel *w = timer_wheel_new(0);
    struct probe a = {.wheel = w}, b = {.wheel = w}, c = {.wheel = w, .again = 1};
    timer_init(&a.t, on_timer);
    timer_init(&b.t, on_timer);
    timer_init(&c.t, on_timer);
    a.other = &b.t;
    b.other = &a.t;
    timer_start(w, &a.t, 10);
    timer_start(w, &b.t, 10);
    timer_start(w, &c.t, 10);
    go(w, 1000);
    assert_int_equal(a.fired + b.fired, 1); /* whoever came first stopped the other */
    assert_int_equal(c.fired, 1);           /* started anew from 1000, not 990 times */
    int64_t next = timer_wheel_next(w);     /* coarser after such a jump, never early */
    assert_in_range(next, 1001, 1008);
    go(w, next);
    assert_int_equal(c.fired, 2);
    timer_wheel_free(w);
}

static void restart_and_stop_at_rest(void **state)
{
    (void)state;
    struct timer_wheel *w = timer_wheel_new(0);
    struct probe p = {.wheel = w};
    timer_init(&p.t, on_timer);
    timer_stop(w, &p.t);
    timer_start(w, &p.t, 10);
    go(w, 9);
    timer_start(w, &p.t, 10);
    assert_int_equal(go(w, 18), 0);
    assert_int_equal(go(w, 5), 0); /* time does not go back */
    assert_int_equal(go(w, 19), 1);
    timer_start(w, &p.t, -5); /* at least 1 */
    assert_int_equal(timer_wheel_next(w), 20);
    timer_wheel_free(w);
    assert_int_equal(sizeof(struct timer), 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_timers_are_exact),       cmocka_unit_test(never_early_and_little_late),
        cmocka_unit_test(next_is_when_the_first_fires), cmocka_unit_test(callbacks_stop_and_start),
        cmocka_unit_test(restart_and_stop_at_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
