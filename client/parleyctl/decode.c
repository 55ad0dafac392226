#include "client/parleyctl/decode.h"
#include "client/parleyctl/pbjson.h"

#include "common/base/utf8.h"
#include "common/im/frame.h"
#include "proto/record.pb-c.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX (8 << 20)

static const ProtobufCMessageDescriptor *type_of(uint16_t topic)
{
    switch (topic) {
    case T_INBOUND:
        return &im__inbound__descriptor;
    case T_CONVERSATION:
        return &im__conv_record__descriptor;
    case T_USER:
        return &im__user_record__descriptor;
    case T_VAULT:
        return &im__vault_record__descriptor;
    case T_PRESENCE:
        return &im__presence_record__descriptor;
    case T_LEASE:
        return &im__lease_record__descriptor;
    case T_OFFLINE:
        return &im__offline_record__descriptor;
    case T_CURSOR:
        return &im__cursor_record__descriptor;
    case T_DLQ:
        return &im__dlq_record__descriptor;
    case T_WEBHOOK:
        return &im__webhook_record__descriptor;
    default:
        return topic >= T_DELIVER0 ? &im__deliver_record__descriptor : NULL;
    }
}

static json_t *hex(const void *p, size_t n)
{
    json_t *j = pbjson_hex(p, n);
    return j ? j : json_null();
}

static json_t *message_json(const ProtobufCMessage *m);

static json_t *unpacked(const ProtobufCMessageDescriptor *d, const void *p, size_t n)
{
    ProtobufCMessage *m = d ? protobuf_c_message_unpack(d, NULL, n, p) : NULL;
    if (!m)
        return NULL;
    json_t *j = message_json(m);
    protobuf_c_message_free_unpacked(m, NULL);
    return j;
}

/* Fields that only operators of the key may see, and fields that hold another message. */
static json_t *bytes_field(const ProtobufCMessage *m, const char *name, const ProtobufCBinaryData *b)
{
    char text[64];
    json_t *j = NULL;
    if (!strcmp(name, "verifier") || !strcmp(name, "sealed")) {
        snprintf(text, sizeof text, "(sealed, %zu bytes)", b->len);
        return json_string(text);
    }
    if (!strcmp(name, "payload") && m->descriptor == &im__deliver_item__descriptor) {
        const Im__DeliverItem *i = (const Im__DeliverItem *)m;
        const struct frame_type *t = frame_type((uint16_t)i->frame_type);
        const ProtobufCMessageDescriptor *d =
            i->kind == IM__ITEM_KIND__ITEM_LOOKUP  ? &im__lookup_reply__descriptor
            : i->kind == IM__ITEM_KIND__ITEM_LOGIN ? &im__login_verdict__descriptor
            : t                                    ? t->server
                                                   : NULL;
        j = unpacked(d, b->data, b->len);
    } else if (!strcmp(name, "payload") && m->descriptor == &im__queue_item__descriptor) {
        j = unpacked(&im__chat_push__descriptor, b->data, b->len);
    }
    return j ? j : hex(b->data, b->len);
}

static json_t *field_value(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, const void *at)
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
        return json_integer(*(const int64_t *)at);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return json_integer((json_int_t) * (const uint64_t *)at);
    case PROTOBUF_C_TYPE_BOOL:
        return json_boolean(*(const protobuf_c_boolean *)at);
    case PROTOBUF_C_TYPE_ENUM:
        e = protobuf_c_enum_descriptor_get_value(f->descriptor, *(const int *)at);
        return e ? json_string(e->name) : json_integer(*(const int *)at);
    case PROTOBUF_C_TYPE_STRING: {
        const char *s = *(const char *const *)at;
        if (!strcmp(f->name, "password") || !strcmp(f->name, "token"))
            return json_string("(not shown)");
        return utf8_valid(s, strlen(s)) ? json_string(s) : hex(s, strlen(s));
    }
    case PROTOBUF_C_TYPE_BYTES:
        return bytes_field(m, f->name, at);
    case PROTOBUF_C_TYPE_MESSAGE:
        return message_json(*(const ProtobufCMessage *const *)at);
    default:
        return json_null();
    }
}

static json_t *message_json(const ProtobufCMessage *m)
{
    json_t *j = json_object();
    for (unsigned i = 0; j && i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        const uint8_t *at = (const uint8_t *)m + f->offset;
        size_t n = *(const size_t *)(const void *)((const uint8_t *)m + f->quantifier_offset);
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            json_t *list = n ? json_array() : NULL;
            const uint8_t *v = *(const uint8_t *const *)(const void *)at;
            for (size_t k = 0; list && k < n; k++)
                json_array_append_new(list, field_value(m, f, v + k * pbjson_size(f->type)));
            if (list)
                json_object_set_new(j, f->name, list);
            continue;
        }
        if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
            uint32_t chosen = *(const uint32_t *)(const void *)((const uint8_t *)m + f->quantifier_offset);
            if (chosen != f->id)
                continue;
        }
        if (!pbjson_is_default(f, at))
            json_object_set_new(j, f->name, field_value(m, f, at));
    }
    return j;
}

json_t *decode_value(uint16_t topic, struct slice value)
{
    if (!value.p)
        return json_pack("{sb}", "tombstone", 1);
    json_t *j = value.n <= VALUE_MAX ? unpacked(type_of(topic), value.p, value.n) : NULL;
    return j ? j : json_pack("{so}", "undecodable", hex(value.p, value.n < 4096 ? value.n : 4096));
}

static uint64_t be(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    while (n--)
        v = v << 8 | *p++;
    return v;
}

json_t *decode_key(uint16_t topic, struct slice key)
{
    const uint8_t *p = key.p;
    if (!p || !key.n)
        return json_null();
    if (topic == T_PRESENCE && key.n == 16)
        return json_pack("{sI sI sI}", "slot", (json_int_t)be(p, 4), "epoch", (json_int_t)be(p + 4, 8),
                         "handle", (json_int_t)be(p + 12, 4));
    if (topic == T_WEBHOOK && utf8_valid(key.p, key.n))
        return json_stringn(key.p, key.n);
    if (topic == T_LEASE && key.n >= 4)
        return json_pack("{sI}", "slot", (json_int_t)be(p, 4));
    if (topic == T_CURSOR && key.n == 36)
        return json_pack("{so sI so}", "user", hex(p, 16), "device", (json_int_t)be(p + 16, 4),
                         "conversation", hex(p + 20, 16));
    return hex(p, key.n);
}

static const char *text(const json_t *j, const char *name)
{
    const char *s = json_string_value(json_object_get(j, name));
    return s ? s : "";
}

void decode_summary(const json_t *v, char *out, size_t n)
{
    static const char *const bodies[] = {"register_", "lookup", "login", "end",
                                         "chat",      "pull",   "item",  "bounce"};
    const json_t *items = json_object_get(v, "items");
    size_t used = 0;
    if (json_object_get(v, "tombstone"))
        snprintf(out, n, "tombstone");
    else if (json_object_get(v, "undecodable"))
        snprintf(out, n, "UNDECODABLE");
    else if (*text(v, "kind"))
        snprintf(out, n, "%s %s%s%s", text(v, "kind"),
                 *text(v, "user_login") ? text(v, "user_login") : text(v, "login"),
                 *text(v, "peer_login") ? " to " : "", text(v, "peer_login"));
    else if (items) {
        snprintf(out, n, "%zu items:", json_array_size(items));
        for (size_t i = 0; i < json_array_size(items) && i < 4 && (used = strlen(out)) < n; i++)
            snprintf(out + used, n - used, " %s", text(json_array_get(items, i), "kind"));
    } else {
        snprintf(out, n, "%s", text(v, "error"));
        for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
            const json_t *b = json_object_get(v, bodies[i]);
            if (b)
                snprintf(out, n, "%.*s %s", (int)strcspn(bodies[i], "_"), bodies[i],
                         *text(b, "login") ? text(b, "login") : text(b, "peer_login"));
        }
    }
}
