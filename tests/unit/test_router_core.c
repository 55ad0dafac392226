#include "common/im/conv.h"
#include "tests/unit/routerrun.h"

/* ---- registration and look-up ---- */

static void the_first_registration_wins(void **state)
{
    struct world *w = *state;
    one(w, r_register(w, "anna"));
    Im__VaultRecord *v;
    DECODE(w, vault, next(w, T_VAULT)->value, &v);
    assert_int_equal(v->master_key, 7);
    assert_int_equal(v->verifier.len, 11);
    assert_int_equal(register_code(w), IM__CODE__OK);
    const Im__UserRecord *u = user_rec(w, IM__USER_KIND__USER_REGISTERED);
    assert_string_equal(u->login, "anna");
    assert_int_equal(u->source_offset, 1000);
    one(w, r_register(w, "anna"));
    assert_int_equal(register_code(w), IM__CODE__ACCOUNT_EXISTS);
    no_more(w);
}

static void the_same_registration_again_is_ok_again(void **state)
{
    struct world *w = *state;
    struct record r = r_register(w, "anna");
    one(w, r);
    pass(w);
    one(w, r);
    next(w, T_VAULT);
    assert_int_equal(register_code(w), IM__CODE__OK);
    user_rec(w, IM__USER_KIND__USER_REGISTERED);
}

static void a_name_under_a_strange_key_is_poison(void **state)
{
    struct world *w = *state;
    struct record r = r_register(w, "anna");
    struct id16 other = uid("bert");
    r.key = slice_id(&other);
    step(w, &r, 1);
    r.key = slice_of("short", 5);
    step(w, &r, 1);
    r.value = slice_of("\xff\xff", 2);
    step(w, &r, 1);
    r.value = slice_of("\x08\x09", 2); /* a newer version: set aside */
    step(w, &r, 1);
    assert_int_equal(w->run.n_poison, 4);
    no_more(w);
}

static void a_lookup_tells_what_there_is(void **state)
{
    struct world *w = *state;
    Im__LookupReply *l;
    one(w, r_lookup(w, "anna", true));
    DECODE(w, lookup, codec_slice(item(w, 0, IM__ITEM_KIND__ITEM_LOOKUP)->payload), &l);
    assert_false(l->exists);
    assert_int_equal(l->verifier.len, 0);
    assert_int_equal(l->purpose, 9);
    add(w, "anna");
    one(w, r_lookup(w, "anna", true));
    DECODE(w, lookup, codec_slice(item(w, 0, IM__ITEM_KIND__ITEM_LOOKUP)->payload), &l);
    assert_true(l->exists);
    assert_string_equal(l->login, "anna");
    assert_int_equal(l->verifier.len, 11);
    one(w, r_lookup(w, "anna", false));
    DECODE(w, lookup, codec_slice(item(w, 0, IM__ITEM_KIND__ITEM_LOOKUP)->payload), &l);
    assert_int_equal(l->verifier.len, 0);
}

/* ---- logins ---- */

static void nothing_is_said_before_the_verdict_is_in_the_log(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    struct record r = r_login(w, "anna", "phone", conn(1, 5));
    step(w, &r, 1);
    const Im__UserRecord *u = user_rec(w, IM__USER_KIND__USER_DEVICE_ADDED);
    assert_int_equal(u->device, 1);
    assert_string_equal(u->device_id, "phone");
    const Im__LoginVerdict *v = verdict(w, 1);
    assert_int_equal(v->code, IM__CODE__OK);
    assert_int_equal(v->device, 1);
    assert_true(v->new_device);
    assert_int_equal(v->login_offset, r.offset);
    no_more(w);
    ack(w);
    const Im__PresenceRecord *p = presence(w);
    assert_int_equal(p->session->handle, 5);
    assert_int_equal(p->session->login_offset, r.offset);
    assert_int_equal(p->n_devices, 1);
    assert_int_equal(p->devices_at, r.offset);
    assert_string_equal(p->login, "anna");
    const Im__OfflineRecord *o = offline(w, IM__OFFLINE_RECORD__BODY_LOGIN);
    assert_true(o->login->new_device);
    assert_int_equal(o->login->n_devices, 1);
    no_more(w);
}

static void the_later_login_of_a_device_wins(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    int64_t first = one(w, r_login(w, "anna", "phone", conn(1, 5)));
    pass(w);
    one(w, r_login(w, "anna", "phone", conn(2, 6)));
    assert_false(verdict(w, 2)->new_device);
    assert_int_equal(presence(w)->session->slot, 2);
    tombstone(w, of_user("anna", conn(1, 5), 1, first));
    const Im__DeliverItem *kick = item(w, 1, IM__ITEM_KIND__ITEM_KICK);
    assert_int_equal(kick->handles[0], 5);
    offline(w, IM__OFFLINE_RECORD__BODY_LOGIN);
    no_more(w);
    /* The end of the old connection ends nothing. */
    one(w, r_end(w, "anna", of_user("anna", conn(1, 5), 1, first)));
    no_more(w);
}

static void two_logins_in_one_batch_keep_their_order(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    struct record r[3] = {
        r_login(w, "anna", "phone", conn(1, 5)), r_login(w, "anna", "phone", conn(2, 6)), {0}};
    r[2] = r_end(w, "anna", conn(2, 6));
    step(w, r, 3);
    user_rec(w, IM__USER_KIND__USER_DEVICE_ADDED);
    verdict(w, 1);
    verdict(w, 2);
    no_more(w);
    /* The second verdict is acked first: it waits for the first. */
    uint64_t tag1 = w->run.fx.sends[w->seen - 2].tag, tag2 = w->run.fx.sends[w->seen - 1].tag;
    w->run.ops->sent(w->run.core, tag2, SENT_OK, &w->run.fx);
    no_more(w);
    w->run.ops->sent(w->run.core, tag1, SENT_OK, &w->run.fx);
    assert_int_equal(presence(w)->session->slot, 1);
    offline(w, IM__OFFLINE_RECORD__BODY_LOGIN);
    assert_int_equal(presence(w)->session->slot, 2);
    tombstone(w, of_user("anna", conn(1, 5), 1, r[0].offset));
    item(w, 1, IM__ITEM_KIND__ITEM_KICK);
    offline(w, IM__OFFLINE_RECORD__BODY_LOGIN);
    tombstone(w, of_user("anna", conn(2, 6), 1, r[1].offset));
    offline(w, IM__OFFLINE_RECORD__BODY_END);
    no_more(w);
}

static void a_new_device_is_told_to_the_others(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    one(w, r_login(w, "anna", "phone", conn(1, 5)));
    pass(w);
    int64_t at = one(w, r_login(w, "anna", "desktop", conn(2, 6)));
    user_rec(w, IM__USER_KIND__USER_DEVICE_ADDED);
    assert_int_equal(verdict(w, 2)->device, 2);
    assert_int_equal(presence(w)->session->handle, 6);
    const Im__PresenceRecord *other = presence(w);
    assert_int_equal(other->session->handle, 5);
    assert_int_equal(other->n_devices, 2);
    assert_int_equal(other->devices_at, at);
    offline(w, IM__OFFLINE_RECORD__BODY_LOGIN);
    no_more(w);
}

static void the_same_login_again_gives_the_same_device(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    struct record r = r_login(w, "anna", "phone", conn(1, 5));
    one(w, r);
    pass(w);
    one(w, r);
    user_rec(w, IM__USER_KIND__USER_DEVICE_ADDED);
    const Im__LoginVerdict *v = verdict(w, 1);
    assert_int_equal(v->device, 1);
    assert_true(v->new_device);
    presence(w);
    offline(w, IM__OFFLINE_RECORD__BODY_LOGIN);
    no_more(w);
}

static void an_earlier_login_again_does_not_come_back(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    struct record r = r_login(w, "anna", "phone", conn(1, 5));
    one(w, r);
    one(w, r_login(w, "anna", "phone", conn(2, 6)));
    pass(w);
    one(w, r);
    user_rec(w, IM__USER_KIND__USER_DEVICE_ADDED);
    assert_int_equal(verdict(w, 1)->code, IM__CODE__OK);
    tombstone(w, of_user("anna", conn(1, 5), 1, r.offset));
    item(w, 1, IM__ITEM_KIND__ITEM_KICK);
    assert_int_equal(presence(w)->session->handle, 6); /* what devices there are */
    no_more(w);
}

static void tokens_are_for_their_device_and_generation(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    one(w, r_login(w, "anna", "phone", conn(1, 5)));
    pass(w);
    one(w, r_token(w, "anna", "phone", 1, 1, conn(1, 6)));
    assert_int_equal(verdict(w, 1)->code, IM__CODE__OK);
    pass(w);
    one(w, r_token(w, "anna", "phone", 1, 0, conn(1, 7)));
    assert_int_equal(verdict(w, 1)->code, IM__CODE__SESSION_REVOKED);
    one(w, r_token(w, "anna", "phone", 2, 1, conn(1, 7)));
    assert_int_equal(verdict(w, 1)->code, IM__CODE__SESSION_REVOKED);
    one(w, r_token(w, "anna", "other", 1, 1, conn(1, 7)));
    assert_int_equal(verdict(w, 1)->code, IM__CODE__BAD_TOKEN);
    one(w, r_login(w, "nobody", "phone", conn(1, 7)));
    assert_int_equal(verdict(w, 1)->code, IM__CODE__BAD_CREDENTIALS);
    no_more(w);
}

static void the_seventeenth_device_drops_the_oldest_idle_one(void **state)
{
    struct world *w = *state;
    char name[16];
    add(w, "anna");
    for (uint32_t i = 1; i <= 16; i++) {
        snprintf(name, sizeof name, "d%u", i);
        one(w, r_login(w, "anna", name, conn(1, i)));
    }
    pass(w);
    one(w, r_login(w, "anna", "d17", conn(1, 17)));
    assert_int_equal(verdict(w, 1)->code, IM__CODE__TOO_MANY_DEVICES);
    one(w, r_end(w, "anna", conn(1, 3)));
    pass(w);
    one(w, r_login(w, "anna", "d17", conn(1, 17)));
    assert_int_equal(user_rec(w, IM__USER_KIND__USER_DEVICE_ADDED)->device, 17);
    assert_int_equal(user_rec(w, IM__USER_KIND__USER_DEVICE_DROPPED)->device, 3);
    assert_int_equal(verdict(w, 1)->device, 17);
    pass(w);
    /* The dropped one comes back as another. */
    one(w, r_end(w, "anna", conn(1, 4)));
    pass(w);
    one(w, r_login(w, "anna", "d3", conn(1, 30)));
    assert_int_equal(user_rec(w, IM__USER_KIND__USER_DEVICE_ADDED)->device, 18);
}

static void a_login_at_a_dead_edge_makes_the_device_but_no_session(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    one(w, r_login(w, "anna", "desktop", conn(2, 1)));
    lease_record(w, 1, IM__LEASE_KIND__LEASE_EXPIRE, 11, 100);
    pass(w);
    one(w, r_login(w, "anna", "phone", conn(1, 5)));
    assert_int_equal(user_rec(w, IM__USER_KIND__USER_DEVICE_ADDED)->device, 2);
    const Im__PresenceRecord *p = presence(w); /* of the desktop: it must name the phone */
    assert_int_equal(p->session->slot, 2);
    assert_int_equal(p->n_devices, 2);
    offline(w, IM__OFFLINE_RECORD__BODY_LOGIN);
    offline(w, IM__OFFLINE_RECORD__BODY_END);
    no_more(w);
    /* An epoch that this view has not heard of yet is alive. */
    struct session s = conn(1, 6);
    s.epoch = 999;
    one(w, r_login(w, "anna", "phone", s));
    assert_int_equal(w->run.fx.sends[w->seen].topic, topic_of_slot(1));
}

static void an_end_clears_the_session(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    int64_t at = one(w, r_login(w, "anna", "phone", conn(1, 5)));
    pass(w);
    one(w, r_end(w, "anna", conn(1, 5))); /* the edge may not know the verdict */
    tombstone(w, of_user("anna", conn(1, 5), 1, at));
    const Im__OfflineRecord *o = offline(w, IM__OFFLINE_RECORD__BODY_END);
    assert_int_equal(o->end->session->device, 1);
    assert_int_equal(o->end->session->login_offset, at);
    no_more(w);
    /* Again, fully named: says it again, for whoever missed it. */
    one(w, r_end(w, "anna", of_user("anna", conn(1, 5), 1, at)));
    tombstone(w, of_user("anna", conn(1, 5), 1, at));
    offline(w, IM__OFFLINE_RECORD__BODY_END);
    no_more(w);
}

/* ---- messages ---- */

static void a_message_becomes_a_conversation_record(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    int64_t at = one(w, r_login(w, "anna", "phone", conn(1, 5)));
    pass(w);
    int64_t source = one(w, r_chat(w, "anna", of_user("anna", conn(1, 5), 1, at), "bert", 3));
    const struct sent_record *s = next(w, T_CONVERSATION);
    struct id16 conv = id_direct(uid("anna"), uid("bert")), msg = id_message(uid("anna"), 1, 3);
    assert_memory_equal(s->key.p, conv.b, ID_SIZE);
    Im__ConvRecord *c = im__conv_record__unpack(NULL, s->value.n, s->value.p);
    assert_non_null(c);
    assert_int_equal(c->rules, CONV_RULES);
    assert_int_equal(c->device, 1);
    assert_int_equal(c->source_offset, source);
    assert_int_equal(c->settings->recall_limit_s, 120);
    assert_int_equal(c->settings->group_cap, 100);
    assert_int_equal(c->origin->handle, 5);
    assert_string_equal(c->user_login, "anna");
    assert_string_equal(c->body->text, "hello");
    assert_memory_equal(c->msg_id.data, msg.b, ID_SIZE);
    im__conv_record__free_unpacked(c, NULL);
    no_more(w);
}

static void a_replaced_session_may_still_speak(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    int64_t at = one(w, r_login(w, "anna", "phone", conn(1, 5)));
    one(w, r_login(w, "anna", "phone", conn(2, 6)));
    pass(w);
    one(w, r_chat(w, "anna", of_user("anna", conn(1, 5), 1, at), "bert", 3));
    next(w, T_CONVERSATION);
}

static void a_dropped_device_may_not(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    one(w, r_chat(w, "anna", of_user("anna", conn(1, 5), 4, 1), "bert", 3));
    const Im__DeliverItem *it = item(w, 1, IM__ITEM_KIND__ITEM_EVENT);
    Im__MsgAck *a = im__msg_ack__unpack(NULL, it->payload.len, it->payload.data);
    assert_int_equal(a->stage, IM__STAGE__STAGE_REFUSED);
    assert_int_equal(a->code, IM__CODE__SESSION_REVOKED);
    assert_int_equal(a->client_seq, 3);
    im__msg_ack__free_unpacked(a, NULL);
    no_more(w);
}

static void a_pull_goes_to_the_offline_worker(void **state)
{
    struct world *w = *state;
    add(w, "anna");
    int64_t at = one(w, r_login(w, "anna", "phone", conn(1, 5)));
    pass(w);
    one(w, r_pull(w, "anna", of_user("anna", conn(1, 5), 1, at)));
    const Im__OfflineRecord *o = offline(w, IM__OFFLINE_RECORD__BODY_PULL);
    assert_int_equal(o->pull->after, 42);
    assert_int_equal(o->pull->limit, 7);
    assert_int_equal(o->pull->seq_id, 77);
    one(w, r_pull(w, "anna", of_user("anna", conn(1, 5), 9, at)));
    assert_int_equal(item(w, 1, IM__ITEM_KIND__ITEM_REPLY)->frame_type, IM__FRAME_TYPE__PULL_OFFLINE_RSP);
}

static void quiet_records_wait_for_nothing(void **state)
{
    struct world *w = *state;
    run_crash(&w->run);
    run_open(&w->run, &router_core, &settings, w->lease, 0, 5000);
    add(w, "anna");
    struct record r = r_login(w, "anna", "phone", conn(1, 5));
    step(w, &r, 1);
    for (size_t i = 0; i < w->run.fx.n_sends; i++)
        assert_int_equal(w->run.fx.sends[i].tag, 0);
    pass(w);
    w->offset = 6000;
    one(w, r_end(w, "anna", conn(1, 5)));
    tombstone(w, of_user("anna", conn(1, 5), 1, r.offset));
}

static void memory_is_bounded_and_rows_come_back(void **state)
{
    struct world *w = *state;
    static const struct router_settings tiny = {.cache_bytes = 4096};
    char name[16];
    run_crash(&w->run);
    run_open(&w->run, &router_core, &tiny, w->lease, 0, 0);
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "user%d", i);
        one(w, r_register(w, name));
    }
    pass(w);
    one(w, r_register(w, "user0"));
    assert_int_equal(register_code(w), IM__CODE__ACCOUNT_EXISTS);
}

static void a_row_of_a_newer_version_stops(void **state)
{
    struct world *w = *state;
    struct id16 user = uid("anna");
    run_put(&w->run, ROUTER_ACCOUNT, slice_id(&user), slice_of("\x7f", 1));
    struct record r = r_lookup(w, "anna", false);
    assert_int_equal(run_batch(&w->run, &r, 1), CORE_STOP);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_first_registration_wins),
        T(the_same_registration_again_is_ok_again),
        T(a_name_under_a_strange_key_is_poison),
        T(a_lookup_tells_what_there_is),
        T(nothing_is_said_before_the_verdict_is_in_the_log),
        T(the_later_login_of_a_device_wins),
        T(two_logins_in_one_batch_keep_their_order),
        T(a_new_device_is_told_to_the_others),
        T(the_same_login_again_gives_the_same_device),
        T(an_earlier_login_again_does_not_come_back),
        T(tokens_are_for_their_device_and_generation),
        T(the_seventeenth_device_drops_the_oldest_idle_one),
        T(a_login_at_a_dead_edge_makes_the_device_but_no_session),
        T(an_end_clears_the_session),
        T(a_message_becomes_a_conversation_record),
        T(a_replaced_session_may_still_speak),
        T(a_dropped_device_may_not),
        T(a_pull_goes_to_the_offline_worker),
        T(quiet_records_wait_for_nothing),
        T(memory_is_bounded_and_rows_come_back),
        T(a_row_of_a_newer_version_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
