/* The payloads that tell what happened in a conversation. Encoded by hand: the texts are slices of the record, not C
 * strings. Empty ones and zeros are left out, as proto3 does; fields in ascending order, as protobuf-c does. */
#include "common/im/bodykeys.h"
#include "common/im/push.h"
#include "common/im/wire.h"

#include <stdlib.h>

static uint8_t *put_bytes_always(uint8_t *p, uint32_t id, const void *from, size_t n)
{
    p = wire_put_varint(p, (uint64_t)id << 3 | WIRE_BYTES);
    p = wire_put_varint(p, n);
    return wire_put(p, from, n);
}

static uint8_t *put_bytes(uint8_t *p, uint32_t id, const void *from, size_t n)
{
    return n == 0 ? p : put_bytes_always(p, id, from, n);
}

static uint8_t *put_slice(uint8_t *p, uint32_t id, struct slice s)
{
    return put_bytes(p, id, s.p, s.n);
}

static uint8_t *put_id(uint8_t *p, uint32_t id, const struct id16 *v)
{
    return id_is_zero(*v) ? p : put_bytes(p, id, v->b, ID_SIZE);
}

static uint8_t *put_number(uint8_t *p, uint32_t id, uint64_t v)
{
    return v == 0 ? p : wire_put_varint(wire_put_varint(p, (uint64_t)id << 3 | WIRE_VARINT), v);
}

static uint8_t *room(struct fx *fx, size_t n)
{
    uint8_t *p = fx_alloc(fx, n);
    if (!p)
        abort(); /* a push that is left out would be a lie */
    return p;
}

#define PER_ID     (ID_SIZE + 3)
#define PER_NUMBER 12
#define PER_TEXT   12

static size_t users_room(const struct convrec *r)
{
    size_t n = r->event.users.n / ID_SIZE * (PER_ID + PER_TEXT);
    for (size_t i = 0; i < r->n_logins; i++)
        n += r->logins[i].n;
    return n;
}

/* Nothing marked: none is left out (mentions; an outcome that was recovered without its marks). */
static bool told(const struct conv_outcome *o, size_t i)
{
    return (o->changed[0] | o->changed[1]) == 0 || (o->changed[i / 64] >> i % 64 & 1);
}

static uint8_t *put_users(uint8_t *p, uint32_t id, const struct convrec *r, const struct conv_outcome *o)
{
    const uint8_t *users = r->event.users.p;
    size_t n = r->event.users.n / ID_SIZE;
    for (size_t i = 0; i < n; i++)
        if (told(o, i))
            p = put_bytes(p, id, users + i * ID_SIZE, ID_SIZE);
    for (size_t i = 0; i < r->n_logins; i++)
        if (told(o, i))
            p = put_bytes_always(p, id + 1, r->logins[i].p, r->logins[i].n);
    return p;
}

/* The one who is not the sender; a record that names the conversation by its id does not say. */
static struct id16 peer_of(const struct conv *c, const struct convrec *r)
{
    struct id16 pair[2], none = {{0}};
    size_t n = c && id_is_zero(r->event.peer) ? conv_pair(c, pair) : 0;
    return !id_is_zero(r->event.peer)                ? r->event.peer
           : n == 0                                  ? none
           : n == 2 && id_eq(pair[0], r->event.user) ? pair[1]
                                                     : pair[0];
}

struct slice push_chat(struct fx *fx, const struct conv *c, const struct convrec *r,
                       const struct conv_outcome *o)
{
    const struct convrec_body *b = &r->body;
    bool group = c && conv_type(c) == CONV_GROUP;
    struct id16 peer = peer_of(c, r);
    uint8_t *out = room(fx, 4 * PER_ID + 12 * PER_NUMBER + 5 * PER_TEXT + r->user_login.n + r->peer_login.n +
                                b->text.n + b->content_type.n + b->data.n + users_room(r));
    uint8_t *p = put_id(out, 1, &r->event.conv);
    p = put_number(p, 2, o->seq);
    p = put_id(p, 3, &r->event.user);
    p = put_slice(p, 4, r->user_login);
    p = put_number(p, 5, r->event.device);
    p = put_number(p, 6, r->event.client_seq);
    p = put_id(p, 7, &r->msg_id);
    p = put_number(p, 8, (uint64_t)o->time_ms);
    p = put_slice(p, 9, b->text);
    p = put_slice(p, 10, b->content_type);
    p = put_slice(p, 11, b->data);
    p = put_id(p, 12, &peer);
    p = put_slice(p, 13, r->peer_login);
    p = put_number(p, 14, r->event.kind);
    p = put_number(p, 15, group);
    p = put_number(p, 16, r->event.target);
    p = put_number(p, 17, r->event.reply_to);
    p = put_users(p, 18, r, o);
    p = put_number(p, 20, r->event.role);
    p = put_number(p, 21, group ? conv_flags(c) : 0);
    p = put_number(p, 22, (uint64_t)o->until_ms);
    p = put_number(p, 23, b->key_id == BODY_GONE);
    return (struct slice){out, (size_t)(p - out)};
}

struct slice push_note(struct fx *fx, const struct conv *c, const struct convrec *r,
                       const struct conv_outcome *o)
{
    uint8_t *out = room(fx, 2 * PER_ID + 2 * PER_NUMBER + 2 * PER_TEXT + r->user_login.n + r->body.text.n +
                                users_room(r));
    (void)c;
    uint8_t *p = put_id(out, 1, &r->event.conv);
    p = put_number(p, 2, r->event.kind);
    p = put_id(p, 3, &r->event.user);
    p = put_slice(p, 4, r->user_login);
    p = put_number(p, 5, (uint64_t)o->time_ms);
    p = put_slice(p, 6, r->body.text);
    p = put_users(p, 7, r, o);
    return (struct slice){out, (size_t)(p - out)};
}

struct slice push_receipt(struct fx *fx, const struct conv *c, const struct convrec *r,
                          const struct conv_outcome *o)
{
    uint8_t *out = room(fx, 2 * PER_ID + 5 * PER_NUMBER);
    uint8_t *p = put_id(out, 1, &r->event.conv);
    p = put_id(p, 2, &r->event.user);
    p = put_number(p, 3, r->event.device);
    p = put_number(p, 4, o->read);
    p = put_number(p, 5, o->delivered);
    p = put_number(p, 6, (uint64_t)o->time_ms);
    p = put_number(p, 7, c && conv_type(c) == CONV_GROUP);
    return (struct slice){out, (size_t)(p - out)};
}

struct slice push_typing(struct fx *fx, struct id16 conv, struct id16 user, struct slice login, bool stopped,
                         bool group)
{
    uint8_t *out = room(fx, 2 * PER_ID + PER_TEXT + login.n + 2 * PER_NUMBER);
    uint8_t *p = put_id(out, 1, &conv);
    p = put_id(p, 2, &user);
    p = put_slice(p, 3, login);
    p = put_number(p, 4, stopped);
    p = put_number(p, 5, group);
    return (struct slice){out, (size_t)(p - out)};
}
