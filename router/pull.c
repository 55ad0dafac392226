/* A page of the device's queue: the offline worker has it. */
#include "router/verbs.h"

enum core_rc route_pull(struct router *r, const struct inbound *in, struct fx *fx)
{
    const Im__InPull *b = in->m->pull;
    if (!router_may_act(in)) {
        Im__PullOfflineRsp rsp = IM__PULL_OFFLINE_RSP__INIT;
        rsp.code = IM__CODE__SESSION_REVOKED;
        router_reply(r, in, fx, IM__FRAME_TYPE__PULL_OFFLINE_RSP, &rsp.base);
        return CORE_OK;
    }
    Im__Session s;
    session_to_pb(&in->from, &s);
    Im__OffPull pull = IM__OFF_PULL__INIT;
    pull.session = &s;
    pull.seq_id = in->m->seq_id;
    pull.after = b->after;
    pull.limit = b->limit;
    pull.conversation = b->conversation;
    Im__OfflineRecord rec = IM__OFFLINE_RECORD__INIT;
    rec.version = CODEC_VERSION;
    rec.user = codec_bytes(slice_id(&in->account->user));
    rec.trace = in->m->trace;
    rec.body_case = IM__OFFLINE_RECORD__BODY_PULL;
    rec.pull = &pull;
    pending_send(&r->pendings, fx, in->account->user, T_OFFLINE, FX_BY_KEY, slice_id(&in->account->user),
                 &rec.base);
    return CORE_OK;
}
