#include "common/im/codec_check.h"

#include "common/im/validate.h"

static bool is_id(ProtobufCBinaryData d)
{
    return d.len == ID_SIZE;
}

static bool id_or_none(ProtobufCBinaryData d)
{
    return d.len == 0 || d.len == ID_SIZE;
}

static bool trace_ok(ProtobufCBinaryData d)
{
    return d.len == 0 || d.len == CODEC_TRACE;
}

/* Already in its normal form. */
static bool login_ok(const char *login)
{
    char normal[LOGIN_MAX + 1];
    return login_normalise(login, strlen(login), normal) == 0 && strcmp(login, normal) == 0;
}

static bool login_or_none(const char *login)
{
    return login[0] == '\0' || login_ok(login);
}

static bool within(const char *text, size_t min, size_t max)
{
    size_t n = strnlen(text, max + 1);
    return n >= min && n <= max;
}

static bool session_ok(const Im__Session *s, bool with_user)
{
    return s && (with_user ? is_id(s->user) : id_or_none(s->user));
}

static bool number_ok(uint64_t n) /* PostgreSQL has no unsigned numbers */
{
    return n <= INT64_MAX;
}

static bool in_chat_ok(const Im__InChat *c)
{
    return is_id(c->conversation) && is_id(c->msg_id) && is_id(c->peer) && login_or_none(c->peer_login) &&
           number_ok(c->client_seq) && c->body && number_ok(c->body->key_id) &&
           within(c->body->content_type, 0, CONTENT_TYPE_MAX);
}

static bool in_login_ok(const Im__InLogin *l)
{
    return within(l->device_id, 1, DEVICE_ID_MAX) && within(l->device_class, 0, DEVICE_CLASS_MAX) &&
           within(l->client, 0, CLIENT_MAX);
}

static bool in_register_ok(const Im__InRegister *r)
{
    return login_ok(r->login) && within(r->display_name, 0, DISPLAY_NAME_MAX) && r->verifier.len >= 1 &&
           r->verifier.len <= CODEC_VERIFIER_MAX;
}

bool check_inbound(const ProtobufCMessage *m)
{
    const Im__Inbound *r = (const Im__Inbound *)m;
    if (!session_ok(r->session, false) || !trace_ok(r->trace))
        return false;
    bool user = r->session->user.len != 0;
    switch (r->body_case) {
    case IM__INBOUND__BODY_REGISTER_:
        return in_register_ok(r->register_);
    case IM__INBOUND__BODY_LOOKUP:
        return true;
    case IM__INBOUND__BODY_LOGIN:
        return in_login_ok(r->login);
    case IM__INBOUND__BODY_END:
        return user;
    case IM__INBOUND__BODY_CHAT:
        return user && in_chat_ok(r->chat);
    case IM__INBOUND__BODY_PULL:
        return user && id_or_none(r->pull->conversation) && number_ok(r->pull->after);
    default:
        return false;
    }
}

bool check_user(const ProtobufCMessage *m)
{
    const Im__UserRecord *r = (const Im__UserRecord *)m;
    if (!is_id(r->user) || !trace_ok(r->trace) || !number_ok(r->token_generation) ||
        !within(r->display_name, 0, DISPLAY_NAME_MAX) || !within(r->device_id, 0, DEVICE_ID_MAX) ||
        !within(r->device_class, 0, DEVICE_CLASS_MAX))
        return false;
    switch (r->kind) {
    case IM__USER_KIND__USER_REGISTERED:
        return login_ok(r->login);
    case IM__USER_KIND__USER_DEVICE_ADDED:
        return login_or_none(r->login) && r->device > 0 && r->device_id[0];
    case IM__USER_KIND__USER_DEVICE_DROPPED:
        return login_or_none(r->login) && r->device > 0;
    case IM__USER_KIND__USER_TOKENS_REVOKED:
        return login_or_none(r->login);
    default:
        return false;
    }
}

bool check_vault(const ProtobufCMessage *m)
{
    const Im__VaultRecord *r = (const Im__VaultRecord *)m;
    return is_id(r->user) && r->verifier.len >= 1 && r->verifier.len <= CODEC_VERIFIER_MAX;
}

bool check_presence(const ProtobufCMessage *m)
{
    const Im__PresenceRecord *r = (const Im__PresenceRecord *)m;
    return session_ok(r->session, true) && r->n_devices <= CODEC_DEVICES_MAX &&
           within(r->login, 0, LOGIN_MAX);
}

bool check_lease(const ProtobufCMessage *m)
{
    const Im__LeaseRecord *r = (const Im__LeaseRecord *)m;
    return r->kind >= IM__LEASE_KIND__LEASE_WANT && r->kind <= IM__LEASE_KIND__LEASE_RELEASE &&
           number_ok(r->epoch);
}

static bool item_ok(const Im__DeliverItem *i)
{
    size_t n = i->n_handles;
    if (i->kind < IM__ITEM_KIND__ITEM_MESSAGE || i->kind > IM__ITEM_KIND__ITEM_KICK || n < 1 ||
        n > CODEC_HANDLES_MAX || i->frame_type > UINT16_MAX || i->payload.len > FRAME_CAP_MAX - FRAME_HEADER)
        return false;
    if ((i->users.len && i->users.len != n * ID_SIZE) || (i->n_devices && i->n_devices != n) ||
        (i->n_logins && i->n_logins != n) || !trace_ok(i->trace))
        return false;
    /* A message that cannot be delivered is bounced to its recipients: they must be named. */
    bool named = i->users.len && i->n_devices && i->n_logins;
    return i->kind == IM__ITEM_KIND__ITEM_MESSAGE
               ? is_id(i->conversation) && i->seq && number_ok(i->seq) && (named || n > CODEC_DETAILED_MAX)
               : id_or_none(i->conversation);
}

bool check_deliver(const ProtobufCMessage *m)
{
    const Im__DeliverRecord *r = (const Im__DeliverRecord *)m;
    size_t handles = 0;
    for (size_t i = 0; i < r->n_items; i++) {
        if (!item_ok(r->items[i]))
            return false;
        handles += r->items[i]->n_handles;
    }
    return number_ok(r->epoch) && handles <= CODEC_HANDLES_MAX;
}

static bool queue_item_ok(const Im__QueueItem *i)
{
    return i && is_id(i->conversation) && i->seq && number_ok(i->seq) && i->payload.len <= FRAME_CAP_MAX;
}

static bool bounce_ok(const Im__OffBounce *b)
{
    for (size_t i = 0; i < b->n_items; i++)
        if (!queue_item_ok(b->items[i]))
            return false;
    return session_ok(b->session, true);
}

bool check_offline(const ProtobufCMessage *m)
{
    const Im__OfflineRecord *r = (const Im__OfflineRecord *)m;
    if (!is_id(r->user) || !trace_ok(r->trace))
        return false;
    switch (r->body_case) {
    case IM__OFFLINE_RECORD__BODY_LOGIN:
        return session_ok(r->login->session, true) && r->login->n_devices <= CODEC_DEVICES_MAX;
    case IM__OFFLINE_RECORD__BODY_END:
        return session_ok(r->end->session, true);
    case IM__OFFLINE_RECORD__BODY_ITEM:
        return queue_item_ok(r->item->item) && r->item->n_served <= CODEC_DEVICES_MAX;
    case IM__OFFLINE_RECORD__BODY_BOUNCE:
        return bounce_ok(r->bounce);
    case IM__OFFLINE_RECORD__BODY_PULL:
        return session_ok(r->pull->session, true) && id_or_none(r->pull->conversation) &&
               number_ok(r->pull->after);
    default:
        return false;
    }
}

bool check_cursor(const ProtobufCMessage *m)
{
    const Im__CursorRecord *r = (const Im__CursorRecord *)m;
    return is_id(r->user) && is_id(r->conversation) && r->from >= 1 && r->upto >= r->from &&
           number_ok(r->upto);
}

bool check_dlq(const ProtobufCMessage *m)
{
    (void)m;
    return true;
}

bool check_lookup(const ProtobufCMessage *m)
{
    const Im__LookupReply *r = (const Im__LookupReply *)m;
    return (r->exists ? is_id(r->user) && login_ok(r->login) : id_or_none(r->user)) &&
           r->verifier.len <= CODEC_VERIFIER_MAX;
}

bool check_verdict(const ProtobufCMessage *m)
{
    const Im__LoginVerdict *r = (const Im__LoginVerdict *)m;
    return r->code == IM__CODE__OK ? is_id(r->user) && login_ok(r->login) && r->device > 0
                                   : id_or_none(r->user);
}
