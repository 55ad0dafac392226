/* A user, or the operator, ends devices: one for good, or all tokens and sessions there are.
 *
 * The answer goes before the kicks, which go to the same connection when it revokes itself. */
#include "router/announce.h"
#include "router/userrec.h"

static void answer(struct router *r, const struct inbound *in, Im__Code code, struct fx *fx)
{
    Im__RevokeRsp rsp = IM__REVOKE_RSP__INIT;
    rsp.code = code;
    if (in->by_operator)
        return;
    router_reply(r, in, fx, IM__FRAME_TYPE__REVOKE_RSP, &rsp.base);
    deliver_flush(r->out, fx);
}

/* For the edge: what the tokens of this session are to carry from now on. */
static void tell_generation(struct router *r, const struct inbound *in, struct fx *fx)
{
    const struct account *a = in->account;
    Im__LoginVerdict v = IM__LOGIN_VERDICT__INIT;
    v.user = codec_bytes(slice_id(&a->user));
    v.login = (char *)(uintptr_t)a->login;
    v.device = in->from.device;
    v.login_offset = in->from.login_offset;
    v.token_generation = a->generation;
    struct deliver_item item = {.kind = IM__ITEM_KIND__ITEM_LOGIN,
                                .frame_type = IM__FRAME_TYPE__LOGIN_RSP,
                                .seq_id = in->m->seq_id,
                                .payload = codec_pack(fx, &v.base),
                                .trace = in->trace};
    router_tell(r, fx, &in->from, &item);
}

static void revoke_all(struct router *r, const struct inbound *in, struct fx *fx)
{
    struct account *a = in->account;
    bool keep = in->m->revoke->keep_current;
    a->generation++;
    a->revoked_at = in->rec->offset;
    a->kept_login = keep ? in->from.login_offset : 0;
    Im__UserRecord u = userrec_of(in, IM__USER_KIND__USER_TOKENS_REVOKED);
    u.login = a->login;
    u.device = in->from.device;
    u.token_generation = a->generation;
    u.login_offset = a->kept_login;
    userrec_send(r, in, &u, fx);
    if (keep)
        tell_generation(r, in, fx);
    answer(r, in, IM__CODE__OK, fx);
    for (size_t i = 0; i < a->n_devices; i++)
        if (!keep || a->devices[i].session.login_offset != a->kept_login)
            announce_over(r, in, &a->devices[i], IM__CODE__SESSION_REVOKED, fx);
}

static void revoke_one(struct router *r, const struct inbound *in, struct fx *fx)
{
    struct account *a = in->account;
    uint32_t number = in->m->revoke->device;
    struct account_device *d = account_device(a, number);
    if (!d) {
        answer(r, in, number < a->next_device ? IM__CODE__OK : IM__CODE__NO_CHANGE, fx);
        return;
    }
    struct session last = d->on ? d->session : (struct session){.user = a->user, .device = number};
    userrec_device(r, in, IM__USER_KIND__USER_DEVICE_DROPPED, d, fx);
    answer(r, in, IM__CODE__OK, fx);
    announce_over(r, in, d, IM__CODE__SESSION_REVOKED, fx);
    account_drop_device(a, number);
    announce_devices(r, a, &last, in->rec->offset, fx);
    announce_dropped(r, &last, in->trace, fx);
}

enum core_rc route_revoke(struct router *r, const struct inbound *in, struct fx *fx)
{
    const Im__InRevoke *b = in->m->revoke;
    struct account *a = in->account;
    if (in->by_operator ? b->keep_current : in->from.device == 0)
        return CORE_POISON;
    if (in->by_operator ? !account_there(a) : !router_may_act(in)) {
        answer(r, in, IM__CODE__SESSION_REVOKED, fx);
        return CORE_OK;
    }
    if (b->all)
        revoke_all(r, in, fx);
    else
        revoke_one(r, in, fx);
    userrec_seen(r, in, fx);
    router_put(r, a, fx);
    return CORE_OK;
}
