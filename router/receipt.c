/* How far somebody has got in a conversation. Not numbered and not answered: a receipt that comes late or twice raises
 * nothing. */
#include "common/im/conv.h"
#include "router/verbs.h"

enum core_rc route_receipt(struct router *r, const struct inbound *in, struct fx *fx)
{
    const Im__InReceipt *b = in->m->receipt;
    struct account *a = in->account;
    if (in->from.device == 0)
        return CORE_POISON;
    if (!router_may_act(in))
        return CORE_OK;
    Im__ConvSettings settings = IM__CONV_SETTINGS__INIT;
    settings.receipt_cap = (uint32_t)r->settings->receipt_cap;
    struct id16 msg_id = id_message(a->user, in->from.device, 0);

    Im__ConvRecord c = IM__CONV_RECORD__INIT;
    c.version = CODEC_VERSION;
    c.rules = CONV_RULES;
    c.kind = IM__CONV_KIND__CONV_RECEIPT;
    c.conversation = b->conversation;
    c.user = codec_bytes(slice_id(&a->user));
    c.device = in->from.device;
    c.msg_id = codec_bytes(slice_id(&msg_id));
    c.source_part = in->rec->part;
    c.source_offset = in->rec->offset;
    c.trace = in->m->trace;
    c.settings = &settings;
    c.user_login = a->login;
    c.edge_time_us = in->m->edge_time_us;
    c.read = b->read;
    c.delivered = b->delivered;
    codec_send(fx, T_CONVERSATION, codec_slice(b->conversation), &c.base, 0);
    return CORE_OK;
}
