/* What others wrote must not reach the terminal as commands. */
#include "client/parley/show.c" /* part of a program, so in no library */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_clean(const char *in, const char *want)
{
    char out[200];
    size_t n = show_clean(out, sizeof out, in, "|");
    assert_string_equal(out, want);
    assert_int_equal(n, strlen(want));
}

static void controls_are_replaced(void **state)
{
    (void)state;
    assert_clean("plain t\xc3\xa4xt \xf0\x9f\x99\x82", "plain t\xc3\xa4xt \xf0\x9f\x99\x82");
    assert_clean("\033[31mred", "\xef\xbf\xbd[31mred");
    assert_clean("a\r\nb\tc\x7f", "a\xef\xbf\xbd|b c\xef\xbf\xbd");
    assert_clean("\xc2\x9b"
                 "31m",
                 "\xef\xbf\xbd"
                 "31m");                              /* CSI as one character */
    assert_clean("x\xe2\x80\xaey", "x\xef\xbf\xbdy"); /* right-to-left override */
    assert_clean("x\xe2\x81\xa6y", "x\xef\xbf\xbdy"); /* isolate */
    assert_clean("bad\xff\xc3", "bad\xef\xbf\xbd\xef\xbf\xbd");
}

static void cut_at_a_character(void **state)
{
    (void)state;
    char out[6];
    assert_int_equal(show_clean(out, sizeof out, "abcd\xc3\xa4x", "|"), 4);
    assert_string_equal(out, "abcd");
}

static void json_is_one_line(void **state)
{
    (void)state;
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    struct parley_message m = {.kind = PARLEY_MESSAGE,
                               .seq = 7,
                               .sender_login = "bob",
                               .peer_login = "alice",
                               .text = "a\n\033",
                               .content_type = ""};
    show_json(f, &m);
    fclose(f);
    assert_int_equal(strcspn(text, "\n"), n - 1);
    json_t *j = json_loads(text, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(j, "text")), "a\n\033");
    assert_int_equal(json_integer_value(json_object_get(j, "seq")), 7);
    json_decref(j);
    free(text);
    f = open_memstream(&text, &n);
    m.missed = 3;
    show_line(f, &m);
    fclose(f);
    assert_non_null(strstr(text, "(3 before this one are only in history)\n"));
    assert_non_null(strstr(text, "bob: a\\n\xef\xbf\xbd\n"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(controls_are_replaced),
        cmocka_unit_test(cut_at_a_character),
        cmocka_unit_test(json_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
