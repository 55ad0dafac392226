/* People, friends, blocks, presence over two edges, two routers, two query processes; the cases are in
 * tests/features/people.py. */
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

#define CASE(name)                                       \
    static void name(void **state)                       \
    {                                                    \
        (void)state;                                     \
        feature_run(pl, "people", #name, NULL, NULL, 0); \
    }
CASE(searching_users)
CASE(friends)
CASE(refusing_and_taking_back)
CASE(remarks_and_marks)
CASE(blocking)
CASE(presence_and_privacy)
CASE(presence_is_told)
CASE(a_flapping_client_costs_little)
CASE(profiles)

static void strangers_may_not_write(void **state)
{
    (void)state;
    feature_run(feature_up("{\"router\": {\"strangers_refused\": true}}"), "people",
                "strangers_may_not_write", NULL, NULL, 0);
}

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
    return pl_finish(cmocka_run_group_tests(tests, setup, NULL));
}
