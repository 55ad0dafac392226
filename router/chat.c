/* A message on its way to its conversation. Whether it gets a place there is the conversation's to decide; refused
 * here is only who may not speak at all. A session that was replaced may: its sends were acked. */
#include "common/base/metrics.h"
#include "common/im/conv.h"
#include "common/im/push.h"
#include "router/verbs.h"

METRIC_COUNTER(refusals, "parley_router_refusals_total", "Sends refused before the conversation.");

static bool may_speak(const struct inbound *in)
{
    const struct account *a = in->account;
    return a->exists && account_device(in->account, in->from.device) &&
           (a->revoked_at == 0 || (int64_t)in->from.login_offset >= a->revoked_at);
}

static void refuse(struct router *r, const struct inbound *in, struct id16 msg_id, struct fx *fx)
{
    uint8_t payload[PUSH_ACK_MAX];
    struct id16 conv = codec_id(in->m->chat->conversation);
    size_t n = push_refused(in->m->chat->client_seq, msg_id, conv, IM__CODE__SESSION_REVOKED, payload);
    struct deliver_item item = {.kind = IM__ITEM_KIND__ITEM_EVENT,
                                .frame_type = IM__FRAME_TYPE__MSG_ACK,
                                .payload = slice_of(payload, n),
                                .trace = in->trace};
    metric_add(&refusals, 1);
    router_tell(r, fx, &in->from, &item);
}

enum core_rc route_chat(struct router *r, const struct inbound *in, struct fx *fx)
{
    const Im__InChat *b = in->m->chat;
    struct account *a = in->account;
    if (b->conversation.len != ID_SIZE || b->peer.len != ID_SIZE || in->from.device == 0)
        return CORE_POISON;
    struct id16 msg_id = id_message(a->user, in->from.device, b->client_seq);
    if (!may_speak(in)) {
        refuse(r, in, msg_id, fx);
        return CORE_OK;
    }

    Im__ConvSettings settings = IM__CONV_SETTINGS__INIT;
    settings.strangers_refused = r->settings->strangers_refused;
    settings.recall_limit_s = (uint32_t)(r->settings->recall_limit_ms / 1000);
    settings.group_cap = (uint32_t)r->settings->group_cap;
    Im__Session origin;
    session_to_pb(&in->from, &origin);

    Im__ConvRecord c = IM__CONV_RECORD__INIT;
    c.version = CODEC_VERSION;
    c.rules = CONV_RULES;
    c.kind = IM__CONV_KIND__CONV_MESSAGE;
    c.conversation = b->conversation;
    c.user = codec_bytes(slice_id(&a->user));
    c.device = in->from.device;
    c.client_seq = b->client_seq;
    c.msg_id = codec_bytes(slice_id(&msg_id));
    c.source_part = in->rec->part;
    c.source_offset = in->rec->offset;
    c.trace = in->m->trace;
    c.settings = &settings;
    c.peer = b->peer;
    c.user_login = a->login;
    c.peer_login = b->peer_login;
    c.body = b->body;
    c.origin = &origin;
    c.edge_time_us = in->m->edge_time_us;
    codec_send(fx, T_CONVERSATION, codec_slice(b->conversation), &c.base, 0);
    return CORE_OK;
}
