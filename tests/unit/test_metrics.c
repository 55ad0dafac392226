#include "common/base/metrics.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

METRIC_COUNTER(sends, "test_sends_total", "Sends.");
METRIC_COUNTER(refused, "test_refused_total", "Refused, by reason.", "reason");
METRIC_GAUGE(open_now, "test_open", "Open.");
METRIC_HISTOGRAM(took, "test_took_seconds", "Time.", 1e-6);
METRIC_HISTOGRAM(sizes, "test_sizes", "Sizes.", 1, "kind");
METRIC_SECONDS(spent, "test_spent_seconds_total", "Time spent.");
METRIC_GAUGE(pairs, "test_pairs", "Two labels.", "client,broker");
METRIC_COUNTER(many, "test_many_total", "Many series.", "n");

static void *count_up(void *arg)
{
    for (int i = 0; i < 10000; i++) {
        metric_add(&sends, 1);
        metric_add(metric_with(&refused, i % 2 ? "busy" : arg), 1);
        metric_observe(&took, i);
    }
    return NULL;
}

static void threads_add_up(void **state)
{
    (void)state;
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&t[i], NULL, count_up, "late"), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(metric_get(&sends), 30000);
    assert_int_equal(metric_get(metric_with(&refused, "busy")), 15000);
    assert_int_equal(metric_get(metric_with(&refused, "late")), 15000);
}

static void quantiles_are_near(void **state)
{
    (void)state;
    struct metric *m = metric_with(&sizes, "near");
    assert_int_equal(metric_quantile(m, 0.5), -1);
    for (int64_t v = 0; v <= 100000000;
         v = v + v / 50 + 1) { /* the bound is at or above, by a quarter at most */
        struct metric one = {.buckets = calloc(METRIC_BUCKETS + 1, sizeof(uint64_t))};
        metric_observe(&one, v);
        int64_t q = metric_quantile(&one, 1);
        assert_true(q >= v && q - v <= v / 4);
        free((void *)one.buckets);
    }
    for (int i = 1; i <= 1000; i++)
        metric_observe(m, i);
    assert_in_range(metric_quantile(m, 0.5), 500, 625);
    assert_in_range(metric_quantile(m, 0.99), 990, 1250);
    metric_observe(m, INT64_MAX / 2);
    metric_observe(m, -5);
    assert_int_equal(metric_quantile(m, 0), 0);
    assert_true(metric_quantile(m, 1) == INT64_MAX);
}

static void series_are_bounded(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * METRIC_SERIES_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        metric_add(metric_with(&many, name), 1);
    }
    assert_int_equal(metric_get(metric_with(&many, "other")), METRIC_SERIES_MAX);
    assert_ptr_equal(metric_with(&many, "7"), metric_with(&many, "7"));
}

/* What is exposed of a histogram: few bounds, each a sum that is exact. */
static void few_exact_bounds(void **state)
{
    (void)state;
    struct metric *m = metric_with(&sizes, "exact");
    static const int64_t seen[] = {0, 1, 2, 3, 49, 50, 51, 100, 999, 1000, 1001, 99999999, INT64_MAX / 2};
    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++) {
        metric_observe(m, seen[i]);
        metric_observe(&took, seen[i]);
    }
    struct metric *const both[] = {&sizes, &took};
    for (size_t f = 0; f < 2; f++) {
        size_t n;
        const int64_t *bounds = metrics_bounds(both[f], &n);
        assert_in_range(n, 10, 30);
        for (size_t k = 1; k < n; k++)
            assert_true(bounds[k] > bounds[k - 1]);
    }
    struct bytes b = {0};
    metrics_write(&b);
    size_t n, lines = 0;
    const int64_t *bounds = metrics_bounds(&sizes, &n);
    for (size_t k = 0; k < n; k++) {
        char line[96];
        int below = 0;
        for (size_t i = 0; i < sizeof seen / sizeof *seen; i++)
            below += seen[i] <= bounds[k];
        snprintf(line, sizeof line, "test_sizes_bucket{kind=\"exact\",le=\"%.9g\"} %d\n", (double)bounds[k],
                 below);
        if (!strstr((const char *)b.p, line))
            fail_msg("missing: %s", line);
    }
    for (const char *at = (const char *)b.p; (at = strstr(at, "test_took_seconds_bucket{")); at++)
        lines++;
    metrics_bounds(&took, &n);
    assert_int_equal(lines, n + 1);
    bytes_release(&b);
}

static void text_format(void **state)
{
    (void)state;
    struct bytes b = {0};
    metric_set(&open_now, -2);
    metric_add(metric_with(&refused, "a\"b\\c\nd"), 4);
    metric_observe(metric_with(&sizes, "one"), 5);
    metric_add(&spent, 1500000);
    metric_set(metric_with(&pairs, "a\"b,7"), 3);
    metrics_write(&b);
    assert_true(bytes_ok(&b));
    const char *text = (const char *)b.p;
    static const char *const lines[] = {
        "# HELP test_sends_total Sends.\n# TYPE test_sends_total counter\ntest_sends_total ",
        "\ntest_open -2\n",
        "\ntest_refused_total{reason=\"a\\\"b\\\\c\\nd\"} 4\n",
        "# TYPE test_took_seconds histogram\ntest_took_seconds_bucket{le=\"5e-05\"} ",
        "\ntest_took_seconds_bucket{le=\"0.001\"} ",
        "\ntest_sizes_bucket{kind=\"one\",le=\"2\"} 0\n",
        "\ntest_sizes_bucket{kind=\"one\",le=\"5\"} 1\n",
        "\ntest_sizes_bucket{kind=\"one\",le=\"1000000\"} 1\n",
        "\ntest_spent_seconds_total 1.5\n",
        "\ntest_pairs{client=\"a\\\"b\",broker=\"7\"} 3\n",
        "\ntest_sizes_bucket{kind=\"one\",le=\"+Inf\"} 1\n",
        "\ntest_sizes_sum{kind=\"one\"} 5\n",
        "\ntest_sizes_count{kind=\"one\"} 1\n",
        "\nprocess_resident_memory_bytes ",
        "\nprocess_open_fds ",
        "\nprocess_max_fds ",
        "\nprocess_start_time_seconds ",
        "\nparley_build_info{version=\"",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        if (!strstr(text, lines[i]))
            fail_msg("missing: %s", lines[i]);
    }
    assert_null(strstr(text, "\ntest_refused_total "));                        /* only with its label */
    assert_true(strstr(text, "test_open") < strstr(text, "test_sends_total")); /* by name */
    bytes_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_add_up),     cmocka_unit_test(quantiles_are_near),
        cmocka_unit_test(series_are_bounded), cmocka_unit_test(few_exact_bounds),
        cmocka_unit_test(text_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
