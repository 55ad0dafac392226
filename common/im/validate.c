#include "common/im/validate.h"

#include "common/base/utf8.h"
#include "common/im/codec.h"

#define GOOD      ((struct validity){IM__CODE__OK, ""})
#define BAD(name) ((struct validity){IM__CODE__BAD_FIELD, name})

bool validate_utf8(const void *p, size_t n)
{
    return utf8_valid(p, n);
}

static bool within(const char *text, size_t min, size_t max)
{
    size_t n = strnlen(text, max + 1);
    return n >= min && n <= max;
}

static bool login_ok(const char *login)
{
    char normal[LOGIN_MAX + 1];
    return login_normalise(login, strlen(login), normal) == 0;
}

static struct validity check_register(const ProtobufCMessage *m)
{
    const Im__RegisterReq *r = (const Im__RegisterReq *)m;
    if (!login_ok(r->login))
        return BAD("login");
    if (!within(r->password, PASSWORD_MIN, PASSWORD_MAX))
        return BAD("password");
    return within(r->display_name, 0, DISPLAY_NAME_MAX) ? GOOD : BAD("display_name");
}

static struct validity check_exists(const ProtobufCMessage *m)
{
    return login_ok(((const Im__AccountExistsReq *)m)->login) ? GOOD : BAD("login");
}

static struct validity check_login(const ProtobufCMessage *m)
{
    const Im__LoginReq *r = (const Im__LoginReq *)m;
    if (r->token[0]) {
        if (!within(r->token, 1, TOKEN_MAX))
            return BAD("token");
        if (r->login[0] || r->password[0])
            return BAD(r->login[0] ? "login" : "password");
    } else {
        if (!login_ok(r->login))
            return BAD("login");
        if (!within(r->password, 1, PASSWORD_MAX))
            return BAD("password");
    }
    if (!within(r->device_id, 1, DEVICE_ID_MAX))
        return BAD("device_id");
    if (!within(r->device_class, 0, DEVICE_CLASS_MAX))
        return BAD("device_class");
    return within(r->client, 0, CLIENT_MAX) ? GOOD : BAD("client");
}

static struct validity check_chat(const ProtobufCMessage *m)
{
    const Im__SingleChat *c = (const Im__SingleChat *)m;
    if (c->client_seq < 1 || c->client_seq > INT64_MAX)
        return BAD("client_seq");
    if (c->to[0] ? c->to_user.len != 0 || !login_ok(c->to) : c->to_user.len == 0)
        return BAD("to");
    if (c->to_user.len != 0 && c->to_user.len != ID_SIZE)
        return BAD("to_user");
    if (strnlen(c->text, BODY_MAX + 1) > BODY_MAX)
        return BAD("text");
    if (c->data.len > BODY_MAX)
        return BAD("data");
    if (c->text[0])
        return c->content_type[0] || c->data.len ? BAD("content_type") : GOOD;
    if (!c->content_type[0])
        return BAD(c->data.len ? "content_type" : "text");
    return within(c->content_type, 1, CONTENT_TYPE_MAX) ? GOOD : BAD("content_type");
}

static struct validity check_pull(const ProtobufCMessage *m)
{
    const Im__PullOfflineReq *r = (const Im__PullOfflineReq *)m;
    if (r->after > INT64_MAX)
        return BAD("after");
    if (r->limit > PULL_MAX)
        return BAD("limit");
    return r->conversation.len == 0 || r->conversation.len == ID_SIZE ? GOOD : BAD("conversation");
}

static struct validity check_ack(const ProtobufCMessage *m)
{
    const Im__DeliveryAck *a = (const Im__DeliveryAck *)m;
    if (a->n_cursors > CURSORS_MAX)
        return BAD("cursors");
    for (size_t i = 0; i < a->n_cursors; i++) {
        const Im__Cursor *c = a->cursors[i];
        if (c->conversation.len != ID_SIZE || c->from < 1 || c->upto < c->from || c->upto > INT64_MAX)
            return BAD("cursors");
    }
    return GOOD;
}

struct validity validate_request(uint16_t type, const ProtobufCMessage *m)
{
    switch ((Im__FrameType)type) {
    case IM__FRAME_TYPE__REGISTER_REQ:
        return check_register(m);
    case IM__FRAME_TYPE__ACCOUNT_EXISTS_REQ:
        return check_exists(m);
    case IM__FRAME_TYPE__LOGIN_REQ:
        return check_login(m);
    case IM__FRAME_TYPE__SINGLE_CHAT:
        return check_chat(m);
    case IM__FRAME_TYPE__PULL_OFFLINE_REQ:
        return check_pull(m);
    case IM__FRAME_TYPE__DELIVERY_ACK:
        return check_ack(m);
    case IM__FRAME_TYPE__HEARTBEAT:
    case IM__FRAME_TYPE__LOGOUT_REQ:
        return GOOD; /* no fields */
    default:
        return (struct validity){IM__CODE__UNKNOWN_TYPE, ""};
    }
}

struct validity validate_decode(uint16_t type, struct slice payload, ProtobufCAllocator *a,
                                ProtobufCMessage **out)
{
    *out = NULL;
    const struct frame_type *t = frame_type(type);
    if (!t || !t->request)
        return (struct validity){IM__CODE__UNKNOWN_TYPE, ""};
    const char *text = codec_bad_text(t->request, payload);
    if (text)
        return (struct validity){IM__CODE__BAD_TEXT, text};
    ProtobufCMessage *m = protobuf_c_message_unpack(t->request, a, payload.n, payload.p);
    if (!m)
        return (struct validity){IM__CODE__BAD_PROTOBUF, ""};
    struct validity v = validate_request(type, m);
    if (v.code)
        protobuf_c_message_free_unpacked(m, a);
    else
        *out = m;
    return v;
}
