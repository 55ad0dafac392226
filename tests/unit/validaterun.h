/* validaterun.h: requests, spoilt one field at a time, for tests of validate.h. Include it once per test; TYPE is the frame
 * type that SET() is about. */
#ifndef PARLEY_TESTS_VALIDATERUN_H
#define PARLEY_TESTS_VALIDATERUN_H

#include "common/im/validate.h"

#include "common/im/ids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static inline char *text_of(size_t n)
{
    static char buf[8][2048];
    static int next;
    char *p = buf[next++ % 8];
    memset(p, 'x', n);
    p[n] = '\0';
    return p;
}

static inline ProtobufCBinaryData id_of(size_t n)
{
    return (ProtobufCBinaryData){n, (uint8_t *)text_of(n)};
}

/* Through bytes, as an edge gets them. */
static inline struct validity check(uint16_t type, const void *message)
{
    const ProtobufCMessage *m = message;
    static uint8_t buf[FRAME_CAP_MAX + 8192];
    assert_true(protobuf_c_message_get_packed_size(m) <= sizeof buf);
    size_t n = protobuf_c_message_pack(m, buf);
    ProtobufCMessage *out = NULL;
    struct validity v = validate_decode(type, (struct slice){buf, n}, NULL, &out);
    assert_int_equal(out != NULL, v.code == IM__CODE__OK);
    if (out)
        protobuf_c_message_free_unpacked(out, NULL);
    return v;
}

static inline void good(uint16_t type, const void *m)
{
    struct validity v = check(type, m);
    if (v.code)
        print_error("code %d field %s\n", (int)v.code, v.field);
    assert_int_equal(v.code, IM__CODE__OK);
}

static inline void bad(uint16_t type, const void *m, const char *field)
{
    struct validity v = check(type, m);
    assert_int_equal(v.code, IM__CODE__BAD_FIELD);
    assert_string_equal(v.field, field);
}

#define SET(m, field, value, expect)  \
    do {                              \
        __typeof__(m) copy = m;       \
        copy.field = value;           \
        if (*(expect))                \
            bad(TYPE, &copy, expect); \
        else                          \
            good(TYPE, &copy);        \
    } while (0)

#endif
