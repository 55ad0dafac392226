/* A login that the edge found rightful: which device is it, and may it. The later login of a device wins.
 *
 * The verdict goes first; presence, kick and offline records follow once it is in the log (pending.h). */
#include "common/base/crash.h"
#include "common/base/metrics.h"
#include "router/announce.h"
#include "router/userrec.h"
#include "router/vault.h"

METRIC_COUNTER(logins, "parley_router_logins_total", "Logins by result.", "result");

struct found { /* the device of a login */
    Im__Code code;
    struct account_device *device;
    bool is_new;  /* this very record made it */
    bool changed; /* the account's devices are others than before */
};

/* The oldest device that nobody is connected with; its number is known from the log alone, when it was last used is
 * not, and a rebuilt router must choose the same. */
static struct account_device *idle_device(const struct router *r, struct account *a, uint32_t but)
{
    for (size_t i = 0; i < a->n_devices; i++) {
        struct account_device *d = &a->devices[i];
        if (d->number != but && (!d->on || lease_over(r->lease, d->session.slot, d->session.epoch)))
            return d;
    }
    return NULL;
}

static bool drop_over_cap(struct router *r, const struct inbound *in, uint32_t but, struct fx *fx)
{
    struct account *a = in->account;
    bool dropped = false;
    while (a->n_devices > ACCOUNT_DEVICES) {
        struct account_device *d = idle_device(r, a, but);
        if (!d)
            break;
        userrec_device(r, in, IM__USER_KIND__USER_DEVICE_DROPPED, d, fx);
        if (d->on)
            announce_gone(r, &d->session, fx);
        account_drop_device(a, d->number);
        dropped = true;
    }
    return dropped;
}

static struct found find_by_token(const struct inbound *in)
{
    const Im__InLogin *b = in->m->login;
    struct account *a = in->account;
    struct found f = {.code = IM__CODE__OK, .device = account_device(a, b->token_device)};
    if (!f.device || b->token_generation < a->generation)
        f.code = IM__CODE__SESSION_REVOKED;
    else if (*b->device_id && strcmp(f.device->id, b->device_id) != 0)
        f.code = IM__CODE__BAD_TOKEN; /* of another device */
    return f;
}

static struct found find_device(struct router *r, const struct inbound *in, struct fx *fx)
{
    const Im__InLogin *b = in->m->login;
    struct account *a = in->account;
    struct found f = {.code = IM__CODE__OK};
    if (!account_there(a)) {
        f.code = IM__CODE__BAD_CREDENTIALS;
        return f;
    }
    if (b->token_device) {
        f = find_by_token(in);
        if (f.code != IM__CODE__OK)
            return f;
    } else {
        f.device = account_device_by_id(a, b->device_id);
    }
    if (!f.device) {
        if (a->n_devices >= ACCOUNT_DEVICES && !idle_device(r, a, 0)) {
            f.code = IM__CODE__TOO_MANY_DEVICES;
            return f;
        }
        f.device = account_add_device(a, a->next_device, b->device_id, b->device_class, in->rec->offset);
    }
    uint32_t number = f.device->number;
    if (f.device->added_at == in->rec->offset) { /* now, or when this record was seen before */
        userrec_device(r, in, IM__USER_KIND__USER_DEVICE_ADDED, f.device, fx);
        f.is_new = f.changed = true;
    }
    f.changed |= drop_over_cap(r, in, number, fx);
    f.device = account_device(a, number);
    return f;
}

static struct deliver_item verdict(const struct inbound *in, const struct found *f, struct fx *fx)
{
    const struct account *a = in->account;
    Im__LoginVerdict v = IM__LOGIN_VERDICT__INIT;
    v.code = f->code;
    v.user = codec_bytes(slice_id(&a->user));
    v.login_offset = (uint64_t)in->rec->offset;
    if (f->code == IM__CODE__OK) {
        v.login = (char *)(uintptr_t)a->login;
        v.device = f->device->number;
        v.new_device = f->is_new;
        v.token_generation = a->generation;
    }
    return (struct deliver_item){.kind = IM__ITEM_KIND__ITEM_LOGIN,
                                 .frame_type = IM__FRAME_TYPE__LOGIN_RSP,
                                 .seq_id = in->m->seq_id,
                                 .payload = codec_pack(fx, &v.base),
                                 .trace = in->trace};
}

/* Where a user may be connected with one device of a class: the others hear that this one came. */
static void end_class(struct router *r, const struct inbound *in, const struct account_device *d,
                      struct fx *fx)
{
    struct account *a = in->account;
    for (size_t i = 0; i < a->n_devices; i++)
        if (&a->devices[i] != d && strcmp(a->devices[i].class, d->class) == 0)
            announce_over(r, in, &a->devices[i], IM__CODE__SESSION_REPLACED, fx);
}

/* What makes the new session true, in this order, after the verdict. */
static void take_over(struct router *r, const struct inbound *in, const struct found *f,
                      const struct session *s, bool over, struct fx *fx)
{
    struct account *a = in->account;
    struct account_device *d = f->device;
    struct session old = d->session, stale = d->stale;
    bool had_old = d->on && !session_eq(&old, s), had_stale = d->has_stale;
    d->on = !over;
    d->session = *s;
    d->has_stale = false;
    if (!over)
        announce_presence(r, a, s, in->rec->offset, fx);
    if (!over && r->settings->one_per_class && *d->class)
        end_class(r, in, d, fx);
    router_put(r, a, fx);
    if (f->changed)
        announce_devices(r, a, s, in->rec->offset, fx);
    if (had_old) {
        announce_gone(r, &old, fx);
        announce_kick(r, &old, IM__CODE__SESSION_REPLACED, fx);
    }
    if (had_stale) {
        announce_gone(r, &stale, fx);
        announce_kick(r, &stale, IM__CODE__SESSION_REPLACED, fx);
    }
    announce_login(r, in, s, f->is_new, fx);
    if (over)
        announce_end(r, s, in->trace, fx);
}

enum core_rc route_login(struct router *r, const struct inbound *in, struct fx *fx)
{
    struct account *a = in->account;
    if (!in->m->login->token_device && !*in->m->login->device_id)
        return CORE_POISON;
    struct found f = find_device(r, in, fx);
    struct deliver_item item = verdict(in, &f, fx);
    metric_add(metric_with(&logins, f.code == IM__CODE__OK ? "ok" : "refused"), 1);
    if (f.code != IM__CODE__OK) {
        router_tell(r, fx, &in->from, &item);
        return CORE_OK;
    }
    if (vault_take(in, codec_slice(in->m->login->body_key)))
        vault_write(r, in, fx);
    struct session s = in->from;
    s.device = f.device->number;
    s.login_offset = (uint64_t)in->rec->offset;

    /* The edge went away meanwhile: the device exists from now on, its session does not. */
    bool over = lease_over(r->lease, s.slot, s.epoch);
    if (!over) {
        /* Nothing is reported for sends below `quiet`: nothing may wait for them. */
        bool quiet = in->rec->offset < r->quiet;
        deliver_now(fx, &item, &s, quiet ? 0 : pending_open(&r->pendings, a->user));
        crash_at("router:verdict");
    }
    if (f.device->on && f.device->session.login_offset > s.login_offset) {
        /* A repeat: a later login of the device is known already and stays. */
        announce_gone(r, &s, fx);
        announce_kick(r, &s, IM__CODE__SESSION_REPLACED, fx);
        if (f.changed)
            announce_devices(r, a, &s, in->rec->offset, fx);
        router_put(r, a, fx);
        return CORE_OK;
    }
    take_over(r, in, &f, &s, over, fx);
    return CORE_OK;
}
