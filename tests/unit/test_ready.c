#include "common/base/log.h"
#include "common/base/ready.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect_json(const struct ready *r, const char *want)
{
    struct bytes b = {0};
    ready_json(r, &b);
    assert_string_equal((char *)b.p, want);
    bytes_release(&b);
}

static void expect_text(const struct ready *r, size_t room, const char *want)
{
    char text[200];
    ready_text(r, text, room);
    assert_string_equal(text, want);
}

static void names_what_is_missing(void **state)
{
    (void)state;
    struct loop *loop;
    assert_int_equal(loop_new(&loop), 0);
    struct ready *r = ready_new(loop);
    log_set_level(LOG_NOTHING);
    assert_true(ready_all(r));
    expect_json(r, "{\"ready\":true,\"waiting\":[]}\n");
    expect_text(r, 200, "ready");
    ready_wait(r, "kafka", "connection refused");
    ready_wait(r, "redis", "\"starting\"");
    ready_wait(r, "redis", "\"loading\"");
    assert_false(ready_all(r));
    expect_json(r, "{\"ready\":false,\"waiting\":[{\"for\":\"kafka\",\"why\":\"connection refused\"},"
                   "{\"for\":\"redis\",\"why\":\"\\\"loading\\\"\"}]}\n");
    expect_text(r, 200, "waiting for kafka: connection refused; redis: \"loading\"");
    expect_text(r, 24, "waiting for kafka: conn");
    ready_ok(r, "kafka");
    ready_ok(r, "never waited for");
    assert_false(ready_all(r));
    ready_ok(r, "redis");
    ready_ok(r, "redis");
    assert_true(ready_all(r));
    ready_wait(r, "kafka", "gone again");
    expect_json(r, "{\"ready\":false,\"waiting\":[{\"for\":\"kafka\",\"why\":\"gone again\"}]}\n");
    ready_free(r);
    ready_free(NULL);
    loop_free(loop);
}

static void long_reasons_are_cut(void **state)
{
    (void)state;
    struct loop *loop;
    assert_int_equal(loop_new(&loop), 0);
    struct ready *r = ready_new(loop);
    char why[1000];
    memset(why, 'x', sizeof why - 1);
    why[sizeof why - 1] = '\0';
    ready_wait(r, "kafka", why);
    ready_wait(r, "kafka", why);
    struct bytes b = {0};
    ready_json(r, &b);
    assert_true(b.n < 300);
    bytes_release(&b);
    ready_free(r);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_what_is_missing),
        cmocka_unit_test(long_reasons_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
