#include "common/im/push.h"

#include "common/im/topics.h"
#include "common/im/wire.h"

#include <stdlib.h>

#define BOUNCE_BYTES (512 << 10)
#define BOUNCE_ITEMS 256

static ProtobufCBinaryData id_bytes(const struct id16 *id)
{
    return (ProtobufCBinaryData){ID_SIZE, (uint8_t *)(uintptr_t)id->b};
}

static size_t put_ack(Im__MsgAck *a, const struct id16 *msg_id, const struct id16 *conv, uint8_t *out)
{
    a->msg_id = id_bytes(msg_id);
    a->conversation = id_bytes(conv);
    return im__msg_ack__pack(a, out); /* at most 85 bytes */
}

size_t push_accepted(uint64_t client_seq, struct id16 msg_id, struct id16 conv, uint8_t *out)
{
    Im__MsgAck a = IM__MSG_ACK__INIT;
    a.client_seq = client_seq;
    a.stage = IM__STAGE__ACCEPTED;
    return put_ack(&a, &msg_id, &conv, out);
}

size_t push_refused(uint64_t client_seq, struct id16 msg_id, struct id16 conv, Im__Code code, uint8_t *out)
{
    Im__MsgAck a = IM__MSG_ACK__INIT;
    a.client_seq = client_seq;
    a.stage = IM__STAGE__STAGE_REFUSED;
    a.code = code;
    return put_ack(&a, &msg_id, &conv, out);
}

size_t push_outcome(const struct convrec *r, const struct conv_outcome *o, uint8_t *out)
{
    if (o->reason)
        return push_refused(r->event.client_seq, r->msg_id, r->event.conv, (Im__Code)o->reason, out);
    Im__MsgAck a = IM__MSG_ACK__INIT;
    a.client_seq = r->event.client_seq;
    a.stage = IM__STAGE__SEQUENCED;
    a.seq = o->seq;
    a.time_ms = o->time_ms;
    return put_ack(&a, &r->msg_id, &r->event.conv, out);
}

/* By hand: the texts are slices of the record, not C strings. Empty ones and zeros are left out, as proto3 does. */
static uint8_t *put_bytes(uint8_t *p, uint32_t id, const void *from, size_t n)
{
    if (n == 0)
        return p;
    p = wire_put_varint(p, id << 3 | WIRE_BYTES);
    p = wire_put_varint(p, n);
    return wire_put(p, from, n);
}

static uint8_t *put_number(uint8_t *p, uint32_t id, uint64_t v)
{
    return v == 0 ? p : wire_put_varint(wire_put_varint(p, id << 3 | WIRE_VARINT), v);
}

struct slice push_chat(struct fx *fx, const struct convrec *r, const struct conv_outcome *o)
{
    const struct convrec_body *b = &r->body;
    size_t room = 4 * (ID_SIZE + 2) + 4 * 11 + 5 * 11 + r->user_login.n + r->peer_login.n + b->text.n +
                  b->content_type.n + b->data.n;
    uint8_t *out = fx_alloc(fx, room), *p = out;
    if (!p)
        abort();
    p = put_bytes(p, 1, r->event.conv.b, ID_SIZE);
    p = put_number(p, 2, o->seq);
    p = put_bytes(p, 3, r->event.user.b, ID_SIZE);
    p = put_bytes(p, 4, r->user_login.p, r->user_login.n);
    p = put_number(p, 5, r->event.device);
    p = put_number(p, 6, r->event.client_seq);
    p = put_bytes(p, 7, r->msg_id.b, ID_SIZE);
    p = put_number(p, 8, (uint64_t)o->time_ms);
    p = put_bytes(p, 9, b->text.p, b->text.n);
    p = put_bytes(p, 10, b->content_type.p, b->content_type.n);
    p = put_bytes(p, 11, b->data.p, b->data.n);
    if (!id_is_zero(r->event.peer))
        p = put_bytes(p, 12, r->event.peer.b, ID_SIZE);
    p = put_bytes(p, 13, r->peer_login.p, r->peer_login.n);
    return (struct slice){out, (size_t)(p - out)};
}

static void queue_item(const struct push_item *i, Im__QueueItem *out)
{
    im__queue_item__init(out);
    out->conversation = id_bytes(&i->conv);
    out->seq = i->seq;
    out->payload = codec_bytes(i->payload);
}

void push_bounce(struct fx *fx, const struct session *s, const struct push_item *items, size_t n,
                 uint64_t tag)
{
    Im__QueueItem pb[BOUNCE_ITEMS], *list[BOUNCE_ITEMS];
    Im__Session session;
    session_to_pb(s, &session);
    size_t at = 0;
    do {
        Im__OffBounce bounce = IM__OFF_BOUNCE__INIT;
        Im__OfflineRecord r = IM__OFFLINE_RECORD__INIT;
        size_t k = 0;
        for (size_t bytes = 0; at < n && k < BOUNCE_ITEMS; k++, at++) {
            bytes += items[at].payload.n + 64;
            if (k && bytes > BOUNCE_BYTES)
                break;
            queue_item(&items[at], &pb[k]);
            list[k] = &pb[k];
        }
        bounce.session = &session;
        bounce.n_items = k;
        bounce.items = list;
        r.version = CODEC_VERSION;
        r.user = id_bytes(&s->user);
        r.body_case = IM__OFFLINE_RECORD__BODY_BOUNCE;
        r.bounce = &bounce;
        codec_send(fx, T_OFFLINE, slice_id(&s->user), &r.base, at == n ? tag : 0);
    } while (at < n);
}

void push_offline(struct fx *fx, struct id16 user, const struct push_item *item, const uint32_t *served,
                  size_t n_served, struct slice trace)
{
    Im__QueueItem pb;
    Im__OffItem off = IM__OFF_ITEM__INIT;
    Im__OfflineRecord r = IM__OFFLINE_RECORD__INIT;
    queue_item(item, &pb);
    off.item = &pb;
    off.n_served = n_served;
    off.served = (uint32_t *)(uintptr_t)served;
    r.version = CODEC_VERSION;
    r.user = id_bytes(&user);
    r.trace = codec_bytes(trace);
    r.body_case = IM__OFFLINE_RECORD__BODY_ITEM;
    r.item = &off;
    codec_send(fx, T_OFFLINE, slice_id(&user), &r.base, 0);
}

struct slice push_dlq_value(struct fx *fx, const struct record *rec, const char *topic, const char *error,
                            const char *process)
{
    Im__DlqRecord r = IM__DLQ_RECORD__INIT;
    r.version = CODEC_VERSION;
    r.topic = (char *)(uintptr_t)topic;
    r.part = rec->part;
    r.offset = rec->offset;
    r.time_ms = rec->time_ms;
    r.key = codec_bytes(rec->key);
    r.value = codec_bytes(rec->value);
    r.error = (char *)(uintptr_t)error;
    r.process = (char *)(uintptr_t)process;
    return codec_pack(fx, &r.base);
}

void push_dlq(struct fx *fx, const struct record *rec, const char *topic, const char *error,
              const char *process)
{
    fx_send(fx, T_DLQ, rec->key, push_dlq_value(fx, rec, topic, error, process), 0);
}
