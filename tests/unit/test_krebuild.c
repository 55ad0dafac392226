/* What needs no broker; the rest is in tests/integration/test_rebuild.c. */
#include "common/base/krebuild.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void every_key_is_in_exactly_one_slice(void **state)
{
    (void)state;
    for (uint32_t slices = 1; slices <= 9; slices += 4) {
        unsigned in[9] = {0};
        for (uint32_t i = 0; i < 9000; i++) {
            uint32_t slice = krebuild_slice((struct slice){&i, sizeof i}, slices);
            assert_true(slice < slices);
            assert_int_equal(slice, krebuild_slice((struct slice){&i, sizeof i}, slices));
            in[slice]++;
        }
        for (uint32_t s = 0; s < slices; s++)
            assert_in_range(in[s], 9000 / slices * 8 / 10, 9000 / slices * 12 / 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_key_is_in_exactly_one_slice)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
