/* Delivered, read, unread and typing over two edges, two routers, two fanouts; the cases are in
 * tests/features/receipts.py. */
#include "tests/support/feature.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

FEATURE("receipts", delivered_and_read)
FEATURE("receipts", unread_everywhere_the_same)
FEATURE("receipts", read_counts_in_a_group)
FEATURE("receipts", typing_leaves_no_trace)

FEATURE_WITH("receipts", read_counts_only_in_small_groups, "{\"router\": {\"receipt_cap\": 2}}")

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delivered_and_read),
        cmocka_unit_test(unread_everywhere_the_same),
        cmocka_unit_test(read_counts_in_a_group),
        cmocka_unit_test(typing_leaves_no_trace),
        cmocka_unit_test(read_counts_only_in_small_groups),
    };
    return pl_finish(cmocka_run_group_tests(tests, feature_setup, NULL));
}
