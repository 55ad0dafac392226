/* verb_profile.c: PROFILE_REQ and PREFS_REQ: what a user says of itself and of its conversations; the router answers. */
#include "edge/verbs.h"

void verb_profile(struct edge_core *e, struct econn *c, uint32_t seq_id, struct slice payload,
                  ProtobufCMessage *m)
{
    (void)payload;
    const Im__ProfileReq *req = (const Im__ProfileReq *)m;
    Im__Inbound in = IM__INBOUND__INIT;
    Im__InProfile profile = IM__IN_PROFILE__INIT;
    profile.display_name = req->name;
    profile.presence = req->presence;
    in.body_case = IM__INBOUND__BODY_PROFILE;
    in.profile = &profile;
    edge_request(e, c, IM__FRAME_TYPE__PROFILE_REQ, seq_id, &in);
}

void verb_prefs(struct edge_core *e, struct econn *c, uint32_t seq_id, struct slice payload,
                ProtobufCMessage *m)
{
    (void)payload;
    const Im__PrefsReq *req = (const Im__PrefsReq *)m;
    Im__Inbound in = IM__INBOUND__INIT;
    Im__InPrefs prefs = IM__IN_PREFS__INIT;
    struct id16 conv;
    if (!edge_where(e, c, seq_id, req->conversation, req->with, &conv))
        return;
    prefs.conversation = codec_bytes(slice_id(&conv));
    prefs.pinned = req->pinned;
    prefs.muted = req->muted;
    prefs.remark = req->remark;
    prefs.mask = req->mask;
    in.body_case = IM__INBOUND__BODY_PREFS;
    in.prefs = &prefs;
    edge_request(e, c, IM__FRAME_TYPE__PREFS_REQ, seq_id, &in);
}
