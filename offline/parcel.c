#include "offline/parcel.h"

#include "common/im/wire.h"

/* 0 (no ChatPush begins so), version, number of the key, sender, seq, conversation, how long the clear part is; the clear
 * part: all fields but the text, its type and the data; those, sealed. */
#define HEAD    (1 + 1 + 4 + ID_SIZE + 8 + ID_SIZE + 4)
#define VERSION 1
enum { F_CONV = 1, F_SEQ = 2, F_SENDER = 3, F_TEXT = 9, F_TYPE = 10, F_DATA = 11, F_KIND = 14 };

static const uint8_t erased_field[] = {0xb8, 0x01, 0x01}; /* 23: true */

struct parts { /* of a ChatPush */
    struct body_place at;
    uint64_t kind;
    uint8_t *rest, *own; /* room for all of it each */
    size_t rest_n, own_n;
    bool good;
};

static bool is_own(uint32_t id)
{
    return id == F_TEXT || id == F_TYPE || id == F_DATA;
}

static void take(struct slice push, struct parts *p, struct fx *fx)
{
    struct wire w = wire_of(push);
    struct wire_field f;
    *p = (struct parts){.rest = fx_alloc(fx, push.n + 1), .own = fx_alloc(fx, push.n + 1)};
    for (const uint8_t *from = w.p; wire_next(&w, &f); from = w.p) {
        size_t n = (size_t)(w.p - from);
        uint8_t *to = is_own(f.id) ? p->own + p->own_n : p->rest + p->rest_n;
        memcpy(to, from, n);
        *(is_own(f.id) ? &p->own_n : &p->rest_n) += n;
        if (f.id == F_CONV)
            id_from(f.bytes.p, f.bytes.n, &p->at.conv);
        else if (f.id == F_SENDER)
            id_from(f.bytes.p, f.bytes.n, &p->at.user);
        else if (f.id == F_SEQ)
            p->at.client_seq = f.number;
        else if (f.id == F_KIND)
            p->kind = f.number;
    }
    p->at.client_seq |= UINT64_C(1) << 63; /* no sealed Body has such a number */
    p->good = !w.bad && p->own_n && p->kind <= UINT32_MAX && body_is_own((uint32_t)p->kind);
}

static struct slice erased(struct slice rest, struct fx *fx)
{
    uint8_t *out = fx_alloc(fx, rest.n + sizeof erased_field);
    wire_put(wire_put(out, rest.p, rest.n), erased_field, sizeof erased_field);
    return (struct slice){out, rest.n + sizeof erased_field};
}

struct slice parcel_close(struct bodykeys *keys, struct slice push, struct fx *fx)
{
    struct parts p;
    if (!keys || push.n == 0)
        return push;
    take(push, &p, fx);
    uint8_t *out = fx_alloc(fx, HEAD + push.n + BODY_EXTRA);
    uint64_t key =
        p.good ? bodykeys_seal(keys, &p.at, (struct slice){p.own, p.own_n}, out + HEAD + p.rest_n) : 0;
    if (!key && p.good && bodykeys_erased(keys, p.at.user)) /* was on its way */
        return erased((struct slice){p.rest, p.rest_n}, fx);
    if (!key)
        return push;
    uint8_t *to = out;
    *to++ = 0;
    *to++ = VERSION;
    to = wire_put_be(to, key, 4);
    to = wire_put(to, p.at.user.b, ID_SIZE);
    to = wire_put_be(to, p.at.client_seq, 8);
    to = wire_put(to, p.at.conv.b, ID_SIZE);
    to = wire_put_be(to, p.rest_n, 4);
    wire_put(to, p.rest, p.rest_n);
    return (struct slice){out, HEAD + p.rest_n + p.own_n + BODY_EXTRA};
}

struct closed {
    struct body_place at;
    uint64_t key;
    struct slice rest, sealed;
};

static bool parse(struct slice parcel, struct closed *c)
{
    struct wire w = wire_of(parcel);
    *c = (struct closed){0};
    if (parcel.n == 0 || wire_be(&w, 1) != 0 || wire_be(&w, 1) != VERSION)
        return false;
    c->key = wire_be(&w, 4);
    struct slice user = wire_take(&w, ID_SIZE);
    c->at.client_seq = wire_be(&w, 8);
    struct slice conv = wire_take(&w, ID_SIZE);
    c->rest = wire_take(&w, wire_be(&w, 4));
    c->sealed = wire_take(&w, (uint64_t)(w.end - w.p));
    return !w.bad && id_from(user.p, user.n, &c->at.user) == 0 && id_from(conv.p, conv.n, &c->at.conv) == 0;
}

/* Somebody without a key, or a row of before. */
static struct slice open_clear(const struct bodykeys *keys, struct slice push, struct fx *fx)
{
    struct parts p;
    take(push, &p, fx);
    return p.good && bodykeys_erased(keys, p.at.user) ? erased((struct slice){p.rest, p.rest_n}, fx) : push;
}

struct slice parcel_open(struct bodykeys *keys, struct slice parcel, struct fx *fx)
{
    struct closed c;
    struct slice own;
    if (!keys)
        return parcel;
    if (!parse(parcel, &c))
        return open_clear(keys, parcel, fx);
    uint8_t *out = fx_alloc(fx, c.rest.n + c.sealed.n);
    wire_put(out, c.rest.p, c.rest.n);
    if (bodykeys_unseal(keys, &c.at, c.key, c.sealed, out + c.rest.n, &own) != BODY_OK)
        return erased(c.rest, fx);
    return (struct slice){out, c.rest.n + own.n};
}

bool parcel_waits(struct bodykeys *keys, struct slice parcel)
{
    struct closed c;
    if (!keys || !parse(parcel, &c))
        return false;
    enum bodykeys_rc rc = bodykeys_look_key(keys, c.at.user, c.key);
    return rc == BODY_LATER || rc == BODY_LOCKED;
}
