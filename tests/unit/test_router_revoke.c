#include "tests/unit/routerrun.h"

static int refused_chat(struct world *w, struct session s)
{
    one(w, r_chat(w, "anna", s, "bert", 3));
    const Im__DeliverItem *it = item(w, s.slot, IM__ITEM_KIND__ITEM_EVENT);
    Im__MsgAck *a = im__msg_ack__unpack(NULL, it->payload.len, it->payload.data);
    int code = (int)a->code;
    assert_int_equal(a->stage, IM__STAGE__STAGE_REFUSED);
    im__msg_ack__free_unpacked(a, NULL);
    return code;
}

/* No frame of the session means anything any more. */
static void is_over(struct world *w, struct session s)
{
    struct id16 conv = {{7}};
    assert_int_equal(refused_chat(w, s), IM__CODE__SESSION_REVOKED);
    one(w, r_receipt(w, "anna", s, conv, 3));
    one(w, r_signal(w, "anna", s, conv));
    no_more(w);
    one(w, r_profile(w, "anna", s, "x"));
    assert_int_equal(answer(w, s.slot, IM__FRAME_TYPE__PROFILE_RSP), IM__CODE__SESSION_REVOKED);
    one(w, r_prefs(w, "anna", s, conv));
    assert_int_equal(answer(w, s.slot, IM__FRAME_TYPE__PREFS_RSP), IM__CODE__SESSION_REVOKED);
    one(w, r_revoke(w, "anna", s, 0, true));
    assert_int_equal(answer(w, s.slot, IM__FRAME_TYPE__REVOKE_RSP), IM__CODE__SESSION_REVOKED);
    one(w, r_pull(w, "anna", s));
    assert_int_equal(item(w, s.slot, IM__ITEM_KIND__ITEM_REPLY)->frame_type,
                     IM__FRAME_TYPE__PULL_OFFLINE_RSP);
    no_more(w);
}

static int token_code(struct world *w, uint32_t device, uint64_t generation, const char *name)
{
    one(w, r_token(w, "anna", name, device, generation, conn(3, 90)));
    int code = (int)verdict(w, 3)->code;
    pass(w);
    return code;
}

static void a_device_is_dropped_for_good(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    w->time_ms = 1000000;
    struct session phone = enter(w, "anna", "phone", conn(1, 5), 1);
    struct session desk = enter(w, "anna", "desktop", conn(2, 6), 2);
    one(w, r_revoke(w, "anna", desk, 1, false));
    assert_int_equal(user_rec(w, IM__USER_KIND__USER_DEVICE_DROPPED)->device, 1);
    assert_int_equal(answer(w, 2, IM__FRAME_TYPE__REVOKE_RSP), IM__CODE__OK);
    tombstone(w, phone);
    kick(w, phone, IM__CODE__SESSION_REVOKED);
    offline(w, IM__OFFLINE_RECORD__BODY_END);
    const Im__PresenceRecord *p = presence(w);
    assert_int_equal(p->session->device, 2);
    assert_int_equal(p->n_devices, 1);
    const Im__OfflineRecord *o = offline(w, IM__OFFLINE_RECORD__BODY_END);
    assert_true(o->end->dropped);
    assert_int_equal(o->end->session->device, 1);
    no_more(w);
    is_over(w, phone);
    assert_int_equal(token_code(w, 1, 1, "phone"), IM__CODE__SESSION_REVOKED);
    assert_int_equal(token_code(w, 2, 1, "desktop"), IM__CODE__OK);
    /* By password it comes back as another. */
    one(w, r_login(w, "anna", "phone", conn(1, 8)));
    assert_int_equal(user_rec(w, IM__USER_KIND__USER_DEVICE_ADDED)->device, 3);
}

static void dropping_what_is_gone_or_never_was(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    w->time_ms = 1000000;
    struct session phone = enter(w, "anna", "phone", conn(1, 5), 1);
    struct session desk = enter(w, "anna", "desktop", conn(2, 6), 2);
    one(w, r_end(w, "anna", desk));
    pass(w);
    one(w, r_revoke(w, "anna", phone, 2, false)); /* not connected */
    user_rec(w, IM__USER_KIND__USER_DEVICE_DROPPED);
    answer(w, 1, IM__FRAME_TYPE__REVOKE_RSP);
    presence(w);
    const Im__OfflineRecord *o = offline(w, IM__OFFLINE_RECORD__BODY_END);
    assert_true(o->end->dropped);
    assert_int_equal(o->end->session->device, 2);
    assert_int_equal(o->end->session->login_offset, 0);
    one(w, r_revoke(w, "anna", phone, 2, false));
    assert_int_equal(answer(w, 1, IM__FRAME_TYPE__REVOKE_RSP), IM__CODE__OK);
    one(w, r_revoke(w, "anna", phone, 3, false));
    assert_int_equal(answer(w, 1, IM__FRAME_TYPE__REVOKE_RSP), IM__CODE__NO_CHANGE);
    no_more(w);
}

static void the_answer_comes_before_the_own_end(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    w->time_ms = 1000000;
    struct session phone = enter(w, "anna", "phone", conn(1, 5), 1);
    one(w, r_revoke(w, "anna", phone, 1, false));
    user_rec(w, IM__USER_KIND__USER_DEVICE_DROPPED);
    assert_int_equal(answer(w, 1, IM__FRAME_TYPE__REVOKE_RSP), IM__CODE__OK);
    tombstone(w, phone);
    kick(w, phone, IM__CODE__SESSION_REVOKED);
    offline(w, IM__OFFLINE_RECORD__BODY_END);
    offline(w, IM__OFFLINE_RECORD__BODY_END);
    user_rec(w, IM__USER_KIND__USER_SEEN);
    no_more(w);
}

static void all_are_ended_and_no_token_works(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    struct session phone = enter(w, "anna", "phone", conn(1, 5), 1);
    struct session desk = enter(w, "anna", "desktop", conn(2, 6), 2);
    one(w, r_revoke(w, "anna", desk, 0, false));
    const Im__UserRecord *u = user_rec(w, IM__USER_KIND__USER_TOKENS_REVOKED);
    assert_int_equal(u->token_generation, 2);
    assert_int_equal(u->login_offset, 0);
    assert_int_equal(answer(w, 2, IM__FRAME_TYPE__REVOKE_RSP), IM__CODE__OK);
    struct session both[] = {phone, desk};
    for (size_t i = 0; i < 2; i++) {
        tombstone(w, both[i]);
        kick(w, both[i], IM__CODE__SESSION_REVOKED);
        assert_false(offline(w, IM__OFFLINE_RECORD__BODY_END)->end->dropped);
    }
    no_more(w);
    is_over(w, phone);
    is_over(w, desk);
    assert_int_equal(token_code(w, 1, 1, "phone"), IM__CODE__SESSION_REVOKED);
    /* The password gives the same device again, with a token of the new generation. */
    one(w, r_login(w, "anna", "phone", conn(1, 8)));
    const Im__LoginVerdict *v = verdict(w, 1);
    assert_int_equal(v->device, 1);
    assert_int_equal(v->token_generation, 2);
    pass(w);
    assert_int_equal(token_code(w, 1, 2, "phone"), IM__CODE__OK);
}

static void all_but_the_one_that_asks(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    struct session phone = enter(w, "anna", "phone", conn(1, 5), 1);
    struct session desk = enter(w, "anna", "desktop", conn(2, 6), 2);
    one(w, r_revoke(w, "anna", desk, 0, true));
    assert_int_equal(user_rec(w, IM__USER_KIND__USER_TOKENS_REVOKED)->login_offset, desk.login_offset);
    Im__DeliverRecord *r;
    Im__LoginVerdict *v;
    DECODE(w, deliver, next(w, topic_of_slot(2))->value, &r); /* both in one record, so in this order */
    assert_int_equal(r->n_items, 2);
    assert_int_equal(r->items[0]->kind, IM__ITEM_KIND__ITEM_LOGIN);
    assert_int_equal(r->items[1]->frame_type, IM__FRAME_TYPE__REVOKE_RSP);
    DECODE(w, verdict, codec_slice(r->items[0]->payload), &v);
    assert_int_equal(v->token_generation, 2);
    assert_int_equal(v->login_offset, desk.login_offset);
    tombstone(w, phone);
    kick(w, phone, IM__CODE__SESSION_REVOKED);
    offline(w, IM__OFFLINE_RECORD__BODY_END);
    no_more(w);
    is_over(w, phone);
    one(w, r_chat(w, "anna", desk, "bert", 3));
    conv_rec(w);
    assert_int_equal(token_code(w, 2, 1, "desktop"), IM__CODE__SESSION_REVOKED);
    assert_int_equal(token_code(w, 2, 2, "desktop"), IM__CODE__OK);
}

static void the_operator_revokes_without_a_session(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    struct session phone = enter(w, "anna", "phone", conn(1, 5), 1);
    one(w, r_revoke(w, "anna", the_operator(), 0, false));
    user_rec(w, IM__USER_KIND__USER_TOKENS_REVOKED);
    tombstone(w, phone);
    kick(w, phone, IM__CODE__SESSION_REVOKED);
    offline(w, IM__OFFLINE_RECORD__BODY_END);
    one(w, r_revoke(w, "anna", the_operator(), 1, false));
    user_rec(w, IM__USER_KIND__USER_DEVICE_DROPPED);
    assert_true(offline(w, IM__OFFLINE_RECORD__BODY_END)->end->dropped);
    one(w, r_revoke(w, "nobody", the_operator(), 0, false));
    no_more(w);
    assert_int_equal(w->run.n_poison, 0);
    one(w, r_revoke(w, "anna", the_operator(), 0, true)); /* keep what? */
    struct session stranger = conn(1, 5);
    one(w, r_revoke(w, "anna", stranger, 0, false));
    assert_int_equal(w->run.n_poison, 2);
    no_more(w);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_device_is_dropped_for_good),        T(dropping_what_is_gone_or_never_was),
        T(the_answer_comes_before_the_own_end), T(all_are_ended_and_no_token_works),
        T(all_but_the_one_that_asks),           T(the_operator_revokes_without_a_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
