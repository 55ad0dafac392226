/* A client in another language, written from docs/protocol.md alone (tests/interop), talks to real edges.
 *
 * PARLEY_EDGES=host:port[,host:port…]: to those; without it, to a deployment of its own. */
#include "tests/support/pipeline.h"
#include "tests/support/script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *edges(void)
{
    const char *given = getenv("PARLEY_EDGES");
    if (given && *given)
        return given;
    return pl_edges(pl_up(&(struct pl_conf){0}), 0);
}

static void a_client_in_python(void **state)
{
    char where[1024];
    (void)state;
    const char *python = script_python();
    snprintf(where, sizeof where, "%s", edges());
    const char *const argv[] = {python, "tests/interop/client.py", where, NULL};
    assert_int_equal(script_run(argv, NULL, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_in_python),
    };
    return pl_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
