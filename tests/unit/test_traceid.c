/* The trace of records: what a client may give, and what a message has of its own. */
#include "common/im/traceid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define GOOD "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

static void a_clients_traceparent(void **state)
{
    static const uint8_t want[TRACE_SIZE] = {0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6,
                                             0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36,
                                             0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7};
    uint8_t t[TRACE_SIZE] = {0};
    (void)state;
    assert_true(traceid_parse(GOOD, t));
    assert_memory_equal(t, want, sizeof t);
    assert_true(
        traceid_parse("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", t)); /* a later version */
}

static void is_left_out_when_it_is_none(void **state)
{
    static const char *const bad[] = {
        "",
        "00",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        GOOD "-more",
        GOOD "0",
        "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
    };
    const struct id16 id = {{1, 2, 3}};
    uint8_t own[TRACE_SIZE] = {0}, t[TRACE_SIZE];
    (void)state;
    memcpy(own, id.b, ID_SIZE);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(traceid_parse(bad[i], t));
        memset(t, 7, sizeof t);
        traceid_begin(bad[i], id, t);
        assert_memory_equal(t, own, sizeof t); /* the message's own id, nobody's child */
    }
    traceid_begin(NULL, id, t);
    assert_memory_equal(t, own, sizeof t);
    traceid_begin(GOOD, id, t);
    assert_int_equal(t[0], 0x4b);
}

static void spans_are_told_apart(void **state)
{
    const struct id16 id = {{9}};
    uint8_t t[TRACE_SIZE], a[TRACE_SPAN], b[TRACE_SPAN];
    (void)state;
    traceid_begin(NULL, id, t);
    traceid_span(t, "send", "1", 1, a);
    traceid_span(t, "send", "1", 1, b);
    assert_memory_equal(a, b, sizeof a);
    traceid_span(t, "send", "2", 1, b);
    assert_memory_not_equal(a, b, sizeof a);
    traceid_span(t, "store", "1", 1, b);
    assert_memory_not_equal(a, b, sizeof a);
    t[0] ^= 1;
    traceid_span(t, "send", "1", 1, b);
    assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clients_traceparent),
        cmocka_unit_test(is_left_out_when_it_is_none),
        cmocka_unit_test(spans_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
