#include "persister/rows.h"

#include <errno.h>

/* Big-endian, as the load statements of tables.c build them too. */

static uint8_t *put(uint8_t *p, struct slice s)
{
    if (s.n)
        memcpy(p, s.p, s.n);
    return p + s.n;
}

static uint8_t *w64(uint8_t *p, uint64_t v)
{
    for (int i = 7; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
    return p + 8;
}

static uint8_t *w32(uint8_t *p, uint32_t v)
{
    for (int i = 3; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
    return p + 4;
}

static uint8_t *w16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
    return p + 2;
}

static uint64_t rd(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    while (n--)
        v = v << 8 | *p++;
    return v;
}

#define ACCOUNT_HEAD 60
#define DEVICE_HEAD  20
#define PREFS_HEAD   10

struct slice account_row_pack(struct fx *fx, const struct account_row *a)
{
    size_t n = ACCOUNT_HEAD + a->login.n + a->display_name.n;
    uint8_t *row = fx_alloc(fx, n), *p = row;
    p = w64(p, (uint64_t)a->token_generation);
    p = w64(p, (uint64_t)a->source_offset);
    p = w64(p, (uint64_t)a->registered_ms);
    p = w64(p, (uint64_t)a->seen_ms);
    p = w64(p, (uint64_t)a->profile_offset);
    p = w64(p, (uint64_t)a->admin_offset);
    p = w32(p, (uint32_t)a->source_part);
    p = w16(p, a->presence);
    p = w16(p, a->admin);
    p = w32(p, (uint32_t)a->login.n);
    put(put(p, a->login), a->display_name);
    return (struct slice){row, n};
}

int account_row_parse(struct slice s, struct account_row *a)
{
    const uint8_t *p = s.p;
    uint32_t login_n = s.n >= ACCOUNT_HEAD ? (uint32_t)rd(p + 56, 4) : 0;
    if (s.n < ACCOUNT_HEAD || login_n > s.n - ACCOUNT_HEAD)
        return -EBADMSG;
    a->token_generation = (int64_t)rd(p, 8);
    a->source_offset = (int64_t)rd(p + 8, 8);
    a->registered_ms = (int64_t)rd(p + 16, 8);
    a->seen_ms = (int64_t)rd(p + 24, 8);
    a->profile_offset = (int64_t)rd(p + 32, 8);
    a->admin_offset = (int64_t)rd(p + 40, 8);
    a->source_part = (int32_t)rd(p + 48, 4);
    a->presence = (uint16_t)rd(p + 52, 2);
    a->admin = (uint16_t)rd(p + 54, 2);
    a->login = (struct slice){p + ACCOUNT_HEAD, login_n};
    a->display_name = (struct slice){p + ACCOUNT_HEAD + login_n, s.n - ACCOUNT_HEAD - login_n};
    return 0;
}

struct slice device_row_pack(struct fx *fx, const struct device_row *d)
{
    size_t n = DEVICE_HEAD + d->device_id.n + d->device_class.n;
    uint8_t *row = fx_alloc(fx, n), *p = row;
    p = w64(p, (uint64_t)d->added_ms);
    p = w64(p, (uint64_t)d->dropped_ms);
    p = w32(p, (uint32_t)d->device_id.n);
    put(put(p, d->device_id), d->device_class);
    return (struct slice){row, n};
}

int device_row_parse(struct slice s, struct device_row *d)
{
    const uint8_t *p = s.p;
    uint32_t id_n = s.n >= DEVICE_HEAD ? (uint32_t)rd(p + 16, 4) : 0;
    if (s.n < DEVICE_HEAD || id_n > s.n - DEVICE_HEAD)
        return -EBADMSG;
    d->added_ms = (int64_t)rd(p, 8);
    d->dropped_ms = (int64_t)rd(p + 8, 8);
    d->device_id = (struct slice){p + DEVICE_HEAD, id_n};
    d->device_class = (struct slice){p + DEVICE_HEAD + id_n, s.n - DEVICE_HEAD - id_n};
    return 0;
}

struct slice prefs_row_pack(struct fx *fx, const struct prefs_row *r)
{
    uint8_t *row = fx_alloc(fx, PREFS_HEAD + r->remark.n), *p = row;
    p = w64(p, (uint64_t)r->source_offset);
    *p++ = r->pinned;
    *p++ = r->muted;
    put(p, r->remark);
    return (struct slice){row, PREFS_HEAD + r->remark.n};
}

int prefs_row_parse(struct slice s, struct prefs_row *r)
{
    const uint8_t *p = s.p;
    if (s.n < PREFS_HEAD)
        return -EBADMSG;
    r->source_offset = (int64_t)rd(p, 8);
    r->pinned = p[8];
    r->muted = p[9];
    r->remark = (struct slice){p + PREFS_HEAD, s.n - PREFS_HEAD};
    return 0;
}

struct slice verifier_row_pack(struct fx *fx, uint32_t master_key, struct slice verifier)
{
    uint8_t *row = fx_alloc(fx, 4 + verifier.n);
    put(w32(row, master_key), verifier);
    return (struct slice){row, 4 + verifier.n};
}

void device_key(struct id16 user, uint32_t device, uint8_t out[KEY_DEVICE])
{
    memcpy(out, user.b, ID_SIZE);
    w32(out + ID_SIZE, device);
}

int device_key_parse(struct slice key, struct id16 *user, uint32_t *device)
{
    if (key.n != KEY_DEVICE)
        return -EBADMSG;
    memcpy(user->b, key.p, ID_SIZE);
    *device = (uint32_t)rd((const uint8_t *)key.p + ID_SIZE, 4);
    return 0;
}

int verifier_row_parse(struct slice row, uint32_t *master_key, struct slice *verifier)
{
    if (row.n < 4)
        return -EBADMSG;
    *master_key = (uint32_t)rd(row.p, 4);
    *verifier = (struct slice){(const uint8_t *)row.p + 4, row.n - 4};
    return 0;
}

struct slice erased_row_pack(struct fx *fx, const struct erased_row *e)
{
    uint8_t *row = fx_alloc(fx, 16);
    w64(w64(row, (uint64_t)e->source_offset), (uint64_t)e->erased_ms);
    return (struct slice){row, 16};
}

int erased_row_parse(struct slice s, struct erased_row *e)
{
    const uint8_t *p = s.p;
    if (s.n != 16)
        return -EBADMSG;
    *e = (struct erased_row){(int64_t)rd(p, 8), (int64_t)rd(p + 8, 8)};
    return 0;
}
