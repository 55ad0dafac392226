/* verb_revoke.c: REVOKE_REQ: to the router, which answers, ends sessions and, for one that stays, sends the generation of the
 * tokens that are good from now on (core_deliver.c). */
#include "edge/verbs.h"

void verb_revoke(struct edge_core *e, struct econn *c, uint32_t seq_id, struct slice payload,
                 ProtobufCMessage *m)
{
    (void)payload;
    const Im__RevokeReq *req = (const Im__RevokeReq *)m;
    Im__Inbound in = IM__INBOUND__INIT;
    Im__InRevoke revoke = IM__IN_REVOKE__INIT;
    revoke.device = req->device;
    revoke.all = req->all;
    revoke.keep_current = req->keep_current;
    in.body_case = IM__INBOUND__BODY_REVOKE;
    in.revoke = &revoke;
    edge_request(e, c, IM__FRAME_TYPE__REVOKE_REQ, seq_id, &in);
}
