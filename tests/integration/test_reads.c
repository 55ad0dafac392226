/* Lists, history, search over two edges and two query processes; the cases are in tests/features/reads.py. */
#include "tests/support/feature.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

static struct pl *pl;

static int setup(void **state)
{
    (void)state;
    pl = feature_up(NULL);
    return 0;
}

#define CASE(name)                                      \
    static void name(void **state)                      \
    {                                                   \
        (void)state;                                    \
        feature_run(pl, "reads", #name, NULL, NULL, 0); \
    }
CASE(history_in_both_directions)
CASE(history_of_a_date)
CASE(the_list_by_page)
CASE(search_in_many_languages)
CASE(search_follows_edits)

static void nobody_misses_their_own_message(void **state)
{
    char found[1024];
    (void)state;
    pl_expect_end(pl, PL_PERSISTER, 0);
    assert_int_equal(pl_stop(pl, PL_PERSISTER, 0, SIGTERM), 0);
    feature_run(pl, "reads", "behind", NULL, found, sizeof found);
    pl_start(pl, PL_PERSISTER, 0, NULL);
    feature_run(pl, "reads", "no_longer_behind", found, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(history_in_both_directions), cmocka_unit_test(history_of_a_date),
        cmocka_unit_test(the_list_by_page),           cmocka_unit_test(search_in_many_languages),
        cmocka_unit_test(search_follows_edits),       cmocka_unit_test(nobody_misses_their_own_message),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, NULL));
}
