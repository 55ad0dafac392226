#include "router/userrec.h"

Im__UserRecord userrec_of(const struct inbound *in, Im__UserKind kind)
{
    Im__UserRecord u = IM__USER_RECORD__INIT;
    u.version = CODEC_VERSION;
    u.kind = kind;
    u.user = codec_bytes(slice_id(&in->account->user));
    u.source_part = in->rec->part;
    u.source_offset = in->rec->offset;
    u.time_ms = in->rec->time_ms;
    u.trace = in->m->trace;
    return u;
}

void userrec_send(struct router *r, const struct inbound *in, const Im__UserRecord *u, struct fx *fx)
{
    const struct id16 *user = &in->account->user;
    pending_send(&r->pendings, fx, *user, T_USER, FX_BY_KEY, slice_id(user), &u->base);
}

void userrec_device(struct router *r, const struct inbound *in, Im__UserKind kind,
                    const struct account_device *d, struct fx *fx)
{
    Im__UserRecord u = userrec_of(in, kind);
    u.login = in->account->login;
    u.device = d->number;
    u.device_id = (char *)(uintptr_t)d->id;
    u.device_class = (char *)(uintptr_t)d->class;
    u.token_generation = in->account->generation;
    userrec_send(r, in, &u, fx);
}

bool userrec_seen(struct router *r, const struct inbound *in, struct fx *fx)
{
    struct account *a = in->account;
    if (in->rec->time_ms - a->seen_ms < ACCOUNT_SEEN_MS)
        return false;
    for (size_t i = 0; i < a->n_devices; i++) {
        const struct account_device *d = &a->devices[i];
        if (d->on && !lease_over(r->lease, d->session.slot, d->session.epoch))
            return false;
    }
    Im__UserRecord u = userrec_of(in, IM__USER_KIND__USER_SEEN);
    userrec_send(r, in, &u, fx);
    a->seen_ms = in->rec->time_ms;
    return true;
}
