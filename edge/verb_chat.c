/* verb_chat.c: SINGLE_CHAT, the hot path: check, encode, produce; acked by the delivery report and by nothing else. */
#include "edge/state.h"

#include "common/im/push.h"

#include <stdlib.h>

#define TRUST_MS 30000 /* a recipient that could not be looked up is not asked for again so long */

/* False: the window is full. A resend takes no place of its own. */
static bool window_open(struct edge_core *e, struct econn *c, uint64_t seq)
{
    if (!c->sends) {
        if (e->free_sends) {
            c->sends = e->free_sends;
            e->free_sends = c->sends->next;
        } else {
            c->sends = edge_must(malloc(sizeof *c->sends));
        }
        c->sends->n = 0;
    }
    struct sends *s = c->sends;
    for (uint32_t i = 0; i < s->n; i++)
        if (s->seq[i] == seq)
            return true;
    if (s->n >= e->lim.send_window)
        return false;
    s->seq[s->n++] = seq;
    return true;
}

static void window_close(struct edge_core *e, struct econn *c, uint64_t seq)
{
    struct sends *s = c->sends;
    if (!s)
        return;
    for (uint32_t i = 0; i < s->n; i++)
        if (s->seq[i] == seq) {
            s->seq[i] = s->seq[--s->n];
            break;
        }
    if (!s->n) {
        s->next = e->free_sends;
        e->free_sends = s;
        c->sends = NULL;
    }
}

static void accepted(struct edge_core *e, struct econn *c, const struct flight *f)
{
    uint8_t ack[PUSH_ACK_MAX];
    size_t n = push_accepted(f->client_seq, f->msg_id, f->conv, ack);
    e->out->write(e->ctx, c->index, IM__FRAME_TYPE__MSG_ACK, f->seq_id, slice_of(ack, n), NULL);
    e->stats.acks++;
    if (e->out->ack_us)
        e->out->ack_us(e->ctx, e->now_us - f->read_us);
}

static void produce(struct edge_core *e, struct econn *c, uint32_t seq_id, const Im__SingleChat *req,
                    struct id16 peer, const char *peer_login)
{
    Im__Inbound in = IM__INBOUND__INIT;
    Im__InChat chat = IM__IN_CHAT__INIT;
    Im__Body body = IM__BODY__INIT;
    Im__Session pb;
    struct session me;
    struct flight f = {.type = IM__FRAME_TYPE__SINGLE_CHAT,
                       .seq_id = seq_id,
                       .client_seq = req->client_seq,
                       .conv = id_direct(c->user, peer),
                       .msg_id = id_message(c->user, c->device, req->client_seq)};
    if (!window_open(e, c, req->client_seq)) {
        edge_error(e, c, seq_id, IM__CODE__TOO_MANY_UNRESOLVED, NULL, 100);
        return;
    }
    edge_inbound(e, c, true, seq_id, &in, &pb, &me);
    body.text = req->text;
    body.content_type = req->content_type;
    body.data = req->data;
    chat.conversation = codec_bytes(slice_id(&f.conv));
    chat.client_seq = req->client_seq;
    chat.msg_id = codec_bytes(slice_id(&f.msg_id));
    chat.peer = codec_bytes(slice_id(&peer));
    chat.peer_login = (char *)(uintptr_t)peer_login;
    chat.body = &body;
    in.body_case = IM__INBOUND__BODY_CHAT;
    in.chat = &chat;
    if (!edge_produce(e, c, c->user, &in, &f)) {
        window_close(e, c, req->client_seq);
        edge_error(e, c, seq_id, IM__CODE__BUSY, NULL, 250);
    } else if (planted("ack-early")) {
        accepted(e, c, &f);
    }
}

void verb_chat(struct edge_core *e, struct econn *c, uint32_t seq_id, struct slice payload,
               ProtobufCMessage *m)
{
    const Im__SingleChat *req = (const Im__SingleChat *)m;
    char login[LOGIN_MAX + 1] = "";
    struct id16 peer;
    crash_at("edge:parsed");
    if (e->busy) {
        edge_error(e, c, seq_id, IM__CODE__BUSY, NULL, 1000);
        return;
    }
    if (req->to_user.len) {
        peer = codec_id(req->to_user);
    } else {
        if (login_normalise(req->to, strlen(req->to), login)) {
            edge_error(e, c, seq_id, IM__CODE__BAD_FIELD, "to", 0);
            return;
        }
        peer = id_user(login);
    }
    if (id_eq(peer, c->user)) {
        edge_error(e, c, seq_id, IM__CODE__BAD_FIELD, req->to_user.len ? "to_user" : "to", 0);
        return;
    }
    const char *known = known_get(e->known, peer, e->now_ms);
    if (known) {
        produce(e, c, seq_id, req, peer, login[0] ? login : known);
        return;
    }
    if (!edge_pend(e, c, IM__FRAME_TYPE__SINGLE_CHAT, seq_id, payload))
        return;
    memcpy(c->pend->login, login, sizeof login);
    c->pend->until_ms = e->now_ms + e->lim.lookup_ms;
    if (!edge_lookup(e, c, peer, false)) {
        edge_error(e, c, seq_id, IM__CODE__BUSY, NULL, 250);
        edge_pend_free(e, c);
        return;
    }
    edge_arm(e, c);
}

void verb_chat_lookup(struct edge_core *e, struct econn *c, const Im__LookupReply *r)
{
    struct pend *p = c->pend;
    struct arena_protobuf pba;
    ProtobufCMessage *m = NULL;
    if (r && !r->exists) {
        edge_error(e, c, p->seq_id, IM__CODE__UNKNOWN_USER, p->login[0] ? "to" : "to_user", 0);
        edge_pend_free(e, c);
        return;
    }
    const char *login = p->login[0] ? p->login : r ? r->login : "";
    /* Trust is no proof: without a name it answers no ACCOUNT_EXISTS_REQ. */
    known_add(e->known, p->target, r ? login : "", r ? INT64_MAX : e->now_ms + TRUST_MS);
    validate_decode(p->type, buf_slice(p->frame), edge_allocator(e, &pba, 16384 + 4 * (size_t)p->frame->n),
                    &m);
    if (m)
        produce(e, c, p->seq_id, (const Im__SingleChat *)m, p->target, login);
    edge_pend_free(e, c);
}

void verb_chat_sent(struct edge_core *e, struct econn *c, const struct flight *f, enum sent sent)
{
    crash_at("edge:reported");
    if (sent == SENT_OK) {
        accepted(e, c, f);
    } else if (sent == SENT_FAILED) { /* certainly not in the log: may be sent again under the same number */
        window_close(e, c, f->client_seq);
        edge_error(e, c, f->seq_id, IM__CODE__INTERNAL, NULL, 250);
    } else { /* neither yes nor no would be true */
        edge_close(e, c, EDGE_CUT_LOG);
    }
}

void verb_chat_outcome(struct edge_core *e, struct econn *c, struct slice msg_ack)
{
    struct arena_protobuf pba;
    Im__MsgAck *m = im__msg_ack__unpack(edge_allocator(e, &pba, 4096), msg_ack.n, msg_ack.p);
    if (m)
        window_close(e, c, m->client_seq);
}
