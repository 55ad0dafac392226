/* What somebody does in a conversation, on its way there. Whether it gets a place is the conversation's to decide;
 * refused here is only who may not speak at all. */
#include "common/base/metrics.h"
#include "common/im/conv.h"
#include "common/im/push.h"
#include "router/vault.h"

METRIC_COUNTER(refusals, "parley_router_refusals_total", "Sends refused before the conversation.");

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

static Im__ConvSettings settings_of(const struct router *r, const struct account *a)
{
    Im__ConvSettings s = IM__CONV_SETTINGS__INIT;
    s.strangers_refused = r->settings->strangers_refused;
    s.recall_limit_s = (uint32_t)((r->settings->recall_limit_ms + 999) / 1000); /* 0 is no limit */
    s.group_cap = (uint32_t)r->settings->group_cap;
    s.receipt_cap = (uint32_t)r->settings->receipt_cap;
    s.admin = a->admin;
    return s;
}

/* All of the client's part; `c` borrows it. */
static void copy(const Im__InChat *b, Im__ConvRecord *c)
{
    c->kind = b->kind ? b->kind : IM__CONV_KIND__CONV_MESSAGE;
    c->conversation = b->conversation;
    c->client_seq = b->client_seq;
    c->peer = b->peer;
    c->peer_login = b->peer_login;
    c->body = b->body;
    c->target = b->target;
    c->reply_to = b->reply_to;
    c->users = b->users;
    c->logins = b->logins;
    c->n_logins = b->n_logins;
    c->role = b->role;
    c->flags = b->flags;
    c->flags_mask = b->flags_mask;
    c->duration_s = b->duration_s;
}

enum core_rc route_chat(struct router *r, const struct inbound *in, struct fx *fx)
{
    const Im__InChat *b = in->m->chat;
    struct account *a = in->account;
    if (in->from.device == 0)
        return CORE_POISON;
    struct id16 msg_id = id_message(a->user, in->from.device, b->client_seq);
    if (!router_may_act(in)) {
        refuse(r, in, msg_id, fx);
        return CORE_OK;
    }
    Im__ConvSettings settings = settings_of(r, a);
    Im__Session origin;
    session_to_pb(&in->from, &origin);
    Im__ConvRecord c = IM__CONV_RECORD__INIT;
    copy(b, &c);
    c.version = CODEC_VERSION;
    c.rules = CONV_RULES;
    c.user = codec_bytes(slice_id(&a->user));
    c.user_login = a->login;
    c.device = in->from.device;
    c.msg_id = codec_bytes(slice_id(&msg_id));
    c.source_part = in->rec->part;
    c.source_offset = in->rec->offset;
    c.trace = in->m->trace;
    c.settings = &settings;
    c.origin = &origin;
    c.edge_time_us = in->m->edge_time_us;
    vault_seal(r, in, &c, fx);
    pending_send(&r->pendings, fx, a->user, T_CONVERSATION, FX_BY_KEY, codec_slice(b->conversation), &c.base);
    return CORE_OK;
}
