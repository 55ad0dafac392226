/* Groups over two edges, two routers, two fanouts, two query processes; the cases are in tests/features/groups.py. */
#include "tests/support/feature.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

FEATURE("groups", made_found_and_read)
FEATURE("groups", members_by_page)
FEATURE("groups", joining_and_what_is_visible)
FEATURE("groups", inviting_and_removing)
FEATURE("groups", roles)
FEATURE("groups", muting_one_and_all)
FEATURE("groups", a_short_mute_ends)
FEATURE("groups", names_and_notices)
FEATURE("groups", joining_by_approval)
FEATURE("groups", private_and_unknown_are_alike)
FEATURE("groups", old_numbers_tell_nothing)
FEATURE("groups", dissolving)
FEATURE("groups", two_at_once_agree)
FEATURE("groups", who_was_away_catches_up)

FEATURE_WITH("groups", full, "{\"router\": {\"group_cap\": 4}}")

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
    return pl_finish(cmocka_run_group_tests(tests, feature_setup, NULL));
}
