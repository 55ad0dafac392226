/* What a user says about oneself. The row has the name only; who may see one's presence the read models know. */
#include "router/userrec.h"

enum core_rc route_profile(struct router *r, const struct inbound *in, struct fx *fx)
{
    const Im__InProfile *b = in->m->profile;
    struct account *a = in->account;
    Im__ProfileRsp rsp = IM__PROFILE_RSP__INIT;
    if (in->from.device == 0)
        return CORE_POISON;
    if (!router_may_act(in)) {
        rsp.code = IM__CODE__SESSION_REVOKED;
    } else if (*b->display_name || b->presence != IM__PRIVACY__PRIVACY_UNCHANGED) {
        Im__UserRecord u = userrec_of(in, IM__USER_KIND__USER_PROFILE);
        u.device = in->from.device;
        u.display_name = b->display_name;
        u.presence = b->presence;
        userrec_send(in, &u, fx);
        if (*b->display_name)
            snprintf(a->display_name, sizeof a->display_name, "%s", b->display_name);
        router_put(r, a, fx);
    }
    router_reply(r, in, fx, IM__FRAME_TYPE__PROFILE_RSP, &rsp.base);
    return CORE_OK;
}
