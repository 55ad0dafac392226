#include "router/vault.h"

#include "common/base/log.h"
#include "common/base/metrics.h"

METRIC_COUNTER(keys_taken, "parley_router_body_keys_total", "Body keys that accounts were given.");

bool vault_take(const struct inbound *in, struct slice sealed)
{
    struct account *a = in->account;
    if (a->n_keys == 0 && sealed.n == BODY_KEY_SEALED) {
        account_add_key(a, sealed, in->rec->offset);
        metric_add(&keys_taken, 1);
    }
    return a->n_keys && a->keys[a->n_keys - 1].since == in->rec->offset;
}

void vault_write(struct router *r, const struct inbound *in, struct fx *fx)
{
    const struct account *a = in->account;
    Im__VaultRecord v = IM__VAULT_RECORD__INIT;
    Im__BodyKey keys[CODEC_BODY_KEYS], *list[CODEC_BODY_KEYS];
    account_vault(a, &v, keys, list);
    /* Nothing is reported for sends below `quiet`: nothing may wait for them. */
    uint64_t tag = in->rec->offset < r->quiet ? 0 : pending_open(&r->pendings, a->user);
    codec_send(fx, T_VAULT, slice_id(&a->user), &v.base, tag);
}

/* The one that seals what came at `offset`; NULL: none. */
static struct account_key *key_at(struct router *r, const struct inbound *in)
{
    struct account *a = in->account;
    struct account_key *k = NULL;
    for (size_t i = 0; i < a->n_keys; i++)
        if (a->keys[i].since <= in->rec->offset)
            k = &a->keys[i];
    if (!k || !r->settings->seal || !r->settings->secrets)
        return NULL;
    if (!k->open &&
        body_key_open(r->settings->secrets, a->user, slice_of(k->sealed, sizeof k->sealed), k->key)) {
        log_error("an account's body key cannot be opened: is a master key missing in the ring?",
                  log_int("part", r->part), log_int("offset", in->rec->offset),
                  log_int("master key", secret_sealed_by(slice_of(k->sealed, sizeof k->sealed))));
        r->broken = true;
        return NULL;
    }
    k->open = true;
    return k;
}

static uint64_t number_of(const struct account *a, const struct account_key *k)
{
    return (uint64_t)(k - a->keys) + 1;
}

void vault_seal(struct router *r, const struct inbound *in, Im__ConvRecord *c, struct fx *fx)
{
    const Im__Body *b = c->body;
    if (!b || !body_is_own(c->kind) || b->key_id || !(b->text[0] || b->content_type[0] || b->data.len))
        return;
    const struct account_key *k = key_at(r, in);
    if (!k)
        return;
    const struct body_place at = {codec_id(c->conversation), in->account->user, c->client_seq, c->source_part,
                                  c->source_offset};
    struct slice plain = codec_pack(fx, &b->base);
    uint8_t *sealed = fx_alloc(fx, plain.n + BODY_EXTRA);
    Im__Body *out = fx_alloc(fx, sizeof *out);
    im__body__init(out);
    out->key_id = number_of(in->account, k);
    out->sealed = codec_bytes(slice_of(sealed, body_seal(k->key, &at, plain, sealed)));
    c->body = out;
}

void vault_seal_text(struct router *r, const struct inbound *in, Im__UserRecord *u, char **text,
                     struct fx *fx)
{
    static char none[1];
    const struct account_key *k = **text ? key_at(r, in) : NULL;
    if (!k)
        return;
    const struct body_place at = {.user = in->account->user,
                                  .client_seq = (uint64_t)u->source_offset,
                                  .source_part = u->source_part,
                                  .source_offset = u->source_offset};
    size_t n = strlen(*text);
    uint8_t *sealed = fx_alloc(fx, n + BODY_EXTRA);
    u->key_id = number_of(in->account, k);
    u->sealed = codec_bytes(slice_of(sealed, body_seal(k->key, &at, slice_of(*text, n), sealed)));
    *text = none;
}
