#include "common/base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void classes(void **state)
{
    (void)state;
    assert_int_equal(err_class(0), ERR_NONE);
    assert_int_equal(err_class(17), ERR_NONE);
    assert_int_equal(err_class(-EAGAIN), ERR_RETRY);
    assert_int_equal(err_class(-ECONNREFUSED), ERR_RETRY);
    assert_int_equal(err_class(-EBADMSG), ERR_INPUT);
    assert_int_equal(err_class(-ENOMEM), ERR_FATAL);
    assert_int_equal(err_class(-9999), ERR_FATAL);
}

static void texts(void **state)
{
    (void)state;
    assert_string_equal(err_text(-ECONNREFUSED), "Connection refused");
    assert_string_equal(err_text(ECONNREFUSED), "Connection refused");
    assert_string_equal(err_text(-9999), "Unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(classes), cmocka_unit_test(texts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
