/* pbjson: what comes back is what went in. */
#include "client/parleyctl/pbjson.c" /* part of a program, so in no library */
#include "proto/record.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void same_bytes(const ProtobufCMessage *m)
{
    uint8_t a[4096], b[4096];
    char why[200];
    json_t *j = pbjson_from(m);
    char *text = json_dumps(j, JSON_COMPACT);
    json_t *again = json_loads(text, 0, NULL);
    assert_non_null(again);
    ProtobufCMessage *back = pbjson_to(m->descriptor, again, why, sizeof why);
    if (!back)
        fail_msg("%s: %s", text, why);
    size_t n = protobuf_c_message_pack(m, a);
    assert_int_equal(protobuf_c_message_pack(back, b), n);
    assert_memory_equal(a, b, n);
    protobuf_c_message_free_unpacked(back, NULL);
    json_decref(again);
    json_decref(j);
    free(text);
}

static void every_shape(void **state)
{
    uint8_t id[16] = {0xab, 0, 1}, users[32] = {1};
    char *logins[] = {"anna", ""};
    Im__Body body = IM__BODY__INIT;
    Im__Session session = IM__SESSION__INIT;
    Im__ConvRecord r = IM__CONV_RECORD__INIT;
    (void)state;
    body.text = "a \"text\"\nwith \xe2\x82\xac and \x01";
    body.data = (ProtobufCBinaryData){3, (uint8_t[]){0, 255, 1}};
    session.epoch = UINT64_MAX;
    session.handle = UINT32_MAX;
    r.version = 1;
    r.kind = IM__CONV_KIND__CONV_GROUP_INVITE;
    r.conversation = r.user = (ProtobufCBinaryData){16, id};
    r.client_seq = (UINT64_C(1) << 53) + 1;
    r.source_part = -1;
    r.source_offset = INT64_MIN;
    r.users = (ProtobufCBinaryData){32, users};
    r.n_logins = 2;
    r.logins = logins;
    r.body = &body;
    r.origin = &session;
    same_bytes(&r.base);
    r.kind = 4711; /* of a newer version */
    same_bytes(&r.base);
}

static void a_choice(void **state)
{
    Im__Inbound m = IM__INBOUND__INIT;
    Im__InAdmin off = IM__IN_ADMIN__INIT;
    (void)state;
    m.body_case = IM__INBOUND__BODY_ADMIN;
    m.admin = &off; /* all its fields are defaults */
    same_bytes(&m.base);
}

static void what_is_not_known_stays(void **state)
{
    static const uint8_t bytes[] = {0x08, 1, 0xca, 0x3e, 3, 'x', 'y', 'z', 0xd0, 0x3e, 7};
    (void)state;
    Im__UserRecord *u = im__user_record__unpack(NULL, sizeof bytes, bytes);
    assert_non_null(u);
    assert_int_equal(u->base.n_unknown_fields, 2);
    same_bytes(&u->base);
    im__user_record__free_unpacked(u, NULL);
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"{\"nothing\": 1}", "nothing: there is no such field"},
        {"{\"user\": \"zz\"}", "user: bytes in hex are expected"},
        {"{\"version\": -1}", "version: a whole number is expected"},
        {"{\"kind\": \"CONV_FLY\"}", "kind: no such value"},
        {"{\"logins\": 1}", "logins: a list is expected"},
        {"{\"body\": []}", "Body: an object is expected"},
        {"{\"body\": {\"text\": 1}}", "text: a text is expected"},
    };
    char why[200];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *j = json_loads(cases[i].text, 0, NULL);
        assert_null(pbjson_to(&im__conv_record__descriptor, j, why, sizeof why));
        assert_string_equal(why, cases[i].why);
        json_decref(j);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape),
        cmocka_unit_test(a_choice),
        cmocka_unit_test(what_is_not_known_stays),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
