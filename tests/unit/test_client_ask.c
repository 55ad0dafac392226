/* libparley against a scripted server: questions, their answers, and what happens when none comes. */
#include "client/lib/parley_history.h"
#include "tests/support/fakeedge.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define LIST IM__FRAME_TYPE__CONV_LIST_REQ

static uint8_t group[16] = {3}, bob[16] = {2};
static char bob_name[] = "bob";

/* What an answer was, in words. */
struct got {
    int n;
    enum parley_code code;
    char text[400];
};

static void got(void *arg, const struct parley_answer *a)
{
    struct got *g = arg;
    g->n++;
    g->code = a->code;
    if (a->about == PARLEY_ASK_CONVERSATIONS && a->n)
        snprintf(g->text, sizeof g->text, "%zu %s %s unread=%u last=%s next=%zu", a->n,
                 a->conversations[0].name, a->conversations[1].peer.login, a->conversations[0].unread,
                 a->conversations[0].last ? a->conversations[0].last->message.text : "-", a->next_n);
    if (a->about == PARLEY_ASK_HISTORY && a->n)
        snprintf(g->text, sizeof g->text, "%zu %s%s%s %s=%s head=%d%s%s", a->n, a->items[0].message.text,
                 a->items[0].edited ? " edited" : "", a->items[0].pinned ? " pinned" : "",
                 a->items[0].reactions_n ? a->items[0].reactions[0].by.login : "",
                 a->items[0].reactions_n ? a->items[0].reactions[0].text : "", (int)a->head,
                 a->more_before ? " before" : "", a->more_after ? " after" : "");
    if (a->about == PARLEY_ASK_MEMBERS && a->n)
        snprintf(g->text, sizeof g->text, "%zu of %u %s role=%d", a->n, a->total, a->members[0].person.login,
                 (int)a->members[0].role);
    if (a->about == PARLEY_ASK_CONTACTS && a->n)
        snprintf(g->text, sizeof g->text, "%s friend=%d text=%s", a->contacts[0].user.person.login,
                 (int)a->contacts[0].user.friend_state, a->contacts[0].text);
}

static void until(struct fake *f, const struct got *g, int n)
{
    while (g->n < n)
        fake_run(f);
    assert_int_equal(g->n, n);
}

static int64_t ask(struct fake *f, struct got *g, struct parley_question q)
{
    return parley_ask(f->p, &q, got, g);
}

static void empty_list(struct fake *f, const struct raw_frame *r, Im__Code code)
{
    Im__ConvListRsp m = IM__CONV_LIST_RSP__INIT;
    m.code = code;
    fake_answer(f, IM__FRAME_TYPE__CONV_LIST_RSP, r, &m.base);
}

static void a_list_holds_what_was_just_sent(void **state)
{
    (void)state;
    struct fake f;
    struct got g = {0};
    Im__ConvInfo a = IM__CONV_INFO__INIT, b = IM__CONV_INFO__INIT, *list[] = {&a, &b};
    Im__HistoryItem last = IM__HISTORY_ITEM__INIT;
    Im__ChatPush event = IM__CHAT_PUSH__INIT;
    Im__ConvListRsp m = IM__CONV_LIST_RSP__INIT;
    char next[] = "page 2";
    fake_online(&f, 0);
    parley_send_text(f.p, "bob", "x");
    raw_frame_free(fake_want(&f, IM__FRAME_TYPE__SINGLE_CHAT));
    fake_ack(&f, 1, 1, IM__STAGE__SEQUENCED, 3, 17);
    fake_saw(&f, "sent 1 sequenced");
    assert_int_equal(ask(&f, &g, (struct parley_question){.about = PARLEY_ASK_CONVERSATIONS, .limit = 2}), 1);
    struct raw_frame *r = fake_want(&f, LIST);
    const Im__ConvListReq *q = (Im__ConvListReq *)r->msg;
    assert_int_equal(q->limit, 2);
    assert_non_null(q->wait);
    assert_int_equal(q->wait->seq, 17);
    event.conversation = event.sender = (ProtobufCBinaryData){16, bob};
    event.seq = 4;
    event.text = bob_name;
    last.event = &event;
    a.conversation = b.conversation = (ProtobufCBinaryData){16, group};
    a.name = bob_name;
    a.unread = 5;
    a.last = &last;
    b.peer = (ProtobufCBinaryData){16, bob};
    b.peer_login = bob_name;
    m.conversations = list;
    m.n_conversations = 2;
    m.next = (ProtobufCBinaryData){6, (uint8_t *)next};
    fake_answer(&f, IM__FRAME_TYPE__CONV_LIST_RSP, r, &m.base);
    raw_frame_free(r);
    until(&f, &g, 1);
    assert_string_equal(g.text, "2 bob bob unread=5 last=bob next=6");
    fake_stop(&f);
}

static void history_members_contacts(void **state)
{
    (void)state;
    struct fake f;
    struct got g = {0};
    Im__Reaction re = IM__REACTION__INIT, *res[] = {&re};
    Im__ChatPush event = IM__CHAT_PUSH__INIT;
    Im__HistoryItem it = IM__HISTORY_ITEM__INIT, *its[] = {&it};
    Im__HistoryRsp h = IM__HISTORY_RSP__INIT;
    fake_online(&f, 0);
    ask(&f, &g, (struct parley_question){.about = PARLEY_ASK_HISTORY, .with = "bob", .seq = 9, .limit = 10});
    struct raw_frame *r = fake_want(&f, IM__FRAME_TYPE__HISTORY_REQ);
    assert_string_equal(((Im__HistoryReq *)r->msg)->with, "bob");
    assert_null(((Im__HistoryReq *)r->msg)->wait);
    event.conversation = event.sender = (ProtobufCBinaryData){16, bob};
    event.seq = 8;
    event.text = re.login = re.text = bob_name;
    it.event = &event;
    it.edited = it.pinned = true;
    it.reactions = res;
    it.n_reactions = 1;
    h.items = its;
    h.n_items = 1;
    h.head = 12;
    h.more_before = true;
    fake_answer(&f, IM__FRAME_TYPE__HISTORY_RSP, r, &h.base);
    raw_frame_free(r);
    until(&f, &g, 1);
    assert_string_equal(g.text, "1 bob edited pinned bob=bob head=12 before");

    Im__Member who = IM__MEMBER__INIT, *whos[] = {&who};
    Im__MembersRsp mm = IM__MEMBERS_RSP__INIT;
    ask(&f, &g, (struct parley_question){.about = PARLEY_ASK_MEMBERS, .conversation = group});
    r = fake_want(&f, IM__FRAME_TYPE__MEMBERS_REQ);
    who.login = bob_name;
    who.role = IM__ROLE__ADMIN;
    mm.members = whos;
    mm.n_members = 1;
    mm.total = 70;
    fake_answer(&f, IM__FRAME_TYPE__MEMBERS_RSP, r, &mm.base);
    raw_frame_free(r);
    until(&f, &g, 2);
    assert_string_equal(g.text, "1 of 70 bob role=2");

    Im__User u = IM__USER__INIT;
    Im__Contact c = IM__CONTACT__INIT, *cs[] = {&c};
    Im__ContactsRsp cc = IM__CONTACTS_RSP__INIT;
    ask(&f, &g, (struct parley_question){.about = PARLEY_ASK_CONTACTS, .friend_state = PARLEY_ASKED_ME});
    r = fake_want(&f, IM__FRAME_TYPE__CONTACTS_REQ);
    assert_int_equal(((Im__ContactsReq *)r->msg)->state, IM__FRIEND_STATE__ASKED_ME);
    u.login = c.text = bob_name;
    u.friend_ = IM__FRIEND_STATE__ASKED_ME;
    c.user = &u;
    cc.contacts = cs;
    cc.n_contacts = 1;
    fake_answer(&f, IM__FRAME_TYPE__CONTACTS_RSP, r, &cc.base);
    raw_frame_free(r);
    until(&f, &g, 3);
    assert_string_equal(g.text, "bob friend=2 text=bob");
    fake_stop(&f);
}

static void what_the_server_cannot_say_now_is_asked_again(void **state)
{
    (void)state;
    struct fake f;
    struct got g = {0};
    fake_online(&f, 0);
    ask(&f, &g, (struct parley_question){.about = PARLEY_ASK_CONVERSATIONS});
    struct raw_frame *r = fake_want(&f, LIST);
    empty_list(&f, r, IM__CODE__BEHIND);
    raw_frame_free(r);
    r = fake_want(&f, LIST);
    fake_refuse(&f, r->seq_id, IM__CODE__BUSY, 3);
    raw_frame_free(r);
    raw_frame_free(fake_want(&f, LIST));
    raw_hang_up(f.s); /* and of another server */
    fake_login(&f, 0, 64, false);
    r = fake_want(&f, LIST);
    empty_list(&f, r, IM__CODE__OK);
    empty_list(&f, r, IM__CODE__OK); /* twice, as when it was asked once more */
    raw_frame_free(r);
    until(&f, &g, 1);
    assert_int_equal(g.code, PARLEY_OK);
    ask(&f, &g, (struct parley_question){.about = PARLEY_ASK_MEMBERS, .conversation = group});
    r = fake_want(&f, IM__FRAME_TYPE__MEMBERS_REQ);
    fake_refuse(&f, r->seq_id, IM__CODE__NOT_A_MEMBER, 0);
    raw_frame_free(r);
    until(&f, &g, 2);
    assert_int_equal(g.code, PARLEY_NOT_A_MEMBER);
    fake_stop(&f);
}

static void every_question_is_answered_in_time(void **state)
{
    (void)state;
    struct fake f;
    struct got g = {0}, none = {0};
    fake_online(&f, 0);
    ask(&f, &g, (struct parley_question){.about = PARLEY_ASK_CONVERSATIONS, .timeout_ms = 20});
    int64_t id = ask(&f, &none, (struct parley_question){.about = PARLEY_ASK_DEVICES, .timeout_ms = 10});
    parley_cancel(f.p, id);
    until(&f, &g, 1);
    assert_int_equal(g.code, PARLEY_DISCONNECTED);
    ask(&f, &g, (struct parley_question){.about = PARLEY_ASK_DEVICES});
    parley_stop(f.p, 0);
    until(&f, &g, 2);
    assert_int_equal(g.code, PARLEY_STOPPED);
    assert_int_equal(none.n, 0);
    while (parley_state(f.p) != PARLEY_ENDED)
        fake_run(&f);
    assert_int_equal(ask(&f, &g, (struct parley_question){.about = PARLEY_ASK_DEVICES}), -ESHUTDOWN);
    fake_stop(&f);
}

static void questions_without_form_are_not_asked(void **state)
{
    (void)state;
    struct fake f;
    struct got g = {0};
    fake_start(&f, NULL, "");
    static const struct parley_question bad[] = {
        {.about = 0},
        {.about = (enum parley_about)99},
        {.about = PARLEY_ASK_HISTORY},
        {.about = PARLEY_ASK_HISTORY, .with = "bob", .limit = 201},
        {.about = PARLEY_ASK_SEARCH},
        {.about = PARLEY_ASK_SEARCH, .text = "\xff"},
        {.about = PARLEY_ASK_MEMBERS, .with = "bob"},
        {.about = PARLEY_ASK_USERS},
        {.about = PARLEY_ASK_CHANGES, .conversation = group},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(parley_ask(f.p, &bad[i], got, &g), -EINVAL);
    for (int i = 0; i < 256; i++)
        assert_int_equal(ask(&f, &g, (struct parley_question){.about = PARLEY_ASK_DEVICES}), i + 1);
    assert_int_equal(ask(&f, &g, (struct parley_question){.about = PARLEY_ASK_DEVICES}), -ENOBUFS);
    fake_stop(&f);
    assert_int_equal(g.n, 0);
}

static void not_too_many_at_once(void **state)
{
    (void)state;
    struct fake f;
    struct got g = {0};
    fake_online(&f, 0);
    for (int i = 0; i < 10; i++)
        ask(&f, &g, (struct parley_question){.about = PARLEY_ASK_CONVERSATIONS});
    struct raw_frame *first = fake_want(&f, LIST);
    for (int i = 1; i < 6; i++)
        raw_frame_free(fake_want(&f, LIST));
    fake_settle(&f);
    assert_true(raw_quiet(f.s, LIST));
    empty_list(&f, first, IM__CODE__OK);
    raw_frame_free(first);
    until(&f, &g, 1);
    raw_frame_free(fake_want(&f, LIST)); /* one more may go */
    fake_stop(&f);
}

static void others_are_ended_and_this_one_gets_a_token(void **state)
{
    (void)state;
    struct fake f;
    struct got g = {0};
    Im__RevokeRsp ok = IM__REVOKE_RSP__INIT;
    Im__TokenRsp t = IM__TOKEN_RSP__INIT;
    char fresh[] = "fresh.token";
    fake_online(&f, 0);
    ask(&f, &g, (struct parley_question){.about = PARLEY_DO_REVOKE, .all = true, .keep_current = true});
    struct raw_frame *r = fake_want(&f, IM__FRAME_TYPE__REVOKE_REQ);
    assert_true(((Im__RevokeReq *)r->msg)->keep_current);
    fake_answer(&f, IM__FRAME_TYPE__REVOKE_RSP, r, &ok.base);
    raw_frame_free(r);
    until(&f, &g, 1);
    r = fake_want(&f, IM__FRAME_TYPE__TOKEN_REQ);
    t.token = fresh;
    fake_answer(&f, IM__FRAME_TYPE__TOKEN_RSP, r, &t.base);
    raw_frame_free(r);
    while (strcmp(parley_token(f.p), fresh) != 0)
        fake_run(&f);
    fake_stop(&f);
}

static void presence_is_watched_over_reconnects(void **state)
{
    (void)state;
    struct fake f;
    uint8_t who[1][PARLEY_ID] = {{2}};
    Im__Presence one = IM__PRESENCE__INIT, *list[] = {&one};
    Im__PresenceRsp m = IM__PRESENCE_RSP__INIT;
    fake_online(&f, 0);
    assert_int_equal(parley_watch(f.p, who, 1, group), -EINVAL);
    assert_int_equal(parley_watch(f.p, who, 1, NULL), 0);
    struct raw_frame *r = fake_want(&f, IM__FRAME_TYPE__PRESENCE_REQ);
    assert_true(((Im__PresenceReq *)r->msg)->subscribe);
    one.user = (ProtobufCBinaryData){16, bob};
    m.users = list;
    m.n_users = 1;
    fake_answer(&f, IM__FRAME_TYPE__PRESENCE_RSP, r, &m.base);
    raw_frame_free(r);
    fake_saw(&f, "presence 2 offline\n");
    raw_hang_up(f.s);
    fake_login(&f, 0, 64, false);
    r = fake_want(&f, IM__FRAME_TYPE__PRESENCE_REQ);
    assert_int_equal(((Im__PresenceReq *)r->msg)->n_users, 1);
    raw_frame_free(r);
    assert_int_equal(parley_watch(f.p, NULL, 0, NULL), 0);
    r = fake_want(&f, IM__FRAME_TYPE__PRESENCE_REQ);
    assert_int_equal(((Im__PresenceReq *)r->msg)->n_users, 0);
    raw_frame_free(r);
    fake_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_holds_what_was_just_sent),
        cmocka_unit_test(history_members_contacts),
        cmocka_unit_test(what_the_server_cannot_say_now_is_asked_again),
        cmocka_unit_test(every_question_is_answered_in_time),
        cmocka_unit_test(questions_without_form_are_not_asked),
        cmocka_unit_test(not_too_many_at_once),
        cmocka_unit_test(others_are_ended_and_this_one_gets_a_token),
        cmocka_unit_test(presence_is_watched_over_reconnects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
