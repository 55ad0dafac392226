/* Messages and what is done to them, over two edges, two routers, two fanouts; the cases are in tests/features/messages.py. */
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
        feature_run(pl, "messages", #name, NULL, NULL, 0); \
    }
CASE(opaque_bytes)
CASE(replies)
CASE(edits)
CASE(recalls)
CASE(pins)
CASE(reactions)
CASE(mentions)
CASE(announcements)
CASE(one_number_is_one_message)

static void too_late_to_recall(void **state)
{
    (void)state;
    feature_run(feature_up("{\"router\": {\"recall_limit\": \"1s\"}}"), "messages", "too_late_to_recall",
                NULL, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opaque_bytes),
        cmocka_unit_test(replies),
        cmocka_unit_test(edits),
        cmocka_unit_test(recalls),
        cmocka_unit_test(pins),
        cmocka_unit_test(reactions),
        cmocka_unit_test(mentions),
        cmocka_unit_test(announcements),
        cmocka_unit_test(one_number_is_one_message),
        cmocka_unit_test(too_late_to_recall),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, NULL));
}
