/* What a user says about oneself. Nothing here needs it: the read models keep it. */
#include "router/userrec.h"
#include "router/vault.h"

enum core_rc route_profile(struct router *r, const struct inbound *in, struct fx *fx)
{
    const Im__InProfile *b = in->m->profile;
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
        vault_seal_text(r, in, &u, &u.display_name, fx);
        userrec_send(r, in, &u, fx);
    }
    router_reply(r, in, fx, IM__FRAME_TYPE__PROFILE_RSP, &rsp.base);
    return CORE_OK;
}
