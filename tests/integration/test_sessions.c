/* The devices of one account over two edges and two routers; the cases are in tests/features/sessions.py. */
#include "tests/support/feature.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

FEATURE("sessions", devices_are_listed)
FEATURE("sessions", tokens_are_renewed)
FEATURE("sessions", own_messages_appear_elsewhere)
FEATURE("sessions", several_of_a_class)

FEATURE_WITH("sessions", one_of_each_class, "{\"router\": {\"one_per_class\": true}}")

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_are_listed),
        cmocka_unit_test(tokens_are_renewed),
        cmocka_unit_test(own_messages_appear_elsewhere),
        cmocka_unit_test(several_of_a_class),
        cmocka_unit_test(one_of_each_class),
    };
    return pl_finish(cmocka_run_group_tests(tests, feature_setup, NULL));
}
