/* Receipts: the highest value, not too often, and again when a connection broke. */
#include "client/lib/receipts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static struct id16 conv(uint8_t v)
{
    return (struct id16){{v}};
}

static void told(struct receipts *r, int64_t now, uint8_t c, uint64_t read, uint64_t delivered)
{
    struct receipt x;
    assert_true(receipts_next(r, now, &x));
    assert_true(id_eq(x.conv, conv(c)));
    assert_int_equal(x.read, read);
    assert_int_equal(x.delivered, delivered);
}

static void gathered_for_a_second(void **state)
{
    (void)state;
    struct receipt x;
    struct receipts *r = receipts_new();
    assert_int_equal(receipts_due(r), INT64_MAX);
    receipts_add(r, conv(1), 0, 5);
    told(r, 100, 1, 0, 5);
    receipts_add(r, conv(1), 0, 6);
    receipts_add(r, conv(1), 0, 8);
    receipts_add(r, conv(1), 0, 7);
    receipts_add(r, conv(2), 3, 0);
    told(r, 200, 2, 3, 0);
    assert_false(receipts_next(r, 200, &x));
    assert_int_equal(receipts_due(r), 1100);
    told(r, 1100, 1, 0, 8);
    receipts_add(r, conv(1), 0, 8);
    receipts_add(r, conv(2), 2, 0);
    assert_int_equal(receipts_due(r), INT64_MAX);
    receipts_free(r);
}

static void read_is_delivered(void **state)
{
    (void)state;
    struct receipts *r = receipts_new();
    receipts_add(r, conv(1), 9, 9);
    told(r, 0, 1, 9, 0);
    receipts_add(r, conv(1), 10, 12);
    told(r, 2000, 1, 10, 12);
    receipts_free(r);
}

static void again_when_the_connection_broke(void **state)
{
    (void)state;
    struct receipt x;
    struct receipts *r = receipts_new();
    receipts_add(r, conv(1), 4, 0);
    receipts_add(r, conv(2), 0, 7);
    told(r, 1000, 1, 4, 0);
    told(r, 20000, 2, 0, 7);
    receipts_again(r, 21000);
    assert_int_equal(receipts_due(r), 22000);
    told(r, 22000, 2, 0, 7);
    assert_false(receipts_next(r, 50000, &x)); /* the other one is long there */
    receipts_free(r);
}

static void many_conversations(void **state)
{
    (void)state;
    struct receipt x;
    struct receipts *r = receipts_new();
    for (uint32_t i = 0; i < 20000; i++) {
        struct id16 id = {{0}};
        memcpy(id.b, &i, sizeof i);
        assert_int_equal(receipts_add(r, id, 1, 0), 0);
        assert_true(receipts_next(r, i, &x));
    }
    receipts_free(r);
    receipts_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gathered_for_a_second),
        cmocka_unit_test(read_is_delivered),
        cmocka_unit_test(again_when_the_connection_broke),
        cmocka_unit_test(many_conversations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
