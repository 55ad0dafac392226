/* Groups over two edges, two routers, two fanouts, two query processes; the cases are in tests/features/groups.py. */
#include "tests/support/feature.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct pl *pl, *small;

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
        feature_run(pl, "groups", #name, NULL, NULL, 0); \
    }
CASE(made_found_and_read)
CASE(members_by_page)
CASE(joining_and_what_is_visible)
CASE(inviting_and_removing)
CASE(roles)
CASE(muting_one_and_all)
CASE(a_short_mute_ends)
CASE(names_and_notices)
CASE(joining_by_approval)
CASE(private_and_unknown_are_alike)
CASE(old_numbers_tell_nothing)
CASE(dissolving)
CASE(two_at_once_agree)
CASE(who_was_away_catches_up)

static void full(void **state)
{
    (void)state;
    small = feature_up("{\"router\": {\"group_cap\": 4}}");
    feature_run(small, "groups", "full", NULL, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_found_and_read),
        cmocka_unit_test(members_by_page),
        cmocka_unit_test(joining_and_what_is_visible),
        cmocka_unit_test(inviting_and_removing),
        cmocka_unit_test(roles),
        cmocka_unit_test(muting_one_and_all),
        cmocka_unit_test(a_short_mute_ends),
        cmocka_unit_test(names_and_notices),
        cmocka_unit_test(joining_by_approval),
        cmocka_unit_test(private_and_unknown_are_alike),
        cmocka_unit_test(old_numbers_tell_nothing),
        cmocka_unit_test(dissolving),
        cmocka_unit_test(two_at_once_agree),
        cmocka_unit_test(who_was_away_catches_up),
        cmocka_unit_test(full),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, NULL));
}
