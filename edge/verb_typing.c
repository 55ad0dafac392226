/* verb_typing.c: TYPING: worth nothing a second later, so whatever is in its way drops it without a word. */
#include "edge/verbs.h"

#define EVERY_MS 1000

void verb_typing(struct edge_core *e, struct econn *c, uint32_t seq_id, struct slice payload,
                 ProtobufCMessage *m)
{
    (void)payload;
    const Im__Typing *req = (const Im__Typing *)m;
    Im__Inbound in = IM__INBOUND__INIT;
    Im__InSignal signal = IM__IN_SIGNAL__INIT;
    Im__Session pb;
    struct session me;
    struct id16 conv;
    if (!edge_where(e, c, seq_id, req->conversation, req->with, &conv))
        return;
    /* The end of it is counted by itself, or it would come to nobody. */
    uint32_t who = c->handle * 2 + (req->stopped != 0);
    if (e->busy || !throttle_pass(e->typing, who, conv, edge_ms32(e), EVERY_MS))
        return;
    signal.conversation = codec_bytes(slice_id(&conv));
    signal.stopped = req->stopped;
    edge_inbound(e, c, true, seq_id, &in, &pb, &me);
    in.body_case = IM__INBOUND__BODY_SIGNAL;
    in.signal = &signal;
    (void)edge_produce(e, c, T_INBOUND, c->user, &in.base, NULL);
}
