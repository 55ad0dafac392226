#include "common/im/codec.h"

#include "common/base/arena.h"
#include "common/base/arena_protobuf.h"
#include "common/base/rand.h"
#include "tests/support/samples.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena *arena;
static struct arena_protobuf pb;

static int setup(void **state)
{
    (void)state;
    arena = arena_new(0);
    return arena ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static int decode(enum record_kind kind, const uint8_t *p, size_t n, ProtobufCMessage **out)
{
    arena_reset(arena);
    return codec_decode(kind, arena_protobuf_allocator(&pb, arena, 1 << 20), (struct slice){p, n}, out);
}

static void every_record_comes_back(void **state)
{
    (void)state;
    uint8_t buf[SAMPLE_MAX], again[SAMPLE_MAX];
    int seen = 0;
    for (int kind = 0; kind < REC_KINDS; kind++) {
        size_t n;
        for (unsigned v = 0; (n = sample_record((enum record_kind)kind, v, buf)) > 0; v++, seen++) {
            ProtobufCMessage *m;
            assert_int_equal(decode((enum record_kind)kind, buf, n, &m), 0);
            assert_int_equal(codec_pack_into(m, again, sizeof again), n);
            assert_memory_equal(buf, again, n);
            assert_int_equal(codec_pack_into(m, again, n - 1), -ENOSPC);
        }
        assert_true(seen > kind);
    }
}

static void versions(void **state)
{
    (void)state;
    ProtobufCMessage *m;
    assert_int_equal(decode(REC_CURSOR, (const uint8_t *)"", 0, &m), -EBADMSG);
    assert_int_equal(decode(REC_CURSOR, (const uint8_t *)"\x08\x00", 2, &m), -EBADMSG);
    /* A newer version may be anything but must be said to be newer. */
    assert_int_equal(decode(REC_CURSOR, (const uint8_t *)"\x08\x02\x12\x01z", 5, &m), -ENOTSUP);
    assert_int_equal(decode(REC_CURSOR, (const uint8_t *)"\x08\x02\xff", 3, &m), -ENOTSUP);
    assert_int_equal(decode(REC_KINDS, (const uint8_t *)"\x08\x01", 2, &m), -EBADMSG);
}

static void refused(enum record_kind kind, const void *message)
{
    uint8_t buf[SAMPLE_MAX];
    ProtobufCMessage *m;
    int n = codec_pack_into(message, buf, sizeof buf);
    assert_true(n > 0);
    assert_int_equal(decode(kind, buf, (size_t)n, &m), -EBADMSG);
}

static void fields_are_checked(void **state)
{
    (void)state;
    uint8_t id[17] = "0123456789abcdef";
    ProtobufCBinaryData good = {16, id}, shorter = {15, id}, longer = {17, id};
    Im__CursorRecord c = IM__CURSOR_RECORD__INIT;
    c.version = 1;
    c.user = c.conversation = good;
    c.from = 5;
    c.upto = 4;
    refused(REC_CURSOR, &c);
    c.upto = 5;
    c.user = shorter;
    refused(REC_CURSOR, &c);
    c.user = longer;
    refused(REC_CURSOR, &c);
    Im__UserRecord u = IM__USER_RECORD__INIT;
    u.version = 1;
    u.user = good;
    u.kind = IM__USER_KIND__USER_REGISTERED;
    u.login = "Anna"; /* not normalised */
    refused(REC_USER, &u);
    u.login = "anna";
    u.kind = (Im__UserKind)17;
    refused(REC_USER, &u);
    Im__Inbound in = IM__INBOUND__INIT;
    Im__Session s = IM__SESSION__INIT;
    Im__InEnd end = IM__IN_END__INIT;
    in.version = 1;
    in.session = &s;
    refused(REC_INBOUND, &in); /* no body */
    in.body_case = IM__INBOUND__BODY_END;
    in.end = &end;
    refused(REC_INBOUND, &in); /* whose? */
    in.session = NULL;
    refused(REC_INBOUND, &in);
}

static void chats_are_checked(void **state)
{
    (void)state;
    uint8_t id[16] = "0123456789abcdef", users[48] = {0};
    char *logins[] = {"anna", "Bert"};
    Im__Inbound in = IM__INBOUND__INIT;
    Im__Session s = IM__SESSION__INIT;
    Im__InChat c = IM__IN_CHAT__INIT;
    Im__Body body = IM__BODY__INIT;
    in.version = 1;
    in.session = &s;
    s.user = c.conversation = c.msg_id = (ProtobufCBinaryData){16, id};
    in.body_case = IM__INBOUND__BODY_CHAT;
    in.chat = &c;
    refused(REC_INBOUND, &in); /* no body */
    c.body = &body;
    c.kind = (Im__ConvKind)35;
    refused(REC_INBOUND, &in);
    c.kind = IM__CONV_KIND__CONV_RECEIPT; /* has a body of its own */
    refused(REC_INBOUND, &in);
    c.kind = IM__CONV_KIND__CONV_GROUP_INVITE;
    c.users = (ProtobufCBinaryData){47, users};
    refused(REC_INBOUND, &in);
    c.users.len = 32; /* twice the same */
    refused(REC_INBOUND, &in);
    users[16] = 1;
    c.n_logins = 1;
    c.logins = logins;
    refused(REC_INBOUND, &in); /* whose name? */
    c.n_logins = 2;
    refused(REC_INBOUND, &in); /* not normalised */
    logins[1] = "";
    c.target = UINT64_MAX;
    refused(REC_INBOUND, &in);
    c.target = 0;
    c.role = (Im__Role)4;
    refused(REC_INBOUND, &in);
    c.role = IM__ROLE__OWNER;
    uint8_t buf[SAMPLE_MAX];
    ProtobufCMessage *m;
    int n = codec_pack_into(&in.base, buf, sizeof buf);
    assert_int_equal(decode(REC_INBOUND, buf, (size_t)n, &m), 0);
}

/* What only the operator may write must not be writable by an edge, whatever a client sends. */
static void the_admin_right_is_the_operators(void **state)
{
    (void)state;
    uint8_t id[16] = "0123456789abcdef";
    Im__Inbound in = IM__INBOUND__INIT;
    Im__Session s = IM__SESSION__INIT;
    Im__InAdmin admin = IM__IN_ADMIN__INIT;
    Im__InRevoke revoke = IM__IN_REVOKE__INIT;
    in.version = 1;
    in.session = &s;
    in.body_case = IM__INBOUND__BODY_ADMIN;
    in.admin = &admin;
    refused(REC_INBOUND, &in); /* slot 0 is somebody's */
    s.slot = UINT32_MAX;
    s.epoch = 1;
    refused(REC_INBOUND, &in);
    s.epoch = 0;
    s.user = (ProtobufCBinaryData){16, id};
    refused(REC_INBOUND, &in);
    in.body_case = IM__INBOUND__BODY_REVOKE;
    in.revoke = &revoke;
    refused(REC_INBOUND, &in); /* of nothing */
    revoke.device = 1;
    revoke.all = true;
    refused(REC_INBOUND, &in); /* of both */
    uint8_t buf[SAMPLE_MAX];
    ProtobufCMessage *m;
    s.user.len = revoke.device = 0; /* the operator ends somebody's devices */
    int n = codec_pack_into(&in.base, buf, sizeof buf);
    assert_int_equal(decode(REC_INBOUND, buf, (size_t)n, &m), 0);
    revoke.keep_current = true; /* which one? */
    refused(REC_INBOUND, &in);
    revoke.keep_current = false;
    s.slot = 3; /* an edge that forgot whose session it is */
    refused(REC_INBOUND, &in);
}

static void deliver_lists_must_agree(void **state)
{
    (void)state;
    uint8_t id[32] = "0123456789abcdef0123456789abcdef";
    uint32_t two[] = {1, 2};
    uint64_t logins[] = {1, 2};
    Im__DeliverItem i = IM__DELIVER_ITEM__INIT, *list = &i;
    Im__DeliverRecord r = IM__DELIVER_RECORD__INIT;
    r.version = 1;
    r.n_items = 1;
    r.items = &list;
    i.kind = IM__ITEM_KIND__ITEM_MESSAGE;
    i.conversation = (ProtobufCBinaryData){16, id};
    i.seq = 1;
    i.n_handles = 2;
    i.handles = two;
    refused(REC_DELIVER, &r); /* could not be bounced */
    i.users = (ProtobufCBinaryData){31, id};
    i.n_devices = i.n_logins = 2;
    i.devices = two;
    i.logins = logins;
    refused(REC_DELIVER, &r);
    i.users.len = 32;
    i.n_devices = 1;
    refused(REC_DELIVER, &r);
    i.n_devices = 2;
    i.kind = IM__ITEM_KIND__ITEM_POINTED;
    i.seq = 0;
    refused(REC_DELIVER, &r);
    i.seq = 1;
    i.n_logins = 0;
    refused(REC_DELIVER, &r);
    i.n_logins = 2;
    i.n_handles = 0;
    refused(REC_DELIVER, &r);
    i.all = true; /* a message for all could not be bounced */
    i.users.len = i.n_devices = i.n_logins = 0;
    refused(REC_DELIVER, &r);
    i.kind = IM__ITEM_KIND__ITEM_EVENT;
    i.n_handles = 2;
    refused(REC_DELIVER, &r);
    i.kind = IM__ITEM_KIND__ITEM_NONE;
    i.n_handles = 0;
    refused(REC_DELIVER, &r);
    i.kind = (Im__ItemKind)9;
    refused(REC_DELIVER, &r);
}

static void questions_and_group_records(void **state)
{
    (void)state;
    uint8_t id[32] = "0123456789abcdef0123456789abcdef";
    Im__QueryRecord q = IM__QUERY_RECORD__INIT;
    Im__Session s = IM__SESSION__INIT;
    q.version = 1;
    q.session = &s;
    q.frame_type = IM__FRAME_TYPE__HISTORY_REQ;
    refused(REC_QUERY, &q); /* whose? */
    s.user = (ProtobufCBinaryData){16, id};
    q.frame_type = IM__FRAME_TYPE__HISTORY_RSP;
    refused(REC_QUERY, &q);
    q.frame_type = IM__FRAME_TYPE__LOGIN_REQ;
    refused(REC_QUERY, &q);
    q.frame_type = 65536 + IM__FRAME_TYPE__HISTORY_REQ;
    refused(REC_QUERY, &q);
    Im__OfflineRecord r = IM__OFFLINE_RECORD__INIT;
    Im__OffGroup g = IM__OFF_GROUP__INIT;
    Im__OffServed served = IM__OFF_SERVED__INIT, *list = &served;
    r.version = 1;
    r.body_case = IM__OFFLINE_RECORD__BODY_GROUP;
    r.group = &g;
    refused(REC_OFFLINE, &r);
    g.conversation = (ProtobufCBinaryData){16, id};
    g.seq = 1;
    g.users = (ProtobufCBinaryData){31, id};
    refused(REC_OFFLINE, &r);
    g.users.len = 32;
    g.n_served = 1;
    g.served = &list;
    served.index = 2;
    refused(REC_OFFLINE, &r);
    uint32_t handles[] = {1, 2};
    g.n_handles = 2; /* instead of users, not beside them */
    g.handles = handles;
    g.n_served = 0;
    refused(REC_OFFLINE, &r);
    g.users.len = 0;
    g.left = true;
    refused(REC_OFFLINE, &r);
}

static void text_is_checked_where_protobuf_would_cut_it(void **state)
{
    (void)state;
    ProtobufCMessage *m;
    assert_int_equal(decode(REC_DLQ,
                            (const uint8_t *)"\x08\x01\x12\x03"
                                             "a\0b",
                            7, &m),
                     -EBADMSG);
    assert_int_equal(decode(REC_DLQ,
                            (const uint8_t *)"\x08\x01\x12\x03"
                                             "a\xff"
                                             "b",
                            7, &m),
                     -EBADMSG);
    assert_int_equal(decode(REC_DLQ,
                            (const uint8_t *)"\x08\x01\x12\x03"
                                             "abc",
                            7, &m),
                     0);
}

static void the_budget_holds(void **state)
{
    (void)state;
    uint8_t buf[SAMPLE_MAX];
    ProtobufCMessage *m;
    size_t n = sample_record(REC_DELIVER, 0, buf);
    arena_reset(arena);
    assert_int_equal(
        codec_decode(REC_DELIVER, arena_protobuf_allocator(&pb, arena, 300), (struct slice){buf, n}, &m),
        -EBADMSG);
    assert_true(pb.spent);
}

static void spoilt_bytes_never_pass_unchecked(void **state)
{
    (void)state;
    struct rng rng = {42};
    uint8_t buf[SAMPLE_MAX];
    for (int round = 0; round < 20000; round++) {
        enum record_kind kind = (enum record_kind)rng_below(&rng, REC_KINDS);
        size_t n = sample_record(kind, (unsigned)rng_below(&rng, 13), buf);
        if (n == 0)
            continue;
        for (uint64_t k = 1 + rng_below(&rng, 3); k; k--)
            buf[rng_below(&rng, n)] = (uint8_t)rng_next(&rng);
        n -= rng_below(&rng, 4) ? 0 : rng_below(&rng, n);
        ProtobufCMessage *m = NULL;
        int rc = decode(kind, buf, n, &m);
        assert_true(rc == 0 || rc == -EBADMSG || rc == -ENOTSUP);
        assert_int_equal(m != NULL, rc == 0);
    }
}

static void keys(void **state)
{
    (void)state;
    struct session s = {id_user("anna"), 2, 3, 0x0102030405060708, 0xdeadbeef, 9}, back;
    uint8_t key[KEY_PRESENCE], cursor[KEY_CURSOR];
    uint32_t slot, handle, device;
    uint64_t epoch;
    struct id16 user, conv;
    key_presence(&s, key);
    assert_memory_equal(key, "\0\0\0\3\1\2\3\4\5\6\7\x8\xde\xad\xbe\xef", KEY_PRESENCE);
    assert_int_equal(key_presence_parse((struct slice){key, sizeof key}, &slot, &epoch, &handle), 0);
    assert_true(slot == 3 && epoch == s.epoch && handle == s.handle);
    assert_int_equal(key_presence_parse((struct slice){key, 15}, &slot, &epoch, &handle), -EBADMSG);
    key_cursor(s.user, 2, id_user("bert"), cursor);
    assert_int_equal(key_cursor_parse((struct slice){cursor, sizeof cursor}, &user, &device, &conv), 0);
    assert_true(id_eq(user, s.user) && device == 2 && id_eq(conv, id_user("bert")));
    Im__Session p;
    session_to_pb(&s, &p);
    assert_int_equal(session_from_pb(&p, &back), 0);
    assert_true(session_eq(&s, &back));
    p.user.len = 3;
    assert_int_equal(session_from_pb(&p, &back), -EBADMSG);
    assert_int_equal(session_from_pb(NULL, &back), -EBADMSG);
    s.user = (struct id16){{0}};
    session_to_pb(&s, &p);
    assert_int_equal(p.user.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_comes_back),
        cmocka_unit_test(versions),
        cmocka_unit_test(fields_are_checked),
        cmocka_unit_test(chats_are_checked),
        cmocka_unit_test(the_admin_right_is_the_operators),
        cmocka_unit_test(deliver_lists_must_agree),
        cmocka_unit_test(questions_and_group_records),
        cmocka_unit_test(text_is_checked_where_protobuf_would_cut_it),
        cmocka_unit_test(the_budget_holds),
        cmocka_unit_test(spoilt_bytes_never_pass_unchecked),
        cmocka_unit_test(keys),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
