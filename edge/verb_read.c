/* verb_read.c: MSG_READ: what was read and delivered, to the log. Cumulative, so it has no number and no answer. */
#include "edge/verbs.h"

void verb_read(struct edge_core *e, struct econn *c, uint32_t seq_id, struct slice payload,
               ProtobufCMessage *m)
{
    (void)payload;
    const Im__MsgRead *req = (const Im__MsgRead *)m;
    Im__Inbound in = IM__INBOUND__INIT;
    Im__InReceipt receipt = IM__IN_RECEIPT__INIT;
    struct id16 conv;
    if (!edge_where(e, c, seq_id, req->conversation, req->with, &conv))
        return;
    receipt.conversation = codec_bytes(slice_id(&conv));
    receipt.read = req->read;
    receipt.delivered = req->delivered;
    in.body_case = IM__INBOUND__BODY_RECEIPT;
    in.receipt = &receipt;
    edge_request(e, c, IM__FRAME_TYPE__MSG_READ, seq_id, &in);
}
