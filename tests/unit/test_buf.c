#include "common/base/buf.h"
#include "common/base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void buf_is_shared(void **state)
{
    (void)state;
    struct buf *b = buf_copy("abc", 3);
    assert_int_equal(b->n, 3);
    assert_ptr_equal(buf_ref(b), b);
    buf_unref(b);
    assert_memory_equal(buf_slice(b).p, "abc", 3);
    buf_unref(b);
    buf_unref(NULL);
    b = buf_copy(NULL, 0);
    assert_int_equal(b->n, 0);
    buf_unref(b);
    assert_null(buf_new((size_t)UINT32_MAX + 1));
}

static void bytes_grow(void **state)
{
    (void)state;
    struct bytes b = {0};
    for (int i = 0; i < 1000; i++)
        bytes_be32(&b, (uint32_t)i);
    assert_true(bytes_ok(&b));
    assert_int_equal(b.n, 4000);
    assert_memory_equal(b.p + 4 * 258, "\0\0\1\2", 4);
    bytes_eat(&b, 3999);
    assert_int_equal(b.n, 1);
    assert_int_equal(b.p[0], 999 & 255);
    bytes_eat(&b, 99);
    assert_int_equal(b.n, 0);
    bytes_u8(&b, 1);
    bytes_be16(&b, 0x0203);
    bytes_be64(&b, UINT64_C(0x0405060708090a0b));
    assert_memory_equal(b.p, "\1\2\3\4\5\6\7\10\11\12\13", 11);
    struct buf *c = bytes_to_buf(&b);
    assert_int_equal(c->n, 11);
    buf_unref(c);
    bytes_release(&b);
    bytes_eat(&b, 1);
    assert_null(b.p);
}

static void failure_sticks(void **state)
{
    (void)state;
    struct bytes b = {.max = 8};
    bytes_str(&b, "12345678");
    assert_true(bytes_ok(&b));
    bytes_u8(&b, 1);
    assert_false(bytes_ok(&b));
    bytes_clear(&b);
    bytes_printf(&b, "%d", 1234567890);
    assert_false(bytes_ok(&b));
    assert_int_equal(b.n, 0);
    bytes_put(&b, "", 0);
    assert_null(bytes_room(&b, 1));
    assert_null(bytes_to_buf(&b));
    bytes_release(&b);
    bytes_printf(&b, "%s-%d", "a", 5);
    assert_string_equal((char *)b.p, "a-5");
    bytes_release(&b);
}

static void json_strings(void **state)
{
    (void)state;
    static const char in[] = "a\"b\\\n\x7f\xc3\xa9\xff\0z";
    struct bytes b = {0};
    bytes_json(&b, in, sizeof in - 1);
    assert_string_equal((char *)b.p, "\"a\\\"b\\\\\\u000a\\u007f\xc3\xa9\xef\xbf\xbd\\u0000z\"");
    bytes_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_is_shared),
        cmocka_unit_test(bytes_grow),
        cmocka_unit_test(failure_sticks),
        cmocka_unit_test(json_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
