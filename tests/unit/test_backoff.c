#include "common/base/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void doubles_with_jitter(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct backoff b;
        backoff_init(&b, 100, 1500, seed);
        static const int64_t steps[] = {100, 200, 400, 800, 1500, 1500, 1500};
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
            int64_t ms = backoff_next_ms(&b);
            assert_in_range(ms, steps[i] / 2, steps[i]);
        }
        backoff_reset(&b);
        assert_in_range(backoff_next_ms(&b), 50, 100);
    }
}

static void same_seed_same_waits(void **state)
{
    (void)state;
    struct backoff a, b, c;
    int differ = 0;
    backoff_init(&a, 1000, 60000, 1);
    backoff_init(&b, 1000, 60000, 1);
    backoff_init(&c, 1000, 60000, 2);
    for (int i = 0; i < 10; i++) {
        int64_t ms = backoff_next_ms(&a);
        assert_int_equal(ms, backoff_next_ms(&b));
        differ += ms != backoff_next_ms(&c);
    }
    assert_true(differ > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(doubles_with_jitter),
                                       cmocka_unit_test(same_seed_same_waits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
