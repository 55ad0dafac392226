#include "common/im/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void there_and_back(void **state)
{
    (void)state;
    uint8_t b[FRAME_HEADER + 3];
    frame_header(b, 10, 0xdeadbeef, 3);
    assert_memory_equal(b, "\0\0\0\x0d\0\x0a\xde\xad\xbe\xef", FRAME_HEADER);
    memcpy(b + FRAME_HEADER, "abc", 3);
    struct frame f;
    size_t size;
    for (size_t n = 0; n < sizeof b; n++) {
        assert_int_equal(frame_decode(b, n, FRAME_CAP, &f, &size), FRAME_MORE);
        assert_int_equal(size, n < 4 ? FRAME_HEADER : sizeof b);
    }
    assert_int_equal(frame_decode(b, sizeof b, FRAME_CAP, &f, &size), FRAME_READY);
    assert_int_equal(size, sizeof b);
    assert_int_equal(f.type, 10);
    assert_int_equal(f.seq_id, 0xdeadbeef);
    assert_int_equal(f.payload.n, 3);
    assert_ptr_equal(f.payload.p, b + FRAME_HEADER);
}

static void limits(void **state)
{
    (void)state;
    struct frame f;
    size_t size;
    assert_int_equal(frame_decode("\0\0\0\x09", 4, FRAME_CAP, &f, &size), FRAME_TOO_SHORT);
    assert_int_equal(frame_decode("\0\0\0\0", 4, FRAME_CAP, &f, &size), FRAME_TOO_SHORT);
    assert_int_equal(frame_decode("\0\0\0\x0a", 4, FRAME_CAP, &f, &size), FRAME_MORE);
    assert_int_equal(frame_decode("\0\0\x10\0", 4, FRAME_CAP_LOGIN, &f, &size), FRAME_MORE);
    assert_int_equal(frame_decode("\0\0\x10\x01", 4, FRAME_CAP_LOGIN, &f, &size), FRAME_TOO_LARGE);
    assert_int_equal(frame_decode("\xff\xff\xff\xff\0\x0a\0\0\0\x07", 10, FRAME_CAP_MAX, &f, &size),
                     FRAME_TOO_LARGE);
    assert_int_equal(f.seq_id, 7);
    assert_int_equal(frame_decode("\0\0\0\x0a\0\x04\0\0\0\x01rest", 14, FRAME_CAP, &f, &size), FRAME_READY);
    assert_int_equal(size, FRAME_HEADER);
    assert_int_equal(f.payload.n, 0);
}

/* Every number of client.proto is in the table under its name, and the other way round. */
static void the_table_is_the_proto(void **state)
{
    (void)state;
    size_t n;
    const struct frame_type *t = frame_types(&n);
    const ProtobufCEnumDescriptor *d = &im__frame_type__descriptor;
    assert_int_equal(n + 1, d->n_values); /* but FRAME_NONE */
    for (size_t i = 0; i < n; i++) {
        const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(d, t[i].type);
        assert_non_null(v);
        assert_string_equal(t[i].name, v->name);
        assert_ptr_equal(frame_type(t[i].type), &t[i]);
        assert_ptr_equal(frame_type_named(t[i].name), &t[i]);
        assert_true(i == 0 || t[i - 1].type < t[i].type);
        assert_true(t[i].request || t[i].server);
        if (t[i].flags & FRAME_QUERY) {
            assert_true(t[i].type >= 60 && t[i].type <= 80 && t[i].type % 2 == 0);
            assert_int_equal(t[i].answer, t[i].type + 1);
        }
        assert_int_equal(t[i].request != NULL, (t[i].flags & (FRAME_BEFORE_LOGIN | FRAME_AFTER_LOGIN)) != 0);
        if (t[i].answer)
            assert_non_null(frame_type(t[i].answer)->server);
    }
    assert_null(frame_type(0));
    assert_null(frame_type(5));
    assert_null(frame_type(65535));
    assert_null(frame_type_named("NOTHING"));
    assert_string_equal(frame_name(1), "LOGIN_REQ");
    assert_string_equal(frame_name(9), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(limits),
        cmocka_unit_test(the_table_is_the_proto),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
