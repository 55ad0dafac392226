/* The person is to be forgotten, and the vault's record sealed under another master key: the operator's alone.
 *
 * The record that says so in im.user comes after that of im.vault without keys is in the log: who sees it knows that
 * they are destroyed. The name stays with the account, which is never given again. */
#include "common/base/metrics.h"
#include "router/announce.h"
#include "router/userrec.h"
#include "router/vault.h"

METRIC_COUNTER(erasures, "parley_router_erased_total", "Accounts erased.");

enum core_rc route_erase(struct router *r, const struct inbound *in, struct fx *fx)
{
    struct account *a = in->account;
    if (!in->by_operator)
        return CORE_POISON;
    if (!a->exists)
        return CORE_OK;
    for (size_t i = 0; i < a->n_devices; i++) {
        struct account_device *d = &a->devices[i];
        struct session last = d->on ? d->session : (struct session){.user = a->user, .device = d->number};
        announce_over(r, in, d, IM__CODE__SESSION_REVOKED, fx);
        announce_dropped(r, &last, in->trace, fx);
    }
    account_erase(a, in->rec->offset);
    vault_write(r, in, fx);
    Im__UserRecord u = userrec_of(in, IM__USER_KIND__USER_ERASED);
    userrec_send(r, in, &u, fx);
    router_put(r, a, fx);
    metric_add(&erasures, 1);
    return CORE_OK;
}

static bool is_as(const Im__VaultRecord *v, ProtobufCBinaryData digest)
{
    uint8_t is[VAULT_DIGEST];
    vault_digest(v, is);
    return digest.len == sizeof is && memcmp(digest.data, is, sizeof is) == 0;
}

/* Only what is sealed changes, and only when it was sealed anew from what is here now. */
enum core_rc route_rekey(struct router *r, const struct inbound *in, struct fx *fx)
{
    const Im__InRekey *b = in->m->rekey;
    struct account *a = in->account;
    Im__VaultRecord v = IM__VAULT_RECORD__INIT;
    Im__BodyKey keys[CODEC_BODY_KEYS], *list[CODEC_BODY_KEYS];
    if (!in->by_operator)
        return CORE_POISON;
    account_vault(a, &v, keys, list);
    if (!account_there(a) || b->n_keys != a->n_keys || !is_as(&v, b->was))
        return CORE_OK;
    for (size_t i = 0; i < b->n_keys; i++)
        if (b->keys[i]->since != a->keys[i].since)
            return CORE_POISON;
    account_set_verifier(a, codec_slice(b->verifier));
    account_clear_keys(a);
    for (size_t i = 0; i < b->n_keys; i++)
        account_add_key(a, codec_slice(b->keys[i]->sealed), b->keys[i]->since);
    vault_write(r, in, fx);
    router_put(r, a, fx);
    return CORE_OK;
}
