#include "router/account.h"

#include "common/base/reader.h"

#include <errno.h>
#include <stdlib.h>

/* 1: no admin, seen_ms, kept_login. 2: no erased, no keys. What is new is at the end. */
#define ROW_VERSION 3

enum { DEVICE_ON = 1, DEVICE_STALE = 2 };

static void *must(void *p)
{
    if (!p)
        abort(); /* some hundred bytes: nothing sensible is left to do */
    return p;
}

struct account *account_new(struct id16 user)
{
    struct account *a = must(calloc(1, sizeof *a));
    a->user = user;
    a->next_device = 1;
    a->generation = 1;
    return a;
}

void account_free(struct account *a)
{
    if (!a)
        return;
    account_clear_keys(a);
    free(a->verifier);
    free(a->devices);
    free(a);
}

size_t account_bytes(const struct account *a)
{
    return sizeof *a + a->verifier_n + a->n_keys * sizeof *a->keys + a->n_devices * sizeof *a->devices + 64;
}

void account_set_verifier(struct account *a, struct slice v)
{
    free(a->verifier);
    a->verifier = NULL;
    a->verifier_n = v.n;
    if (v.n)
        memcpy(a->verifier = must(malloc(v.n)), v.p, v.n);
}

void account_add_key(struct account *a, struct slice sealed, int64_t since)
{
    if (a->n_keys == CODEC_BODY_KEYS || sealed.n != BODY_KEY_SEALED)
        return;
    struct account_key *to = must(calloc(a->n_keys + 1, sizeof *to)); /* no copy of a key is left behind */
    for (size_t i = 0; i < a->n_keys; i++)
        to[i] = a->keys[i];
    to[a->n_keys].since = since;
    memcpy(to[a->n_keys].sealed, sealed.p, sealed.n);
    size_t n = a->n_keys + 1;
    account_clear_keys(a);
    a->keys = to;
    a->n_keys = n;
}

void account_clear_keys(struct account *a)
{
    if (a->keys)
        secret_wipe(a->keys, a->n_keys * sizeof *a->keys);
    free(a->keys);
    a->keys = NULL;
    a->n_keys = 0;
}

void account_vault(const struct account *a, Im__VaultRecord *v, Im__BodyKey *keys, Im__BodyKey **list)
{
    v->version = CODEC_VERSION;
    v->user = codec_bytes(slice_id(&a->user));
    v->verifier = codec_bytes(slice_of(a->verifier, a->verifier_n));
    v->master_key = secret_sealed_by(slice_of(a->verifier, a->verifier_n));
    v->erased = a->erased;
    v->keys = list;
    v->n_keys = a->n_keys;
    for (size_t i = 0; i < a->n_keys; i++) {
        im__body_key__init(&keys[i]);
        keys[i].id = i + 1;
        keys[i].sealed = codec_bytes(slice_of(a->keys[i].sealed, sizeof a->keys[i].sealed));
        keys[i].since = a->keys[i].since;
        list[i] = &keys[i];
    }
}

void account_erase(struct account *a, int64_t offset)
{
    a->erased =
        true; /* the same whatever was before: records that come again are refused, once this is known */
    a->admin = false;
    a->generation = a->kept_login = 0;
    a->revoked_at = offset;
    a->seen_ms = 0;
    a->next_device = 1;
    a->n_devices = 0;
    account_set_verifier(a, (struct slice){NULL, 0});
    account_clear_keys(a);
}

struct account_device *account_device(struct account *a, uint32_t number)
{
    for (size_t i = 0; i < a->n_devices; i++)
        if (a->devices[i].number == number)
            return &a->devices[i];
    return NULL;
}

struct account_device *account_device_by_id(struct account *a, const char *id)
{
    for (size_t i = 0; i < a->n_devices; i++)
        if (strcmp(a->devices[i].id, id) == 0)
            return &a->devices[i];
    return NULL;
}

struct account_device *account_device_at(struct account *a, const struct session *connection)
{
    for (size_t i = 0; i < a->n_devices; i++)
        if (a->devices[i].on && session_same_connection(&a->devices[i].session, connection))
            return &a->devices[i];
    return NULL;
}

struct account_device *account_add_device(struct account *a, uint32_t number, const char *id,
                                          const char *class, int64_t added_at)
{
    struct account_device *d = account_device(a, number);
    if (d)
        return d;
    a->devices = must(realloc(a->devices, (a->n_devices + 1) * sizeof *a->devices));
    size_t at = a->n_devices++;
    for (; at > 0 && a->devices[at - 1].number > number; at--)
        a->devices[at] = a->devices[at - 1];
    d = &a->devices[at];
    *d = (struct account_device){.number = number, .added_at = added_at};
    snprintf(d->id, sizeof d->id, "%s", id);
    snprintf(d->class, sizeof d->class, "%s", class);
    if (a->next_device <= number)
        a->next_device = number + 1;
    return d;
}

void account_drop_device(struct account *a, uint32_t number)
{
    struct account_device *d = account_device(a, number);
    if (!d)
        return;
    size_t at = (size_t)(d - a->devices);
    memmove(d, d + 1, (a->n_devices - at - 1) * sizeof *d);
    a->n_devices--;
}

static void put_str8(struct bytes *out, const char *s)
{
    size_t n = strlen(s);
    bytes_u8(out, (uint8_t)n);
    bytes_put(out, s, n);
}

static void put_session(struct bytes *out, const struct session *s)
{
    bytes_be32(out, s->slot);
    bytes_be64(out, s->epoch);
    bytes_be32(out, s->handle);
    bytes_be64(out, s->login_offset);
}

static void take_session(struct reader *r, const struct account *a, uint32_t device, struct session *s)
{
    s->user = a->user;
    s->device = device;
    s->slot = reader_be32(r);
    s->epoch = reader_be64(r);
    s->handle = reader_be32(r);
    s->login_offset = reader_be64(r);
}

void account_pack(const struct account *a, struct bytes *out)
{
    bytes_u8(out, ROW_VERSION);
    bytes_u8(out, a->exists);
    put_str8(out, a->login);
    put_str8(out, ""); /* was the name that is shown: nobody needs it here */
    bytes_be32(out, (uint32_t)a->registered_part);
    bytes_be64(out, (uint64_t)a->registered_at);
    bytes_be64(out, a->generation);
    bytes_be64(out, (uint64_t)a->revoked_at);
    bytes_be32(out, a->next_device);
    bytes_be16(out, (uint16_t)a->verifier_n);
    bytes_put(out, a->verifier, a->verifier_n);
    bytes_u8(out, (uint8_t)a->n_devices);
    for (size_t i = 0; i < a->n_devices; i++) {
        const struct account_device *d = &a->devices[i];
        bytes_be32(out, d->number);
        put_str8(out, d->id);
        put_str8(out, d->class);
        bytes_be64(out, (uint64_t)d->added_at);
        bytes_u8(out, (uint8_t)((d->on ? DEVICE_ON : 0) | (d->has_stale ? DEVICE_STALE : 0)));
        if (d->on)
            put_session(out, &d->session);
        if (d->has_stale)
            put_session(out, &d->stale);
    }
    bytes_u8(out, a->admin);
    bytes_be64(out, (uint64_t)a->seen_ms);
    bytes_be64(out, a->kept_login);
    bytes_u8(out, a->erased);
    bytes_u8(out, (uint8_t)a->n_keys);
    for (size_t i = 0; i < a->n_keys; i++) {
        bytes_be64(out, (uint64_t)a->keys[i].since);
        bytes_put(out, a->keys[i].sealed, sizeof a->keys[i].sealed);
    }
}

static void take_keys(struct reader *r, struct account *a)
{
    for (uint8_t n = reader_u8(r); n > 0 && !r->bad; n--) {
        int64_t since = (int64_t)reader_be64(r);
        struct slice sealed = reader_take(r, BODY_KEY_SEALED);
        if (!r->bad)
            account_add_key(a, sealed, since);
    }
}

static void take_device(struct reader *r, struct account *a)
{
    char id[DEVICE_ID_MAX + 1], class[DEVICE_CLASS_MAX + 1];
    uint32_t number = reader_be32(r);
    reader_str8(r, id, sizeof id);
    reader_str8(r, class, sizeof class);
    int64_t added_at = (int64_t)reader_be64(r);
    uint8_t flags = reader_u8(r);
    if (r->bad)
        return;
    struct account_device *d = account_add_device(a, number, id, class, added_at);
    d->on = flags & DEVICE_ON;
    d->has_stale = flags & DEVICE_STALE;
    if (d->on)
        take_session(r, a, number, &d->session);
    if (d->has_stale)
        take_session(r, a, number, &d->stale);
}

int account_unpack(struct account *a, struct slice row)
{
    struct reader r = reader_of(row);
    uint8_t version = reader_u8(&r);
    if (!r.bad && version > ROW_VERSION)
        return -ENOTSUP;
    if (version == 0)
        return -EBADMSG;
    a->exists = reader_u8(&r);
    reader_str8(&r, a->login, sizeof a->login);
    reader_take(&r, reader_u8(&r));
    a->registered_part = (int32_t)reader_be32(&r);
    a->registered_at = (int64_t)reader_be64(&r);
    a->generation = reader_be64(&r);
    a->revoked_at = (int64_t)reader_be64(&r);
    a->next_device = reader_be32(&r);
    account_set_verifier(a, reader_take(&r, reader_be16(&r)));
    for (uint8_t n = reader_u8(&r); n > 0 && !r.bad; n--)
        take_device(&r, a);
    if (version >= 2) {
        a->admin = reader_u8(&r);
        a->seen_ms = (int64_t)reader_be64(&r);
        a->kept_login = reader_be64(&r);
    }
    if (version >= 3) {
        a->erased = reader_u8(&r);
        take_keys(&r, a);
    }
    return reader_done(&r) ? 0 : -EBADMSG;
}
