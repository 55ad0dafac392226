/* verb_announce.c: ANNOUNCE: to everybody, in the system conversation. The router knows who has the right. */
#include "edge/verbs.h"

bool verb_announce_send(struct edge_core *e, struct econn *c, const ProtobufCMessage *m, struct send *s)
{
    (void)e;
    (void)c;
    const Im__Announce *req = (const Im__Announce *)m;
    s->conv = id_system();
    s->chat.client_seq = req->client_seq;
    s->traceparent = req->traceparent;
    s->chat.kind = IM__CONV_KIND__CONV_ANNOUNCEMENT;
    s->body.text = req->text;
    return true;
}

void verb_announce(struct edge_core *e, struct econn *c, uint32_t seq_id, struct slice payload,
                   ProtobufCMessage *m)
{
    edge_send(e, c, IM__FRAME_TYPE__ANNOUNCE, seq_id, payload, m);
}
