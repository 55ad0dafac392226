#include "common/im/ended.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct session sess(uint32_t slot, uint64_t epoch, uint32_t handle)
{
    return (struct session){.device = handle % 7 + 1,
                            .slot = slot,
                            .epoch = epoch,
                            .handle = handle,
                            .login_offset = handle * 3ull};
}

static void the_last_ones_are_known(void **state)
{
    (void)state;
    for (uint32_t max = 1; max < 300; max += 97) {
        struct ended *e = ended_new(max);
        assert_null(ended_find(e, 1, 1, 1));
        for (uint32_t i = 0; i < 1000; i++) {
            struct session s = sess(i % 3, 5, i);
            ended_add(e, &s);
            for (uint32_t k = i > 400 ? i - 400 : 0; k <= i; k += 7) {
                const struct session *found = ended_find(e, k % 3, 5, k);
                s = sess(k % 3, 5, k);
                assert_true(i - k < max ? found && session_eq(found, &s) : !found);
            }
        }
        assert_null(ended_find(e, 0, 6, 999));
        assert_null(ended_find(e, 1, 5, 999));
        ended_free(e);
    }
    ended_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_last_ones_are_known)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
