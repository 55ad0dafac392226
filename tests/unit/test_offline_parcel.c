/* What lies in a queue is sealed, comes out as it went in, and is forgotten with its sender. */
#include "offline/parcel.h"
#include "tests/unit/imfx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct secrets *secrets;
static struct fx effects, *fx = &effects;

static void feed(struct bodykeys *k, struct id16 user, bool erased)
{
    uint8_t value[512], sealed[BODY_KEY_SEALED], key[BODY_KEY] = "a body key";
    Im__BodyKey b = IM__BODY_KEY__INIT, *list[] = {&b};
    Im__VaultRecord v = IM__VAULT_RECORD__INIT;
    v.version = CODEC_VERSION;
    v.user = (ProtobufCBinaryData){ID_SIZE, user.b};
    v.erased = erased;
    if (!erased) {
        secret_seal(secrets, user, (struct slice){key, sizeof key}, sealed, sizeof sealed);
        v.verifier = (ProtobufCBinaryData){1, key};
        b.id = 1;
        b.sealed = (ProtobufCBinaryData){sizeof sealed, sealed};
        v.keys = list;
        v.n_keys = 1;
    }
    int n = codec_pack_into(&v.base, value, sizeof value);
    assert_int_equal(bodykeys_feed(k, (struct slice){user.b, ID_SIZE}, (struct slice){value, (size_t)n}), 0);
}

static struct slice push_of(struct id16 *sender, struct id16 *conv, Im__ConvKind kind, const char *text,
                            uint8_t out[256])
{
    Im__ChatPush p = IM__CHAT_PUSH__INIT;
    p.conversation = codec_bytes((struct slice){conv->b, ID_SIZE});
    p.sender = codec_bytes((struct slice){sender->b, ID_SIZE});
    p.sender_login = "anna";
    p.seq = 7;
    p.client_seq = 300;
    p.time_ms = 12345;
    p.kind = kind;
    p.text = (char *)(uintptr_t)text;
    p.target = 3;
    return (struct slice){out, (size_t)codec_pack_into(&p.base, out, 256)};
}

static void check(struct slice push, const char *text, bool erased)
{
    Im__ChatPush *p = im__chat_push__unpack(NULL, push.n, push.p);
    assert_non_null(p);
    assert_string_equal(p->text, text);
    assert_int_equal(p->erased, erased);
    assert_int_equal(p->seq, 7);
    assert_int_equal(p->client_seq, 300);
    assert_int_equal(p->target, 3);
    assert_string_equal(p->sender_login, "anna");
    im__chat_push__free_unpacked(p, NULL);
}

static void sealed_and_forgotten(void **state)
{
    (void)state;
    uint8_t buf[256];
    struct id16 anna = id_user("anna"), bert = id_user("bert"), conv = id_direct(anna, bert);
    struct bodykeys *k = bodykeys_new(secrets);
    feed(k, anna, false);
    struct slice push = push_of(&anna, &conv, IM__CONV_KIND__CONV_MESSAGE, "the canary", buf);
    struct slice row = parcel_close(k, push, fx), again = parcel_close(k, push, fx);
    assert_null(memmem(row.p, row.n, "canary", 6));
    assert_int_equal(row.n, again.n);
    assert_memory_equal(row.p, again.p, row.n); /* made again it is the same */
    assert_false(parcel_waits(k, row));
    check(parcel_open(k, row, fx), "the canary", false);
    assert_int_equal(parcel_open(k, row, fx).n, push.n);
    for (size_t n = 0; n < row.n; n++) /* cut: nothing is read beyond */
        (void)parcel_open(k, (struct slice){row.p, n}, fx);
    /* Of somebody without a key, and what is not the sender's own. */
    struct slice other = push_of(&bert, &conv, IM__CONV_KIND__CONV_MESSAGE, "clear", buf);
    assert_ptr_equal(parcel_close(k, other, fx).p, other.p);
    check(parcel_open(k, other, fx), "clear", false);
    uint8_t name[256];
    struct slice rename = push_of(&anna, &conv, IM__CONV_KIND__CONV_GROUP_RENAME, "the group", name);
    assert_ptr_equal(parcel_close(k, rename, fx).p, rename.p);
    uint8_t old[256];
    struct slice before = push_of(&anna, &conv, IM__CONV_KIND__CONV_MESSAGE, "from before", old);
    feed(k, anna, true);
    struct slice left = parcel_open(k, row, fx);
    check(left, "", true);
    assert_true(left.n <= push.n);
    check(parcel_open(k, before, fx), "", true);  /* was never sealed */
    check(parcel_close(k, before, fx), "", true); /* came late */
    check(parcel_open(k, rename, fx), "the group", false);
    check(parcel_open(k, other, fx), "clear", false);
    assert_ptr_equal(parcel_close(NULL, push, fx).p, push.p);
    bodykeys_free(k);
    k = bodykeys_new(secrets);
    assert_true(parcel_waits(k, row));
    bodykeys_free(k);
}

static int begin(void **state)
{
    static const uint8_t key[32] = "a key of tests";
    (void)state;
    secrets = secrets_from_key(key, 1);
    return secrets ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    secrets_free(secrets);
    fx_reset(fx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sealed_and_forgotten)};
    return cmocka_run_group_tests(tests, begin, end);
}
