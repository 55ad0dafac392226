/* Who may do what: each cell of tests/matrix/matrix.tsv against real edges (tests/matrix/matrix.py).
 * MATRIX_ROWS: only rows whose name contains it. */
#include "tests/support/feature.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void every_request_by_everybody(void **state)
{
    (void)state;
    feature_run(feature_up(NULL), "../matrix/matrix", "rows", getenv("MATRIX_ROWS"), NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_by_everybody),
    };
    return pl_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
