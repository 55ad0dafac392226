/* outgoing.c: what the application wants to send or do, checked and packed for the outbox. */
#include "client/lib/client.h"
#include "common/base/arena_protobuf.h"
#include "common/base/clock.h"
#include "common/base/utf8.h"
#include "common/im/validate.h"

#include <errno.h>

#define CHECK_BUDGET (1 << 20)

static void ids_of(ProtobufCBinaryData *out, const uint8_t (*v)[PARLEY_ID], size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = bytes_of(v[i], PARLEY_ID);
}

int packed_check(uint16_t frame, bool numbered, const void *body, size_t n)
{
    struct arena_protobuf pb;
    struct arena *arena = arena_new(0);
    uint8_t *whole = malloc(n + 2);
    struct validity v = {IM__CODE__INTERNAL, ""};
    ProtobufCMessage *m;
    if (arena && whole) {
        size_t head = numbered ? 2 : 0; /* any number will do */
        whole[0] = 1 << 3;
        whole[1] = 1;
        memcpy(whole + head, body, n);
        v = validate_decode(frame, (struct slice){whole, n + head},
                            arena_protobuf_allocator(&pb, arena, CHECK_BUDGET), &m);
    }
    free(whole);
    arena_free(arena);
    return v.code == IM__CODE__OK ? 0 : v.code == IM__CODE__INTERNAL ? -ENOMEM : -EINVAL;
}

static int64_t queue(struct parley *p, uint16_t frame, enum parley_kind kind, const char *to,
                     const ProtobufCMessage *m, bool checked)
{
    if (p->outbox.n >= p->opt.queue_max)
        return -ENOBUFS;
    size_t n = protobuf_c_message_get_packed_size(m);
    uint8_t *body = malloc(n + 1);
    if (!body)
        return -ENOMEM;
    protobuf_c_message_pack(m, body);
    struct outgoing o = {
        .frame = frame, .kind = (uint16_t)kind, .to = text_or(to), .body = body, .body_n = n};
    int rc = checked ? 0 : packed_check(frame, true, body, n);
    const struct out *e = rc ? NULL : outbox_add(&p->outbox, &o, 0, 0);
    free(body);
    if (!e)
        return rc ? rc : -ENOMEM;
    p->poked = true;
    if (!p->dirty)
        p->save_by = clock_mono_ms();
    p->dirty = true;
    return (int64_t)e->id;
}

static int check_message(const struct parley_outgoing *o)
{
    bool text = o->text && o->text_n, data = o->content_type && *o->content_type, to = o->to && *o->to;
    if (to + !!o->to_user + !!o->conversation != 1 || text == data || (!data && o->data_n) ||
        (o->mentions_n && !o->conversation) || o->mentions_n > PARLEY_USERS_MAX || o->reply_to > INT64_MAX)
        return -EINVAL;
    if (o->text_n > PARLEY_TEXT_MAX || o->data_n > PARLEY_TEXT_MAX || (data && strlen(o->content_type) > 128))
        return -EMSGSIZE;
    if ((text && !utf8_valid(o->text, o->text_n)) ||
        (to && (strlen(o->to) > 256 || !utf8_valid(o->to, strlen(o->to)))) ||
        (data && !utf8_valid(o->content_type, strlen(o->content_type))))
        return -EINVAL;
    return 0;
}

int64_t parley_send(struct parley *p, const struct parley_outgoing *o)
{
    ProtobufCBinaryData mentions[PARLEY_USERS_MAX];
    int rc = check_message(o);
    char *text = rc || !o->text_n ? NULL : strndup(o->text, o->text_n);
    if (rc || (o->text_n && !text))
        return rc ? rc : -ENOMEM;
    int64_t id;
    if (o->conversation) {
        Im__GroupChat m = IM__GROUP_CHAT__INIT;
        m.conversation = bytes_of(o->conversation, PARLEY_ID);
        m.text = string_of(text);
        m.content_type = string_of(o->content_type);
        m.data = bytes_of(o->data, o->data_n);
        m.reply_to = o->reply_to;
        ids_of(mentions, o->mentions, o->mentions_n);
        m.mentions = mentions;
        m.n_mentions = o->mentions_n;
        id = queue(p, IM__FRAME_TYPE__GROUP_CHAT, PARLEY_MESSAGE, "", &m.base, true);
    } else {
        Im__SingleChat m = IM__SINGLE_CHAT__INIT;
        m.to = string_of(o->to);
        m.to_user = bytes_of(o->to_user, PARLEY_ID);
        m.text = string_of(text);
        m.content_type = string_of(o->content_type);
        m.data = bytes_of(o->data, o->data_n);
        m.reply_to = o->reply_to;
        id = queue(p, IM__FRAME_TYPE__SINGLE_CHAT, PARLEY_MESSAGE, o->to, &m.base, true);
    }
    free(text);
    return id;
}

int64_t parley_send_text(struct parley *p, const char *to, const char *text)
{
    struct parley_outgoing o = {.to = to, .text = text, .text_n = text ? strlen(text) : 0};
    return parley_send(p, &o);
}

int64_t parley_send_group(struct parley *p, const uint8_t *conversation, const char *text)
{
    struct parley_outgoing o = {
        .conversation = conversation, .text = text, .text_n = text ? strlen(text) : 0};
    return parley_send(p, &o);
}

int64_t parley_do(struct parley *p, const struct parley_op *o)
{
    ProtobufCBinaryData users[PARLEY_USERS_MAX];
    char *logins[PARLEY_USERS_MAX];
    if (o->users_n > PARLEY_USERS_MAX || o->logins_n > PARLEY_USERS_MAX - o->users_n)
        return -EINVAL;
    if (strlen(text_or(o->text)) > PARLEY_TEXT_MAX || o->data_n > PARLEY_TEXT_MAX)
        return -EMSGSIZE;
    if (o->kind == PARLEY_ANNOUNCEMENT) {
        Im__Announce m = IM__ANNOUNCE__INIT;
        m.text = string_of(o->text);
        return queue(p, IM__FRAME_TYPE__ANNOUNCE, o->kind, "", &m.base, false);
    }
    Im__ConvOp m = IM__CONV_OP__INIT;
    m.kind = (Im__ConvKind)o->kind;
    m.conversation = bytes_of(o->conversation, PARLEY_ID);
    m.to = string_of(o->to);
    m.to_user = bytes_of(o->to_user, PARLEY_ID);
    m.target = o->target;
    m.text = string_of(o->text);
    m.content_type = string_of(o->content_type);
    m.data = bytes_of(o->data, o->data_n);
    ids_of(users, o->users, o->users_n);
    m.users = users;
    m.n_users = o->users_n;
    for (size_t i = 0; i < o->logins_n; i++)
        logins[i] = string_of(o->logins[i]);
    m.logins = logins;
    m.n_logins = o->logins_n;
    m.role = (Im__Role)o->role;
    m.flags = o->flags;
    m.flags_mask = o->flags_mask;
    m.duration_s = o->duration_s;
    return queue(p, IM__FRAME_TYPE__CONV_OP, o->kind, o->to, &m.base, false);
}
