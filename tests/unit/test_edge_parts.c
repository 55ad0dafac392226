/* The edge's small parts: known users, rate limits, addresses, handles, cursors, the judgement of lag. */
#include "common/base/rand.h"
#include "edge/addresses.h"
#include "edge/busy.h"
#include "edge/cursors.h"
#include "edge/guesses.h"
#include "edge/handles.h"
#include "edge/known.h"
#include "edge/ratelimit.h"
#include "edge/throttle.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct id16 id(unsigned n)
{
    struct id16 i = {{0}};
    memcpy(i.b, &n, sizeof n);
    return i;
}

static void test_known_drops_the_least_recently_used(void **state)
{
    (void)state;
    struct known *k = known_new(3);
    for (unsigned i = 1; i <= 3; i++)
        known_add(k, id(i), "x", INT64_MAX);
    assert_non_null(known_get(k, id(1), 0)); /* used: 2 is the oldest now */
    known_add(k, id(4), "four", INT64_MAX);
    assert_int_equal(known_count(k), 3);
    assert_null(known_get(k, id(2), 0));
    assert_string_equal(known_get(k, id(4), 0), "four");
    assert_non_null(known_get(k, id(1), 0));
    known_free(k);
}

static void test_known_on_trust(void **state)
{
    (void)state;
    struct known *k = known_new(3);
    known_add(k, id(1), "", 100);
    assert_string_equal(known_get(k, id(1), 99), "");
    assert_null(known_get(k, id(1), 100));
    known_add(k, id(2), "two", INT64_MAX);
    known_add(k, id(2), "", 5); /* says less */
    known_add(k, id(2), "", INT64_MAX);
    assert_string_equal(known_get(k, id(2), 1000), "two");
    known_free(k);
}

static void test_rate(void **state)
{
    (void)state;
    struct ratelimit b = {0};
    for (int i = 0; i < 5; i++)
        assert_int_equal(ratelimit_take(&b, 10, 5, 1000), 0);
    assert_int_equal(ratelimit_take(&b, 10, 5, 1000), 100);
    assert_int_equal(ratelimit_take(&b, 10, 5, 1060), 40);
    assert_int_equal(ratelimit_take(&b, 10, 5, 1100), 0);
    assert_true(ratelimit_take(&b, 10, 5, 1100) > 0);
    for (int i = 0; i < 5; i++) /* a long pause fills it, and not more */
        assert_int_equal(ratelimit_take(&b, 10, 5, 100000), 0);
    assert_true(ratelimit_take(&b, 10, 5, 100000) > 0);
}

static void test_rate_never_above(void **state)
{
    (void)state;
    struct rng rng = {7};
    struct ratelimit b = {0};
    uint32_t now = UINT32_MAX - 20000, start = now, taken = 0; /* across the wrap */
    while (now - start < 60000) {
        now += (uint32_t)rng_below(&rng, 7);
        taken += !ratelimit_take(&b, 50, 20, now);
    }
    assert_in_range(taken, 60 * 50 - 50, 60 * 50 + 20);
}

static void test_slow_rate(void **state)
{
    (void)state;
    struct ratelimit b = {0};
    assert_int_equal(ratelimit_look_slow(&b, 2000, 2, 0), 0);
    assert_int_equal(ratelimit_take_slow(&b, 2000, 2, 0), 0);
    assert_int_equal(ratelimit_take_slow(&b, 2000, 2, 0), 0);
    assert_int_equal(ratelimit_look_slow(&b, 2000, 2, 0), 2000);
    assert_false(ratelimit_full_slow(&b, 2000, 3999));
    assert_true(ratelimit_full_slow(&b, 2000, 4000));
}

static void test_throttle(void **state)
{
    (void)state;
    struct throttle *t = throttle_new(1024);
    uint32_t now = UINT32_MAX - 500; /* across the wrap */
    assert_true(throttle_pass(t, 1, id(1), now, 1000));
    assert_false(throttle_pass(t, 1, id(1), now + 999, 1000));
    assert_true(throttle_pass(t, 2, id(1), now, 1000));
    assert_true(throttle_pass(t, 1, id(2), now, 1000));
    assert_true(throttle_pass(t, 1, id(1), now + 1000, 1000));
    uint32_t passed = 0; /* more of them than places: nobody is kept from what is allowed, few get more */
    for (uint32_t round = 0; round < 2; round++)
        for (uint32_t i = 0; i < 300; i++)
            passed += throttle_pass(t, 100 + i, id(3), now + 5000 + round, 1000);
    assert_in_range(passed, 300, 450);
    throttle_free(t);
}

static void test_addresses(void **state)
{
    (void)state;
    struct addresses *a = addresses_new(100, 1000, 5000);
    for (uint64_t k = 1; k <= 100; k++)
        addresses_get(a, k * 7919, 0)->conns = 2;
    assert_null(addresses_get(a, 5, 0)); /* all in use */
    assert_int_equal(addresses_get(a, 50 * 7919, 0)->conns, 2);
    addresses_leave(a, 50 * 7919);
    addresses_leave(a, 50 * 7919);
    addresses_leave(a, 50 * 7919);
    struct address *e = addresses_get(a, 50 * 7919, 0);
    assert_int_equal(e->conns, 0);
    ratelimit_take_slow(&e->tries, 1000, 5, 0);
    assert_null(addresses_get(a, 5, 500)); /* its failure is not forgotten yet */
    assert_non_null(addresses_get(a, 5, 1000));
    assert_int_equal(addresses_count(a), 100);
    addresses_get(a, 5, 1000)->conns = 1;
    addresses_leave(a, 51 * 7919);
    addresses_leave(a, 51 * 7919);
    ratelimit_take_slow(&addresses_get(a, 51 * 7919, 1000)->registers, 5000, 5, 1000);
    assert_null(addresses_get(a, 6, 5000)); /* nor that it made an account */
    assert_non_null(addresses_get(a, 6, 6000));
    addresses_free(a);
}

static void test_guesses(void **state)
{
    (void)state;
    enum { EVERY = 1000, BURST = 3 };
    struct guesses *g = guesses_new(EVERY, BURST);
    uint32_t now = 4294967000u; /* soon to begin again */
    for (uint64_t address = 1; address <= BURST; address++)
        assert_int_equal(guesses_take(g, id(1), address, now), 0);
    assert_int_equal(guesses_look(g, id(1), 77, now), EVERY);
    assert_int_equal(guesses_take(g, id(1), 77, now), EVERY);
    assert_int_equal(guesses_take(g, id(2), 77, now), 0); /* another account */
    guesses_known(g, id(1), 77);
    guesses_known(g, id(1), 78);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(guesses_look(g, id(1), 77, now), 0);
        assert_int_equal(guesses_take(g, id(1), 78, now), 0);
    }
    guesses_undo(g, id(1), 77); /* took none */
    assert_int_equal(guesses_look(g, id(1), 79, now), EVERY);
    guesses_undo(g, id(1), 79);
    assert_int_equal(guesses_take(g, id(1), 79, now), 0);
    assert_int_equal(guesses_look(g, id(2), 78, now), 0); /* known for one account only */
    assert_int_equal(guesses_take(g, id(1), 80, now + EVERY - 1), 1);
    assert_int_equal(guesses_take(g, id(1), 80, now + EVERY), 0);
    /* Very many accounts, each tried once: whoever is being guessed is the last to be forgotten. */
    for (int i = 0; i < BURST; i++)
        (void)guesses_take(g, id(1), 80, now + EVERY);
    struct rng rng = {9};
    for (int i = 0; i < 200000; i++) {
        struct id16 user;
        uint64_t some[2] = {rng_next(&rng), rng_next(&rng)};
        memcpy(user.b, some, sizeof user.b);
        (void)guesses_take(g, user, 5, now + EVERY);
    }
    assert_int_equal(guesses_look(g, id(1), 80, now + EVERY), EVERY);
    guesses_free(g);
}

static void test_handles_model(void **state)
{
    (void)state;
    enum { N = 3000 };
    static uint32_t model[N];
    struct rng rng = {3};
    struct handles h = {0};
    for (int step = 0; step < 60000; step++) {
        uint32_t k = 1 + (uint32_t)rng_below(&rng, N - 1);
        uint32_t spread = k * 64; /* keys that share many bits */
        if (model[k] && rng_below(&rng, 2)) {
            handles_del(&h, spread);
            handles_del(&h, spread);
            model[k] = 0;
        } else if (!model[k]) {
            model[k] = (uint32_t)step + 1;
            assert_true(handles_add(&h, spread, model[k]));
        }
        uint32_t probe = 1 + (uint32_t)rng_below(&rng, N - 1);
        assert_int_equal(handles_get(&h, probe * 64), model[probe] ? model[probe] : UINT32_MAX);
    }
    for (uint32_t k = 1; k < N; k++)
        assert_int_equal(handles_get(&h, k * 64), model[k] ? model[k] : UINT32_MAX);
    assert_int_equal(handles_get(&h, 0), UINT32_MAX);
    handles_release(&h);
}

static void test_ranges(void **state)
{
    (void)state;
    static const struct {
        uint64_t a[2], b[2], want[2];
    } rows[] = {
        {{1, 5}, {3, 9}, {1, 9}}, {{3, 9}, {1, 5}, {1, 9}},
        {{1, 5}, {6, 7}, {1, 7}}, {{6, 7}, {1, 5}, {1, 7}},
        {{1, 5}, {7, 9}, {7, 9}}, {{7, 9}, {1, 5}, {7, 9}},
        {{4, 5}, {1, 9}, {1, 9}}, {{1, 9}, {4, 5}, {1, 9}},
        {{1, 1}, {1, 1}, {1, 1}}, {{1, UINT64_MAX}, {2, 3}, {1, UINT64_MAX}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct edge_range r = {id(1), rows[i].a[0], rows[i].a[1]};
        const struct edge_range with = {id(1), rows[i].b[0], rows[i].b[1]};
        edge_range_merge(&r, &with);
        assert_int_equal(r.from, rows[i].want[0]);
        assert_int_equal(r.upto, rows[i].want[1]);
    }
}

static void test_cursors_are_bounded(void **state)
{
    (void)state;
    struct edge_cursors c = {0};
    for (unsigned i = 0; i < EDGE_CURSORS_MAX; i++)
        assert_int_equal(edge_cursors_add(&c, &(struct edge_range){id(i), 1, i + 1}), 0);
    assert_int_equal(edge_cursors_add(&c, &(struct edge_range){id(9999), 1, 1}), -ENOSPC);
    assert_int_equal(edge_cursors_add(&c, &(struct edge_range){id(5), 1, 100}), 0);
    assert_int_equal(c.n, EDGE_CURSORS_MAX);
    assert_int_equal(c.v[5].upto, 100);
    edge_cursors_release(&c);
    assert_int_equal(c.n, 0);
}

static void test_busy(void **state)
{
    (void)state;
    struct busy_part *p = calloc(1, sizeof *p);
    const int64_t day = 86400000, keep = 7 * day;
    /* A fresh log with a reader a little behind is no reason. */
    p->high = 1000;
    p->committed = 10;
    assert_false(busy_judge(p, 0, keep));
    /* It stays there while the log grows. */
    for (int64_t t = 0; t < keep / 2; t += day / 8) {
        p->high += 100;
        assert_false(busy_judge(p, t, keep));
    }
    p->high += 100;
    assert_true(busy_judge(p, keep / 2, keep));
    p->committed = p->high;
    assert_false(busy_judge(p, keep / 2, keep));
    /* The log drops its beginning and the reader is close to it. */
    *p = (struct busy_part){.low = 1000, .high = 2000, .committed = 1400};
    assert_true(busy_judge(p, 0, keep));
    p->committed = 1600;
    assert_false(busy_judge(p, 0, keep));
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_drops_the_least_recently_used),
        cmocka_unit_test(test_known_on_trust),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_rate_never_above),
        cmocka_unit_test(test_slow_rate),
        cmocka_unit_test(test_throttle),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_guesses),
        cmocka_unit_test(test_handles_model),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_cursors_are_bounded),
        cmocka_unit_test(test_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
