/* verb_pull.c: PULL_OFFLINE_REQ: to the router, on to the offline worker; the page comes back as a reply. A page may be a
 * thousand times as large as the request: few of a connection are on their way at once. */
#include "edge/verbs.h"

#define LOST_MS 10000 /* then a page that did not come is not waited for */

void verb_pull(struct edge_core *e, struct econn *c, uint32_t seq_id, struct slice payload,
               ProtobufCMessage *m)
{
    (void)payload;
    const Im__PullOfflineReq *req = (const Im__PullOfflineReq *)m;
    Im__Inbound in = IM__INBOUND__INIT;
    Im__InPull pull = IM__IN_PULL__INIT;
    if (asked_count(&c->asked, ASKED_PULL, edge_ms32(e), LOST_MS) >= e->lim.pulls) {
        edge_error(e, c, seq_id, IM__CODE__TOO_MANY_REQUESTS, NULL, 250);
        return;
    }
    pull.after = req->after;
    pull.limit = req->limit;
    pull.conversation = req->conversation;
    in.body_case = IM__INBOUND__BODY_PULL;
    in.pull = &pull;
    if (!edge_request(e, c, IM__FRAME_TYPE__PULL_OFFLINE_REQ, seq_id, &in))
        return;
    asked_add(&c->asked, ASKED_PULL, seq_id, edge_ms32(e));
}
