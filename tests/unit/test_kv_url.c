#include "common/base/kv_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void check(const char *url, const char *host, int port, const char *password, int db)
{
    struct kv_url u = {0};
    assert_true(kv_url_parse(&u, url));
    assert_string_equal(u.host, host);
    assert_int_equal(u.port, port);
    assert_int_equal(u.db, db);
    if (password)
        assert_string_equal(u.password, password);
    else
        assert_null(u.password);
    kv_url_release(&u);
}

static void addresses(void **state)
{
    (void)state;
    check("127.0.0.1:7000", "127.0.0.1", 7000, NULL, 0);
    check("redis://example.org", "example.org", 6379, NULL, 0);
    check("redis://:secret@h:1234/5", "h", 1234, "secret", 5);
    check("redis://user:p@ss@h/2", "h", 6379, "p@ss", 2);
    check("redis://just@h", "h", 6379, "just", 0);
    check("", "127.0.0.1", 6379, NULL, 0);
    check("h:nonsense", "h", 6379, NULL, 0);
}

static void sockets(void **state)
{
    (void)state;
    struct kv_url u = {0};
    assert_true(kv_url_parse(&u, "unix:/run/redis.sock"));
    assert_string_equal(u.path, "/run/redis.sock");
    assert_null(u.host);
    kv_url_release(&u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(addresses), cmocka_unit_test(sockets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
