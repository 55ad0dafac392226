#include "common/im/dead.h"

#include "common/im/topics.h"
#include "tests/support/samples.h"
#include "tests/unit/convlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char why[160];

static bool begins(const char *with)
{
    return strncmp(why, with, strlen(with)) == 0;
}

static struct slice inbound(uint32_t version, uint8_t *out)
{
    static uint8_t trace[CODEC_TRACE] = {7};
    Im__Inbound in = IM__INBOUND__INIT;
    Im__Session s = IM__SESSION__INIT;
    Im__InLookup lookup = IM__IN_LOOKUP__INIT;
    s.slot = 3;
    s.epoch = 17;
    in.version = version;
    in.session = &s;
    in.trace = (ProtobufCBinaryData){CODEC_TRACE, trace};
    in.body_case = IM__INBOUND__BODY_LOOKUP;
    in.lookup = &lookup;
    return (struct slice){out, im__inbound__pack(&in, out)};
}

static void each_reason(void **state)
{
    uint8_t buf[512], big[32] = {8, 1};
    (void)state;
    assert_false(dead_reason(T_INBOUND, inbound(1, buf), why, sizeof why));
    assert_true(dead_reason(T_INBOUND, inbound(9, buf), why, sizeof why));
    assert_string_equal(why, "unknown version: 9");
    assert_true(dead_reason(T_INBOUND, inbound(0, buf), why, sizeof why));
    assert_string_equal(why, "undecodable: no version");
    assert_true(dead_reason(T_CONVERSATION, (struct slice){"\xff\xff\xff", 3}, why, sizeof why));
    assert_string_equal(why, "undecodable: not a protobuf message");
    assert_true(dead_reason(T_USER, (struct slice){"", 0}, why, sizeof why));
    assert_string_equal(why, "undecodable: no value");
    assert_true(dead_reason(T_OFFLINE, (struct slice){big, 2}, why, sizeof why)); /* no body */
    assert_true(begins("over limits: "));
    assert_true(dead_reason(T_USER, (struct slice){"\x08\x01\x22\x01\xff", 5}, why, sizeof why));
    assert_string_equal(why, "undecodable: login is not text");
    assert_true(dead_reason(T_DELIVER0 + 2, (struct slice){"\x08\x02", 2}, why, sizeof why));
    assert_string_equal(why, "unknown version: 2");
    assert_false(dead_reason(T_LEASE, (struct slice){"\xff", 1}, why, sizeof why)); /* nobody buries these */
}

static void what_the_envelope_says(void **state)
{
    uint8_t buf[512];
    struct dead d;
    (void)state;
    struct record r = {T_INBOUND, 1, 42, 99, {"key", 3}, inbound(9, buf)};
    dead_fill(&d, &r, "im.inbound", "router", "router-7", NULL);
    assert_string_equal(d.r.error, "unknown version: 9");
    assert_int_equal(d.r.trace.len, CODEC_TRACE);
    assert_int_equal(d.r.trace.data[0], 7);
    assert_int_equal(d.r.n_stack, 1);
    assert_string_equal(d.r.stack[0], "edge, slot 3 epoch 17");
    assert_string_equal(d.r.instance, "router-7");
    assert_int_equal(d.r.value.len, r.value.n);
    assert_int_equal(d.r.value_size, 0);
    r = (struct record){T_CONVERSATION, 0, 5, 99, {"key", 3}, {"\x08\x09\x48\x01\x50\x07", 6}};
    dead_fill(&d, &r, "im.conversation", "fanout", "", NULL);
    assert_string_equal(d.r.stack[0], "router, im.inbound/1@7");
    r.value = inbound(1, buf);
    r.topic = T_INBOUND;
    dead_fill(&d, &r, "im.inbound", "router", "", "its key is another user's");
    assert_string_equal(d.r.error, "out of place: its key is another user's");
}

/* Longer than a record may be: cut, so that the letter fits. */
static void a_long_one_is_cut(void **state)
{
    struct dead d;
    size_t n = 2090000;
    uint8_t *v = calloc(1, n);
    (void)state;
    struct record r = {T_OFFLINE, 1, 42, 99, {"key", 3}, {v, n}};
    dead_fill(&d, &r, "im.offline", "offline", "", NULL);
    assert_int_equal(d.r.value_size, n);
    assert_int_equal(d.r.value.len, DEAD_VALUE_MAX);
    assert_true(im__dlq_record__get_packed_size(&d.r) < 2000000);
    free(v);
}

/* Whatever the bytes are, something is said, and the letter can be read again. */
static void any_bytes(void **state)
{
    uint8_t sample[SAMPLE_MAX], out[2 * SAMPLE_MAX + 1024];
    (void)state;
    for (unsigned seed = 1; seed < 3000; seed++) {
        size_t n = sample_record((enum record_kind)(seed % REC_KINDS), seed % 3, sample);
        struct rng rng = {seed};
        for (int k = 0; n && k < 4; k++)
            sample[rng_below(&rng, n)] = (uint8_t)rng_below(&rng, 256);
        struct record r = {(uint16_t)(seed % (T_DELIVER0 + 3)), 0, seed, 99, {"key", 3}, {sample, n}};
        struct dead d;
        Im__DlqRecord *back;
        dead_fill(&d, &r, "im.any", "test", "", NULL);
        assert_true(strlen(d.r.error) > 5);
        int len = codec_pack_into(&d.r.base, out, sizeof out);
        assert_true(len > 0);
        assert_int_equal(codec_dlq(NULL, (struct slice){out, (size_t)len}, &back), 0);
        im__dlq_record__free_unpacked(back, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_reason),
                                       cmocka_unit_test(what_the_envelope_says),
                                       cmocka_unit_test(a_long_one_is_cut), cmocka_unit_test(any_bytes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
