/* docs/protocol.md shows real frames: each block headed "frame TYPE SEQID" is decoded and compared with its "# field: value" lines. */
#include "common/base/bytes.h"
#include "common/base/hex.h"
#include "common/im/codes.h"
#include "common/im/frame.h"

#include <ctype.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static char *document(void)
{
    static char text[256 * 1024];
    FILE *f = fopen("docs/protocol.md", "r"); /* tests run at the top of the tree */
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    assert_true(n > 1000 && n < sizeof text - 1);
    text[n] = '\0';
    fclose(f);
    return text;
}

static void render(struct bytes *out, const ProtobufCMessage *m, const char *indent);

static void value(struct bytes *out, const ProtobufCFieldDescriptor *f, const uint8_t *at, const char *indent)
{
    char deeper[16], hex[2 * 64 + 1];
    const ProtobufCBinaryData *b = (const ProtobufCBinaryData *)(const void *)at;
    uint64_t u = 0;
    bytes_printf(out, "%s%s", indent, f->name);
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        bytes_str(out, ": ");
        bytes_json(out, *(char *const *)(const void *)at, strlen(*(char *const *)(const void *)at));
        break;
    case PROTOBUF_C_TYPE_BYTES:
        assert_true(b->len <= 64);
        bytes_printf(out, ": %s", hex_encode(hex, b->data, b->len));
        break;
    case PROTOBUF_C_TYPE_BOOL:
        bytes_str(out, *(const protobuf_c_boolean *)(const void *)at ? ": true" : ": false");
        break;
    case PROTOBUF_C_TYPE_ENUM:
        bytes_printf(
            out, ": %s",
            protobuf_c_enum_descriptor_get_value(f->descriptor, *(const int *)(const void *)at)->name);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        snprintf(deeper, sizeof deeper, "%s  ", indent);
        bytes_str(out, " {\n");
        render(out, *(ProtobufCMessage *const *)(const void *)at, deeper);
        bytes_printf(out, "%s}", indent);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_INT64:
        memcpy(&u, at, 8);
        bytes_printf(out, ": %" PRIu64, u);
        break;
    default:
        memcpy(&u, at, 4);
        bytes_printf(out, ": %" PRIu64, u);
    }
    bytes_str(out, "\n");
}

static size_t size_of(ProtobufCType t)
{
    return t == PROTOBUF_C_TYPE_BYTES                                    ? sizeof(ProtobufCBinaryData)
           : t == PROTOBUF_C_TYPE_STRING || t == PROTOBUF_C_TYPE_MESSAGE ? sizeof(void *)
           : t == PROTOBUF_C_TYPE_UINT64 || t == PROTOBUF_C_TYPE_INT64   ? 8
                                                                         : 4;
}

static bool set(const ProtobufCFieldDescriptor *f, const uint8_t *at)
{
    static const uint8_t zero[8];
    if (f->type == PROTOBUF_C_TYPE_STRING)
        return **(char *const *)(const void *)at;
    if (f->type == PROTOBUF_C_TYPE_BYTES)
        return ((const ProtobufCBinaryData *)(const void *)at)->len;
    return memcmp(at, zero, size_of(f->type)) != 0;
}

static void render(struct bytes *out, const ProtobufCMessage *m, const char *indent)
{
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        const uint8_t *at = (const uint8_t *)m + f->offset;
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t n = *(const size_t *)(const void *)((const uint8_t *)m + f->quantifier_offset);
            const uint8_t *v = *(const uint8_t *const *)(const void *)at;
            for (size_t k = 0; k < n; k++)
                value(out, f, v + k * size_of(f->type), indent);
        } else if (set(f, at)) {
            value(out, f, at, indent);
        }
    }
}

static size_t hex_line(const char *line, size_t n, uint8_t *out)
{
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (line[i] == ' ')
            continue;
        assert_true(i + 1 < n);
        int hi = hex_digit(line[i]), lo = hex_digit(line[++i]);
        assert_true(hi >= 0 && lo >= 0);
        out[used++] = (uint8_t)(hi << 4 | lo);
    }
    return used;
}

/* From the line after the heading; returns the end of the block. */
static const char *check_block(const char *at, const char *type, uint32_t seq_id)
{
    static uint8_t frame[4096];
    size_t n = 0, size;
    struct bytes want = {0}, have = {0};
    struct frame f;
    while (strncmp(at, "```", 3) != 0) {
        size_t len = strcspn(at, "\n");
        if (at[0] == '#') {
            bytes_put(&want, at + 2, len - 2);
            bytes_str(&want, "\n");
        } else {
            n += hex_line(at, len, frame + n);
        }
        at += len + 1;
    }
    assert_int_equal(frame_decode(frame, n, FRAME_CAP_MAX, &f, &size), FRAME_READY);
    assert_int_equal(size, n);
    const struct frame_type *t = frame_type(f.type);
    assert_non_null(t);
    assert_string_equal(t->name, type);
    assert_int_equal(f.seq_id, seq_id);
    ProtobufCMessage *m = NULL;
    const ProtobufCMessageDescriptor *both[] = {t->request, t->server};
    for (size_t i = 0; i < 2 && !m; i++) { /* HEARTBEAT is both */
        bytes_clear(&have);
        m = both[i] ? protobuf_c_message_unpack(both[i], NULL, f.payload.n, f.payload.p) : NULL;
        if (!m)
            continue;
        render(&have, m, "");
        size_t packed = protobuf_c_message_get_packed_size(m);
        protobuf_c_message_free_unpacked(m, NULL);
        if (packed != f.payload.n || have.n != want.n || (want.n && memcmp(have.p, want.p, want.n) != 0))
            m = NULL;
    }
    if (!m)
        print_message("%s: the bytes say\n%s\nthe page says\n%s\n", type, have.n ? (char *)have.p : "",
                      want.n ? (char *)want.p : "");
    assert_non_null(m);
    bytes_release(&want);
    bytes_release(&have);
    return at;
}

static void every_frame_is_what_it_says(void **state)
{
    (void)state;
    const char *at = document();
    int n = 0;
    while ((at = strstr(at, "```frame "))) {
        char type[64];
        unsigned seq_id;
        assert_int_equal(sscanf(at, "```frame %63s %u", type, &seq_id), 2);
        at = check_block(strchr(at, '\n') + 1, type, seq_id) + 3;
        n++;
    }
    assert_true(n >= 15);
}

static void every_type_and_field_is_there(void **state)
{
    (void)state;
    const char *text = document();
    size_t n;
    char want[128];
    const struct frame_type *t = frame_types(&n);
    for (size_t i = 0; i < n; i++) {
        snprintf(want, sizeof want, "\n| %u | `%s` |", t[i].type, t[i].name);
        if (!strstr(text, want))
            print_message("docs/protocol.md lacks%s\n", want);
        assert_non_null(strstr(text, want));
        const ProtobufCMessageDescriptor *d[] = {t[i].request, t[i].server};
        for (size_t k = 0; k < 2; k++)
            for (unsigned j = 0; d[k] && j < d[k]->n_fields; j++) {
                const char *section = NULL;
                snprintf(want, sizeof want, "\n| `%s` |", d[k]->short_name);
                section = strstr(text, want);
                if (!section)
                    print_message("docs/protocol.md lacks%s\n", want);
                assert_non_null(section);
                snprintf(want, sizeof want, "| `%s` | %u |", d[k]->fields[j].name, d[k]->fields[j].id);
                if (!strstr(section, want))
                    print_message("docs/protocol.md: %s lacks %s\n", d[k]->short_name, want);
                assert_non_null(strstr(section, want));
            }
    }
}

/* Codes that the page names exist. */
static void codes_are_real(void **state)
{
    (void)state;
    size_t n;
    const struct code *c = codes_all(&n);
    const char *text = document();
    static const char *const named[] = {"UNKNOWN_USER",     "BUSY",        "STALE",
                                        "SESSION_REPLACED", "SLOW_READER", "TOKEN_EXPIRED"};
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        size_t k = 0;
        while (k < n && strcmp(c[k].name, named[i]) != 0)
            k++;
        assert_true(k < n);
        assert_non_null(strstr(text, named[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_frame_is_what_it_says),
        cmocka_unit_test(every_type_and_field_is_there),
        cmocka_unit_test(codes_are_real),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
