#include "common/base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void below_covers_its_range(void **state)
{
    (void)state;
    struct rng r = {0};
    unsigned seen[6] = {0};
    for (int i = 0; i < 6000; i++)
        seen[rng_below(&r, 6)]++;
    for (int i = 0; i < 6; i++)
        assert_in_range(seen[i], 800, 1200); /* the seed is fixed: so is the result */
    assert_int_equal(rng_below(&r, 1), 0);
}

static void splitmix_is_the_published_one(void **state)
{
    (void)state;
    struct rng r = {1234567};
    assert_true(rng_next(&r) == UINT64_C(6457827717110365317));
    assert_true(rng_next(&r) == UINT64_C(3203168211198807973));
}

static void kernel_bytes_differ(void **state)
{
    (void)state;
    unsigned char a[1000] = {0}, b[1000] = {0};
    rand_bytes(a, sizeof a);
    rand_bytes(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    assert_true(rand_u64() != rand_u64());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(below_covers_its_range),
        cmocka_unit_test(splitmix_is_the_published_one),
        cmocka_unit_test(kernel_bytes_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
