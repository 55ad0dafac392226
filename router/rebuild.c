#include "router/rebuild.h"

#include "common/base/arena_protobuf.h"
#include "common/base/krebuild.h"
#include "common/im/codec.h"
#include "common/im/topics.h"
#include "router/account.h"

#include <errno.h>
#include <stdlib.h>

#define UNPACK_BUDGET (1 << 20)

struct rebuild {
    uint32_t slice, slices;
    int64_t committed;
    struct rowcache accounts; /* all of the slice: nothing leaves */
    struct row *next;         /* to be given */
    bool giving;
    struct arena *arena;
    struct bytes row;
};

static void free_row(struct row *r)
{
    account_free((struct account *)r);
}

struct rebuild *rebuild_new(uint32_t slice, uint32_t slices, int64_t committed)
{
    struct rebuild *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->slice = slice;
    b->slices = slices;
    b->committed = committed;
    b->arena = arena_new(0);
    rowcache_init(&b->accounts, SIZE_MAX, free_row);
    if (!b->arena) {
        rebuild_free(b);
        return NULL;
    }
    return b;
}

void rebuild_free(struct rebuild *b)
{
    if (!b)
        return;
    rowcache_release(&b->accounts);
    arena_free(b->arena);
    bytes_release(&b->row);
    free(b);
}

static struct account *account_of(struct rebuild *b, struct id16 user, bool make)
{
    if (krebuild_slice(slice_id(&user), b->slices) != b->slice)
        return NULL;
    struct row *r = rowcache_get(&b->accounts, 0, slice_id(&user));
    if (!r && make) {
        struct account *a = account_new(user);
        rowcache_add(&b->accounts, 0, slice_id(&user), &a->row, sizeof *a);
        r = &a->row;
    }
    return (struct account *)r;
}

static void registered(struct account *a, const Im__UserRecord *u)
{
    if (a->exists)
        return; /* the same record again */
    a->exists = true;
    snprintf(a->login, sizeof a->login, "%s", u->login);
    a->registered_part = u->source_part;
    a->registered_at = u->source_offset;
    a->generation = u->token_generation;
}

static void apply_user(struct account *a, const Im__UserRecord *u)
{
    if (a->erased && u->kind != IM__USER_KIND__USER_REGISTERED && u->kind != IM__USER_KIND__USER_ERASED)
        return; /* of before, and came again */
    switch (u->kind) {
    case IM__USER_KIND__USER_REGISTERED:
        registered(a, u);
        break;
    case IM__USER_KIND__USER_DEVICE_ADDED:
        if (a->n_devices < ACCOUNT_DEVICES_TOP && u->device >= a->next_device)
            account_add_device(a, u->device, u->device_id, u->device_class, u->source_offset);
        break;
    case IM__USER_KIND__USER_DEVICE_DROPPED:
        account_drop_device(a, u->device);
        break;
    case IM__USER_KIND__USER_TOKENS_REVOKED:
        a->generation = u->token_generation;
        a->revoked_at = u->source_offset;
        a->kept_login = u->login_offset;
        break;
    case IM__USER_KIND__USER_ADMIN:
        a->admin = u->admin;
        break;
    case IM__USER_KIND__USER_SEEN:
        a->seen_ms = u->time_ms;
        break;
    case IM__USER_KIND__USER_ERASED:
        account_erase(a, u->source_offset);
        break;
    default:
        break;
    }
}

/* What is destroyed stays so, whatever of before is repeated: no key is taken again. */
static void apply_vault(struct account *a, const Im__VaultRecord *v)
{
    if (a->erased)
        return;
    a->erased = v->erased;
    account_set_verifier(a, codec_slice(v->verifier));
    account_clear_keys(a);
    for (size_t i = 0; i < v->n_keys; i++)
        account_add_key(a, codec_slice(v->keys[i]->sealed), v->keys[i]->since);
}

int rebuild_feed(struct rebuild *b, const struct record *rec)
{
    struct arena_protobuf pb;
    arena_reset(b->arena);
    ProtobufCAllocator *alloc = arena_protobuf_allocator(&pb, b->arena, UNPACK_BUDGET);
    Im__UserRecord *u = NULL;
    Im__VaultRecord *v = NULL;
    if (rec->value.n == 0)
        return 0;
    int rc = rec->topic == T_USER ? codec_user(alloc, rec->value, &u) : codec_vault(alloc, rec->value, &v);
    if (rc)
        return rc == -ENOTSUP ? rc : 0;
    if (u && u->source_offset >= b->committed)
        return 0;
    struct account *a = account_of(b, codec_id(u ? u->user : v->user), true);
    if (a && u)
        apply_user(a, u);
    else if (a)
        apply_vault(a, v);
    return 0;
}

static void one_session(void *ctx, const struct session *s)
{
    struct account *a = account_of(ctx, s->user, false);
    struct account_device *d = a ? account_device(a, s->device) : NULL;
    if (!d)
        return;
    if (!d->on || s->login_offset > d->session.login_offset) {
        d->has_stale = d->on;
        d->stale = d->session;
        d->on = true;
        d->session = *s;
    } else if (!d->has_stale || s->login_offset > d->stale.login_offset) {
        d->has_stale = true;
        d->stale = *s;
    }
}

void rebuild_sessions(struct rebuild *b, const struct presence *p, const struct lease *l)
{
    for (uint32_t slot = 0; slot < lease_slots(l); slot++)
        presence_each(p, slot, one_session, b);
}

bool rebuild_row(struct rebuild *b, struct slice *key, struct slice *row)
{
    if (!b->giving) {
        b->giving = true;
        b->next = b->accounts.oldest;
    }
    if (!b->next)
        return false;
    const struct account *a = (const struct account *)b->next;
    bytes_clear(&b->row);
    account_pack(a, &b->row);
    *key = slice_id(&a->user);
    *row = bytes_slice(&b->row);
    b->next = b->next->newer;
    return bytes_ok(&b->row);
}
