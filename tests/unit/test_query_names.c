#include "query/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void what_was_put_is_there_until_it_is_full(void **state)
{
    (void)state;
    struct names *n = names_new(2);
    struct id16 id[3] = {{{1}}, {{2}}, {{3}}};
    assert_null(names_get(n, id[0]));
    names_put(n, id[0], "ann");
    names_put(n, id[1], "bob");
    names_put(n, id[1], "bob");
    assert_string_equal(names_get(n, id[0]), "ann");
    assert_string_equal(names_get(n, id[1]), "bob");
    names_put(n, id[2], "cid");
    assert_null(names_get(n, id[0]));
    assert_string_equal(names_get(n, id[2]), "cid");
    names_free(n);
    names_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_was_put_is_there_until_it_is_full)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
