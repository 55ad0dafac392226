/* verb_ack.c: DELIVERY_ACK: what the client has safely, by delivery number and by conversation. Not answered. */
#include "edge/verbs.h"

#include <errno.h>
#include <stdlib.h>

void verb_ack(struct edge_core *e, struct econn *c, uint32_t seq_id, struct slice payload,
              ProtobufCMessage *m)
{
    (void)payload;
    const Im__DeliveryAck *req = (const Im__DeliveryAck *)m;
    if (delivery_confirm(e->delivery, &c->d, req->upto, e->now_us)) {
        edge_error(e, c, seq_id, IM__CODE__BAD_FIELD, "upto", 0);
        return;
    }
    for (size_t i = 0; i < req->n_cursors; i++) {
        const Im__Cursor *cur = req->cursors[i];
        struct edge_range r = {codec_id(cur->conversation), cur->from, cur->upto};
        /* Each is a record of its own in a log that keeps it: as dear as a request. What is not taken costs a repeated
         * delivery at worst. */
        if (!(c->cursors && edge_cursors_have(c->cursors, r.conv)) &&
            ratelimit_take(&c->rate, e->lim.rate, e->lim.burst, edge_ms32(e)))
            continue;
        if (!c->cursors)
            c->cursors = edge_must(calloc(1, sizeof *c->cursors));
        int rc = edge_cursors_add(c->cursors, &r);
        if (rc == -ENOSPC) { /* as many as are kept: write them before their time */
            edge_cursors_flush(e, c);
            c->cursors = edge_must(calloc(1, sizeof *c->cursors));
            rc = edge_cursors_add(c->cursors, &r);
        }
        if (rc == -ENOMEM) /* the client will say it again */
            return;
    }
}
