/* validate_query.c: questions for the read models. The answering process reads the same bytes and relies on this. */
#include "common/im/validate_int.h"

static bool wait_ok(const Im__Wait *w)
{
    return !w || (is_id(w->conversation) && w->seq >= 1 && number_ok(w->seq));
}

/* A page: where it goes on, and how much. */
static struct validity page(ProtobufCBinaryData after, uint32_t limit, uint32_t max)
{
    if (after.len > PAGE_MARK_MAX)
        return BAD("after");
    return limit <= max ? GOOD : BAD("limit");
}

static struct validity check_list(const ProtobufCMessage *m)
{
    const Im__ConvListReq *r = (const Im__ConvListReq *)m;
    return wait_ok(r->wait) ? page(r->after, r->limit, 100) : BAD("wait");
}

static struct validity check_info(const ProtobufCMessage *m)
{
    const Im__ConvInfoReq *r = (const Im__ConvInfoReq *)m;
    return wait_ok(r->wait) ? where(r->conversation, r->with) : BAD("wait");
}

static struct validity check_history(const ProtobufCMessage *m)
{
    const Im__HistoryReq *r = (const Im__HistoryReq *)m;
    if (!number_ok(r->seq))
        return BAD("seq");
    if (r->time_ms < 0 || (r->time_ms && r->seq))
        return BAD("time_ms");
    if (r->direction < IM__DIRECTION__BEFORE || r->direction > IM__DIRECTION__AROUND)
        return BAD("direction");
    if (r->limit > 200)
        return BAD("limit");
    return wait_ok(r->wait) ? where(r->conversation, r->with) : BAD("wait");
}

static struct validity check_changes(const ProtobufCMessage *m)
{
    const Im__ChangesReq *r = (const Im__ChangesReq *)m;
    if (r->target < 1 || !number_ok(r->target))
        return BAD("target");
    if (!number_ok(r->after))
        return BAD("after");
    return r->limit <= 200 ? where(r->conversation, r->with) : BAD("limit");
}

static struct validity check_search(const ProtobufCMessage *m)
{
    const Im__SearchReq *r = (const Im__SearchReq *)m;
    if (!within(r->text, 1, SEARCH_MAX))
        return BAD("text");
    if (r->conversation.len || r->with[0]) {
        struct validity v = where(r->conversation, r->with);
        if (v.code)
            return v;
    }
    return page(r->after, r->limit, 50);
}

static struct validity check_members(const ProtobufCMessage *m)
{
    const Im__MembersReq *r = (const Im__MembersReq *)m;
    return is_id(r->conversation) ? page(r->after, r->limit, 500) : BAD("conversation");
}

static struct validity check_asks(const ProtobufCMessage *m)
{
    const Im__AsksReq *r = (const Im__AsksReq *)m;
    if (!is_id(r->conversation))
        return BAD("conversation");
    return r->limit <= 1000 ? GOOD : BAD("limit");
}

/* By prefix, by id or by name: one of them. */
static struct validity check_users(const ProtobufCMessage *m)
{
    const Im__UsersReq *r = (const Im__UsersReq *)m;
    if (r->prefix[0] ? !within(r->prefix, 1, LOGIN_MAX) : !r->n_users && !r->n_logins)
        return BAD("prefix");
    if (!are_ids(r->users, r->n_users, r->prefix[0] ? 0 : NAMED_MAX))
        return BAD("users");
    if (!are_logins(r->logins, r->n_logins, r->prefix[0] || r->n_users ? 0 : NAMED_MAX))
        return BAD("logins");
    return r->after.len && !r->prefix[0] ? BAD("after") : page(r->after, r->limit, 50);
}

static struct validity check_contacts(const ProtobufCMessage *m)
{
    const Im__ContactsReq *r = (const Im__ContactsReq *)m;
    if (r->state < IM__FRIEND_STATE__NO_FRIEND || r->state > IM__FRIEND_STATE__FRIEND ||
        (r->state && r->blocked))
        return BAD("state");
    return page(r->after, r->limit, 500);
}

static struct validity check_devices(const ProtobufCMessage *m)
{
    (void)m;
    return GOOD;
}

/* Of nobody: ends what was asked for before. */
static struct validity check_presence(const ProtobufCMessage *m)
{
    const Im__PresenceReq *r = (const Im__PresenceReq *)m;
    if (!are_ids(r->users, r->n_users, PRESENCE_MAX))
        return BAD("users");
    return r->group.len == 0 || (is_id(r->group) && !r->n_users) ? GOOD : BAD("group");
}

check_fn *validate_query(uint16_t type)
{
    switch ((Im__FrameType)type) {
    case IM__FRAME_TYPE__CONV_LIST_REQ:
        return check_list;
    case IM__FRAME_TYPE__CONV_INFO_REQ:
        return check_info;
    case IM__FRAME_TYPE__HISTORY_REQ:
        return check_history;
    case IM__FRAME_TYPE__CHANGES_REQ:
        return check_changes;
    case IM__FRAME_TYPE__SEARCH_REQ:
        return check_search;
    case IM__FRAME_TYPE__MEMBERS_REQ:
        return check_members;
    case IM__FRAME_TYPE__ASKS_REQ:
        return check_asks;
    case IM__FRAME_TYPE__USERS_REQ:
        return check_users;
    case IM__FRAME_TYPE__CONTACTS_REQ:
        return check_contacts;
    case IM__FRAME_TYPE__DEVICES_REQ:
        return check_devices;
    case IM__FRAME_TYPE__PRESENCE_REQ:
        return check_presence;
    default:
        return NULL;
    }
}
