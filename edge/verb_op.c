/* verb_op.c: CONV_OP: whatever else is done in a conversation. What it may name was checked in validate.h; whether it is
 * allowed is the conversation's to say. */
#include "edge/verbs.h"

static void copy(const Im__ConvOp *req, struct send *s)
{
    s->chat.client_seq = req->client_seq;
    s->traceparent = req->traceparent;
    s->chat.kind = req->kind;
    s->chat.target = req->target;
    s->chat.role = req->role;
    s->chat.flags = req->flags;
    s->chat.flags_mask = req->flags_mask;
    s->chat.duration_s = req->duration_s;
    s->body.text = req->text;
    s->body.content_type = req->content_type;
    s->body.data = req->data;
}

bool verb_op_send(struct edge_core *e, struct econn *c, const ProtobufCMessage *m, struct send *s)
{
    static const ProtobufCBinaryData none;
    const Im__ConvOp *req = (const Im__ConvOp *)m;
    bool direct = req->to[0] || req->to_user.len;
    const char *wrong = NULL;
    copy(req, s);
    edge_send_names(e, s, 1 + req->n_users + req->n_logins);
    if (direct) {
        const char *field = req->to[0] ? "to" : "to_user";
        if (!edge_send_name(e, s, req->to, req->to_user, field))
            wrong = field;
        else if (!edge_send_direct(e, c, s))
            return false;
    } else if (req->kind == IM__CONV_KIND__CONV_GROUP_CREATE) {
        s->conv = id_group(c->user, c->device, req->client_seq);
    } else {
        s->conv = codec_id(req->conversation);
    }
    for (size_t i = 0; i < req->n_users && !wrong; i++)
        wrong = edge_send_name(e, s, "", req->users[i], "users") ? NULL : "users";
    for (size_t i = 0; i < req->n_logins && !wrong; i++)
        wrong = edge_send_name(e, s, req->logins[i], none, "logins") ? NULL : "logins";
    if (wrong)
        edge_error(e, c, s->seq_id, IM__CODE__BAD_FIELD, wrong, 0);
    return !wrong;
}

void verb_op(struct edge_core *e, struct econn *c, uint32_t seq_id, struct slice payload, ProtobufCMessage *m)
{
    edge_send(e, c, IM__FRAME_TYPE__CONV_OP, seq_id, payload, m);
}
