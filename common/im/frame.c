#include "common/im/frame.h"

#include "common/base/macros.h"
#include "common/im/wire.h"

enum frame_rc frame_decode(const void *window, size_t n, size_t cap, struct frame *out, size_t *size)
{
    struct wire w = wire_of((struct slice){window, n});
    *out = (struct frame){0};
    *size = FRAME_HEADER;
    if (n < 4)
        return FRAME_MORE;
    size_t total = wire_be(&w, 4);
    if (n >= FRAME_HEADER) {
        out->type = (uint16_t)wire_be(&w, 2);
        out->seq_id = (uint32_t)wire_be(&w, 4);
    }
    if (total < FRAME_HEADER)
        return FRAME_TOO_SHORT;
    if (total > cap)
        return FRAME_TOO_LARGE;
    *size = total;
    if (n < total)
        return FRAME_MORE;
    out->payload = wire_take(&w, total - FRAME_HEADER);
    return FRAME_READY;
}

void frame_header(uint8_t out[FRAME_HEADER], uint16_t type, uint32_t seq_id, size_t payload_n)
{
    wire_put_be(wire_put_be(wire_put_be(out, FRAME_HEADER + payload_n, 4), type, 2), seq_id, 4);
}

#define D(name) (&im__##name##__descriptor)
#define T(name, answer, flags, request, server)                       \
    {                                                                 \
        IM__FRAME_TYPE__##name, answer, flags, #name, request, server \
    }
#define A(name) IM__FRAME_TYPE__##name
enum {
    ANY = FRAME_BEFORE_LOGIN | FRAME_AFTER_LOGIN,
    BEFORE = FRAME_BEFORE_LOGIN,
    AFTER = FRAME_AFTER_LOGIN,
    QUERY = FRAME_AFTER_LOGIN | FRAME_QUERY
};

static const struct frame_type types[] = {
    T(LOGIN_REQ, A(LOGIN_RSP), BEFORE, D(login_req), NULL),
    T(LOGIN_RSP, 0, 0, NULL, D(login_rsp)),
    T(LOGOUT_REQ, A(LOGOUT_RSP), AFTER, D(logout_req), NULL),
    T(HEARTBEAT, A(HEARTBEAT), ANY, D(heartbeat), D(heartbeat_rsp)),
    T(SINGLE_CHAT, A(MSG_ACK), AFTER, D(single_chat), NULL),
    T(GROUP_CHAT, A(MSG_ACK), AFTER, D(group_chat), NULL),
    T(CONV_OP, A(MSG_ACK), AFTER, D(conv_op), NULL),
    T(ANNOUNCE, A(MSG_ACK), AFTER, D(announce), NULL),
    T(MSG_ACK, 0, FRAME_PUSH, NULL, D(msg_ack)),
    T(MSG_READ, 0, AFTER, D(msg_read), NULL),
    T(TYPING, 0, AFTER, D(typing), NULL),
    T(PULL_OFFLINE_REQ, A(PULL_OFFLINE_RSP), AFTER, D(pull_offline_req), NULL),
    T(PULL_OFFLINE_RSP, 0, 0, NULL, D(pull_offline_rsp)),
    T(REGISTER_REQ, A(REGISTER_RSP), ANY, D(register_req), NULL),
    T(REGISTER_RSP, 0, 0, NULL, D(register_rsp)),
    T(ACCOUNT_EXISTS_REQ, A(ACCOUNT_EXISTS_RSP), ANY, D(account_exists_req), NULL),
    T(ACCOUNT_EXISTS_RSP, 0, 0, NULL, D(account_exists_rsp)),
    T(LOGOUT_RSP, 0, 0, NULL, D(logout_rsp)),
    T(TOKEN_REQ, A(TOKEN_RSP), AFTER, D(token_req), NULL),
    T(TOKEN_RSP, 0, 0, NULL, D(token_rsp)),
    T(REVOKE_REQ, A(REVOKE_RSP), AFTER, D(revoke_req), NULL),
    T(REVOKE_RSP, 0, 0, NULL, D(revoke_rsp)),
    T(CHAT_PUSH, 0, FRAME_PUSH, NULL, D(chat_push)),
    T(DELIVERY_ACK, 0, AFTER, D(delivery_ack), NULL),
    T(KICKED, 0, 0, NULL, D(kicked)),
    T(GOAWAY, 0, 0, NULL, D(go_away)),
    T(RECEIPT_PUSH, 0, FRAME_PUSH, NULL, D(receipt_push)),
    T(TYPING_PUSH, 0, 0, NULL, D(typing_push)),
    T(PRESENCE_PUSH, 0, FRAME_PUSH, NULL, D(presence_push)),
    T(NEWS_PUSH, 0, FRAME_PUSH, NULL, D(news_push)),
    T(NOTE_PUSH, 0, FRAME_PUSH, NULL, D(note_push)),
    T(CONV_LIST_REQ, A(CONV_LIST_RSP), QUERY, D(conv_list_req), NULL),
    T(CONV_LIST_RSP, 0, 0, NULL, D(conv_list_rsp)),
    T(CONV_INFO_REQ, A(CONV_INFO_RSP), QUERY, D(conv_info_req), NULL),
    T(CONV_INFO_RSP, 0, 0, NULL, D(conv_info_rsp)),
    T(HISTORY_REQ, A(HISTORY_RSP), QUERY, D(history_req), NULL),
    T(HISTORY_RSP, 0, 0, NULL, D(history_rsp)),
    T(CHANGES_REQ, A(CHANGES_RSP), QUERY, D(changes_req), NULL),
    T(CHANGES_RSP, 0, 0, NULL, D(changes_rsp)),
    T(SEARCH_REQ, A(SEARCH_RSP), QUERY, D(search_req), NULL),
    T(SEARCH_RSP, 0, 0, NULL, D(search_rsp)),
    T(MEMBERS_REQ, A(MEMBERS_RSP), QUERY, D(members_req), NULL),
    T(MEMBERS_RSP, 0, 0, NULL, D(members_rsp)),
    T(ASKS_REQ, A(ASKS_RSP), QUERY, D(asks_req), NULL),
    T(ASKS_RSP, 0, 0, NULL, D(asks_rsp)),
    T(USERS_REQ, A(USERS_RSP), QUERY, D(users_req), NULL),
    T(USERS_RSP, 0, 0, NULL, D(users_rsp)),
    T(CONTACTS_REQ, A(CONTACTS_RSP), QUERY, D(contacts_req), NULL),
    T(CONTACTS_RSP, 0, 0, NULL, D(contacts_rsp)),
    T(DEVICES_REQ, A(DEVICES_RSP), QUERY, D(devices_req), NULL),
    T(DEVICES_RSP, 0, 0, NULL, D(devices_rsp)),
    T(PRESENCE_REQ, A(PRESENCE_RSP), QUERY, D(presence_req), NULL),
    T(PRESENCE_RSP, 0, 0, NULL, D(presence_rsp)),
    T(PROFILE_REQ, A(PROFILE_RSP), AFTER, D(profile_req), NULL),
    T(PROFILE_RSP, 0, 0, NULL, D(profile_rsp)),
    T(PREFS_REQ, A(PREFS_RSP), AFTER, D(prefs_req), NULL),
    T(PREFS_RSP, 0, 0, NULL, D(prefs_rsp)),
    T(ERROR, 0, 0, NULL, D(error)),
};

const struct frame_type *frame_type(uint16_t type)
{
    size_t lo = 0, hi = ARRAY_LEN(types);
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (types[mid].type < type)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < ARRAY_LEN(types) && types[lo].type == type ? &types[lo] : NULL;
}

const struct frame_type *frame_type_named(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

const struct frame_type *frame_types(size_t *n)
{
    *n = ARRAY_LEN(types);
    return types;
}

const char *frame_name(uint16_t type)
{
    const struct frame_type *t = frame_type(type);
    return t ? t->name : "?";
}
