/* Messages and what is done to them, over two edges, two routers, two fanouts; the cases are in tests/features/messages.py. */
#include "tests/support/feature.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

FEATURE("messages", opaque_bytes)
FEATURE("messages", replies)
FEATURE("messages", edits)
FEATURE("messages", recalls)
FEATURE("messages", pins)
FEATURE("messages", reactions)
FEATURE("messages", mentions)
FEATURE("messages", announcements)
FEATURE("messages", one_number_is_one_message)

FEATURE_WITH("messages", too_late_to_recall, "{\"router\": {\"recall_limit\": \"1s\"}}")

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
    return pl_finish(cmocka_run_group_tests(tests, feature_setup, NULL));
}
