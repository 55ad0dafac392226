#include "common/base/arena_protobuf.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/im/bodykeys.h"
#include "common/im/codec.h"
#include "common/im/dead.h"
#include "common/im/topics.h"
#include "common/im/traceid.h"
#include "persister/core.h"
#include "persister/rowmap.h"
#include "persister/rows.h"

#include <errno.h>
#include <stdlib.h>

#define UNPACK_BUDGET (256 << 10)

METRIC_COUNTER(accounts, "parley_persister_accounts_total", "Accounts registered.");
METRIC_COUNTER(odd, "parley_persister_odd_total", "Account records that contradict an earlier one.", "what");

struct pusers {
    struct bodykeys *bodies;
    int32_t part;
    struct arena *arena; /* of one record */
    struct rowmap *rows; /* of one batch */
};

static void pusers_close(void *core)
{
    struct pusers *p = core;
    if (!p)
        return;
    rowmap_free(p->rows);
    arena_free(p->arena);
    free(p);
}

static void *pusers_open(const struct core_open *o)
{
    const struct persister_settings *s = o->settings;
    struct pusers *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->bodies = s->bodies;
    p->part = o->part;
    p->arena = arena_new(0);
    p->rows = rowmap_new();
    if (!p->arena || !p->rows) {
        pusers_close(p);
        return NULL;
    }
    return p;
}

static enum core_rc judge(const struct pusers *p, const struct record *r, int rc)
{
    if (rc == -EBADMSG)
        return CORE_POISON;
    if (rc == 0)
        return CORE_OK;
    log_error("account record cannot be applied", log_int("part", p->part), log_int("offset", r->offset),
              traceid_log(dead_trace(r->topic, r->value)),
              log_str("why", "its version is newer than this program: upgrade it"));
    return CORE_STOP;
}

/* Puts the text that is sealed where the kind has it; what was erased stays empty. */
static enum core_rc open_text(struct pusers *p, const struct record *r, Im__UserRecord *u)
{
    const struct body_place at = {.user = codec_id(u->user), .client_seq = (uint64_t)u->source_offset};
    struct slice text;
    uint8_t *room = arena_alloc(p->arena, u->sealed.len + 1);
    if (!u->key_id || !p->bodies || !room)
        return CORE_OK;
    switch (bodykeys_open_text(p->bodies, &at, u->key_id, codec_slice(u->sealed), room, &text)) {
    case BODY_LATER:
        return CORE_LATER;
    case BODY_LOCKED:
        log_error("account record cannot be applied", log_int("part", p->part), log_int("offset", r->offset),
                  traceid_log(dead_trace(r->topic, r->value)),
                  log_str("why", "the user's key is sealed under a master key that is not in the ring"));
        return CORE_STOP;
    default:
        break;
    }
    room[text.n] = '\0';
    *(u->kind == IM__USER_KIND__USER_PREFS ? &u->remark : &u->display_name) = (char *)room;
    return CORE_OK;
}

static enum core_rc decode_user(struct pusers *p, const struct record *r, Im__UserRecord **out)
{
    struct arena_protobuf pb;
    arena_reset(p->arena);
    enum core_rc rc =
        judge(p, r, codec_user(arena_protobuf_allocator(&pb, p->arena, UNPACK_BUDGET), r->value, out));
    return rc ? rc : open_text(p, r, *out);
}

static enum core_rc decode_vault(struct pusers *p, const struct record *r, Im__VaultRecord **out)
{
    struct arena_protobuf pb;
    arena_reset(p->arena);
    return judge(p, r, codec_vault(arena_protobuf_allocator(&pb, p->arena, UNPACK_BUDGET), r->value, out));
}

/* The one row a record of im.user changes. */
static struct slice row_key(const Im__UserRecord *u, uint8_t key[KEY_PAIR], uint8_t *table)
{
    struct id16 user = codec_id(u->user);
    if (u->kind == IM__USER_KIND__USER_PREFS) {
        *table = P_PREFS;
        pair_key(user, codec_id(u->conversation), key);
        return (struct slice){key, KEY_PAIR};
    }
    if (u->kind == IM__USER_KIND__USER_DEVICE_ADDED || u->kind == IM__USER_KIND__USER_DEVICE_DROPPED) {
        *table = P_DEVICE;
        device_key(user, u->device, key);
        return (struct slice){key, KEY_DEVICE};
    }
    *table = P_ACCOUNT;
    memcpy(key, user.b, ID_SIZE);
    return (struct slice){key, ID_SIZE};
}

static enum core_rc pusers_plan(void *core, const struct record *r, struct want *want)
{
    struct pusers *p = core;
    if (r->topic == T_VAULT) {
        Im__VaultRecord *v;
        return r->value.n ? decode_vault(p, r, &v) : CORE_OK;
    }
    Im__UserRecord *u;
    enum core_rc rc = decode_user(p, r, &u);
    if (rc)
        return rc;
    uint8_t bytes[KEY_PAIR], table;
    struct slice key = row_key(u, bytes, &table), row;
    if (rowmap_get(p->rows, table, key, &row))
        return CORE_OK;
    want_add(want, table, key);
    return CORE_MORE;
}

static void pusers_load(void *core, uint8_t table, struct slice key, struct slice row)
{
    struct pusers *p = core;
    rowmap_set(p->rows, table, key, row);
}

static void write_row(struct pusers *p, struct fx *fx, uint8_t table, struct slice key, struct slice row)
{
    rowmap_set(p->rows, table, key, row);
    fx_put(fx, table, key, row);
}

static struct slice text(const char *s)
{
    return (struct slice){s, strlen(s)};
}

static void registered(struct pusers *p, struct fx *fx, const struct record *r, const Im__UserRecord *u,
                       struct slice key, struct slice old)
{
    struct account_row a;
    if (old.n &&
        account_row_parse(old, &a) == 0) { /* told again by a restarted router; the first one stays */
        if (a.source_part != u->source_part || a.source_offset != u->source_offset)
            metric_add(metric_with(&odd, "registered twice"), 1);
        return;
    }
    a = (struct account_row){
        .token_generation = (int64_t)u->token_generation,
        .source_part = u->source_part,
        .source_offset = u->source_offset,
        .registered_ms = r->time_ms,
        .profile_offset = u->source_offset,
        .admin_offset = u->source_offset,
        .presence = IM__PRIVACY__EVERYONE,
        .login = text(u->login),
        .display_name = text(u->display_name),
    };
    write_row(p, fx, P_ACCOUNT, key, account_row_pack(fx, &a));
    metric_add(&accounts, 1);
}

/* What is kept once is that of the newest record: they may come again, and an older one after a newer. False: there
 * is nothing to change. */
static bool change(struct account_row *a, const Im__UserRecord *u)
{
    struct account_row old = *a;
    switch (u->kind) {
    case IM__USER_KIND__USER_TOKENS_REVOKED:
        if (a->token_generation < (int64_t)u->token_generation)
            a->token_generation = (int64_t)u->token_generation;
        return a->token_generation != old.token_generation;
    case IM__USER_KIND__USER_SEEN:
        if (a->seen_ms < u->time_ms)
            a->seen_ms = u->time_ms;
        return a->seen_ms != old.seen_ms;
    case IM__USER_KIND__USER_ADMIN:
        if (u->source_offset <= a->admin_offset)
            return false;
        a->admin_offset = u->source_offset;
        a->admin = u->admin;
        return true;
    default:
        if (u->source_offset <= a->profile_offset)
            return false;
        a->profile_offset = u->source_offset;
        if (u->display_name[0])
            a->display_name = text(u->display_name);
        if (u->presence)
            a->presence = (uint16_t)u->presence;
        return true;
    }
}

static void changed(struct pusers *p, struct fx *fx, const Im__UserRecord *u, struct slice key,
                    struct slice old)
{
    struct account_row a;
    if (!old.n || account_row_parse(old, &a)) {
        metric_add(metric_with(&odd, "no account"), 1);
        return;
    }
    if (change(&a, u))
        write_row(p, fx, P_ACCOUNT, key, account_row_pack(fx, &a));
}

static bool marks(const Im__UserRecord *u, uint32_t mark)
{
    return u->mask == IM__PREFS_MARK__PREFS_ALL || (u->mask & mark);
}

static void prefs(struct pusers *p, struct fx *fx, const Im__UserRecord *u, struct slice key,
                  struct slice old)
{
    struct prefs_row r = {.remark = text("")};
    if (old.n && prefs_row_parse(old, &r) == 0 && r.source_offset >= u->source_offset)
        return;
    r.source_offset = u->source_offset;
    if (marks(u, IM__PREFS_MARK__PREFS_PINNED))
        r.pinned = u->pinned;
    if (marks(u, IM__PREFS_MARK__PREFS_MUTED))
        r.muted = u->muted;
    if (marks(u, IM__PREFS_MARK__PREFS_REMARK))
        r.remark = text(u->remark);
    write_row(p, fx, P_PREFS, key, prefs_row_pack(fx, &r));
}

static void device(struct pusers *p, struct fx *fx, const struct record *r, const Im__UserRecord *u,
                   struct slice key, struct slice old)
{
    struct device_row d = {
        .added_ms = r->time_ms, .device_id = text(u->device_id), .device_class = text(u->device_class)};
    bool known = old.n && device_row_parse(old, &d) == 0;
    if (u->kind == IM__USER_KIND__USER_DEVICE_DROPPED) {
        if (known && d.dropped_ms)
            return;
        d.dropped_ms = r->time_ms;
    } else if (known) {
        return; /* a number is given once */
    }
    write_row(p, fx, P_DEVICE, key, device_row_pack(fx, &d));
}

/* The rows that are not the account's own follow in SQL (schema/sql). */
static void erased(struct pusers *p, struct fx *fx, const Im__UserRecord *u, struct slice key,
                   struct slice old)
{
    struct account_row a;
    if (!old.n || account_row_parse(old, &a)) {
        metric_add(metric_with(&odd, "no account"), 1);
        return;
    }
    bool again = a.profile_offset == INT64_MAX;
    a.display_name = text("");
    a.presence = IM__PRIVACY__NOBODY;
    a.admin = false;
    a.seen_ms = 0;
    a.profile_offset = a.admin_offset = INT64_MAX; /* nothing sets them any more */
    write_row(p, fx, P_ACCOUNT, key, account_row_pack(fx, &a));
    /* The first one says when; a later one, perhaps of the same batch, only looks again. */
    uint8_t name[ID_SIZE + 1] = {0};
    memcpy(name, key.p, ID_SIZE);
    const struct erased_row row = {u->source_offset, u->time_ms};
    fx_put(fx, P_ERASED, (struct slice){name, ID_SIZE + again}, erased_row_pack(fx, &row));
}

static enum core_rc step_vault(struct pusers *p, const struct record *r, struct fx *fx)
{
    Im__VaultRecord *v;
    if (r->value.n == 0) { /* tombstone: the verifier is gone */
        if (r->key.n != ID_SIZE)
            return CORE_POISON;
        fx_put(fx, P_VERIFIER, r->key, (struct slice){0});
        return CORE_OK;
    }
    enum core_rc rc = decode_vault(p, r, &v);
    if (rc)
        return rc;
    struct id16 user = codec_id(v->user);
    fx_put(fx, P_VERIFIER, slice_id(&user),
           v->erased ? (struct slice){0} : verifier_row_pack(fx, v->master_key, codec_slice(v->verifier)));
    return CORE_OK;
}

static enum core_rc pusers_step(void *core, const struct record *r, int64_t now_ms, struct fx *fx)
{
    struct pusers *p = core;
    (void)now_ms;
    if (r->topic == T_VAULT)
        return step_vault(p, r, fx);
    Im__UserRecord *u;
    enum core_rc rc = decode_user(p, r, &u);
    if (rc)
        return rc;
    uint8_t bytes[KEY_PAIR], table;
    struct slice key = row_key(u, bytes, &table), old;
    if (!rowmap_get(p->rows, table, key, &old))
        return CORE_STOP;
    switch (u->kind) {
    case IM__USER_KIND__USER_REGISTERED:
        registered(p, fx, r, u, key, old);
        break;
    case IM__USER_KIND__USER_TOKENS_REVOKED:
    case IM__USER_KIND__USER_PROFILE:
    case IM__USER_KIND__USER_ADMIN:
    case IM__USER_KIND__USER_SEEN:
        changed(p, fx, u, key, old);
        break;
    case IM__USER_KIND__USER_ERASED:
        erased(p, fx, u, key, old);
        break;
    case IM__USER_KIND__USER_PREFS:
        prefs(p, fx, u, key, old);
        break;
    case IM__USER_KIND__USER_DEVICE_ADDED:
    case IM__USER_KIND__USER_DEVICE_DROPPED:
        device(p, fx, r, u, key, old);
        break;
    default:
        return CORE_POISON; /* the codec lets no other kind through */
    }
    return CORE_OK;
}

static void pusers_end(void *core, int64_t now_ms, struct fx *fx)
{
    struct pusers *p = core;
    (void)now_ms;
    (void)fx;
    rowmap_clear(p->rows);
}

const struct core_ops persister_users = {
    .open = pusers_open,
    .plan = pusers_plan,
    .load = pusers_load,
    .step = pusers_step,
    .end = pusers_end,
    .close = pusers_close,
};
