/* Ending devices and tokens, by the user and by the operator, and who may announce: across edges and routers. */
#include "tests/support/person.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct pl *pl;

static int setup(void **state)
{
    (void)state;
    pl = pl_up(&(struct pl_conf){.settings = "{\"router\": {\"one_per_class\": false}}"});
    return 0;
}

/* The same code at every edge. */
static int token_code(const char *token, const char *device_id)
{
    int code = 0;
    for (int edge = 0; edge < pl_count(pl, PL_EDGE); edge++) {
        struct person t = {0};
        person_connect(&t, pl, edge);
        int now = person_token(&t, token, device_id);
        assert_true(edge == 0 || now == code);
        code = now;
        person_free(&t);
    }
    return code;
}

static int ask(struct person *p, uint16_t type, const ProtobufCMessage *m, char *token, size_t n)
{
    static uint32_t seq_id = 99;
    struct raw_frame *f = NULL;
    assert_int_equal(raw_send(p->raw, type, ++seq_id, m), 0);
    do { /* an earlier answer may come again: a router that starts anew repeats what it cannot know was heard */
        raw_frame_free(f);
        f = raw_wait(p->raw, type + 1, pl_ms(PL_WAIT_MS));
        assert_non_null(f);
    } while (f->seq_id != seq_id);
    int code = (int)((Im__RevokeRsp *)f->msg)->code; /* the first field of each answer */
    if (token)
        snprintf(token, n, "%s", ((Im__TokenRsp *)f->msg)->token);
    raw_frame_free(f);
    return code;
}

static void kicked_with_revoked(struct person *p)
{
    person_wait_closed(p);
    assert_int_equal(p->kicked, IM__CODE__SESSION_REVOKED);
}

static void one_device_is_ended_from_another(void **state)
{
    (void)state;
    struct person phone, desk, bob;
    Im__RevokeReq req = IM__REVOKE_REQ__INIT;
    person_new(&phone, pl, 0, "ann", "phone");
    person_join(&desk, pl, 1, &phone, "desktop");
    person_new(&bob, pl, 1, "bob", "phone");
    req.device = phone.device;
    assert_int_equal(ask(&desk, IM__FRAME_TYPE__REVOKE_REQ, &req.base, NULL, 0), IM__CODE__OK);
    kicked_with_revoked(&phone);
    assert_int_equal(token_code(phone.token, "phone"), IM__CODE__SESSION_REVOKED);
    person_placed(&desk, person_say(&desk, bob.login, "still here"));
    req.device = 99;
    assert_int_equal(ask(&desk, IM__FRAME_TYPE__REVOKE_REQ, &req.base, NULL, 0), IM__CODE__NO_CHANGE);
    uint32_t old = phone.device;
    person_free(&phone);
    person_join(&phone, pl, 0, &desk, "phone");
    assert_true(phone.device > old);
    UNTIL(pl,
          pl_number(pl,
                    "SELECT count(*) FROM devices d, accounts a WHERE d.user_id = a.user_id AND login = '%s'",
                    phone.login) == 2);
    person_free(&phone);
    person_free(&desk);
    person_free(&bob);
}

static void all_but_the_current_one(void **state)
{
    (void)state;
    struct person phone, desk;
    Im__RevokeReq req = IM__REVOKE_REQ__INIT;
    Im__TokenReq again = IM__TOKEN_REQ__INIT;
    char token[512];
    person_new(&phone, pl, 0, "ann", "phone");
    person_join(&desk, pl, 1, &phone, "desktop");
    req.all = req.keep_current = true;
    assert_int_equal(ask(&desk, IM__FRAME_TYPE__REVOKE_REQ, &req.base, NULL, 0), IM__CODE__OK);
    kicked_with_revoked(&phone);
    assert_int_equal(token_code(phone.token, "phone"), IM__CODE__SESSION_REVOKED);
    assert_int_equal(token_code(desk.token, "desktop"), IM__CODE__SESSION_REVOKED);
    assert_int_equal(ask(&desk, IM__FRAME_TYPE__TOKEN_REQ, &again.base, token, sizeof token), IM__CODE__OK);
    assert_int_equal(token_code(token, "desktop"), IM__CODE__OK);
    person_free(&phone);
    person_free(&desk);
}

static void the_operator_ends_everything(void **state)
{
    (void)state;
    struct person phone, desk;
    char number[16];
    person_new(&phone, pl, 0, "ann", "phone");
    person_join(&desk, pl, 1, &phone, "desktop");
    snprintf(number, sizeof number, "%u", (unsigned)phone.device);
    PL_CTL(pl, "user", "revoke", phone.login, "--device", number);
    kicked_with_revoked(&phone);
    assert_int_equal(token_code(phone.token, "phone"), IM__CODE__SESSION_REVOKED);
    PL_CTL(pl, "user", "revoke", desk.login);
    kicked_with_revoked(&desk);
    assert_int_equal(token_code(desk.token, "desktop"), IM__CODE__SESSION_REVOKED);
    uint32_t device = desk.device;
    person_free(&desk);
    person_join(&desk, pl, 0, &phone, "desktop"); /* the password still does */
    assert_int_equal(desk.device, device);
    assert_int_equal(token_code(desk.token, "desktop"), IM__CODE__OK);
    person_free(&phone);
    person_free(&desk);
}

static void the_operator_makes_an_admin(void **state)
{
    (void)state;
    struct person a;
    person_new(&a, pl, 0, "ann", "phone");
    assert_non_null(strstr(PL_CTL(pl, "user", "admin", a.login, "on", "--json"), "may announce"));
    assert_non_null(strstr(PL_CTL(pl, "tail", "user", "--from", "beginning", "--until-end"), "USER_ADMIN"));
    PL_CTL(pl, "user", "admin", a.login, "off");
    char *out;
    const char *const argv[] = {"parleyctl", "--config", pl_config(pl), "--timeout", "2",
                                "user",      "admin",    "nobody-here", "on",        NULL};
    assert_int_equal(pl_run(pl, argv, NULL, &out), 1);
    assert_non_null(strstr(out, "Is there such an account"));
    free(out);
    person_free(&a);
}

/* Redis is lost after all this: the rows come again from the log, and so do their answers. */
static void what_was_revoked_stays_revoked_without_redis(void **state)
{
    (void)state;
    struct person phone, desk;
    Im__RevokeReq req = IM__REVOKE_REQ__INIT;
    person_new(&phone, pl, 0, "ann", "phone");
    person_join(&desk, pl, 1, &phone, "desktop");
    req.all = req.keep_current = true;
    assert_int_equal(ask(&desk, IM__FRAME_TYPE__REVOKE_REQ, &req.base, NULL, 0), IM__CODE__OK);
    kicked_with_revoked(&phone);
    pl_redis(pl, "FLUSHALL");
    for (int i = 0; i < pl_count(pl, PL_ROUTER); i++) {
        pl_expect_end(pl, PL_ROUTER, i);
        pl_stop(pl, PL_ROUTER, i, 15);
        pl_start(pl, PL_ROUTER, i, NULL);
    }
    pl_wait_ready(pl);
    assert_int_equal(token_code(phone.token, "phone"), IM__CODE__SESSION_REVOKED);
    req.device = 99;
    req.all = req.keep_current = false;
    assert_int_equal(ask(&desk, IM__FRAME_TYPE__REVOKE_REQ, &req.base, NULL, 0),
                     IM__CODE__NO_CHANGE); /* it goes on */
    person_free(&phone);
    person_free(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_device_is_ended_from_another),
        cmocka_unit_test(all_but_the_current_one),
        cmocka_unit_test(the_operator_ends_everything),
        cmocka_unit_test(the_operator_makes_an_admin),
        cmocka_unit_test(what_was_revoked_stays_revoked_without_redis),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, NULL));
}
