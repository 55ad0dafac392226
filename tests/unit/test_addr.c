#include "common/base/addr.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void there_and_back(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"127.0.0.1:7000", "127.0.0.1:7000"},
        {"localhost:0", "127.0.0.1:0"},
        {"*:65535", "0.0.0.0:65535"},
        {"[::1]:80", "[::1]:80"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct sockaddr_storage a;
        socklen_t len;
        char text[ADDR_TEXT];
        assert_int_equal(addr_parse(pairs[i][0], &a, &len), 0);
        assert_string_equal(addr_format(text, (struct sockaddr *)&a), pairs[i][1]);
    }
    struct sockaddr other = {.sa_family = AF_UNIX};
    char text[ADDR_TEXT];
    assert_string_equal(addr_format(text, &other), "?");
}

static void refuses(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",       ":80",          "127.0.0.1",     "127.0.0.1:",   "127.0.0.1:65536",
        "::1:80", "[::1:80",      "127.0.0.1:8o",  "127.0.0.1:-1", "example.org:80",
        "[]:1",   "127.0.0.1: 1", "[127.0.0.1]:80"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct sockaddr_storage a;
        socklen_t len;
        char why[128] = "";
        assert_int_equal(addr_parse(texts[i], &a, &len), -EINVAL);
        assert_int_equal(addr_check(texts[i], why, sizeof why), -EINVAL);
        assert_non_null(strstr(why, "127.0.0.1:7000"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(there_and_back), cmocka_unit_test(refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
