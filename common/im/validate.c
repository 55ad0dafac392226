#include "common/im/codec.h"
#include "common/im/validate_int.h"

#include "common/base/utf8.h"

bool validate_utf8(const void *p, size_t n)
{
    return utf8_valid(p, n);
}

static struct validity check_register(const ProtobufCMessage *m)
{
    const Im__RegisterReq *r = (const Im__RegisterReq *)m;
    if (!is_login(r->login))
        return BAD("login");
    if (!within(r->password, PASSWORD_MIN, PASSWORD_MAX))
        return BAD("password");
    return within(r->display_name, 0, DISPLAY_NAME_MAX) ? GOOD : BAD("display_name");
}

static struct validity check_exists(const ProtobufCMessage *m)
{
    return is_login(((const Im__AccountExistsReq *)m)->login) ? GOOD : BAD("login");
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
        if (!is_login(r->login))
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

static struct validity check_revoke(const ProtobufCMessage *m)
{
    const Im__RevokeReq *r = (const Im__RevokeReq *)m;
    if (!r->all == !r->device)
        return BAD("device");
    return r->keep_current && !r->all ? BAD("keep_current") : GOOD;
}

/* Nothing to be changed would still be a record that is kept for ever. */
static struct validity check_profile(const ProtobufCMessage *m)
{
    const Im__ProfileReq *r = (const Im__ProfileReq *)m;
    if (!within(r->name, 0, DISPLAY_NAME_MAX))
        return BAD("name");
    if (r->presence < IM__PRIVACY__PRIVACY_UNCHANGED || r->presence > IM__PRIVACY__NOBODY)
        return BAD("presence");
    return r->name[0] || r->presence ? GOOD : BAD("name");
}

static struct validity check_prefs(const ProtobufCMessage *m)
{
    const Im__PrefsReq *r = (const Im__PrefsReq *)m;
    if (!within(r->remark, 0, REMARK_MAX))
        return BAD("remark");
    if (!marks_ok(r->mask))
        return BAD("mask");
    return where(r->conversation, r->with);
}

static struct validity no_fields(const ProtobufCMessage *m)
{
    (void)m;
    return GOOD;
}

static check_fn *check_of(uint16_t type)
{
    switch ((Im__FrameType)type) {
    case IM__FRAME_TYPE__REGISTER_REQ:
        return check_register;
    case IM__FRAME_TYPE__ACCOUNT_EXISTS_REQ:
        return check_exists;
    case IM__FRAME_TYPE__LOGIN_REQ:
        return check_login;
    case IM__FRAME_TYPE__PULL_OFFLINE_REQ:
        return check_pull;
    case IM__FRAME_TYPE__DELIVERY_ACK:
        return check_ack;
    case IM__FRAME_TYPE__REVOKE_REQ:
        return check_revoke;
    case IM__FRAME_TYPE__PROFILE_REQ:
        return check_profile;
    case IM__FRAME_TYPE__PREFS_REQ:
        return check_prefs;
    case IM__FRAME_TYPE__HEARTBEAT:
    case IM__FRAME_TYPE__LOGOUT_REQ:
    case IM__FRAME_TYPE__TOKEN_REQ:
        return no_fields;
    default:
        return NULL;
    }
}

struct validity validate_request(uint16_t type, const ProtobufCMessage *m)
{
    check_fn *check = check_of(type);
    if (!check)
        check = validate_conv(type);
    if (!check)
        check = validate_query(type);
    return check ? check(m) : (struct validity){IM__CODE__UNKNOWN_TYPE, ""};
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
