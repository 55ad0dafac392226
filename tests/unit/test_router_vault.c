/* What is sealed, under which key, and when it may leave; erasing; keys sealed anew. */
#include "common/im/conv.h"
#include "tests/unit/routerrun.h"

static struct bodykeys *keys_in(const struct world *w)
{
    struct bodykeys *k = bodykeys_new(settings.secrets);
    for (size_t i = 0; i < w->run.fx.n_sends; i++) {
        const struct sent_record *s = &w->run.fx.sends[i];
        if (s->topic == T_VAULT)
            assert_int_equal(bodykeys_feed(k, s->key, s->value), 0);
    }
    bodykeys_final(k);
    return k;
}

static const struct sent_record *last_of(const struct world *w, uint16_t topic)
{
    for (size_t i = w->run.fx.n_sends; i > 0; i--)
        if (w->run.fx.sends[i - 1].topic == topic)
            return &w->run.fx.sends[i - 1];
    return NULL;
}

static size_t count(const struct world *w, uint16_t topic)
{
    size_t n = 0;
    for (size_t i = 0; i < w->run.fx.n_sends; i++)
        n += w->run.fx.sends[i].topic == topic;
    return n;
}

/* What a reader of the log sees of the last record of im.conversation. */
static enum bodykeys_rc said(struct world *w, struct slice *text, uint64_t *key_id)
{
    static struct convrec rec;
    struct convrec_body body;
    const struct sent_record *s = last_of(w, T_CONVERSATION);
    struct bodykeys *k = keys_in(w);
    assert_int_equal(convrec_decode(s->value, 1, &rec), 0);
    uint8_t *room = arena_alloc(w->arena, rec.body.sealed.n + 1);
    enum bodykeys_rc rc = bodykeys_open(k, &rec, room, &body);
    *text = body.text;
    *key_id = rec.body.key_id;
    if (rec.body.key_id)
        assert_true(rec.body.text.n + rec.body.data.n + rec.body.content_type.n == 0);
    bodykeys_free(k);
    return rc;
}

static void says(struct world *w, enum bodykeys_rc expect, uint64_t key_id, const char *text)
{
    struct slice is;
    uint64_t number;
    assert_int_equal(said(w, &is, &number), expect);
    assert_int_equal(number, key_id);
    assert_int_equal(is.n, strlen(text));
    assert_memory_equal(is.n ? is.p : "", text, is.n);
}

static const Im__VaultRecord *vault(struct world *w)
{
    Im__VaultRecord *v;
    DECODE(w, vault, last_of(w, T_VAULT)->value, &v);
    return v;
}

static void what_is_said_is_sealed(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    struct session s = enter(w, "anna", "phone", conn(1, 5), 1);
    assert_int_equal(count(w, T_VAULT), 1); /* the login's key is not needed */
    assert_int_equal(vault(w)->keys[0]->since, 1000);
    one(w, r_chat(w, "anna", s, "bert", 1));
    says(w, BODY_OK, 1, "hello");
    assert_null(memmem(last_of(w, T_CONVERSATION)->value.p, last_of(w, T_CONVERSATION)->value.n, "hello", 5));
    settings.seal = false;
    one(w, r_chat(w, "anna", s, "bert", 2));
    settings.seal = true;
    says(w, BODY_OK, 0, "hello");
}

static void names_are_sealed(void **state)
{
    struct world *w = *state;
    Im__UserRecord *u;
    struct slice text;
    uint8_t room[200];
    add(w, "anna");
    struct session s = enter(w, "anna", "phone", conn(1, 5), 1);
    for (int i = 0; i < 2; i++) {
        one(w, i ? r_prefs(w, "anna", s, uid("x")) : r_profile(w, "anna", s, "Anna B."));
        DECODE(w, user, last_of(w, T_USER)->value, &u);
        assert_true(!u->display_name[0] && !u->remark[0]);
        struct bodykeys *k = keys_in(w);
        const struct body_place at = {.user = uid("anna"), .client_seq = (uint64_t)u->source_offset};
        assert_int_equal(bodykeys_open_text(k, &at, u->key_id, codec_slice(u->sealed), room, &text), BODY_OK);
        assert_memory_equal(text.p, i ? "the neighbour" : "Anna B.", text.n);
        bodykeys_free(k);
    }
}

/* An account of before there were keys gets one with its next login, and its vault record is in the log first. */
static void a_login_brings_the_key_that_is_missing(void **state)
{
    struct world *w = *state;
    const struct secrets *secrets = settings.secrets;
    settings.secrets = NULL;
    add(w, "anna");
    struct session s = enter(w, "anna", "phone", conn(1, 5), 1);
    settings.secrets = secrets;
    one(w, r_chat(w, "anna", s, "bert", 1));
    says(w, BODY_OK, 0, "hello");
    assert_int_equal(vault(w)->n_keys, 0);
    size_t before = count(w, T_CONVERSATION);
    struct record batch[] = {r_login(w, "anna", "desktop", conn(2, 6)), r_chat(w, "anna", s, "bert", 2),
                             r_chat(w, "anna", s, "bert", 3)};
    step(w, batch, 3);
    assert_int_equal(vault(w)->n_keys, 1);
    assert_int_equal(count(w, T_CONVERSATION), before); /* waits */
    ack(w);
    assert_int_equal(count(w, T_CONVERSATION), before + 2);
    says(w, BODY_OK, 1, "hello");
    assert_int_equal(last_of(w, T_CONVERSATION)->key.n, ID_SIZE);
    assert_int_equal(vault(w)->verifier.len, 11); /* as it was */
}

static void erased_is_erased(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    struct session s = enter(w, "anna", "phone", conn(1, 5), 1);
    one(w, r_chat(w, "anna", s, "bert", 1));
    pass(w);
    one(w, r_erase(w, "anna", s)); /* not by oneself */
    assert_int_equal(w->run.n_poison, 1);
    struct record e = r_erase(w, "anna", the_operator());
    step(w, &e, 1);
    tombstone(w, s);
    kick(w, s, IM__CODE__SESSION_REVOKED);
    offline(w, IM__OFFLINE_RECORD__BODY_END);
    assert_true(offline(w, IM__OFFLINE_RECORD__BODY_END)->end->dropped);
    next(w, T_VAULT);
    no_more(w); /* im.user speaks of it when the vault has it */
    ack(w);
    user_rec(w, IM__USER_KIND__USER_ERASED);
    no_more(w);
    assert_true(vault(w)->erased && vault(w)->n_keys == 0 && vault(w)->verifier.len == 0);
    says(w, BODY_ERASED, 1, "");
    /* Nobody comes back under the name. */
    one(w, r_register(w, "anna"));
    assert_int_equal(register_code(w), IM__CODE__ACCOUNT_EXISTS);
    one(w, r_login(w, "anna", "phone", conn(2, 6)));
    assert_int_equal(verdict(w, 2)->code, IM__CODE__BAD_CREDENTIALS);
    one(w, r_token(w, "anna", "phone", 1, 1, conn(2, 6)));
    assert_int_equal(verdict(w, 2)->code, IM__CODE__BAD_CREDENTIALS);
    Im__LookupReply *l;
    one(w, r_lookup(w, "anna", true));
    DECODE(w, lookup, codec_slice(item(w, 0, IM__ITEM_KIND__ITEM_LOOKUP)->payload), &l);
    assert_true(!l->exists && l->verifier.len == 0);
    size_t before = count(w, T_CONVERSATION);
    one(w, r_chat(w, "anna", s, "bert", 2));
    assert_int_equal(count(w, T_CONVERSATION), before);
    pass(w);
    one(w, r_erase(w, "anna", the_operator())); /* again does no harm */
    next(w, T_VAULT);
    user_rec(w, IM__USER_KIND__USER_ERASED);
    one(w, r_erase(w, "nobody", the_operator()));
    no_more(w);
}

static struct record r_rekey(struct world *w, const char *login, const struct secrets *to, bool spoil)
{
    static uint8_t was[VAULT_DIGEST], sealed[BODY_KEY_SEALED];
    uint8_t key[BODY_KEY];
    Im__Inbound m = IM__INBOUND__INIT;
    Im__InRekey b = IM__IN_REKEY__INIT;
    Im__BodyKey k = IM__BODY_KEY__INIT, *list[] = {&k};
    const Im__VaultRecord *v = vault(w);
    struct session s = the_operator();
    vault_digest(v, was);
    was[0] ^= spoil;
    assert_int_equal(body_key_open(settings.secrets, uid(login), codec_slice(v->keys[0]->sealed), key), 0);
    assert_true(secret_seal(to, uid(login), slice_of(key, sizeof key), sealed, sizeof sealed) > 0);
    k.id = 1;
    k.since = v->keys[0]->since;
    k.sealed = codec_bytes(slice_of(sealed, sizeof sealed));
    b.was = codec_bytes(slice_of(was, sizeof was));
    b.verifier = codec_bytes(slice_of("\1\0\0\0\x9sealed", 11));
    b.keys = list;
    b.n_keys = 1;
    m.body_case = IM__INBOUND__BODY_REKEY;
    m.rekey = &b;
    return record(w, login, &s, &m);
}

static void a_key_is_sealed_anew(void **state)
{
    struct world *w = *state;
    static const uint8_t other_key[32] = "another master key";
    struct secrets *other = secrets_from_key(other_key, 9);
    uint8_t key[BODY_KEY];
    add(w, "anna");
    struct session s = enter(w, "anna", "phone", conn(1, 5), 1);
    one(w, r_rekey(w, "anna", other, true));
    assert_int_equal(count(w, T_VAULT), 1); /* was made from something else */
    struct record r = r_rekey(w, "anna", other, false);
    one(w, r);
    assert_int_equal(count(w, T_VAULT), 2);
    assert_int_equal(vault(w)->master_key, 9);
    assert_int_equal(vault(w)->keys[0]->since, 1000);
    assert_int_equal(body_key_open(other, uid("anna"), codec_slice(vault(w)->keys[0]->sealed), key), 0);
    one(w, r); /* the command again: nothing left to do */
    assert_int_equal(count(w, T_VAULT), 2);
    one(w, r_receipt(w, "anna", s, uid("c"), 1));
    struct record chat = r_chat(w, "anna", s, "bert", 1); /* that master key is not in our ring: loudly */
    assert_int_equal(run_batch(&w->run, &chat, 1), CORE_STOP);
    secrets_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_said_is_sealed, setup, teardown),
        cmocka_unit_test_setup_teardown(names_are_sealed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_login_brings_the_key_that_is_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(erased_is_erased, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_is_sealed_anew, setup, teardown),
    };
    return cmocka_run_group_tests(tests, with_seals, without_seals);
}
