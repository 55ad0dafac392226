#include "common/im/codec_check.h"

bool check_user(const ProtobufCMessage *m)
{
    const Im__UserRecord *r = (const Im__UserRecord *)m;
    if (!is_id(r->user) || !trace_ok(r->trace) || !number_ok(r->token_generation) ||
        !number_ok(r->login_offset) || !within(r->display_name, 0, DISPLAY_NAME_MAX) ||
        !within(r->device_id, 0, DEVICE_ID_MAX) || !within(r->device_class, 0, DEVICE_CLASS_MAX) ||
        !within(r->remark, 0, REMARK_MAX) || !privacy_ok(r->presence) || !id_or_none(r->conversation) ||
        !login_or_none(r->login) || !number_ok(r->key_id) || !r->key_id != !r->sealed.len ||
        r->sealed.len > CODEC_VERIFIER_MAX)
        return false;
    switch (r->kind) {
    case IM__USER_KIND__USER_REGISTERED:
        return r->login[0];
    case IM__USER_KIND__USER_DEVICE_ADDED:
        return r->device > 0 && r->device_id[0];
    case IM__USER_KIND__USER_DEVICE_DROPPED:
        return r->device > 0;
    case IM__USER_KIND__USER_PREFS:
        return is_id(r->conversation) && marks_ok(r->mask);
    case IM__USER_KIND__USER_TOKENS_REVOKED:
    case IM__USER_KIND__USER_PROFILE:
    case IM__USER_KIND__USER_ADMIN:
    case IM__USER_KIND__USER_SEEN:
    case IM__USER_KIND__USER_ERASED:
        return true;
    default:
        return false;
    }
}

bool body_keys_ok(Im__BodyKey *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (keys[i]->id != i + 1 || keys[i]->sealed.len != CODEC_BODY_KEY || keys[i]->since < 0)
            return false;
    return n <= CODEC_BODY_KEYS;
}

bool check_vault(const ProtobufCMessage *m)
{
    const Im__VaultRecord *r = (const Im__VaultRecord *)m;
    return is_id(r->user) && (r->erased ? r->verifier.len == 0 && r->n_keys == 0 : r->verifier.len >= 1) &&
           r->verifier.len <= CODEC_VERIFIER_MAX && body_keys_ok(r->keys, r->n_keys);
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

/* To every session of the epoch: nobody is named, so nothing can be bounced. */
static bool all_ok(const Im__DeliverItem *i)
{
    return (i->kind == IM__ITEM_KIND__ITEM_EVENT || i->kind == IM__ITEM_KIND__ITEM_SIGNAL) &&
           i->n_handles == 0 && i->users.len == 0 && i->n_devices == 0 && i->n_logins == 0;
}

static bool handles_ok(const Im__DeliverItem *i)
{
    size_t n = i->n_handles;
    return n >= 1 && n <= CODEC_HANDLES_MAX && (i->users.len == 0 || i->users.len == n * ID_SIZE) &&
           (i->n_devices == 0 || i->n_devices == n) && (i->n_logins == 0 || i->n_logins == n);
}

static bool item_ok(const Im__DeliverItem *i)
{
    if (i->kind < IM__ITEM_KIND__ITEM_MESSAGE || i->kind > IM__ITEM_KIND__ITEM_SIGNAL ||
        i->frame_type > UINT16_MAX || i->payload.len > FRAME_CAP_MAX - FRAME_HEADER || !trace_ok(i->trace) ||
        !(i->all ? all_ok(i) : handles_ok(i)))
        return false;
    if (i->kind != IM__ITEM_KIND__ITEM_MESSAGE && i->kind != IM__ITEM_KIND__ITEM_POINTED)
        return id_or_none(i->conversation);
    /* What cannot be delivered is bounced to its recipients: they must be named, unless they are many. */
    bool named = i->users.len && i->n_devices && i->n_logins;
    return is_id(i->conversation) && i->seq && number_ok(i->seq) &&
           (named || i->n_handles > CODEC_DETAILED_MAX);
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

static bool group_ok(const Im__OffGroup *g)
{
    if (!is_id(g->conversation) || !g->seq || !number_ok(g->seq) || g->users.len % ID_SIZE)
        return false;
    if (g->n_handles)
        return g->n_handles <= CODEC_HANDLES_MAX && number_ok(g->epoch) && !g->users.len && !g->n_served &&
               !g->left;
    for (size_t i = 0; i < g->n_served; i++)
        if (g->served[i]->index >= g->users.len / ID_SIZE || g->served[i]->n_devices > CODEC_DEVICES_MAX)
            return false;
    return true;
}

bool check_offline(const ProtobufCMessage *m)
{
    const Im__OfflineRecord *r = (const Im__OfflineRecord *)m;
    bool group = r->body_case == IM__OFFLINE_RECORD__BODY_GROUP; /* of many users: has a partition, no user */
    if (!(group ? id_or_none(r->user) : is_id(r->user)) || !trace_ok(r->trace))
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
    case IM__OFFLINE_RECORD__BODY_GROUP:
        return group_ok(r->group);
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

bool check_webhook(const ProtobufCMessage *m)
{
    const Im__WebhookRecord *r = (const Im__WebhookRecord *)m;
    return within(r->name, 1, WEBHOOK_NAME_MAX) && r->begin > 0;
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
