#include "tests/unit/validaterun.h"

static void registers(void **state)
{
    (void)state;
#define TYPE IM__FRAME_TYPE__REGISTER_REQ
    Im__RegisterReq r = IM__REGISTER_REQ__INIT;
    r.login = "Anna";
    r.password = "12345678";
    good(TYPE, &r);
    SET(r, login, "a", "login");
    SET(r, login, "a b", "login");
    SET(r, password, "1234567", "password");
    SET(r, password, text_of(256), "");
    SET(r, password, text_of(257), "password");
    SET(r, display_name, text_of(128), "");
    SET(r, display_name, text_of(129), "display_name");
#undef TYPE
#define TYPE IM__FRAME_TYPE__ACCOUNT_EXISTS_REQ
    Im__AccountExistsReq e = IM__ACCOUNT_EXISTS_REQ__INIT;
    bad(TYPE, &e, "login");
    SET(e, login, "anna", "");
#undef TYPE
}

static void logins(void **state)
{
    (void)state;
#define TYPE IM__FRAME_TYPE__LOGIN_REQ
    Im__LoginReq l = IM__LOGIN_REQ__INIT;
    l.device_id = "d";
    bad(TYPE, &l, "login");
    l.login = "anna";
    bad(TYPE, &l, "password");
    l.password = "x";
    good(TYPE, &l);
    SET(l, token, "t", "login");
    SET(l, device_id, "", "device_id");
    SET(l, device_id, text_of(64), "");
    SET(l, device_id, text_of(65), "device_id");
    SET(l, device_class, text_of(33), "device_class");
    SET(l, client, text_of(65), "client");
    l.login = "";
    SET(l, token, "t", "password");
    l.password = "";
    l.token = "t";
    good(TYPE, &l);
    SET(l, token, text_of(513), "token");
#undef TYPE
}

static void chats(void **state)
{
    (void)state;
#define TYPE IM__FRAME_TYPE__SINGLE_CHAT
    Im__SingleChat c = IM__SINGLE_CHAT__INIT;
    ProtobufCBinaryData id = {ID_SIZE, (uint8_t *)text_of(16)}, longer = {17, (uint8_t *)text_of(17)};
    c.client_seq = 1;
    c.to = "bert";
    bad(TYPE, &c, "text");
    c.text = "hello";
    good(TYPE, &c);
    SET(c, client_seq, 0, "client_seq");
    SET(c, client_seq, (uint64_t)INT64_MAX, "");
    SET(c, client_seq, (uint64_t)INT64_MAX + 1, "client_seq");
    SET(c, to, "", "to");
    SET(c, to, "?", "to");
    SET(c, to_user, id, "to");
    SET(c, content_type, "image/png", "content_type");
    SET(c, data, id, "content_type");
    c.to = "";
    SET(c, to_user, id, "");
    SET(c, to_user, longer, "to_user");
    c.to_user = id;
    c.text = "";
    SET(c, data, id, "content_type");
    SET(c, content_type, "x/y", "");
    c.content_type = "x/y";
    SET(c, data, id, "");
    SET(c, content_type, text_of(129), "content_type");
#undef TYPE
}

/* Where frames of 1 MiB are allowed: a push is larger than the send it comes from, and must fit as well. */
static void a_body_leaves_room_for_the_push(void **state)
{
    (void)state;
#define TYPE IM__FRAME_TYPE__SINGLE_CHAT
    uint8_t *big = malloc(FRAME_CAP_MAX);
    assert_non_null(big);
    memset(big, 'x', FRAME_CAP_MAX);
    ProtobufCBinaryData fits = {BODY_MAX, big}, over = {BODY_MAX + 1, big};
    Im__SingleChat c = IM__SINGLE_CHAT__INIT;
    c.client_seq = 1;
    c.to = "bert";
    c.content_type = "x/y";
    SET(c, data, fits, "");
    SET(c, data, over, "data");
    c.content_type = "";
    big[BODY_MAX + 1] = 0;
    SET(c, text, (char *)big, "text");
    big[BODY_MAX] = 0;
    SET(c, text, (char *)big, "");
    free(big);
#undef TYPE
}

static void pulls_and_acks(void **state)
{
    (void)state;
    ProtobufCBinaryData id = {ID_SIZE, (uint8_t *)text_of(16)}, shorter = {15, (uint8_t *)text_of(15)};
#define TYPE IM__FRAME_TYPE__PULL_OFFLINE_REQ
    Im__PullOfflineReq p = IM__PULL_OFFLINE_REQ__INIT;
    good(TYPE, &p);
    SET(p, limit, 1000, "");
    SET(p, limit, 1001, "limit");
    SET(p, after, UINT64_MAX, "after");
    SET(p, conversation, id, "");
    SET(p, conversation, shorter, "conversation");
#undef TYPE
#define TYPE IM__FRAME_TYPE__DELIVERY_ACK
    Im__DeliveryAck a = IM__DELIVERY_ACK__INIT;
    Im__Cursor one = IM__CURSOR__INIT, *list[65];
    for (size_t i = 0; i < 65; i++)
        list[i] = &one;
    good(TYPE, &a);
    one.conversation = id;
    one.from = 1;
    one.upto = 1;
    a.cursors = list;
    SET(a, n_cursors, 64, "");
    SET(a, n_cursors, 65, "cursors");
    a.n_cursors = 1;
    one.upto = 0;
    bad(TYPE, &a, "cursors");
    one = (Im__Cursor)IM__CURSOR__INIT;
    bad(TYPE, &a, "cursors");
#undef TYPE
}

static void the_account(void **state)
{
    (void)state;
#define TYPE IM__FRAME_TYPE__REVOKE_REQ
    Im__RevokeReq r = IM__REVOKE_REQ__INIT;
    bad(TYPE, &r, "device");
    SET(r, device, 3, "");
    r.all = true;
    good(TYPE, &r);
    SET(r, device, 3, "device");
    SET(r, keep_current, true, "");
    r.all = false;
    r.device = 1;
    SET(r, keep_current, true, "keep_current");
#undef TYPE
#define TYPE IM__FRAME_TYPE__PROFILE_REQ
    Im__ProfileReq p = IM__PROFILE_REQ__INIT;
    bad(TYPE, &p, "name"); /* a record for nothing */
    SET(p, name, "Anna", "");
    SET(p, name, text_of(129), "name");
    SET(p, presence, IM__PRIVACY__NOBODY, "");
    SET(p, presence, (Im__Privacy)4, "presence");
    SET(p, presence, (Im__Privacy)-1, "presence");
#undef TYPE
#define TYPE IM__FRAME_TYPE__PREFS_REQ
    Im__PrefsReq f = IM__PREFS_REQ__INIT;
    bad(TYPE, &f, "conversation");
    f.with = "bert";
    good(TYPE, &f);
    SET(f, with, "?", "with");
    SET(f, remark, text_of(128), "");
    SET(f, remark, text_of(129), "remark");
    SET(f, mask, 7, "");
    SET(f, mask, 8, "mask");
    SET(f, conversation, id_of(16), "conversation");
#undef TYPE
    assert_int_equal(check(IM__FRAME_TYPE__TOKEN_REQ, &(Im__TokenReq)IM__TOKEN_REQ__INIT).code, IM__CODE__OK);
}

static struct validity raw(uint16_t type, const void *p, size_t n)
{
    ProtobufCMessage *m = NULL;
    struct validity v = validate_decode(type, (struct slice){p, n}, NULL, &m);
    if (m)
        protobuf_c_message_free_unpacked(m, NULL);
    return v;
}

static void text_and_garbage(void **state)
{
    (void)state;
    /* field 1 of RegisterReq is a string: a NUL inside, not UTF-8, cut short */
    struct validity v = raw(IM__FRAME_TYPE__REGISTER_REQ,
                            "\x0a\x05"
                            "an\0na",
                            7);
    assert_int_equal(v.code, IM__CODE__BAD_TEXT);
    assert_string_equal(v.field, "login");
    v = raw(IM__FRAME_TYPE__REGISTER_REQ,
            "\x12\x03"
            "a\xff"
            "b",
            5);
    assert_int_equal(v.code, IM__CODE__BAD_TEXT);
    assert_string_equal(v.field, "password");
    assert_int_equal(raw(IM__FRAME_TYPE__REGISTER_REQ, "\x0a\x7f", 2).code, IM__CODE__BAD_PROTOBUF);
    assert_int_equal(raw(IM__FRAME_TYPE__HEARTBEAT, NULL, 0).code, IM__CODE__OK);
    assert_int_equal(raw(IM__FRAME_TYPE__LOGOUT_REQ, NULL, 0).code, IM__CODE__OK);
    assert_int_equal(raw(IM__FRAME_TYPE__LOGIN_RSP, NULL, 0).code, IM__CODE__UNKNOWN_TYPE);
    assert_int_equal(raw(0, NULL, 0).code, IM__CODE__UNKNOWN_TYPE);
    assert_int_equal(raw(65535, NULL, 0).code, IM__CODE__UNKNOWN_TYPE);
}

/* A request type that nobody checks would let anything in. */
static void every_request_is_checked(void **state)
{
    (void)state;
    size_t n;
    const struct frame_type *t = frame_types(&n);
    for (size_t i = 0; i < n; i++) {
        if (!t[i].request)
            continue;
        ProtobufCMessage *m = protobuf_c_message_unpack(t[i].request, NULL, 0, NULL);
        assert_non_null(m);
        assert_int_not_equal(validate_request(t[i].type, m).code, IM__CODE__UNKNOWN_TYPE);
        protobuf_c_message_free_unpacked(m, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers),
        cmocka_unit_test(logins),
        cmocka_unit_test(chats),
        cmocka_unit_test(a_body_leaves_room_for_the_push),
        cmocka_unit_test(pulls_and_acks),
        cmocka_unit_test(the_account),
        cmocka_unit_test(text_and_garbage),
        cmocka_unit_test(every_request_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
