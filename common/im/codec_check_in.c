/* codec_check_in.c: records that an edge writes for a client: im.inbound, im.query; and im.signal, which follows from one. */
#include "common/im/codec_check.h"

#include "common/im/conv.h"

_Static_assert(NAMED_MAX == CONV_USERS, "what a client may name, the reducer takes");

static bool kind_ok(Im__ConvKind kind)
{
    return kind != IM__CONV_KIND__CONV_RECEIPT &&
           protobuf_c_enum_descriptor_get_value(&im__conv_kind__descriptor, (int)kind);
}

static bool role_ok(Im__Role role)
{
    return role >= IM__ROLE__ROLE_NONE && role <= IM__ROLE__OWNER;
}

static bool users_ok(const Im__InChat *c)
{
    size_t n = c->users.len / ID_SIZE;
    if (c->users.len % ID_SIZE || n > CONV_USERS || (c->n_logins && c->n_logins != n))
        return false;
    for (size_t i = 1; i < n; i++)
        if (memcmp(c->users.data + (i - 1) * ID_SIZE, c->users.data + i * ID_SIZE, ID_SIZE) >= 0)
            return false;
    for (size_t i = 0; i < c->n_logins; i++)
        if (!login_or_none(c->logins[i]))
            return false;
    return true;
}

static bool in_chat_ok(const Im__InChat *c)
{
    return is_id(c->conversation) && is_id(c->msg_id) && id_or_none(c->peer) &&
           login_or_none(c->peer_login) && number_ok(c->client_seq) && c->body &&
           number_ok(c->body->key_id) && within(c->body->content_type, 0, CONTENT_TYPE_MAX) &&
           kind_ok(c->kind) && role_ok(c->role) && number_ok(c->target) && number_ok(c->reply_to) &&
           number_ok(c->duration_s) && users_ok(c);
}

static bool body_key_or_none(ProtobufCBinaryData d)
{
    return d.len == 0 || d.len == CODEC_BODY_KEY;
}

static bool in_login_ok(const Im__InLogin *l)
{
    return within(l->device_id, 1, DEVICE_ID_MAX) && within(l->device_class, 0, DEVICE_CLASS_MAX) &&
           within(l->client, 0, CLIENT_MAX) && body_key_or_none(l->body_key);
}

static bool in_register_ok(const Im__InRegister *r)
{
    return login_ok(r->login) && within(r->display_name, 0, DISPLAY_NAME_MAX) && r->verifier.len >= 1 &&
           r->verifier.len <= CODEC_VERIFIER_MAX && body_key_or_none(r->body_key);
}

static bool in_rekey_ok(const Im__InRekey *r)
{
    return r->was.len == ID_SIZE && r->verifier.len >= 1 && r->verifier.len <= CODEC_VERIFIER_MAX &&
           body_keys_ok(r->keys, r->n_keys);
}

/* Whose right to do it was checked at a login. */
static bool of_user_ok(const Im__Inbound *r)
{
    switch (r->body_case) {
    case IM__INBOUND__BODY_END:
        return true;
    case IM__INBOUND__BODY_CHAT:
        return in_chat_ok(r->chat);
    case IM__INBOUND__BODY_PULL:
        return id_or_none(r->pull->conversation) && number_ok(r->pull->after);
    case IM__INBOUND__BODY_RECEIPT:
        return is_id(r->receipt->conversation) && number_ok(r->receipt->read) &&
               number_ok(r->receipt->delivered);
    case IM__INBOUND__BODY_SIGNAL:
        return is_id(r->signal->conversation);
    case IM__INBOUND__BODY_PROFILE:
        return within(r->profile->display_name, 0, DISPLAY_NAME_MAX) && privacy_ok(r->profile->presence);
    case IM__INBOUND__BODY_PREFS:
        return is_id(r->prefs->conversation) && within(r->prefs->remark, 0, REMARK_MAX) &&
               marks_ok(r->prefs->mask);
    default:
        return false;
    }
}

/* Edges have a slot and an epoch: no client can have written this. */
static bool of_operator(const Im__Session *s)
{
    return s->user.len == 0 && s->slot == UINT32_MAX && s->epoch == 0 && s->handle == 0;
}

bool check_inbound(const ProtobufCMessage *m)
{
    const Im__Inbound *r = (const Im__Inbound *)m;
    if (!session_ok(r->session, false) || !trace_ok(r->trace))
        return false;
    switch (r->body_case) {
    case IM__INBOUND__BODY_REGISTER_:
        return in_register_ok(r->register_);
    case IM__INBOUND__BODY_LOOKUP:
        return true;
    case IM__INBOUND__BODY_LOGIN:
        return in_login_ok(r->login);
    case IM__INBOUND__BODY_ADMIN:
    case IM__INBOUND__BODY_ERASE:
        return of_operator(r->session);
    case IM__INBOUND__BODY_REKEY:
        return of_operator(r->session) && in_rekey_ok(r->rekey);
    case IM__INBOUND__BODY_REVOKE:
        return !r->revoke->all == (r->revoke->device > 0) &&
               (r->session->user.len || (of_operator(r->session) && !r->revoke->keep_current));
    default:
        return r->session->user.len != 0 && of_user_ok(r);
    }
}

bool check_query(const ProtobufCMessage *m)
{
    const Im__QueryRecord *r = (const Im__QueryRecord *)m;
    const struct frame_type *t = r->frame_type <= UINT16_MAX ? frame_type((uint16_t)r->frame_type) : NULL;
    return session_ok(r->session, true) && t && t->flags & FRAME_QUERY &&
           r->payload.len <= FRAME_CAP_MAX - FRAME_HEADER && trace_ok(r->trace);
}

bool check_signal(const ProtobufCMessage *m)
{
    const Im__SignalRecord *r = (const Im__SignalRecord *)m;
    return is_id(r->conversation) && is_id(r->user) && login_ok(r->user_login);
}
