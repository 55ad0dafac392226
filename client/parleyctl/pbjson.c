#include "client/parleyctl/pbjson.h"

#include "common/base/hex.h"
#include "common/base/macros.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXACT   (INT64_C(1) << 53)
#define UNKNOWN "unknown fields"

/* ---- from ---- */
json_t *pbjson_hex(const void *p, size_t n)
{
    char *text = malloc(2 * n + 1);
    json_t *j = text ? json_string(hex_encode(text, p, n)) : NULL;
    free(text);
    return j;
}

static json_t *whole(int64_t v, uint64_t u, bool is_signed)
{
    char text[24];
    if (is_signed ? v > -EXACT && v < EXACT : u < (uint64_t)EXACT)
        return json_integer(v);
    if (is_signed)
        snprintf(text, sizeof text, "%" PRId64, v);
    else
        snprintf(text, sizeof text, "%" PRIu64, u);
    return json_string(text);
}

static json_t *one(const ProtobufCFieldDescriptor *f, const void *at)
{
    const ProtobufCEnumValue *e;
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return json_integer(*(const int32_t *)at);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return json_integer(*(const uint32_t *)at);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return whole(*(const int64_t *)at, 0, true);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return whole((int64_t) * (const uint64_t *)at, *(const uint64_t *)at, false);
    case PROTOBUF_C_TYPE_BOOL:
        return json_boolean(*(const protobuf_c_boolean *)at);
    case PROTOBUF_C_TYPE_ENUM:
        e = protobuf_c_enum_descriptor_get_value(f->descriptor, *(const int *)at);
        return e ? json_string(e->name) : json_integer(*(const int *)at);
    case PROTOBUF_C_TYPE_STRING:
        return json_string(*(const char *const *)at);
    case PROTOBUF_C_TYPE_BYTES:
        return pbjson_hex(((const ProtobufCBinaryData *)at)->data, ((const ProtobufCBinaryData *)at)->len);
    case PROTOBUF_C_TYPE_MESSAGE:
        return pbjson_from(*(const ProtobufCMessage *const *)at);
    default:
        return NULL;
    }
}

size_t pbjson_size(ProtobufCType t)
{
    switch (t) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    default:
        return 4;
    }
}

bool pbjson_is_default(const ProtobufCFieldDescriptor *f, const void *at)
{
    static const uint8_t zero[8];
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        return !*(const char *const *)at || !**(const char *const *)at;
    case PROTOBUF_C_TYPE_MESSAGE:
        return !*(const void *const *)at;
    case PROTOBUF_C_TYPE_BYTES:
        return !((const ProtobufCBinaryData *)at)->len;
    default:
        return !memcmp(at, zero, pbjson_size(f->type));
    }
}

static json_t *unknown(const ProtobufCMessage *m)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < m->n_unknown_fields; i++) {
        const ProtobufCMessageUnknownField *u = &m->unknown_fields[i];
        json_array_append_new(
            list, json_pack("[iio]", (int)u->tag, (int)u->wire_type, pbjson_hex(u->data, u->len)));
    }
    return list;
}

json_t *pbjson_from(const ProtobufCMessage *m)
{
    json_t *j = json_object();
    for (unsigned i = 0; j && i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        const uint8_t *at = (const uint8_t *)m + f->offset;
        const uint8_t *quantifier = (const uint8_t *)m + f->quantifier_offset;
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t n = *(const size_t *)(const void *)quantifier;
            const uint8_t *v = *(const uint8_t *const *)(const void *)at;
            json_t *list = n ? json_array() : NULL;
            for (size_t k = 0; list && k < n; k++)
                json_array_append_new(list, one(f, v + k * pbjson_size(f->type)));
            if (list)
                json_object_set_new(j, f->name, list);
        } else if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
            if (*(const uint32_t *)(const void *)quantifier == f->id)
                json_object_set_new(j, f->name, one(f, at));
        } else if (!pbjson_is_default(f, at)) {
            json_object_set_new(j, f->name, one(f, at));
        }
    }
    if (j && m->n_unknown_fields)
        json_object_set_new(j, UNKNOWN, unknown(m));
    return j;
}

/* ---- to ---- */
struct reading {
    char *why;
    size_t why_n;
};

static bool wrong(struct reading *r, const char *field, const char *what)
{
    if (!*r->why)
        snprintf(r->why, r->why_n, "%s: %s", field, what);
    return false;
}

static bool put_bytes(struct reading *r, const char *field, const json_t *j, ProtobufCBinaryData *out)
{
    size_t n = json_string_length(j) / 2;
    uint8_t *p = malloc(n + 1);
    if (!json_is_string(j) || !p || hex_decode(p, n, json_string_value(j))) {
        free(p);
        return wrong(r, field, "bytes in hex are expected");
    }
    *out = (ProtobufCBinaryData){n, p};
    return true;
}

static bool put_number(struct reading *r, const ProtobufCFieldDescriptor *f, const json_t *j, void *at)
{
    int64_t v = json_integer_value(j);
    bool wide = pbjson_size(f->type) == 8,
         is_signed = f->type != PROTOBUF_C_TYPE_UINT64 && f->type != PROTOBUF_C_TYPE_FIXED64;
    char *end = "";
    errno = 0;
    if (json_is_string(j) && wide)
        v = is_signed ? strtoll(json_string_value(j), &end, 10)
                      : (int64_t)strtoull(json_string_value(j), &end, 10);
    else if (!json_is_integer(j))
        end = "x";
    bool narrow_signed = f->type == PROTOBUF_C_TYPE_INT32 || f->type == PROTOBUF_C_TYPE_SINT32 ||
                         f->type == PROTOBUF_C_TYPE_SFIXED32;
    if (errno || *end ||
        (!wide && (narrow_signed ? v < INT32_MIN || v > INT32_MAX : v < 0 || v > UINT32_MAX)))
        return wrong(r, f->name, "a whole number is expected");
    if (wide)
        *(int64_t *)at = v;
    else
        *(uint32_t *)at = (uint32_t)v;
    return true;
}

static ProtobufCMessage *message(struct reading *r, const ProtobufCMessageDescriptor *d, const json_t *j);

static bool put(struct reading *r, const ProtobufCFieldDescriptor *f, const json_t *j, void *at)
{
    const ProtobufCEnumValue *e;
    switch (f->type) {
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)at = json_is_true(j);
        return json_is_boolean(j) || wrong(r, f->name, "true or false is expected");
    case PROTOBUF_C_TYPE_ENUM:
        e = json_is_string(j)
                ? protobuf_c_enum_descriptor_get_value_by_name(f->descriptor, json_string_value(j))
                : NULL;
        *(int *)at = e ? e->value : (int)json_integer_value(j);
        return e || json_is_integer(j) || wrong(r, f->name, "no such value");
    case PROTOBUF_C_TYPE_STRING:
        if (!json_is_string(j))
            return wrong(r, f->name, "a text is expected");
        return (*(char **)at = strdup(json_string_value(j))) != NULL;
    case PROTOBUF_C_TYPE_BYTES:
        return put_bytes(r, f->name, j, at);
    case PROTOBUF_C_TYPE_MESSAGE:
        return (*(ProtobufCMessage **)at = message(r, f->descriptor, j)) != NULL;
    default:
        return put_number(r, f, j, at);
    }
}

static bool put_list(struct reading *r, const ProtobufCFieldDescriptor *f, const json_t *j,
                     ProtobufCMessage *m)
{
    size_t n = json_array_size(j), *count = (size_t *)(void *)((uint8_t *)m + f->quantifier_offset);
    uint8_t *v = calloc(n + 1, pbjson_size(f->type));
    if (!json_is_array(j) || !v) {
        free(v);
        return wrong(r, f->name, "a list is expected");
    }
    *(uint8_t **)(void *)((uint8_t *)m + f->offset) = v;
    for (size_t i = 0; i < n; i++, ++*count)
        if (!put(r, f, json_array_get(j, i), v + i * pbjson_size(f->type)))
            return false;
    return true;
}

static bool put_unknown(struct reading *r, const json_t *list, ProtobufCMessage *m)
{
    size_t n = json_array_size(list);
    m->unknown_fields = calloc(n + 1, sizeof *m->unknown_fields);
    for (size_t i = 0; m->unknown_fields && i < n; i++) {
        const json_t *j = json_array_get(list, i);
        ProtobufCMessageUnknownField *u = &m->unknown_fields[i];
        ProtobufCBinaryData b;
        u->tag = (uint32_t)json_integer_value(json_array_get(j, 0));
        u->wire_type = (ProtobufCWireType)json_integer_value(json_array_get(j, 1));
        if (!put_bytes(r, UNKNOWN, json_array_get(j, 2), &b))
            return false;
        u->len = b.len;
        u->data = b.data;
        m->n_unknown_fields++;
    }
    return m->unknown_fields != NULL;
}

static bool put_field(struct reading *r, const char *name, const json_t *j, ProtobufCMessage *m)
{
    if (!strcmp(name, UNKNOWN))
        return put_unknown(r, j, m);
    const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(m->descriptor, name);
    if (!f)
        return wrong(r, name, "there is no such field");
    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return put_list(r, f, j, m);
    if (!put(r, f, j, (uint8_t *)m + f->offset))
        return false;
    if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        *(uint32_t *)(void *)((uint8_t *)m + f->quantifier_offset) = f->id;
    return true;
}

static ProtobufCMessage *message(struct reading *r, const ProtobufCMessageDescriptor *d, const json_t *j)
{
    const char *name;
    json_t *value;
    ProtobufCMessage *m = json_is_object(j) ? malloc(d->sizeof_message) : NULL;
    if (!m) {
        wrong(r, d->short_name, "an object is expected");
        return NULL;
    }
    protobuf_c_message_init(d, m);
    json_object_foreach((json_t *)(uintptr_t)j, name, value)
    {
        if (put_field(r, name, value, m))
            continue;
        protobuf_c_message_free_unpacked(m, NULL);
        return NULL;
    }
    return m;
}

ProtobufCMessage *pbjson_to(const ProtobufCMessageDescriptor *d, const json_t *j, char *why, size_t why_n)
{
    struct reading r = {why, why_n};
    *why = '\0';
    ProtobufCMessage *m = message(&r, d, j);
    if (!m && !*why)
        snprintf(why, why_n, "out of memory");
    return m;
}
