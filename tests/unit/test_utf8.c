#include "common/base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool valid(const char *s)
{
    return utf8_valid(s, strlen(s));
}

static void good(void **state)
{
    (void)state;
    assert_true(utf8_valid("", 0));
    assert_true(valid("plain ASCII, longer than one word of eight"));
    assert_true(valid("\x01\x7f"));
    assert_true(valid("12345678\xc3\xa9"
                      "1234567\xe2\x82\xac\xf0\x9f\x98\x80"));
    assert_true(valid("\xed\x9f\xbf\xee\x80\x80"));     /* either side of the surrogates */
    assert_true(valid("\xf4\x8f\xbf\xbf\xef\xbf\xbf")); /* U+10FFFF, U+FFFF */
    assert_int_equal(utf8_char("\xe2\x82\xac", 3), 3);
    assert_int_equal(utf8_char("\xe2\x82\xac", 2), 0);
}

static void bad(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "\x80",         "\xbf",         "\xc0\x80",         "\xc1\xbf",         "\xe0\x9f\xbf",
        "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
        "\xff",         "\xc3",         "\xe2\x82",         "\xf0\x9f\x98",     "\xc3(",
        "\xe2\x28\xa1", "12345678\xff",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(valid(texts[i]));
    for (size_t at = 0; at < 20; at++) { /* a NUL in every lane of the fast path */
        char s[20];
        memset(s, 'a', sizeof s);
        s[at] = 0;
        assert_false(utf8_valid(s, sizeof s));
        assert_true(utf8_valid(s, at));
        s[at] = 1;
        assert_true(utf8_valid(s, sizeof s));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(good), cmocka_unit_test(bad)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
