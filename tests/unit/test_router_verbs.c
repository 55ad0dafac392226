#include "common/im/conv.h"
#include "tests/unit/routerrun.h"

static const struct id16 group = {{9, 9, 9}};

static const Im__SignalRecord *signal_rec(struct world *w)
{
    Im__SignalRecord *s;
    DECODE(w, signal, next(w, T_SIGNAL)->value, &s);
    return s;
}

static Im__InChat invitation(Im__Body *body)
{
    static uint8_t users[2 * ID_SIZE] = {1};
    static char *logins[] = {"bert", ""};
    Im__InChat b = IM__IN_CHAT__INIT;
    struct id16 msg = {{1}};
    static uint8_t id[ID_SIZE];
    memcpy(id, msg.b, ID_SIZE);
    users[ID_SIZE] = 2;
    im__body__init(body);
    b.conversation = codec_bytes(slice_id(&group));
    b.msg_id = codec_bytes(slice_of(id, sizeof id));
    b.client_seq = 8;
    b.body = body;
    b.kind = IM__CONV_KIND__CONV_GROUP_INVITE;
    b.users = codec_bytes(slice_of(users, sizeof users));
    b.logins = logins;
    b.n_logins = 2;
    b.target = 3;
    b.reply_to = 4;
    b.role = IM__ROLE__ADMIN;
    b.flags = 5;
    b.flags_mask = 7;
    b.duration_s = 60;
    return b;
}

static struct record r_op(struct world *w, const char *login, struct session s, Im__InChat *b)
{
    Im__Inbound m = IM__INBOUND__INIT;
    m.body_case = IM__INBOUND__BODY_CHAT;
    m.chat = b;
    s.user = uid(login);
    return record(w, login, &s, &m);
}

static void all_of_an_operation_goes_to_the_conversation(void **state)
{
    struct world *w = *state;
    Im__Body body;
    Im__InChat b = invitation(&body);
    add(w, "anna");
    one(w, r_op(w, "anna", enter(w, "anna", "phone", conn(1, 5), 1), &b));
    const Im__ConvRecord *c = conv_rec(w);
    assert_int_equal(c->rules, CONV_RULES);
    assert_int_equal(c->kind, IM__CONV_KIND__CONV_GROUP_INVITE);
    assert_int_equal(c->peer.len, 0);
    assert_int_equal(c->users.len, 2 * ID_SIZE);
    assert_int_equal(c->n_logins, 2);
    assert_string_equal(c->logins[0], "bert");
    assert_int_equal(c->target, 3);
    assert_int_equal(c->reply_to, 4);
    assert_int_equal(c->role, IM__ROLE__ADMIN);
    assert_int_equal(c->flags, 5);
    assert_int_equal(c->flags_mask, 7);
    assert_int_equal(c->duration_s, 60);
    assert_int_equal(c->settings->receipt_cap, 7);
    assert_false(c->settings->admin);
    assert_int_equal(c->origin->handle, 5);
    no_more(w);
}

static void a_receipt_has_no_number_and_no_body(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    struct session s = enter(w, "anna", "phone", conn(1, 5), 1);
    one(w, r_receipt(w, "anna", s, group, 6));
    const Im__ConvRecord *c = conv_rec(w);
    struct id16 msg = id_message(uid("anna"), 1, 0);
    assert_int_equal(c->kind, IM__CONV_KIND__CONV_RECEIPT);
    assert_int_equal(c->client_seq, 0);
    assert_int_equal(c->read, 6);
    assert_int_equal(c->delivered, 7);
    assert_int_equal(c->settings->receipt_cap, 7);
    assert_memory_equal(c->msg_id.data, msg.b, ID_SIZE);
    assert_null(c->body);
    assert_null(c->origin);
    s.device = 4;
    one(w, r_receipt(w, "anna", s, group, 6)); /* no such device */
    no_more(w);
}

static void typing_goes_to_the_conversations_signals(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    struct session s = enter(w, "anna", "phone", conn(1, 5), 1);
    one(w, r_signal(w, "anna", s, group));
    const Im__SignalRecord *sig = signal_rec(w);
    assert_memory_equal(sig->conversation.data, group.b, ID_SIZE);
    assert_string_equal(sig->user_login, "anna");
    assert_int_equal(sig->device, 1);
    assert_int_equal(sig->time_ms, 5000);
    assert_true(sig->stopped);
    assert_int_equal(sig->strangers_refused, settings.strangers_refused);
    s.device = 4;
    one(w, r_signal(w, "anna", s, group));
    no_more(w);
}

static void a_profile_is_written_and_answered(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    struct session s = enter(w, "anna", "phone", conn(1, 5), 1);
    int64_t at = one(w, r_profile(w, "anna", s, "Anna B."));
    const Im__UserRecord *u = user_rec(w, IM__USER_KIND__USER_PROFILE);
    assert_string_equal(u->display_name, "Anna B.");
    assert_int_equal(u->presence, IM__PRIVACY__FRIENDS);
    assert_int_equal(u->source_offset, at);
    assert_int_equal(answer(w, 1, IM__FRAME_TYPE__PROFILE_RSP), IM__CODE__OK);
    s.device = 3;
    one(w, r_profile(w, "anna", s, "Somebody else"));
    assert_int_equal(answer(w, 1, IM__FRAME_TYPE__PROFILE_RSP), IM__CODE__SESSION_REVOKED);
    no_more(w);
}

static void marks_are_written_and_answered(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    struct session s = enter(w, "anna", "phone", conn(1, 5), 1);
    one(w, r_prefs(w, "anna", s, group));
    const Im__UserRecord *u = user_rec(w, IM__USER_KIND__USER_PREFS);
    assert_memory_equal(u->conversation.data, group.b, ID_SIZE);
    assert_true(u->pinned);
    assert_false(u->muted);
    assert_string_equal(u->remark, "the neighbour");
    assert_int_equal(u->mask, IM__PREFS_MARK__PREFS_PINNED | IM__PREFS_MARK__PREFS_REMARK);
    assert_int_equal(answer(w, 1, IM__FRAME_TYPE__PREFS_RSP), IM__CODE__OK);
    no_more(w);
}

static bool speaks_as_admin(struct world *w, struct session s, uint64_t seq)
{
    one(w, r_chat(w, "anna", s, "bert", seq));
    return conv_rec(w)->settings->admin;
}

static void only_the_operator_makes_admins(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    struct session s = enter(w, "anna", "phone", conn(1, 5), 1);
    one(w, r_admin(w, "anna", s, true));
    assert_int_equal(w->run.n_poison, 1);
    one(w, r_admin(w, "anna", conn(1, 5), true));
    assert_int_equal(w->run.n_poison, 2);
    assert_false(speaks_as_admin(w, s, 1));
    one(w, r_admin(w, "anna", the_operator(), true));
    assert_true(user_rec(w, IM__USER_KIND__USER_ADMIN)->admin);
    assert_true(speaks_as_admin(w, s, 2));
    one(w, r_admin(w, "anna", the_operator(), false));
    assert_false(user_rec(w, IM__USER_KIND__USER_ADMIN)->admin);
    assert_false(speaks_as_admin(w, s, 3));
    one(w, r_admin(w, "nobody", the_operator(), true));
    no_more(w);
}

static void the_last_end_says_when_the_user_was_seen(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    w->time_ms = 1000000;
    struct session phone = enter(w, "anna", "phone", conn(1, 5), 1);
    struct session desk = enter(w, "anna", "desktop", conn(2, 6), 2);
    one(w, r_end(w, "anna", phone));
    tombstone(w, phone);
    offline(w, IM__OFFLINE_RECORD__BODY_END);
    one(w, r_end(w, "anna", desk));
    assert_int_equal(user_rec(w, IM__USER_KIND__USER_SEEN)->time_ms, 1000000);
    pass(w);
    for (int i = 0; i < 2; i++) { /* within a minute, and after it */
        phone = enter(w, "anna", "phone", conn(1, 7), 1);
        w->time_ms += i ? ACCOUNT_SEEN_MS : 1000;
        one(w, r_end(w, "anna", phone));
        if (i)
            assert_int_equal(user_rec(w, IM__USER_KIND__USER_SEEN)->time_ms, w->time_ms);
        tombstone(w, phone);
        offline(w, IM__OFFLINE_RECORD__BODY_END);
    }
    no_more(w);
}

static void one_device_of_a_class_where_that_is_the_rule(void **state)
{
    struct world *w = *state;
    static const struct router_settings strict = {.cache_bytes = 1 << 20, .one_per_class = true};
    add(w, "anna");
    run_crash(&w->run);
    run_open(&w->run, &router_core, &strict, w->lease, 0, 0);
    struct session first = enter(w, "anna", "phone", conn(1, 5), 1);
    int64_t at = one(w, r_login(w, "anna", "other phone", conn(2, 6)));
    user_rec(w, IM__USER_KIND__USER_DEVICE_ADDED);
    verdict(w, 2);
    assert_int_equal(presence(w)->session->handle, 6);
    tombstone(w, first);
    kick(w, first, IM__CODE__SESSION_REPLACED);
    offline(w, IM__OFFLINE_RECORD__BODY_END);
    offline(w, IM__OFFLINE_RECORD__BODY_LOGIN);
    no_more(w);
    /* Its token still works, and now the other one goes. */
    one(w, r_token(w, "anna", "phone", 1, 1, conn(1, 7)));
    assert_int_equal(verdict(w, 1)->code, IM__CODE__OK);
    presence(w);
    tombstone(w, of_user("anna", conn(2, 6), 2, at));
    kick(w, of_user("anna", conn(2, 6), 2, at), IM__CODE__SESSION_REPLACED);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(all_of_an_operation_goes_to_the_conversation),
        T(a_receipt_has_no_number_and_no_body),
        T(typing_goes_to_the_conversations_signals),
        T(a_profile_is_written_and_answered),
        T(marks_are_written_and_answered),
        T(only_the_operator_makes_admins),
        T(the_last_end_says_when_the_user_was_seen),
        T(one_device_of_a_class_where_that_is_the_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
