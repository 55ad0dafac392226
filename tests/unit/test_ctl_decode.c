/* parleyctl shows every record type, and never a password's verifier. */
#include "client/parleyctl/decode.c" /* parts of a program, so in no library */
#include "client/parleyctl/pbjson.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define CANARY "canary-verifier"

static char *shown(uint16_t topic, const ProtobufCMessage *m)
{
    static uint8_t buf[65536];
    size_t n = protobuf_c_message_pack(m, buf);
    json_t *j = decode_value(topic, (struct slice){buf, n});
    assert_null(json_object_get(j, "undecodable"));
    char *text = json_dumps(j, JSON_COMPACT);
    json_decref(j);
    return text;
}

static void verifiers_are_left_out(void **state)
{
    (void)state;
    uint8_t user[16] = {0xab};
    char hexed[2 * sizeof CANARY];
    ProtobufCBinaryData canary = {sizeof CANARY - 1, (uint8_t *)(uintptr_t)CANARY};
    hex_encode(hexed, CANARY, sizeof CANARY - 1);
    Im__VaultRecord vault = IM__VAULT_RECORD__INIT;
    vault.user = (ProtobufCBinaryData){16, user};
    vault.verifier = canary;
    Im__Inbound in = IM__INBOUND__INIT;
    Im__InRegister reg = IM__IN_REGISTER__INIT;
    reg.login = (char *)(uintptr_t) "alice";
    reg.verifier = canary;
    in.body_case = IM__INBOUND__BODY_REGISTER_;
    in.register_ = &reg;
    Im__LookupReply look = IM__LOOKUP_REPLY__INIT;
    look.verifier = canary;
    uint8_t packed[256];
    Im__DeliverItem item = IM__DELIVER_ITEM__INIT, *items[] = {&item};
    Im__DeliverRecord del = IM__DELIVER_RECORD__INIT;
    item.kind = IM__ITEM_KIND__ITEM_LOOKUP;
    item.payload = (ProtobufCBinaryData){protobuf_c_message_pack(&look.base, packed), packed};
    del.items = items;
    del.n_items = 1;
    const struct {
        uint16_t topic;
        const ProtobufCMessage *m;
    } all[] = {{T_VAULT, &vault.base}, {T_INBOUND, &in.base}, {T_DELIVER0 + 3, &del.base}};
    for (size_t i = 0; i < 3; i++) {
        char *text = shown(all[i].topic, all[i].m);
        assert_null(strstr(text, CANARY));
        assert_null(strstr(text, hexed));
        assert_non_null(strstr(text, "(sealed, 15 bytes)"));
        free(text);
    }
}

static void payloads_are_opened(void **state)
{
    (void)state;
    uint8_t conv[16] = {7}, packed[256];
    Im__ChatPush push = IM__CHAT_PUSH__INIT;
    push.conversation = (ProtobufCBinaryData){16, conv};
    push.text = (char *)(uintptr_t) "hello";
    Im__DeliverItem item = IM__DELIVER_ITEM__INIT, *items[] = {&item};
    Im__DeliverRecord del = IM__DELIVER_RECORD__INIT;
    uint32_t handles[] = {5, 6};
    item.kind = IM__ITEM_KIND__ITEM_MESSAGE;
    item.frame_type = IM__FRAME_TYPE__CHAT_PUSH;
    item.payload = (ProtobufCBinaryData){protobuf_c_message_pack(&push.base, packed), packed};
    item.handles = handles;
    item.n_handles = 2;
    del.epoch = 9;
    del.items = items;
    del.n_items = 1;
    char *text = shown(T_DELIVER0, &del.base), what[80];
    assert_string_equal(
        text,
        "{\"epoch\":9,\"items\":[{\"kind\":\"ITEM_MESSAGE\",\"frame_type\":50,\"payload\":{"
        "\"conversation\":\"07000000000000000000000000000000\",\"text\":\"hello\"},\"handles\":[5,6]}]}");
    json_t *j = json_loads(text, 0, NULL);
    decode_summary(j, what, sizeof what);
    assert_string_equal(what, "1 items: ITEM_MESSAGE");
    json_decref(j);
    free(text);
}

static void anything_else_is_hex(void **state)
{
    (void)state;
    char what[80];
    json_t *j = decode_value(T_CONVERSATION, (struct slice){"\xff\xff", 2});
    assert_string_equal(json_string_value(json_object_get(j, "undecodable")), "ffff");
    json_decref(j);
    j = decode_value(T_PRESENCE, (struct slice){NULL, 0});
    decode_summary(j, what, sizeof what);
    assert_string_equal(what, "tombstone");
    json_decref(j);
    j = decode_key(T_PRESENCE, (struct slice){"\0\0\0\3\0\0\0\0\0\0\0\11\0\0\0\1", 16});
    assert_int_equal(json_integer_value(json_object_get(j, "slot")), 3);
    assert_int_equal(json_integer_value(json_object_get(j, "epoch")), 9);
    json_decref(j);
    j = decode_key(T_USER, (struct slice){NULL, 0});
    assert_true(json_is_null(j));
    json_decref(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verifiers_are_left_out),
        cmocka_unit_test(payloads_are_opened),
        cmocka_unit_test(anything_else_is_hex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
