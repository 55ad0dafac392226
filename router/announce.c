#include "router/announce.h"

static size_t device_numbers(const struct account *a, uint32_t out[CODEC_DEVICES_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < a->n_devices && n < CODEC_DEVICES_MAX; i++)
        out[n++] = a->devices[i].number;
    return n;
}

void announce_presence(struct router *r, const struct account *a, const struct session *s, int64_t at,
                       struct fx *fx)
{
    uint32_t devices[CODEC_DEVICES_MAX];
    uint8_t key[KEY_PRESENCE];
    Im__Session session;
    session_to_pb(s, &session);
    key_presence(s, key);
    Im__PresenceRecord p = IM__PRESENCE_RECORD__INIT;
    p.version = CODEC_VERSION;
    p.session = &session;
    p.devices = devices;
    p.n_devices = device_numbers(a, devices);
    p.devices_at = (uint64_t)at;
    p.login = (char *)(uintptr_t)a->login;
    pending_send(&r->pendings, fx, a->user, T_PRESENCE, FX_BY_KEY, slice_of(key, sizeof key), &p.base);
}

void announce_devices(struct router *r, const struct account *a, const struct session *but, int64_t at,
                      struct fx *fx)
{
    for (size_t i = 0; i < a->n_devices; i++) {
        const struct account_device *d = &a->devices[i];
        if (d->on && !session_eq(&d->session, but) &&
            !lease_over(r->lease, d->session.slot, d->session.epoch))
            announce_presence(r, a, &d->session, at, fx);
    }
}

void announce_gone(struct router *r, const struct session *s, struct fx *fx)
{
    uint8_t key[KEY_PRESENCE];
    key_presence(s, key);
    pending_send(&r->pendings, fx, s->user, T_PRESENCE, FX_BY_KEY, slice_of(key, sizeof key), NULL);
}

void announce_kick(struct router *r, const struct session *s, Im__Code code, struct fx *fx)
{
    if (lease_over(r->lease, s->slot, s->epoch))
        return;
    uint8_t payload[64], key[4] = {(uint8_t)(s->slot >> 24), (uint8_t)(s->slot >> 16),
                                   (uint8_t)(s->slot >> 8), (uint8_t)s->slot};
    Im__Kicked kicked = IM__KICKED__INIT;
    kicked.code = code;
    int n = codec_pack_into(&kicked.base, payload, sizeof payload);
    if (n < 0)
        return;
    Im__DeliverItem item = IM__DELIVER_ITEM__INIT, *items[1] = {&item};
    uint32_t handle = s->handle, device = s->device;
    uint64_t login = s->login_offset;
    item.kind = IM__ITEM_KIND__ITEM_KICK;
    item.frame_type = IM__FRAME_TYPE__KICKED;
    item.payload = codec_bytes(slice_of(payload, (size_t)n));
    item.n_handles = item.n_devices = item.n_logins = 1;
    item.handles = &handle;
    item.devices = &device;
    item.logins = &login;
    item.users = codec_bytes(slice_id(&s->user));
    Im__DeliverRecord rec = IM__DELIVER_RECORD__INIT;
    rec.version = CODEC_VERSION;
    rec.epoch = s->epoch;
    rec.n_items = 1;
    rec.items = items;
    pending_send(&r->pendings, fx, s->user, topic_of_slot(s->slot), 0, slice_of(key, sizeof key), &rec.base);
}

static void send_offline(struct router *r, struct id16 user, Im__OfflineRecord *rec, struct slice trace,
                         struct fx *fx)
{
    rec->version = CODEC_VERSION;
    rec->user = codec_bytes(slice_id(&user));
    rec->trace = codec_bytes(trace);
    pending_send(&r->pendings, fx, user, T_OFFLINE, FX_BY_KEY, slice_id(&user), &rec->base);
}

void announce_login(struct router *r, const struct inbound *in, const struct session *s, bool new_device,
                    struct fx *fx)
{
    uint32_t devices[CODEC_DEVICES_MAX];
    Im__Session session;
    session_to_pb(s, &session);
    Im__OffLogin login = IM__OFF_LOGIN__INIT;
    login.session = &session;
    login.new_device = new_device;
    login.fresh = in->m->login->fresh;
    login.devices = devices;
    login.n_devices = device_numbers(in->account, devices);
    Im__OfflineRecord rec = IM__OFFLINE_RECORD__INIT;
    rec.body_case = IM__OFFLINE_RECORD__BODY_LOGIN;
    rec.login = &login;
    send_offline(r, in->account->user, &rec, in->trace, fx);
}

static void send_end(struct router *r, const struct session *s, bool dropped, struct slice trace,
                     struct fx *fx)
{
    Im__Session session;
    session_to_pb(s, &session);
    Im__OffEnd end = IM__OFF_END__INIT;
    end.session = &session;
    end.dropped = dropped;
    Im__OfflineRecord rec = IM__OFFLINE_RECORD__INIT;
    rec.body_case = IM__OFFLINE_RECORD__BODY_END;
    rec.end = &end;
    send_offline(r, s->user, &rec, trace, fx);
}

void announce_end(struct router *r, const struct session *s, struct slice trace, struct fx *fx)
{
    send_end(r, s, false, trace, fx);
}

void announce_dropped(struct router *r, const struct session *s, struct slice trace, struct fx *fx)
{
    send_end(r, s, true, trace, fx);
}

static bool before(const struct session *s, const struct inbound *in)
{
    return (int64_t)s->login_offset < in->rec->offset; /* after a rebuild there may be later ones already */
}

void announce_over(struct router *r, const struct inbound *in, struct account_device *d, Im__Code why,
                   struct fx *fx)
{
    if (d->has_stale && before(&d->stale, in)) {
        d->has_stale = false;
        announce_gone(r, &d->stale, fx);
        announce_kick(r, &d->stale, why, fx);
    }
    if (d->on && before(&d->session, in)) {
        d->on = false;
        announce_gone(r, &d->session, fx);
        announce_kick(r, &d->session, why, fx);
        announce_end(r, &d->session, in->trace, fx);
    }
}
