#include "common/im/bodykeys.h"

#include "common/base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct secrets *secrets, *stranger;
static struct id16 anna, bert;

static int begin(void **state)
{
    static const uint8_t key[32] = "a key of tests", other[32] = "another key of tests";
    (void)state;
    secrets = secrets_from_key(key, 1);
    stranger = secrets_from_key(other, 2);
    anna = id_user("anna");
    bert = id_user("bert");
    return secrets && stranger ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    secrets_free(secrets);
    secrets_free(stranger);
    return 0;
}

/* What the router does. */
struct message {
    struct convrec rec;
    uint8_t sealed[256], room[256];
};

static struct slice slice(const char *s)
{
    return (struct slice){s, strlen(s)};
}

static void say(struct message *m, struct id16 user, const uint8_t key[BODY_KEY], const char *text,
                int64_t offset)
{
    uint8_t plain[200];
    Im__Body b = IM__BODY__INIT;
    *m = (struct message){.rec = {.event = {.kind = IM__CONV_KIND__CONV_MESSAGE,
                                            .conv = id_direct(anna, bert),
                                            .user = user,
                                            .client_seq = 9}}};
    b.text = (char *)(uintptr_t)text;
    struct slice packed = {plain, (size_t)codec_pack_into(&b.base, plain, sizeof plain)};
    const struct body_place at = {m->rec.event.conv, user, 9, 1, offset};
    m->rec.body.key_id = 1;
    m->rec.body.sealed = (struct slice){m->sealed, body_seal(key, &at, packed, m->sealed)};
}

static void feed(struct bodykeys *k, const struct secrets *s, struct id16 user, const uint8_t *key,
                 bool erased)
{
    uint8_t value[512], sealed[BODY_KEY_SEALED];
    Im__BodyKey b = IM__BODY_KEY__INIT, *keys[] = {&b};
    Im__VaultRecord v = IM__VAULT_RECORD__INIT;
    v.version = CODEC_VERSION;
    v.user = (ProtobufCBinaryData){ID_SIZE, user.b};
    v.erased = erased;
    if (!erased)
        v.verifier = codec_bytes(slice("verifier"));
    if (key) {
        secret_seal(s, user, (struct slice){key, BODY_KEY}, sealed, sizeof sealed);
        b.id = 1;
        b.sealed = (ProtobufCBinaryData){sizeof sealed, sealed};
        v.keys = keys;
        v.n_keys = 1;
    }
    int n = codec_pack_into(&v.base, value, sizeof value);
    assert_int_equal(bodykeys_feed(k, (struct slice){user.b, ID_SIZE}, (struct slice){value, (size_t)n}), 0);
}

static const uint8_t key1[BODY_KEY] = "one", key2[BODY_KEY] = "two";

static void opens(struct bodykeys *k, struct message *m, enum bodykeys_rc expect, const char *text)
{
    struct convrec_body b;
    assert_int_equal(bodykeys_look(k, &m->rec), expect);
    assert_int_equal(bodykeys_open(k, &m->rec, m->room, &b), expect);
    assert_int_equal(b.text.n, strlen(text));
    assert_memory_equal(b.text.p ? b.text.p : "", text, b.text.n);
    assert_true(b.key_id == (expect == BODY_OK ? m->rec.body.key_id : BODY_GONE));
    assert_int_equal(b.sealed.n, 0);
}

static void opens_what_was_sealed(void **state)
{
    (void)state;
    struct bodykeys *k = bodykeys_new(secrets);
    struct message m, again, clear;
    feed(k, secrets, anna, key1, false);
    say(&m, anna, key1, "hello", 5);
    say(&again, anna, key1, "hello", 5);
    opens(k, &m, BODY_OK, "hello");
    assert_memory_equal(m.sealed, again.sealed, m.rec.body.sealed.n); /* a repeat gives the same bytes */
    say(&again, anna, key1, "hello", 6);
    assert_memory_not_equal(m.sealed, again.sealed, 24);
    say(&again, anna, key1, "hellp", 5); /* the same place, another text: another nonce */
    assert_memory_not_equal(m.sealed, again.sealed, 24);
    say(&clear, bert, key1, "", 1);
    clear.rec.body = (struct convrec_body){.text = slice("clear")};
    opens(k, &clear, BODY_OK, "clear");
    bodykeys_free(k);
}

static void is_bound_to_its_place(void **state)
{
    (void)state;
    struct bodykeys *k = bodykeys_new(secrets);
    struct message m;
    feed(k, secrets, anna, key1, false);
    feed(k, secrets, bert, key1, false);
    say(&m, anna, key1, "hello", 5);
    m.rec.event.client_seq++;
    struct convrec_body b;
    assert_int_equal(bodykeys_open(k, &m.rec, m.room, &b), BODY_ERASED);
    say(&m, anna, key1, "hello", 5);
    m.rec.event.user = bert;
    assert_int_equal(bodykeys_open(k, &m.rec, m.room, &b), BODY_ERASED);
    say(&m, anna, key1, "hello", 5);
    m.rec.event.conv = id_direct(anna, anna);
    assert_int_equal(bodykeys_open(k, &m.rec, m.room, &b), BODY_ERASED);
    for (size_t i = 0; i < 50; i++) { /* cut and spoilt */
        say(&m, anna, key1, "hello", 5);
        if (i < m.rec.body.sealed.n)
            m.sealed[i] ^= 1;
        assert_int_equal(bodykeys_open(k, &m.rec, m.room, &b),
                         i < m.rec.body.sealed.n ? BODY_ERASED : BODY_OK);
        m.rec.body.sealed.n = i < m.rec.body.sealed.n ? i : 0;
        assert_int_equal(bodykeys_open(k, &m.rec, m.room, &b), BODY_ERASED);
        assert_int_equal(b.text.n, 0);
    }
    bodykeys_free(k);
}

static void count_miss(void *ctx)
{
    ++*(int *)ctx;
}

static void waits_for_a_key(void **state)
{
    (void)state;
    struct bodykeys *k = bodykeys_new(secrets);
    struct message m, n;
    int misses = 0;
    bodykeys_on_miss(k, count_miss, &misses);
    say(&m, anna, key1, "hello", 5);
    say(&n, bert, key2, "hello", 5);
    opens(k, &m, BODY_LATER, "");
    opens(k, &m, BODY_LATER, "");
    assert_int_equal(misses, 1);
    opens(k, &n, BODY_LATER, "");
    assert_int_equal(bodykeys_missed(k), 2);
    bodykeys_settle(k, 1);
    opens(k, &m, BODY_ERASED, "");
    opens(k, &n, BODY_LATER, "");
    feed(k, secrets, bert, key2, false);
    opens(k, &n, BODY_OK, "hello");
    for (int i = 0; i < 200; i++) { /* more than are remembered: none is called erased before its time */
        char name[16];
        snprintf(name, sizeof name, "user%d", i);
        say(&n, id_user(name), key1, "x", 1);
        assert_int_equal(bodykeys_look(k, &n.rec), BODY_LATER);
    }
    bodykeys_final(k);
    opens(k, &n, BODY_ERASED, "");
    bodykeys_free(k);
}

static void erases(void **state)
{
    (void)state;
    struct bodykeys *k = bodykeys_new(secrets), *blind = bodykeys_new(NULL);
    struct message m, clear;
    feed(k, secrets, anna, key1, false);
    feed(k, secrets, bert, key2, false);
    assert_int_equal(bodykeys_count(k), 2);
    say(&m, anna, key1, "hello", 5);
    say(&clear, anna, key1, "", 1);
    clear.rec.body = (struct convrec_body){.text = slice("clear")};
    opens(k, &clear, BODY_OK, "clear");
    feed(k, secrets, anna, NULL, true);
    feed(blind, secrets, anna, NULL, true);
    assert_true(bodykeys_erased(k, anna) && bodykeys_erased(blind, anna));
    assert_false(bodykeys_erased(k, bert));
    assert_int_equal(bodykeys_count(k), 1);
    opens(k, &m, BODY_ERASED, "");
    opens(k, &clear, BODY_ERASED, "");
    clear.rec.event.kind = IM__CONV_KIND__CONV_GROUP_RENAME; /* the group's */
    clear.rec.body.key_id = 0;
    struct convrec_body b;
    assert_int_equal(bodykeys_open(k, &clear.rec, clear.room, &b), BODY_OK);
    assert_int_equal(b.text.n, 5);
    say(&m, bert, key2, "still here", 5);
    opens(k, &m, BODY_OK, "still here");
    bodykeys_free(k);
    bodykeys_free(blind);
}

static void a_foreign_master_key_is_no_erasure(void **state)
{
    (void)state;
    struct bodykeys *k = bodykeys_new(secrets);
    struct message m;
    feed(k, stranger, anna, key1, false);
    say(&m, anna, key1, "hello", 5);
    opens(k, &m, BODY_LOCKED, "");
    feed(k, secrets, anna, key1, false); /* sealed again */
    opens(k, &m, BODY_OK, "hello");
    assert_int_equal(bodykeys_feed(k, slice("short"), slice("x")), -EBADMSG);
    assert_int_equal(bodykeys_feed(k, (struct slice){anna.b, ID_SIZE}, slice("\xff\xff")), -EBADMSG);
    opens(k, &m, BODY_OK, "hello");
    bodykeys_free(k);
}

static void many_users(void **state)
{
    (void)state;
    enum { N = 5000 };
    struct bodykeys *k = bodykeys_new(secrets);
    struct message m;
    for (int round = 0; round < 2; round++)
        for (uint32_t i = 0; i < N; i++) {
            struct id16 u = {{(uint8_t)(i >> 8), (uint8_t)i}};
            uint8_t key[BODY_KEY] = {(uint8_t)(i >> 8), (uint8_t)i, 1};
            feed(k, secrets, u, round && i % 3 == 0 ? NULL : key, round && i % 3 == 0);
        }
    assert_int_equal(bodykeys_count(k), N - (N + 2) / 3);
    for (uint32_t i = 0; i < N; i++) {
        struct id16 u = {{(uint8_t)(i >> 8), (uint8_t)i}};
        uint8_t key[BODY_KEY] = {(uint8_t)(i >> 8), (uint8_t)i, 1};
        say(&m, u, key, "m", i);
        opens(k, &m, i % 3 ? BODY_OK : BODY_ERASED, i % 3 ? "m" : "");
    }
    bodykeys_free(k);
}

static void texts_of_users(void **state)
{
    (void)state;
    struct bodykeys *k = bodykeys_new(secrets);
    const struct body_place at = {.user = anna, .client_seq = 77, .source_offset = 77};
    uint8_t sealed[64], room[64];
    struct slice text;
    size_t n = body_seal(key1, &at, slice("Anna B."), sealed);
    feed(k, secrets, anna, key1, false);
    assert_int_equal(bodykeys_open_text(k, &at, 1, (struct slice){sealed, n}, room, &text), BODY_OK);
    assert_int_equal(text.n, 7);
    assert_memory_equal(text.p, "Anna B.", 7);
    feed(k, secrets, anna, NULL, true);
    assert_int_equal(bodykeys_open_text(k, &at, 1, (struct slice){sealed, n}, room, &text), BODY_ERASED);
    assert_int_equal(text.n, 0);
    bodykeys_free(k);
}

static void keys_are_sealed(void **state)
{
    (void)state;
    uint8_t sealed[BODY_KEY_SEALED], again[BODY_KEY_SEALED], a[BODY_KEY], b[BODY_KEY];
    body_key_make(secrets, anna, sealed);
    body_key_make(secrets, anna, again);
    assert_int_equal(body_key_open(secrets, anna, (struct slice){sealed, sizeof sealed}, a), 0);
    assert_int_equal(body_key_open(secrets, anna, (struct slice){again, sizeof again}, b), 0);
    assert_memory_not_equal(a, b, BODY_KEY);
    assert_int_equal(body_key_open(secrets, bert, (struct slice){sealed, sizeof sealed}, a), -EBADMSG);
    assert_int_equal(body_key_open(stranger, anna, (struct slice){sealed, sizeof sealed}, a), -ENOTSUP);
}

/* No assertion: how long it takes here. */
static void costs(void **state)
{
    (void)state;
    enum { N = 20000 };
    struct bodykeys *k = bodykeys_new(secrets);
    struct message m;
    struct convrec_body b;
    char text[151];
    memset(text, 'x', sizeof text - 1);
    text[150] = '\0';
    feed(k, secrets, anna, key1, false);
    int64_t t0 = clock_mono_us();
    for (int i = 0; i < N; i++)
        say(&m, anna, key1, text, i);
    int64_t t1 = clock_mono_us();
    for (int i = 0; i < N; i++)
        assert_int_equal(bodykeys_open(k, &m.rec, m.room, &b), BODY_OK);
    int64_t t2 = clock_mono_us();
    print_message("150 bytes: %.2f us to pack and seal, %.2f us to open\n", (double)(t1 - t0) / N,
                  (double)(t2 - t1) / N);
    bodykeys_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_what_was_sealed),
        cmocka_unit_test(is_bound_to_its_place),
        cmocka_unit_test(waits_for_a_key),
        cmocka_unit_test(erases),
        cmocka_unit_test(many_users),
        cmocka_unit_test(a_foreign_master_key_is_no_erasure),
        cmocka_unit_test(texts_of_users),
        cmocka_unit_test(keys_are_sealed),
        cmocka_unit_test(costs),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
