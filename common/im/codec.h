/* codec.h: records to and from bytes, and nothing trusted on the way in.
 *
 * Decoding goes through protobuf-c with the caller's allocator (an arena with a budget), then through checks:
 * known version, ids of exactly 16 bytes, known kinds, text that is UTF-8 without NUL, sizes within CODEC_*
 * limits, and every message that a reader dereferences is there. What a decoder returned needs no further
 * looking at. It lives in the allocator; nothing is freed one by one.
 *
 *   0         *out is the record
 *   -EBADMSG  no version can read this (or it exceeds the budget): poison
 *   -ENOTSUP  a newer version wrote it: stop, do not skip
 *
 * im.conversation is not read by this but by convrec.h: every reader must judge it alike whatever its budget.
 */
#ifndef PARLEY_IM_CODEC_H
#define PARLEY_IM_CODEC_H

#include "common/base/core.h"
#include "common/im/session.h"
#include "proto/record.pb-c.h"

#define CODEC_VERSION     1         /* what all records of today carry */
#define CODEC_RECORD_MAX  (4 << 20) /* bytes; a longer value is -EBADMSG */
#define CODEC_DEVICES_MAX 64        /* in a device list */
#define CODEC_HANDLES_MAX 8192      /* per deliver record */
#ifndef CODEC_DETAILED_MAX
#define CODEC_DETAILED_MAX 64 /* up to this many handles a deliver item names users, devices and logins too */
#endif
#define CODEC_VERIFIER_MAX 512
#define CODEC_BODY_KEYS    8  /* of one account */
#define CODEC_BODY_KEY     77 /* bytes of a sealed one: bodykeys.h */
#define CODEC_TRACE        24
#define WEBHOOK_NAME_MAX   32

enum record_kind {
    REC_INBOUND,
    REC_USER,
    REC_VAULT,
    REC_PRESENCE,
    REC_LEASE,
    REC_DELIVER,
    REC_OFFLINE,
    REC_CURSOR,
    REC_DLQ,
    REC_LOOKUP, /* the payloads of ITEM_LOOKUP and ITEM_LOGIN */
    REC_VERDICT,
    REC_QUERY,
    REC_SIGNAL,
    REC_WEBHOOK,
    REC_KINDS
};

int codec_decode(enum record_kind, ProtobufCAllocator *, struct slice, ProtobufCMessage **out);

#define CODEC_DECODER(name, kind, type)                                               \
    static inline int codec_##name(ProtobufCAllocator *a, struct slice v, type **out) \
    {                                                                                 \
        return codec_decode(kind, a, v, (ProtobufCMessage **)out);                    \
    }
CODEC_DECODER(inbound, REC_INBOUND, Im__Inbound)
CODEC_DECODER(user, REC_USER, Im__UserRecord)
CODEC_DECODER(vault, REC_VAULT, Im__VaultRecord)
CODEC_DECODER(presence, REC_PRESENCE, Im__PresenceRecord)
CODEC_DECODER(lease, REC_LEASE, Im__LeaseRecord)
CODEC_DECODER(deliver, REC_DELIVER, Im__DeliverRecord)
CODEC_DECODER(offline, REC_OFFLINE, Im__OfflineRecord)
CODEC_DECODER(cursor, REC_CURSOR, Im__CursorRecord)
CODEC_DECODER(dlq, REC_DLQ, Im__DlqRecord)
CODEC_DECODER(lookup, REC_LOOKUP, Im__LookupReply)
CODEC_DECODER(verdict, REC_VERDICT, Im__LoginVerdict)
CODEC_DECODER(query, REC_QUERY, Im__QueryRecord)
CODEC_DECODER(signal, REC_SIGNAL, Im__SignalRecord)
CODEC_DECODER(webhook, REC_WEBHOOK, Im__WebhookRecord)
#undef CODEC_DECODER

/* The name of a string field, at any depth, that is not UTF-8 or holds a NUL (protobuf-c would cut it there); NULL: none.
 * Looks at the raw bytes; malformed ones are left to unpack(). */
const char *codec_bad_text(const ProtobufCMessageDescriptor *, struct slice value);

/* After codec_decode a bytes field that is an id is 16 bytes; empty gives the zero id. */
static inline struct id16 codec_id(ProtobufCBinaryData d)
{
    struct id16 id = {{0}};
    if (d.len == ID_SIZE)
        memcpy(id.b, d.data, ID_SIZE);
    return id;
}
static inline struct slice codec_slice(ProtobufCBinaryData d)
{
    return (struct slice){d.data, d.len};
}
/* For building: protobuf-c's structs have no const, packing only reads. */
static inline ProtobufCBinaryData codec_bytes(struct slice s)
{
    return (ProtobufCBinaryData){s.n, (uint8_t *)(uintptr_t)s.p};
}

/* The message in the batch's arena, as a value for fx_send. */
struct slice codec_pack(struct fx *, const ProtobufCMessage *);
void codec_send(struct fx *, uint16_t topic, struct slice key, const ProtobufCMessage *, uint64_t tag);
void codec_send_at(struct fx *, uint16_t topic, int32_t part, struct slice key, const ProtobufCMessage *,
                   uint64_t tag);
/* Into a caller's buffer: bytes written, or -ENOSPC. */
int codec_pack_into(const ProtobufCMessage *, uint8_t *buf, size_t cap);

#endif
