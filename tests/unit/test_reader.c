#include "common/base/bytes.h"
#include "common/base/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void what_bytes_wrote_is_read(void **state)
{
    struct bytes b = {0};
    char text[8], four[4];
    (void)state;
    bytes_u8(&b, 200);
    bytes_be16(&b, 65000);
    bytes_be32(&b, 4000000000u);
    bytes_be64(&b, UINT64_MAX - 1);
    bytes_u8(&b, 3);
    bytes_put(&b, "abc", 3);
    bytes_put(&b, "wxyz", 4);
    struct reader r = reader_of(bytes_slice(&b));
    assert_int_equal(reader_u8(&r), 200);
    assert_int_equal(reader_be16(&r), 65000);
    assert_int_equal(reader_be32(&r), 4000000000u);
    assert_true(reader_be64(&r) == UINT64_MAX - 1);
    reader_str8(&r, text, sizeof text);
    assert_string_equal(text, "abc");
    assert_false(reader_done(&r));
    reader_copy(&r, four, 4);
    assert_memory_equal(four, "wxyz", 4);
    assert_true(reader_done(&r));
    bytes_release(&b);
}

static void too_little_sticks(void **state)
{
    struct reader r = reader_of((struct slice){"\1\2\3", 3});
    (void)state;
    assert_int_equal(reader_be32(&r), 0);
    assert_int_equal(reader_u8(&r), 0);
    assert_true(r.bad);
    assert_false(reader_done(&r));
}

static void text_that_does_not_fit_is_bad(void **state)
{
    char text[4];
    struct reader r = reader_of((struct slice){"\4abcd", 5});
    (void)state;
    reader_str8(&r, text, sizeof text);
    assert_true(r.bad);
    assert_string_equal(text, "");
    r = reader_of((struct slice){"\4abc", 4});
    reader_str8(&r, text, sizeof text);
    assert_true(r.bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_bytes_wrote_is_read),
        cmocka_unit_test(too_little_sticks),
        cmocka_unit_test(text_that_does_not_fit_is_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
