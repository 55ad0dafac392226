#include "common/im/codec.h"

#include "common/base/utf8.h"
#include "common/im/codec_check.h"
#include "common/im/wire.h"

#include <errno.h>

static const struct {
    const ProtobufCMessageDescriptor *desc;
    bool versioned;
    bool (*check)(const ProtobufCMessage *);
} kinds[REC_KINDS] = {
    [REC_INBOUND] = {&im__inbound__descriptor, true, check_inbound},
    [REC_USER] = {&im__user_record__descriptor, true, check_user},
    [REC_VAULT] = {&im__vault_record__descriptor, true, check_vault},
    [REC_PRESENCE] = {&im__presence_record__descriptor, true, check_presence},
    [REC_LEASE] = {&im__lease_record__descriptor, true, check_lease},
    [REC_DELIVER] = {&im__deliver_record__descriptor, true, check_deliver},
    [REC_OFFLINE] = {&im__offline_record__descriptor, true, check_offline},
    [REC_CURSOR] = {&im__cursor_record__descriptor, true, check_cursor},
    [REC_DLQ] = {&im__dlq_record__descriptor, true, check_dlq},
    [REC_LOOKUP] = {&im__lookup_reply__descriptor, false, check_lookup},
    [REC_VERDICT] = {&im__login_verdict__descriptor, false, check_verdict},
    [REC_QUERY] = {&im__query_record__descriptor, true, check_query},
    [REC_SIGNAL] = {&im__signal_record__descriptor, true, check_signal},
    [REC_WEBHOOK] = {&im__webhook_record__descriptor, true, check_webhook},
};

/* `version` is field 1 of every record, so that it can be judged before anything else is understood. */
static int check_version(struct slice value)
{
    struct wire w = wire_of(value);
    struct wire_field f;
    uint64_t version = 0;
    while (wire_next(&w, &f))
        if (f.id == 1 && f.type == WIRE_VARINT)
            version = (uint32_t)f.number;
    if (version > CODEC_VERSION)
        return -ENOTSUP;
    return w.bad || version == 0 ? -EBADMSG : 0;
}

const char *codec_bad_text(const ProtobufCMessageDescriptor *desc, struct slice value)
{
    struct wire w = wire_of(value);
    struct wire_field f;
    while (wire_next(&w, &f)) {
        if (f.type != WIRE_BYTES)
            continue;
        const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(desc, f.id);
        if (!field)
            continue;
        if (field->type == PROTOBUF_C_TYPE_STRING && f.bytes.n && !utf8_valid(f.bytes.p, f.bytes.n))
            return field->name;
        /* The depth is that of the .proto files, which have no recursive types. */
        const char *bad =
            field->type == PROTOBUF_C_TYPE_MESSAGE ? codec_bad_text(field->descriptor, f.bytes) : NULL;
        if (bad)
            return bad;
    }
    return NULL;
}

int codec_decode(enum record_kind kind, ProtobufCAllocator *a, struct slice value, ProtobufCMessage **out)
{
    if ((unsigned)kind >= REC_KINDS || value.n > CODEC_RECORD_MAX)
        return -EBADMSG;
    int rc = kinds[kind].versioned ? check_version(value) : 0;
    if (rc)
        return rc;
    if (codec_bad_text(kinds[kind].desc, value))
        return -EBADMSG;
    ProtobufCMessage *m = protobuf_c_message_unpack(kinds[kind].desc, a, value.n, value.p);
    if (!m)
        return -EBADMSG;
    if (!kinds[kind].check(m)) {
        protobuf_c_message_free_unpacked(m, a);
        return -EBADMSG;
    }
    *out = m;
    return 0;
}

int codec_pack_into(const ProtobufCMessage *m, uint8_t *buf, size_t cap)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    if (n > cap || n > INT32_MAX)
        return -ENOSPC;
    return (int)protobuf_c_message_pack(m, buf);
}
