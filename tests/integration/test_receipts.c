/* Delivered, read, unread and typing over two edges, two routers, two fanouts; the cases are in
 * tests/features/receipts.py. */
#include "tests/support/feature.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct pl *pl;

static int setup(void **state)
{
    (void)state;
    pl = feature_up(NULL);
    return 0;
}

#define CASE(name)                                         \
    static void name(void **state)                         \
    {                                                      \
        (void)state;                                       \
        feature_run(pl, "receipts", #name, NULL, NULL, 0); \
    }
CASE(delivered_and_read)
CASE(unread_everywhere_the_same)
CASE(read_counts_in_a_group)
CASE(typing_leaves_no_trace)

static void read_counts_only_in_small_groups(void **state)
{
    (void)state;
    feature_run(feature_up("{\"router\": {\"receipt_cap\": 2}}"), "receipts",
                "read_counts_only_in_small_groups", NULL, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delivered_and_read),
        cmocka_unit_test(unread_everywhere_the_same),
        cmocka_unit_test(read_counts_in_a_group),
        cmocka_unit_test(typing_leaves_no_trace),
        cmocka_unit_test(read_counts_only_in_small_groups),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, NULL));
}
