/* The devices of one account over two edges and two routers; the cases are in tests/features/sessions.py. */
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
        feature_run(pl, "sessions", #name, NULL, NULL, 0); \
    }
CASE(devices_are_listed)
CASE(tokens_are_renewed)
CASE(own_messages_appear_elsewhere)
CASE(several_of_a_class)

static void one_of_each_class(void **state)
{
    (void)state;
    feature_run(feature_up("{\"router\": {\"one_per_class\": true}}"), "sessions", "one_of_each_class", NULL,
                NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_are_listed),
        cmocka_unit_test(tokens_are_renewed),
        cmocka_unit_test(own_messages_appear_elsewhere),
        cmocka_unit_test(several_of_a_class),
        cmocka_unit_test(one_of_each_class),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, NULL));
}
