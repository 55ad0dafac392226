/* validate_conv.c: what is done in conversations. CONV_OP has a table: which fields a kind needs, and that no others are set. */
#include "common/im/validate_int.h"

#include "common/base/macros.h"

static struct validity numbered(uint64_t client_seq)
{
    return client_seq >= 1 && number_ok(client_seq) ? GOOD : BAD("client_seq");
}

/* The other of two: by name or by id. */
static struct validity other(const char *to, ProtobufCBinaryData to_user)
{
    if (to[0] ? to_user.len != 0 || !is_login(to) : to_user.len == 0)
        return BAD("to");
    return to_user.len == 0 || is_id(to_user) ? GOOD : BAD("to_user");
}

static struct validity content(const char *text, const char *content_type, ProtobufCBinaryData data)
{
    if (strnlen(text, BODY_MAX + 1) > BODY_MAX)
        return BAD("text");
    if (data.len > BODY_MAX)
        return BAD("data");
    if (text[0])
        return content_type[0] || data.len ? BAD("content_type") : GOOD;
    if (!content_type[0])
        return BAD(data.len ? "content_type" : "text");
    return within(content_type, 1, CONTENT_TYPE_MAX) ? GOOD : BAD("content_type");
}

#define CHECK(expression)               \
    do {                                \
        struct validity v = expression; \
        if (v.code)                     \
            return v;                   \
    } while (0)

static struct validity check_single(const ProtobufCMessage *m)
{
    const Im__SingleChat *c = (const Im__SingleChat *)m;
    CHECK(numbered(c->client_seq));
    CHECK(other(c->to, c->to_user));
    CHECK(content(c->text, c->content_type, c->data));
    return number_ok(c->reply_to) ? GOOD : BAD("reply_to");
}

static struct validity check_group(const ProtobufCMessage *m)
{
    const Im__GroupChat *c = (const Im__GroupChat *)m;
    CHECK(numbered(c->client_seq));
    if (!is_id(c->conversation))
        return BAD("conversation");
    CHECK(content(c->text, c->content_type, c->data));
    if (!number_ok(c->reply_to))
        return BAD("reply_to");
    return are_ids(c->mentions, c->n_mentions, NAMED_MAX) ? GOOD : BAD("mentions");
}

/* ---- CONV_OP ---- */
enum place {
    P_ANY,   /* a conversation's id, or the other of a direct one */
    P_GROUP, /* an id */
    P_OTHER, /* the other of two */
    P_NEW    /* none: it makes one */
};
enum { /* what a kind may have, and with NEED_ must have, beyond place and text */
       TARGET = 1,
       CONTENT = 2, /* text, or content_type and data, as a message */
       USERS = 4,
       NEED_USERS = 8,
       ONE_USER = 16,
       ROLE = 32,
       FLAGS = 64,
       MASK = 128,
       DURATION = 256
};

static const struct op {
    Im__ConvKind kind;
    enum place place;
    unsigned has;
    size_t text_min, text_max;
} ops[] = {
    {IM__CONV_KIND__CONV_EDIT, P_ANY, TARGET | CONTENT, 0, BODY_MAX},
    {IM__CONV_KIND__CONV_RECALL, P_ANY, TARGET, 0, 0},
    {IM__CONV_KIND__CONV_REACT, P_ANY, TARGET, 0, REACTION_MAX},
    {IM__CONV_KIND__CONV_PIN, P_ANY, TARGET, 0, 0},
    {IM__CONV_KIND__CONV_UNPIN, P_ANY, TARGET, 0, 0},
    {IM__CONV_KIND__CONV_GROUP_CREATE, P_NEW, USERS | FLAGS, 1, GROUP_NAME_MAX},
    {IM__CONV_KIND__CONV_GROUP_JOIN, P_GROUP, 0, 0, WORD_MAX},
    {IM__CONV_KIND__CONV_GROUP_LEAVE, P_GROUP, 0, 0, 0},
    {IM__CONV_KIND__CONV_GROUP_INVITE, P_GROUP, NEED_USERS, 0, 0},
    {IM__CONV_KIND__CONV_GROUP_REMOVE, P_GROUP, NEED_USERS, 0, 0},
    {IM__CONV_KIND__CONV_GROUP_ROLE, P_GROUP, NEED_USERS | ROLE, 0, 0},
    {IM__CONV_KIND__CONV_GROUP_HAND_OVER, P_GROUP, NEED_USERS | ONE_USER, 0, 0},
    {IM__CONV_KIND__CONV_GROUP_MUTE, P_GROUP, NEED_USERS | DURATION, 0, 0},
    {IM__CONV_KIND__CONV_GROUP_UNMUTE, P_GROUP, NEED_USERS, 0, 0},
    {IM__CONV_KIND__CONV_GROUP_RENAME, P_GROUP, 0, 1, GROUP_NAME_MAX},
    {IM__CONV_KIND__CONV_GROUP_NOTICE, P_GROUP, 0, 0, NOTICE_MAX},
    {IM__CONV_KIND__CONV_GROUP_SETTINGS, P_GROUP, FLAGS | MASK, 0, 0},
    {IM__CONV_KIND__CONV_GROUP_DISSOLVE, P_GROUP, 0, 0, 0},
    {IM__CONV_KIND__CONV_GROUP_APPROVE, P_GROUP, NEED_USERS, 0, 0},
    {IM__CONV_KIND__CONV_GROUP_DECLINE, P_GROUP, NEED_USERS, 0, 0},
    {IM__CONV_KIND__CONV_FRIEND_REQUEST, P_OTHER, 0, 0, WORD_MAX},
    {IM__CONV_KIND__CONV_FRIEND_CONFIRM, P_OTHER, 0, 0, 0},
    {IM__CONV_KIND__CONV_FRIEND_REFUSE, P_OTHER, 0, 0, 0},
    {IM__CONV_KIND__CONV_FRIEND_REMOVE, P_OTHER, 0, 0, 0},
    {IM__CONV_KIND__CONV_BLOCK, P_OTHER, 0, 0, 0},
    {IM__CONV_KIND__CONV_UNBLOCK, P_OTHER, 0, 0, 0},
};

static const struct op *op_of(Im__ConvKind kind)
{
    for (size_t i = 0; i < ARRAY_LEN(ops); i++)
        if (ops[i].kind == kind)
            return &ops[i];
    return NULL;
}

static struct validity op_place(const struct op *op, const Im__ConvOp *c)
{
    bool other_given = c->to[0] || c->to_user.len;
    if (op->place == P_OTHER || (op->place == P_ANY && other_given))
        return c->conversation.len ? BAD("conversation") : other(c->to, c->to_user);
    if (other_given)
        return BAD(c->to[0] ? "to" : "to_user");
    return c->conversation.len == (op->place == P_NEW ? 0 : ID_SIZE) ? GOOD : BAD("conversation");
}

static struct validity op_users(const struct op *op, const Im__ConvOp *c)
{
    size_t n = c->n_users + c->n_logins;
    const char *field = c->n_users || !c->n_logins ? "users" : "logins";
    size_t max = op->has & ONE_USER ? 1 : op->has & (USERS | NEED_USERS) ? NAMED_MAX : 0;
    if (n > max || (n == 0 && op->has & NEED_USERS))
        return BAD(field);
    if (!are_ids(c->users, c->n_users, max))
        return BAD("users");
    return are_logins(c->logins, c->n_logins, max) ? GOOD : BAD("logins");
}

static struct validity op_flags(const struct op *op, const Im__ConvOp *c)
{
    uint32_t allowed = !(op->has & FLAGS) ? 0 : op->has & MASK ? c->flags_mask : GROUP_FLAGS;
    if (op->has & MASK ? c->flags_mask == 0 || c->flags_mask & ~GROUP_FLAGS : c->flags_mask != 0)
        return BAD("flags_mask");
    return c->flags & ~allowed ? BAD("flags") : GOOD;
}

static struct validity op_content(const struct op *op, const Im__ConvOp *c)
{
    if (op->has & CONTENT)
        return content(c->text, c->content_type, c->data);
    if (!within(c->text, op->text_min, op->text_max))
        return BAD("text");
    if (c->content_type[0])
        return BAD("content_type");
    return c->data.len ? BAD("data") : GOOD;
}

static struct validity check_op(const ProtobufCMessage *m)
{
    const Im__ConvOp *c = (const Im__ConvOp *)m;
    const struct op *op = op_of(c->kind);
    CHECK(numbered(c->client_seq));
    if (!op)
        return BAD("kind");
    CHECK(op_place(op, c));
    if (op->has & TARGET ? c->target < 1 || !number_ok(c->target) : c->target != 0)
        return BAD("target");
    CHECK(op_content(op, c));
    CHECK(op_users(op, c));
    bool role = c->role == IM__ROLE__MEMBER || c->role == IM__ROLE__ADMIN;
    if (op->has & ROLE ? !role : c->role != IM__ROLE__ROLE_NONE)
        return BAD("role");
    CHECK(op_flags(op, c));
    return c->duration_s <= (op->has & DURATION ? MUTE_MAX_S : 0) ? GOOD : BAD("duration_s");
}

static struct validity check_announce(const ProtobufCMessage *m)
{
    const Im__Announce *a = (const Im__Announce *)m;
    CHECK(numbered(a->client_seq));
    return within(a->text, 1, NOTICE_MAX) ? GOOD : BAD("text");
}

static struct validity check_read(const ProtobufCMessage *m)
{
    const Im__MsgRead *r = (const Im__MsgRead *)m;
    CHECK(where(r->conversation, r->with));
    if (!number_ok(r->delivered))
        return BAD("delivered");
    return number_ok(r->read) && (r->read || r->delivered) ? GOOD : BAD("read");
}

static struct validity check_typing(const ProtobufCMessage *m)
{
    const Im__Typing *t = (const Im__Typing *)m;
    return where(t->conversation, t->with);
}

check_fn *validate_conv(uint16_t type)
{
    switch ((Im__FrameType)type) {
    case IM__FRAME_TYPE__SINGLE_CHAT:
        return check_single;
    case IM__FRAME_TYPE__GROUP_CHAT:
        return check_group;
    case IM__FRAME_TYPE__CONV_OP:
        return check_op;
    case IM__FRAME_TYPE__ANNOUNCE:
        return check_announce;
    case IM__FRAME_TYPE__MSG_READ:
        return check_read;
    case IM__FRAME_TYPE__TYPING:
        return check_typing;
    default:
        return NULL;
    }
}
