/* A user's own marks on a conversation. Whether it is one of theirs is asked when they are shown. */
#include "router/userrec.h"
#include "router/vault.h"

enum core_rc route_prefs(struct router *r, const struct inbound *in, struct fx *fx)
{
    const Im__InPrefs *b = in->m->prefs;
    Im__PrefsRsp rsp = IM__PREFS_RSP__INIT;
    if (in->from.device == 0)
        return CORE_POISON;
    if (!router_may_act(in)) {
        rsp.code = IM__CODE__SESSION_REVOKED;
    } else {
        Im__UserRecord u = userrec_of(in, IM__USER_KIND__USER_PREFS);
        u.device = in->from.device;
        u.conversation = b->conversation;
        u.pinned = b->pinned;
        u.muted = b->muted;
        u.remark = b->remark;
        vault_seal_text(r, in, &u, &u.remark, fx);
        u.mask = b->mask;
        userrec_send(r, in, &u, fx);
    }
    router_reply(r, in, fx, IM__FRAME_TYPE__PREFS_RSP, &rsp.base);
    return CORE_OK;
}
