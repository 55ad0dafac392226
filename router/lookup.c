/* Does the account exist, and what is its sealed verifier? Asked by edges before logins and first sends. */
#include "router/verbs.h"

enum core_rc route_lookup(struct router *r, const struct inbound *in, struct fx *fx)
{
    const Im__InLookup *b = in->m->lookup;
    const struct account *a = in->account;
    Im__LookupReply l = IM__LOOKUP_REPLY__INIT;
    l.exists = account_there(a);
    l.user = codec_bytes(slice_id(&a->user));
    l.purpose = b->purpose;
    if (account_there(a)) {
        l.login = (char *)(uintptr_t)a->login;
        if (b->want_verifier)
            l.verifier = codec_bytes(slice_of(a->verifier, a->verifier_n));
    }
    struct deliver_item item = {.kind = IM__ITEM_KIND__ITEM_LOOKUP,
                                .seq_id = in->m->seq_id,
                                .payload = codec_pack(fx, &l.base),
                                .trace = in->trace};
    struct session asker = in->from; /* the record's key is who was asked about, not who asks */
    asker.user = (struct id16){{0}};
    router_tell(r, fx, &asker, &item);
    return CORE_OK;
}
