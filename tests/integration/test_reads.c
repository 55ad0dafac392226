/* Lists, history, search over two edges and two query processes; the cases are in tests/features/reads.py. */
#include "tests/support/feature.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

FEATURE("reads", history_in_both_directions)
FEATURE("reads", history_of_a_date)
FEATURE("reads", the_list_by_page)
FEATURE("reads", search_in_many_languages)
FEATURE("reads", search_follows_edits)

static void nobody_misses_their_own_message(void **state)
{
    char found[1024];
    (void)state;
    pl_expect_end(feature_pl, PL_PERSISTER, 0);
    assert_int_equal(pl_stop(feature_pl, PL_PERSISTER, 0, SIGTERM), 0);
    feature_run(feature_pl, "reads", "behind", NULL, found, sizeof found);
    pl_start(feature_pl, PL_PERSISTER, 0, NULL);
    feature_run(feature_pl, "reads", "no_longer_behind", found, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(history_in_both_directions), cmocka_unit_test(history_of_a_date),
        cmocka_unit_test(the_list_by_page),           cmocka_unit_test(search_in_many_languages),
        cmocka_unit_test(search_follows_edits),       cmocka_unit_test(nobody_misses_their_own_message),
    };
    return pl_finish(cmocka_run_group_tests(tests, feature_setup, NULL));
}
