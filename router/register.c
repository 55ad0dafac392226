/* A new account: the first registration of its name in the partition wins. */
#include "common/base/metrics.h"
#include "router/userrec.h"
#include "router/vault.h"

METRIC_COUNTER(registrations, "parley_router_registrations_total", "Registrations by result.", "result");

static void record_it(struct router *r, const struct inbound *in, struct fx *fx)
{
    const struct account *a = in->account;
    const Im__InRegister *b = in->m->register_;
    vault_write(r, in, fx);
    Im__UserRecord u = userrec_of(in, IM__USER_KIND__USER_REGISTERED);
    u.login = b->login;
    u.display_name = b->display_name;
    vault_seal_text(r, in, &u, &u.display_name, fx);
    u.token_generation = a->generation;
    userrec_send(r, in, &u, fx);
}

enum core_rc route_register(struct router *r, const struct inbound *in, struct fx *fx)
{
    const Im__InRegister *b = in->m->register_;
    struct account *a = in->account;
    char login[LOGIN_MAX + 1];
    if (login_normalise(b->login, strlen(b->login), login) || strcmp(login, b->login) != 0 ||
        !id_eq(id_user(login), a->user) || strlen(b->display_name) > DISPLAY_NAME_MAX ||
        b->verifier.len == 0 || b->verifier.len > CODEC_VERIFIER_MAX)
        return CORE_POISON;

    bool again =
        account_there(a) && a->registered_part == in->rec->part && a->registered_at == in->rec->offset;
    bool taken = a->exists && !again;
    if (!taken) {
        a->exists = true;
        snprintf(a->login, sizeof a->login, "%s", login);
        a->registered_part = in->rec->part;
        a->registered_at = in->rec->offset;
        if (!a->erased) { /* else it is known already what will become of it (rebuild.c) */
            account_set_verifier(a, codec_slice(b->verifier));
            vault_take(in, codec_slice(b->body_key));
        }
        record_it(r, in, fx);
        router_put(r, a, fx);
    }
    metric_add(metric_with(&registrations, taken ? "taken" : "made"), 1);

    Im__RegisterRsp rsp = IM__REGISTER_RSP__INIT;
    rsp.code = taken ? IM__CODE__ACCOUNT_EXISTS : IM__CODE__OK;
    if (!taken)
        rsp.user = codec_bytes(slice_id(&a->user));
    router_reply(r, in, fx, IM__FRAME_TYPE__REGISTER_RSP, &rsp.base);
    return CORE_OK;
}
