#include "router/core.h"

#include "common/base/arena_protobuf.h"
#include "common/base/metrics.h"
#include "router/verbs.h"

#include <errno.h>
#include <stdlib.h>

#define UNPACK_BUDGET (8 << 20)

METRIC_COUNTER(records_by_verb, "parley_router_records_total", "Records of im.inbound by kind.", "kind");

static void free_row(struct row *r)
{
    account_free((struct account *)r);
}

static void core_close(void *ctx)
{
    struct router *r = ctx;
    pendings_release(&r->pendings);
    rowcache_release(&r->accounts);
    deliver_free(r->out);
    arena_free(r->arena);
    bytes_release(&r->scratch);
    free(r);
}

static void *core_open(const struct core_open *o)
{
    struct router *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->part = o->part;
    r->quiet = o->quiet ? o->quiet[0] : 0;
    r->settings = o->settings;
    r->lease = o->shared;
    r->arena = arena_new(0);
    r->out = deliver_new(lease_slots(r->lease));
    rowcache_init(&r->accounts, (size_t)r->settings->cache_bytes, free_row);
    if (!r->arena || !r->out) {
        core_close(r);
        return NULL;
    }
    return r;
}

static enum core_rc core_plan(void *ctx, const struct record *rec, struct want *want)
{
    struct router *r = ctx;
    if (rec->key.n == ID_SIZE && !rowcache_get(&r->accounts, ROUTER_ACCOUNT, rec->key))
        want_add(want, ROUTER_ACCOUNT, rec->key);
    return CORE_OK;
}

static void core_load(void *ctx, uint8_t table, struct slice key, struct slice row)
{
    struct router *r = ctx;
    struct id16 user;
    if (table != ROUTER_ACCOUNT || id_from(key.p, key.n, &user)) {
        r->broken = true;
        return;
    }
    if (rowcache_get(&r->accounts, table, key))
        return;
    struct account *a = account_new(user);
    if (row.n && account_unpack(a, row)) {
        r->broken = true;
        account_free(a);
        return;
    }
    rowcache_add(&r->accounts, table, key, &a->row, account_bytes(a));
}

void router_put(struct router *r, struct account *a, struct fx *fx)
{
    bytes_clear(&r->scratch);
    account_pack(a, &r->scratch);
    if (!bytes_ok(&r->scratch))
        r->broken = true;
    fx_put(fx, ROUTER_ACCOUNT, slice_id(&a->user), bytes_slice(&r->scratch));
    rowcache_resize(&r->accounts, &a->row, account_bytes(a));
}

void router_tell(struct router *r, struct fx *fx, const struct session *to, const struct deliver_item *item)
{
    if (!lease_over(r->lease, to->slot, to->epoch))
        deliver_add(r->out, fx, item, to, 1);
}

void router_reply(struct router *r, const struct inbound *in, struct fx *fx, Im__FrameType type,
                  const ProtobufCMessage *m)
{
    struct deliver_item item = {.kind = IM__ITEM_KIND__ITEM_REPLY,
                                .frame_type = type,
                                .seq_id = in->m->seq_id,
                                .payload = codec_pack(fx, m),
                                .trace = in->trace};
    router_tell(r, fx, &in->from, &item);
}

bool router_may_act(const struct inbound *in)
{
    struct account *a = in->account;
    return account_there(a) && account_device(a, in->from.device) &&
           ((int64_t)in->from.login_offset >= a->revoked_at ||
            (a->kept_login && in->from.login_offset == a->kept_login));
}

/* A session's user is the record's key or, before login, nobody. */
static int decode(struct router *r, const struct record *rec, struct inbound *in)
{
    struct arena_protobuf pb;
    Im__Inbound *m;
    struct id16 user;
    arena_reset(r->arena);
    if (id_from(rec->key.p, rec->key.n, &user))
        return -EBADMSG;
    int rc = codec_inbound(arena_protobuf_allocator(&pb, r->arena, UNPACK_BUDGET), rec->value, &m);
    if (rc)
        return rc;
    *in = (struct inbound){.rec = rec, .m = m, .trace = codec_slice(m->trace)};
    if (session_from_pb(m->session, &in->from))
        return -EBADMSG;
    if (!id_is_zero(in->from.user) && !id_eq(in->from.user, user))
        return -EBADMSG;
    in->by_operator = id_is_zero(in->from.user) && in->from.slot == UINT32_MAX && in->from.epoch == 0;
    in->from.user = user;
    return 0;
}

static enum core_rc core_step(void *ctx, const struct record *rec, int64_t now_ms, struct fx *fx)
{
    static const struct {
        router_verb *verb;
        const char *name;
    } verbs[] = {
        [IM__INBOUND__BODY_REGISTER_] = {route_register, "register"},
        [IM__INBOUND__BODY_LOOKUP] = {route_lookup, "lookup"},
        [IM__INBOUND__BODY_LOGIN] = {route_login, "login"},
        [IM__INBOUND__BODY_END] = {route_end, "end"},
        [IM__INBOUND__BODY_CHAT] = {route_chat, "chat"},
        [IM__INBOUND__BODY_PULL] = {route_pull, "pull"},
        [IM__INBOUND__BODY_RECEIPT] = {route_receipt, "receipt"},
        [IM__INBOUND__BODY_SIGNAL] = {route_signal, "signal"},
        [IM__INBOUND__BODY_REVOKE] = {route_revoke, "revoke"},
        [IM__INBOUND__BODY_PROFILE] = {route_profile, "profile"},
        [IM__INBOUND__BODY_PREFS] = {route_prefs, "prefs"},
        [IM__INBOUND__BODY_ADMIN] = {route_admin, "admin"},
        [IM__INBOUND__BODY_ERASE] = {route_erase, "erase"},
        [IM__INBOUND__BODY_REKEY] = {route_rekey, "rekey"},
    };
    struct router *r = ctx;
    struct inbound in;
    (void)now_ms;
    if (r->broken)
        return CORE_STOP;
    if (decode(r, rec, &in))
        return CORE_POISON;
    size_t kind = in.m->body_case;
    if (kind >= sizeof verbs / sizeof *verbs || !verbs[kind].verb)
        return CORE_POISON;
    in.account = (struct account *)rowcache_get(&r->accounts, ROUTER_ACCOUNT, rec->key);
    if (!in.account)
        return CORE_STOP; /* plan() was not asked */
    metric_add(metric_with(&records_by_verb, verbs[kind].name), 1);
    enum core_rc out = verbs[kind].verb(r, &in, fx);
    return r->broken ? CORE_STOP : out;
}

static void core_end(void *ctx, int64_t now_ms, struct fx *fx)
{
    struct router *r = ctx;
    (void)now_ms;
    deliver_flush(r->out, fx);
    rowcache_turn(&r->accounts);
}

/* A send that failed for good closes the core: nothing to do for the other outcomes. */
static void core_sent(void *ctx, uint64_t tag, enum sent outcome, struct fx *fx)
{
    struct router *r = ctx;
    if (outcome == SENT_OK)
        pending_sent(&r->pendings, tag, fx);
}

const struct core_ops router_core = {
    .open = core_open,
    .plan = core_plan,
    .load = core_load,
    .step = core_step,
    .end = core_end,
    .sent = core_sent,
    .close = core_close,
};
