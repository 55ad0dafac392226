/* verb_chat.c: SINGLE_CHAT: to somebody, by name or by id. */
#include "edge/verbs.h"

bool verb_chat_send(struct edge_core *e, struct econn *c, const ProtobufCMessage *m, struct send *s)
{
    const Im__SingleChat *req = (const Im__SingleChat *)m;
    const char *field = req->to[0] ? "to" : "to_user";
    s->chat.client_seq = req->client_seq;
    s->traceparent = req->traceparent;
    s->chat.kind = IM__CONV_KIND__CONV_MESSAGE;
    s->chat.reply_to = req->reply_to;
    s->body.text = req->text;
    s->body.content_type = req->content_type;
    s->body.data = req->data;
    edge_send_names(e, s, 1);
    if (!edge_send_name(e, s, req->to, req->to_user, field)) {
        edge_error(e, c, s->seq_id, IM__CODE__BAD_FIELD, field, 0);
        return false;
    }
    return edge_send_direct(e, c, s);
}

void verb_chat(struct edge_core *e, struct econn *c, uint32_t seq_id, struct slice payload,
               ProtobufCMessage *m)
{
    edge_send(e, c, IM__FRAME_TYPE__SINGLE_CHAT, seq_id, payload, m);
}
