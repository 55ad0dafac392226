#include "bench/hist.h"
#include "common/base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void assert_near(int64_t got, int64_t want)
{
    int64_t slack = want / 1000 + 1;
    assert_true(got >= want - slack && got <= want + slack);
}

static void empty_says_nothing(void **state)
{
    (void)state;
    struct hist *h = hist_new();
    assert_true(hist_at(h, 0.5) == 0 && h->count == 0 && hist_mean(h) == 0);
    hist_free(h);
    hist_free(NULL);
}

static void small_values_are_exact(void **state)
{
    (void)state;
    struct hist *h = hist_new();
    for (int64_t v = 1; v <= 1000; v++)
        hist_add(h, v);
    assert_int_equal(hist_at(h, 0.5), 500);
    assert_int_equal(hist_at(h, 0.99), 990);
    assert_int_equal(hist_at(h, 1), 1000);
    assert_int_equal(hist_at(h, 0), 1);
    assert_int_equal(h->min, 1);
    assert_int_equal(h->max, 1000);
    hist_free(h);
}

/* Every power of two and its neighbours: where one magnitude ends and the next begins. */
static void one_value_is_found_at_every_magnitude(void **state)
{
    (void)state;
    struct hist *h = hist_new();
    for (int bit = 0; bit < 38; bit++)
        for (int64_t d = -1; d <= 1; d++) {
            int64_t v = (INT64_C(1) << bit) + d;
            if (v < 0 || v > HIST_TOP)
                continue;
            hist_clear(h);
            hist_add(h, v);
            assert_int_equal(hist_at(h, 0.5), v); /* min and max bound it */
            hist_add(h, HIST_TOP);
            hist_add(h, 0);
            assert_near(hist_at(h, 0.5), v);
        }
    hist_free(h);
}

static void percentiles_have_three_digits(void **state)
{
    (void)state;
    enum { N = 20000 };
    static int64_t v[N];
    static const double qs[] = {0.01, 0.5, 0.9, 0.99, 0.999};
    struct rng r = {7};
    struct hist *h = hist_new();
    for (int i = 0; i < N; i++) {
        v[i] = (int64_t)(rng_next(&r) >> (27 + rng_below(&r, 30)));
        if (v[i] > HIST_TOP)
            v[i] = HIST_TOP;
        hist_add(h, v[i]);
    }
    qsort(v, N, sizeof v[0], by_value);
    for (size_t i = 0; i < sizeof qs / sizeof qs[0]; i++)
        assert_near(hist_at(h, qs[i]), v[(size_t)(qs[i] * N) - 1]);
    hist_free(h);
}

static void too_large_and_negative_are_kept_within(void **state)
{
    (void)state;
    struct hist *h = hist_new();
    hist_add(h, INT64_MAX);
    hist_add(h, -5);
    assert_int_equal(h->over, 1);
    assert_int_equal(h->min, 0);
    assert_true(h->max == HIST_TOP && h->count == 2);
    hist_free(h);
}

static void merging_is_adding(void **state)
{
    (void)state;
    struct hist *a = hist_new(), *b = hist_new(), *both = hist_new();
    struct rng r = {3};
    for (int i = 0; i < 1000; i++) {
        int64_t v = (int64_t)rng_below(&r, 5000000);
        hist_add(i % 2 ? a : b, v);
        hist_add(both, v);
    }
    hist_merge(a, b);
    assert_memory_equal(a->slots, both->slots, sizeof a->slots);
    assert_true(a->count == both->count && a->min == both->min && a->max == both->max);
    hist_free(a);
    hist_free(b);
    hist_free(both);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_says_nothing),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(one_value_is_found_at_every_magnitude),
        cmocka_unit_test(percentiles_have_three_digits),
        cmocka_unit_test(too_large_and_negative_are_kept_within),
        cmocka_unit_test(merging_is_adding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
