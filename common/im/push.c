#include "common/im/push.h"

#include "common/base/log.h"
#include "common/im/dead.h"
#include "common/im/topics.h"
#include "common/im/wire.h"

#include <stdlib.h>

#define GROUP_BYTES  (2 << 20)
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
    a.stage = o->seq ? IM__STAGE__SEQUENCED : IM__STAGE__NOTED; /* a repeat of a note has no number either */
    a.seq = o->seq;
    a.time_ms = o->seq ? o->time_ms : 0;
    return put_ack(&a, &r->msg_id, &r->event.conv, out);
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

/* users of i … the returned index go into one record */
static size_t absent_fit(const struct push_absent *a, size_t i, size_t n)
{
    for (size_t bytes = 0; i < n; i++) {
        bytes += ID_SIZE + (a[i].n_served ? 16 + 5 * a[i].n_served : 0);
        if (bytes > GROUP_BYTES - 256)
            break;
    }
    return i;
}

static void *room(struct fx *fx, size_t n)
{
    void *p = fx_alloc(fx, n ? n : 1);
    if (!p)
        abort();
    return p;
}

static void absent_send(struct fx *fx, int32_t part, const struct id16 *conv, uint64_t seq,
                        const struct push_absent *a, size_t n, bool left, struct slice trace)
{
    Im__OffGroup g = IM__OFF_GROUP__INIT;
    Im__OfflineRecord r = IM__OFFLINE_RECORD__INIT;
    size_t n_some = 0;
    uint8_t *users = room(fx, n * ID_SIZE);
    for (size_t i = 0; i < n; i++)
        n_some += a[i].n_served > 0;
    Im__OffServed *some = room(fx, n_some * sizeof *some);
    g.served = room(fx, n_some * sizeof *g.served);
    for (size_t i = 0; i < n; i++) {
        memcpy(users + i * ID_SIZE, a[i].user.b, ID_SIZE);
        if (a[i].n_served == 0)
            continue;
        Im__OffServed *s = g.served[g.n_served++] = some++;
        im__off_served__init(s);
        s->index = (uint32_t)i;
        s->n_devices = a[i].n_served;
        s->devices = (uint32_t *)(uintptr_t)a[i].served;
    }
    g.conversation = id_bytes(conv);
    g.seq = seq;
    g.left = left;
    g.users = (ProtobufCBinaryData){n * ID_SIZE, users};
    r.version = CODEC_VERSION;
    r.trace = codec_bytes(trace);
    r.body_case = IM__OFFLINE_RECORD__BODY_GROUP;
    r.group = &g;
    codec_send_at(fx, T_OFFLINE, part, slice_id(conv), &r.base, 0);
}

void push_offline_group(struct fx *fx, int32_t part, struct id16 conv, uint64_t seq,
                        const struct push_absent *a, size_t n, bool left, struct slice trace)
{
    for (size_t at = 0, end; at < n; at = end) {
        end = absent_fit(a, at, n);
        if (end == at)
            end = at + 1; /* one user is always less */
        absent_send(fx, part, &conv, seq, a + at, end - at, left, trace);
    }
}

struct slice push_dlq_value(struct fx *fx, const struct record *rec, const char *topic, const char *why,
                            const char *process, const char *instance)
{
    struct dead d;
    dead_fill(&d, rec, topic, process, instance, why);
    log_warn("dead letter", log_str("topic", topic), log_int("part", rec->part),
             log_int("offset", rec->offset), log_str("error", d.error));
    return codec_pack(fx, &d.r.base);
}
