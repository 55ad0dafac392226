/* What parleyctl takes for a message's name, and for a moment. */
#include "client/parleyctl/trace_ask.c" /* parts of a program, so in no library */
#include "client/parleyctl/when.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

void ctl_complain(const char *fmt, ...)
{
    (void)fmt;
}

static void messages(void **state)
{
    struct trace_ask a;
    char id[ID_HEX], text[ID_HEX + 8];
    (void)state;
    struct id16 ann = id_user("ann"), ben = id_user("ben"), conv = id_direct(ann, ben);
    assert_true(trace_parse("ann~ben:17", &a) && a.by_place && a.seq == 17 && id_eq(a.conv, conv));
    assert_true(trace_parse("Ben,ANN:17", &a) && a.by_place && id_eq(a.conv, conv));
    snprintf(text, sizeof text, "%s:5", id_hex(conv, id));
    assert_true(trace_parse(text, &a) && a.by_place && a.seq == 5 && id_eq(a.conv, conv));
    assert_true(trace_parse(id, &a) && a.by_id && id_eq(a.msg_id, conv));
    assert_true(trace_parse("ann:1041", &a) && !a.by_place && !a.by_id && id_eq(a.user, ann));
    assert_true(a.client_seq == 1041 && a.device == 0);
    assert_true(trace_parse("ann/2:7", &a) && a.device == 2 && a.client_seq == 7);
    static const char *const none[] = {"",
                                       "ann",
                                       "ann:",
                                       ":5",
                                       "ann:0",
                                       "ann:-1",
                                       "ann:1x",
                                       "ann/0:5",
                                       "ann/x:5",
                                       "ann~:5",
                                       "~ben:5",
                                       "a b:5",
                                       "ann~ben:",
                                       "0011",
                                       "ann/99999999999:1",
                                       "ann:99999999999999999999"};
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        if (trace_parse(none[i], &a))
            fail_msg("\"%s\" was taken", none[i]);
}

static void moments(void **state)
{
    int64_t ms, now = clock_wall_ms();
    char text[32];
    (void)state;
    assert_int_equal(when_parse("2026-05-01T12:00:00Z", &ms), 0);
    assert_int_equal(ms, 1777636800000);
    when_text(ms + 7, text);
    assert_string_equal(text, "2026-05-01T12:00:00.007Z");
    assert_int_equal(when_parse("2026-05-01T12:00:00.123Z", &ms), 0);
    assert_int_equal(ms, 1777636800000);
    assert_int_equal(when_parse("2026-05-01", &ms), 0);
    assert_int_equal(ms, 1777593600000);
    assert_int_equal(when_parse("1777636800000", &ms), 0);
    assert_int_equal(ms, 1777636800000);
    assert_int_equal(when_parse("2h", &ms), 0);
    assert_true(ms <= now - 7190000 && ms >= now - 7210000);
    static const char *const none[] = {"", "yesterday", "2x", "-5", "2026-13-01", "2026-05-01T12:00:00+1",
                                       "h"};
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        if (when_parse(none[i], &ms) == 0)
            fail_msg("\"%s\" was taken", none[i]);
}

static void spans(void **state)
{
    char text[24];
    (void)state;
    when_span(3200, text);
    assert_string_equal(text, "3.2 s");
    when_span(300000, text);
    assert_string_equal(text, "5 min");
    when_span(9000000, text);
    assert_string_equal(text, "2.5 h");
    when_span(259200000, text);
    assert_string_equal(text, "3.0 d");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(messages), cmocka_unit_test(moments),
                                       cmocka_unit_test(spans)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
