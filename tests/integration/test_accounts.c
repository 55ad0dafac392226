/* Accounts and logins, with and without PostgreSQL. */
#include "tests/support/person.h"

#include "common/base/rand.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SHORT_TOKENS 1 /* the edge whose tokens last a second */

static struct pl *pl;

static int setup(void **state)
{
    (void)state;
    pl = pl_up(&(struct pl_conf){.edge_env[SHORT_TOKENS] = "PARLEY_EDGE_TOKEN=1s"});
    return 0;
}

static bool exists(struct person *p, const char *login, Im__AccountExistsRsp *copy)
{
    Im__AccountExistsReq m = IM__ACCOUNT_EXISTS_REQ__INIT;
    m.login = (char *)(uintptr_t)login;
    assert_int_equal(raw_send(p->raw, IM__FRAME_TYPE__ACCOUNT_EXISTS_REQ, 77, &m.base), 0);
    struct raw_frame *f = raw_wait(p->raw, IM__FRAME_TYPE__ACCOUNT_EXISTS_RSP, pl_ms(PL_WAIT_MS));
    assert_non_null(f);
    assert_int_equal(f->seq_id, 77);
    const Im__AccountExistsRsp *r = (const Im__AccountExistsRsp *)f->msg;
    bool yes = r->exists;
    assert_int_equal(r->code, IM__CODE__OK);
    assert_int_equal(r->user.len, yes ? 16 : 0);
    if (yes && copy)
        assert_string_equal(r->login, copy->login);
    raw_frame_free(f);
    return yes;
}

static void does_an_account_exist(void **state)
{
    (void)state;
    struct person a, stranger = {0};
    char loud[65];
    person_new(&a, pl, 0, "ann", "laptop");
    person_connect(&stranger, pl, 1);
    Im__AccountExistsRsp want = {.login = a.login};
    assert_true(exists(&stranger, a.login, &want)); /* also before a login */
    assert_true(exists(&stranger, a.login, &want)); /* from the edge's memory */
    snprintf(loud, sizeof loud, "%s", a.login);
    loud[0] = 'A';
    assert_true(exists(&stranger, loud, &want));
    assert_false(exists(&stranger, "nobody-of-this-name", NULL));
    assert_true(exists(&a, a.login, &want));
    person_free(&a);
    person_free(&stranger);
}

static void a_name_is_given_once(void **state)
{
    (void)state;
    struct person a, thief = {0};
    person_new(&a, pl, 0, "ann", "laptop");
    person_connect(&thief, pl, 1);
    assert_int_equal(person_register(&thief, a.login, "another password"), IM__CODE__ACCOUNT_EXISTS);
    assert_int_equal(person_login(&thief, a.login, "another password", "x"), IM__CODE__BAD_CREDENTIALS);
    person_free(&thief);
    person_join(&thief, pl, 1, &a, "x"); /* the first password stays */
    UNTIL(pl, pl_number(pl, "SELECT count(*) FROM accounts WHERE login = '%s'", a.login) == 1);
    UNTIL(pl,
          pl_number(pl,
                    "SELECT count(*) FROM devices d, accounts a WHERE d.user_id = a.user_id AND login = '%s'",
                    a.login) == 2);
    assert_int_equal(
        pl_number(pl,
                  "SELECT count(*) FROM verifiers v, accounts a WHERE v.user_id = a.user_id"
                  " AND login = '%s' AND position('correct horse' in encode(verifier, 'escape')) = 0",
                  a.login),
        1);
    person_free(&a);
    person_free(&thief);
}

/* Two register the same new name at the same time: one has it. */
static void two_want_the_same_new_name(void **state)
{
    (void)state;
    struct person p[2] = {0};
    char login[65];
    int ok = 0, taken = 0;
    snprintf(login, sizeof login, "wanted-%08x", (unsigned)rand_u64());
    for (int i = 0; i < 2; i++) {
        Im__RegisterReq m = IM__REGISTER_REQ__INIT;
        person_connect(&p[i], pl, i);
        m.login = login;
        m.password = (char *)(i ? "password one" : "password two");
        assert_int_equal(raw_send(p[i].raw, IM__FRAME_TYPE__REGISTER_REQ, 5, &m.base), 0);
    }
    for (int i = 0; i < 2; i++) {
        struct raw_frame *f = raw_wait(p[i].raw, IM__FRAME_TYPE__REGISTER_RSP, pl_ms(PL_WAIT_MS));
        assert_non_null(f);
        ok += ((Im__RegisterRsp *)f->msg)->code == IM__CODE__OK;
        taken += ((Im__RegisterRsp *)f->msg)->code == IM__CODE__ACCOUNT_EXISTS;
        raw_frame_free(f);
        person_free(&p[i]);
    }
    assert_int_equal(ok, 1);
    assert_int_equal(taken, 1);
}

/* The answer to a failed login, byte for byte. */
static size_t refusal(const char *login, const char *password, uint8_t *out, size_t room)
{
    struct person p = {0};
    Im__LoginReq m = IM__LOGIN_REQ__INIT;
    person_connect(&p, pl, 0);
    m.login = (char *)(uintptr_t)login;
    m.password = (char *)(uintptr_t)password;
    m.device_id = (char *)"x";
    assert_int_equal(raw_send(p.raw, IM__FRAME_TYPE__LOGIN_REQ, 5, &m.base), 0);
    struct raw_frame *f = raw_wait(p.raw, 0, pl_ms(PL_WAIT_MS));
    assert_non_null(f);
    assert_int_equal(f->type, IM__FRAME_TYPE__LOGIN_RSP);
    assert_int_equal(((Im__LoginRsp *)f->msg)->code, IM__CODE__BAD_CREDENTIALS);
    assert_true(f->n <= room);
    size_t n = f->n;
    memcpy(out, f->payload, n);
    raw_frame_free(f);
    person_free(&p);
    return n;
}

static void a_wrong_password_and_an_unknown_name_look_the_same(void **state)
{
    (void)state;
    uint8_t wrong[256], unknown[256];
    struct person a;
    person_new(&a, pl, 1, "ann", "laptop");
    size_t n = refusal(a.login, "wrong horse", wrong, sizeof wrong);
    assert_int_equal(refusal("nobody-of-this-name", "wrong horse", unknown, sizeof unknown), n);
    assert_memory_equal(wrong, unknown, n);
    person_free(&a);
}

static void the_connection_of_a_refused_login_may_try_again(void **state)
{
    (void)state;
    struct person a, again = {0};
    person_new(&a, pl, 0, "ann", "laptop");
    person_connect(&again, pl, 0);
    assert_int_equal(person_login(&again, a.login, "wrong horse", "x"), IM__CODE__BAD_CREDENTIALS);
    assert_int_equal(person_login(&again, a.login, "correct horse", "x"), IM__CODE__OK);
    person_free(&a);
    person_free(&again);
}

static void tokens(void **state)
{
    (void)state;
    struct person a, t = {0};
    char token[512];
    person_new(&a, pl, 0, "ann", "laptop");
    snprintf(token, sizeof token, "%s", a.token);
    person_logout(&a);
    person_connect(&t, pl, 1);
    assert_int_equal(person_token(&t, token, "laptop"), IM__CODE__OK);
    assert_string_equal(t.login, a.login);
    assert_int_equal(t.device, a.device);
    assert_false(t.new_device);
    uint64_t first = a.base;
    assert_true(t.base > first);              /* numbers of a client without memory never repeat */
    for (size_t at = 0; token[at]; at += 7) { /* any change is seen */
        char forged[512];
        snprintf(forged, sizeof forged, "%s", token);
        forged[at] = (char)(forged[at] == 'A' ? 'B' : 'A');
        if (at > 40) /* wrong secrets are rationed per address */
            break;
        person_connect(&t, pl, 0);
        assert_int_equal(person_token(&t, forged, "laptop"), IM__CODE__BAD_TOKEN);
    }
    person_connect(&t, pl, 0);
    assert_int_equal(person_token(&t, "nonsense", "laptop"), IM__CODE__BAD_TOKEN);
    person_free(&a);
    person_free(&t);
}

static void a_token_ends(void **state)
{
    (void)state;
    struct person a, t = {0};
    int code;
    person_new(&a, pl, SHORT_TOKENS, "ann", "laptop");
    int64_t by = clock_mono_ms() + pl_ms(PL_WAIT_MS);
    do {
        pl_turn(pl, by, "the token's end", __FILE__, __LINE__);
        person_connect(&t, pl, 0);
        code = person_token(&t, a.token, "laptop");
    } while (code == IM__CODE__OK);
    assert_int_equal(code, IM__CODE__TOKEN_EXPIRED);
    assert_int_equal(person_login(&t, a.login, "correct horse", "laptop"), IM__CODE__OK);
    person_free(&a);
    person_free(&t);
}

static void logout_ends_the_session(void **state)
{
    (void)state;
    struct person a, b;
    person_new(&a, pl, 0, "ann", "laptop");
    person_new(&b, pl, 0, "bob", "phone");
    assert_int_equal(raw_send(b.raw, IM__FRAME_TYPE__LOGOUT_REQ, 31, NULL), 0);
    struct raw_frame *f = raw_wait(b.raw, IM__FRAME_TYPE__LOGOUT_RSP, pl_ms(PL_WAIT_MS));
    assert_non_null(f);
    assert_int_equal(f->seq_id, 31);
    assert_int_equal(((Im__LogoutRsp *)f->msg)->code, IM__CODE__OK);
    raw_frame_free(f);
    assert_true(raw_closed(b.raw, pl_ms(PL_WAIT_MS)));
    uint64_t n = person_say(&a, b.login, "are you there?");
    person_placed(&a, n);
    person_join(&b, pl, 1, &b, "phone");
    person_wait_said(&b, 1);
    assert_int_equal(b.said[0].delivery, 0); /* from the queue, not as a push */
    person_free(&a);
    person_free(&b);
}

static void logins_and_messages_without_postgresql(void **state)
{
    (void)state;
    struct person a, b, t = {0};
    char text[100];
    person_new(&a, pl, 0, "ann", "laptop");
    person_new(&b, pl, 1, "bob", "phone");
    pl_server(pl, "stop-one", "postgres");
    person_connect(&t, pl, 1);
    assert_int_equal(person_token(&t, a.token, "laptop"), IM__CODE__OK);
    person_wait_closed(&a);
    person_join(&b, pl, 0, &b, "phone"); /* by password */
    struct person c;
    person_new(&c, pl, 0, "cleo", "tablet"); /* even a new account */
    uint64_t n = person_say(&t, b.login, "no database");
    assert_int_equal(person_placed(&t, n), 1);
    person_wait_said(&b, 1);
    snprintf(text, sizeof text, "to %s", c.login);
    n = person_say(&t, c.login, "%s", text);
    person_placed(&t, n);
    person_wait_said(&c, 1);
    pl_server(pl, "start-one", "postgres");
    UNTIL(pl, pl_number(pl, "SELECT count(*) FROM messages WHERE text = '%s'", text) == 1);
    UNTIL(pl, pl_number(pl, "SELECT count(*) FROM accounts WHERE login = '%s'", c.login) == 1);
    pl_wait_ready(pl);
    person_free(&a);
    person_free(&b);
    person_free(&c);
    person_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(does_an_account_exist),
        cmocka_unit_test(a_name_is_given_once),
        cmocka_unit_test(two_want_the_same_new_name),
        cmocka_unit_test(a_wrong_password_and_an_unknown_name_look_the_same),
        cmocka_unit_test(the_connection_of_a_refused_login_may_try_again),
        cmocka_unit_test(tokens),
        cmocka_unit_test(a_token_ends),
        cmocka_unit_test(logout_ends_the_session),
        cmocka_unit_test(logins_and_messages_without_postgresql),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, NULL));
}
