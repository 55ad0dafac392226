/* People, friends, blocks, presence over two edges, two routers, two query processes; the cases are in
 * tests/features/people.py. */
#include "tests/support/feature.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

FEATURE("people", searching_users)
FEATURE("people", friends)
FEATURE("people", refusing_and_taking_back)
FEATURE("people", remarks_and_marks)
FEATURE("people", blocking)
FEATURE("people", presence_and_privacy)
FEATURE("people", presence_is_told)
FEATURE("people", a_flapping_client_costs_little)
FEATURE("people", profiles)

FEATURE_WITH("people", strangers_may_not_write, "{\"router\": {\"strangers_refused\": true}}")

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(searching_users),
        cmocka_unit_test(friends),
        cmocka_unit_test(refusing_and_taking_back),
        cmocka_unit_test(remarks_and_marks),
        cmocka_unit_test(blocking),
        cmocka_unit_test(presence_and_privacy),
        cmocka_unit_test(presence_is_told),
        cmocka_unit_test(a_flapping_client_costs_little),
        cmocka_unit_test(profiles),
        cmocka_unit_test(strangers_may_not_write),
    };
    return pl_finish(cmocka_run_group_tests(tests, feature_setup, NULL));
}
