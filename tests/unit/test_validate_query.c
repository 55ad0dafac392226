/* Questions for the read models: limits, alternatives, and where to wait. */
#include "tests/unit/validaterun.h"

static Im__Wait wait_good, wait_none, wait_far;

static void prepare_waits(void)
{
    wait_none = wait_good = wait_far = (Im__Wait)IM__WAIT__INIT;
    wait_good.conversation = wait_far.conversation = id_of(16);
    wait_good.seq = 7;
    wait_far.seq = UINT64_MAX;
}

#define WAITS(m)                          \
    do {                                  \
        prepare_waits();                  \
        SET(m, wait, &wait_good, "");     \
        SET(m, wait, &wait_none, "wait"); \
        SET(m, wait, &wait_far, "wait");  \
    } while (0)
#define LIMIT(m, max)                      \
    do {                                   \
        SET(m, limit, 0, "");              \
        SET(m, limit, max, "");            \
        SET(m, limit, (max) + 1, "limit"); \
    } while (0)
#define AFTER(m)                            \
    do {                                    \
        SET(m, after, id_of(256), "");      \
        SET(m, after, id_of(257), "after"); \
    } while (0)

static void conversations(void **state)
{
    (void)state;
#define TYPE IM__FRAME_TYPE__CONV_LIST_REQ
    Im__ConvListReq l = IM__CONV_LIST_REQ__INIT;
    good(TYPE, &l);
    LIMIT(l, 100);
    AFTER(l);
    WAITS(l);
#undef TYPE
#define TYPE IM__FRAME_TYPE__CONV_INFO_REQ
    Im__ConvInfoReq i = IM__CONV_INFO_REQ__INIT;
    bad(TYPE, &i, "conversation");
    i.with = "bert";
    good(TYPE, &i);
    SET(i, conversation, id_of(16), "conversation");
    WAITS(i);
#undef TYPE
}

static void history(void **state)
{
    (void)state;
#define TYPE IM__FRAME_TYPE__HISTORY_REQ
    Im__HistoryReq h = IM__HISTORY_REQ__INIT;
    bad(TYPE, &h, "conversation");
    h.conversation = id_of(16);
    good(TYPE, &h);
    SET(h, with, "bert", "conversation");
    SET(h, seq, UINT64_MAX, "seq");
    SET(h, time_ms, 1700000000000, "");
    SET(h, time_ms, -1, "time_ms");
    SET(h, direction, IM__DIRECTION__AROUND, "");
    SET(h, direction, (Im__Direction)3, "direction");
    LIMIT(h, 200);
    WAITS(h);
    h.seq = 5;
    SET(h, time_ms, 1700000000000, "time_ms");
#undef TYPE
#define TYPE IM__FRAME_TYPE__CHANGES_REQ
    Im__ChangesReq c = IM__CHANGES_REQ__INIT;
    c.with = "bert";
    bad(TYPE, &c, "target");
    c.target = 1;
    good(TYPE, &c);
    SET(c, with, "", "conversation");
    SET(c, after, UINT64_MAX, "after");
    LIMIT(c, 200);
#undef TYPE
#define TYPE IM__FRAME_TYPE__SEARCH_REQ
    Im__SearchReq s = IM__SEARCH_REQ__INIT;
    bad(TYPE, &s, "text");
    s.text = "hello";
    good(TYPE, &s);
    SET(s, text, text_of(256), "");
    SET(s, text, text_of(257), "text");
    SET(s, with, "bert", "");
    SET(s, conversation, id_of(15), "conversation");
    LIMIT(s, 50);
    AFTER(s);
#undef TYPE
}

static void groups(void **state)
{
    (void)state;
#define TYPE IM__FRAME_TYPE__MEMBERS_REQ
    Im__MembersReq m = IM__MEMBERS_REQ__INIT;
    bad(TYPE, &m, "conversation");
    m.conversation = id_of(16);
    good(TYPE, &m);
    LIMIT(m, 500);
    AFTER(m);
#undef TYPE
#define TYPE IM__FRAME_TYPE__ASKS_REQ
    Im__AsksReq a = IM__ASKS_REQ__INIT;
    bad(TYPE, &a, "conversation");
    a.conversation = id_of(16);
    LIMIT(a, 1000);
#undef TYPE
}

static void people(void **state)
{
    (void)state;
    static ProtobufCBinaryData ids[501];
    char *names[] = {"anna", "?"};
    for (size_t i = 0; i < 501; i++)
        ids[i] = (ProtobufCBinaryData){ID_SIZE, (uint8_t *)(uintptr_t) "0123456789abcdef"};
#define TYPE IM__FRAME_TYPE__USERS_REQ
    Im__UsersReq u = IM__USERS_REQ__INIT;
    bad(TYPE, &u, "prefix");
    u.users = ids;
    u.logins = names;
    SET(u, n_users, 100, "");
    SET(u, n_users, 101, "users");
    SET(u, n_logins, 1, "");
    SET(u, n_logins, 2, "logins");
    u.prefix = "an";
    good(TYPE, &u);
    SET(u, n_users, 1, "users");
    SET(u, n_logins, 1, "logins");
    SET(u, prefix, text_of(65), "prefix");
    LIMIT(u, 50);
    AFTER(u);
    u.prefix = "";
    u.n_users = 1;
    SET(u, after, id_of(16), "after");
    SET(u, n_logins, 1, "logins");
#undef TYPE
#define TYPE IM__FRAME_TYPE__CONTACTS_REQ
    Im__ContactsReq c = IM__CONTACTS_REQ__INIT;
    good(TYPE, &c);
    SET(c, state, (Im__FriendState)4, "state");
    SET(c, blocked, true, "");
    LIMIT(c, 500);
    AFTER(c);
    c.state = IM__FRIEND_STATE__ASKED;
    good(TYPE, &c);
    SET(c, blocked, true, "state");
#undef TYPE
#define TYPE IM__FRAME_TYPE__PRESENCE_REQ
    Im__PresenceReq p = IM__PRESENCE_REQ__INIT;
    good(TYPE, &p); /* nobody any more */
    p.users = ids;
    SET(p, n_users, 500, "");
    SET(p, n_users, 501, "users");
    SET(p, group, id_of(16), "");
    SET(p, group, id_of(15), "group");
    p.n_users = 1;
    SET(p, group, id_of(16), "group");
#undef TYPE
    good(IM__FRAME_TYPE__DEVICES_REQ, &(Im__DevicesReq)IM__DEVICES_REQ__INIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conversations),
        cmocka_unit_test(history),
        cmocka_unit_test(groups),
        cmocka_unit_test(people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
