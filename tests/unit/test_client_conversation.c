/* libparley against a scripted server: what is done in conversations, and what is told of them. */
#include "client/lib/parley_history.h"
#include "tests/support/fakeedge.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define OP      IM__FRAME_TYPE__CONV_OP
#define READ    IM__FRAME_TYPE__MSG_READ
#define PULL    IM__FRAME_TYPE__PULL_OFFLINE_REQ
#define HISTORY IM__FRAME_TYPE__HISTORY_REQ

static uint8_t group[16] = {3}, me[16] = {1}, bob[16] = {2};
static char bob_name[] = "bob";

static ProtobufCBinaryData id16(uint8_t *id)
{
    return (ProtobufCBinaryData){16, id};
}

/* The next CONV_OP has this number and kind; the caller frees it. */
static const Im__ConvOp *op(struct fake *f, struct raw_frame **r, uint64_t client_seq, Im__ConvKind kind)
{
    *r = fake_want(f, OP);
    const Im__ConvOp *m = (Im__ConvOp *)(*r)->msg;
    assert_int_equal(m->client_seq, client_seq);
    assert_int_equal(m->kind, kind);
    return m;
}

static void push(struct fake *f, uint32_t delivery, uint64_t seq, Im__ConvKind kind, uint8_t *named)
{
    char *names[] = {bob_name};
    ProtobufCBinaryData users[] = {id16(named)};
    Im__ChatPush m = IM__CHAT_PUSH__INIT;
    m.conversation = id16(group);
    m.seq = seq;
    m.sender = id16(bob);
    m.sender_login = bob_name;
    m.kind = kind;
    m.group = true;
    m.text = bob_name;
    m.target = kind < IM__CONV_KIND__CONV_GROUP_CREATE ? 1 : 0;
    m.role = IM__ROLE__ADMIN;
    m.flags = 5;
    m.users = users;
    m.logins = names;
    m.n_users = m.n_logins = named ? 1 : 0;
    assert_int_equal(raw_send(f->s, IM__FRAME_TYPE__CHAT_PUSH, delivery, &m.base), 0);
}

static void a_group_is_made_and_written_to(void **state)
{
    (void)state;
    struct fake f;
    struct raw_frame *r;
    uint8_t who[1][PARLEY_ID] = {{2}};
    fake_online(&f, 0);
    assert_int_equal(parley_group_create(f.p, "lunch", (const char *[]){"bob", "carol"}, 2, 2), 1);
    const Im__ConvOp *m = op(&f, &r, 1, IM__CONV_KIND__CONV_GROUP_CREATE);
    assert_string_equal(m->text, "lunch");
    assert_int_equal(m->n_logins, 2);
    assert_string_equal(m->logins[1], "carol");
    assert_int_equal(m->flags, 2);
    fake_ack(&f, r->seq_id, 1, IM__STAGE__ACCEPTED, 3, 0);
    raw_frame_free(r);
    fake_ack(&f, 1, 1, IM__STAGE__SEQUENCED, 3, 1);
    fake_saw(&f, "sent 1 sequenced OK seq=1");
    struct parley_outgoing o = {.conversation = group, .text = "hi", .text_n = 2, .reply_to = 1};
    o.mentions = who;
    o.mentions_n = 1;
    assert_int_equal(parley_send(f.p, &o), 2);
    r = fake_want(&f, IM__FRAME_TYPE__GROUP_CHAT);
    const Im__GroupChat *g = (Im__GroupChat *)r->msg;
    assert_int_equal(g->client_seq, 2);
    assert_int_equal(g->conversation.data[0], 3);
    assert_int_equal(g->reply_to, 1);
    assert_int_equal(g->n_mentions, 1);
    assert_int_equal(g->mentions[0].data[0], 2);
    raw_frame_free(r);
    fake_ack(&f, 2, 2, IM__STAGE__SEQUENCED, 3, 2);
    assert_int_equal(parley_send_group(f.p, group, ""), -EINVAL);
    push(&f, 3, 3, IM__CONV_KIND__CONV_MESSAGE, NULL); /* 1 and 2 are our own: no hole */
    fake_confirmed(&f, 3);
    fake_saw(&f, "message 3/3 bob missed=0");
    fake_stop(&f);
}

static void deeds_of_every_kind(void **state)
{
    (void)state;
    struct fake f;
    struct raw_frame *r;
    fake_online(&f, 0);
    assert_int_equal(parley_edit(f.p, group, 7, "better"), 1);
    assert_int_equal(parley_react(f.p, group, 7, ""), 2);
    assert_int_equal(parley_group_mute(f.p, group, "bob", 60), 3);
    assert_int_equal(parley_group_settings(f.p, group, PARLEY_GROUP_QUIET, PARLEY_GROUP_QUIET), 4);
    assert_int_equal(parley_friend_request(f.p, "bob", "it is me"), 5);
    assert_int_equal(parley_block(f.p, "bob", true), 6);
    assert_int_equal(parley_announce(f.p, "hear"), 7);
    const Im__ConvOp *m = op(&f, &r, 1, IM__CONV_KIND__CONV_EDIT);
    assert_int_equal(m->target, 7);
    assert_string_equal(m->text, "better");
    raw_frame_free(r);
    assert_int_equal(op(&f, &r, 2, IM__CONV_KIND__CONV_REACT)->target, 7);
    raw_frame_free(r);
    assert_int_equal(op(&f, &r, 3, IM__CONV_KIND__CONV_GROUP_MUTE)->duration_s, 60);
    raw_frame_free(r);
    assert_int_equal(op(&f, &r, 4, IM__CONV_KIND__CONV_GROUP_SETTINGS)->flags_mask, 4);
    raw_frame_free(r);
    assert_string_equal(op(&f, &r, 5, IM__CONV_KIND__CONV_FRIEND_REQUEST)->to, "bob");
    raw_frame_free(r);
    op(&f, &r, 6, IM__CONV_KIND__CONV_BLOCK);
    raw_frame_free(r);
    fake_ack(&f, 1, 6, IM__STAGE__NOTED, 3, 0);
    fake_saw(&f, "sent 6 noted OK seq=0");
    r = fake_want(&f, IM__FRAME_TYPE__ANNOUNCE);
    assert_string_equal(((Im__Announce *)r->msg)->text, "hear");
    fake_refuse(&f, r->seq_id, IM__CODE__NOT_ALLOWED, 0);
    raw_frame_free(r);
    fake_saw(&f, "sent 7 refused NOT_ALLOWED");
    assert_int_equal(parley_unresolved(f.p), 5);
    fake_stop(&f);
}

static void what_has_no_form_is_not_queued(void **state)
{
    (void)state;
    struct fake f;
    uint8_t many[PARLEY_USERS_MAX + 1][PARLEY_ID];
    memset(many, 1, sizeof many);
    fake_start(&f, NULL, "");
    assert_int_equal(parley_edit(f.p, NULL, 7, "x"), -EINVAL);
    assert_int_equal(parley_edit(f.p, group, 0, "x"), -EINVAL);
    assert_int_equal(parley_edit(f.p, group, 7, "bad\xff"), -EINVAL);
    assert_int_equal(parley_group_create(f.p, "", NULL, 0, 0), -EINVAL);
    assert_int_equal(parley_group_role(f.p, group, "bob", PARLEY_ROLE_OWNER), -EINVAL);
    assert_int_equal(parley_friend_request(f.p, "", NULL), -EINVAL);
    assert_int_equal(parley_do(f.p, &(struct parley_op){.kind = PARLEY_GROUP_INVITE,
                                                        .conversation = group,
                                                        .users = many,
                                                        .users_n = PARLEY_USERS_MAX + 1}),
                     -EINVAL);
    assert_int_equal(parley_do(f.p, &(struct parley_op){.kind = PARLEY_MESSAGE, .conversation = group}),
                     -EINVAL);
    struct parley_outgoing o = {.to = "bob", .conversation = group, .text = "x", .text_n = 1};
    assert_int_equal(parley_send(f.p, &o), -EINVAL);
    o.conversation = NULL;
    o.mentions = many;
    o.mentions_n = 1;
    assert_int_equal(parley_send(f.p, &o), -EINVAL); /* of a group only */
    assert_int_equal(parley_unresolved(f.p), 0);
    fake_stop(&f);
}

static void deeds_outlive_a_restart(void **state)
{
    (void)state;
    struct fake f;
    struct raw_frame *r;
    char dir[] = "/tmp/parley-client-XXXXXX", file[64], lock[80];
    assert_non_null(mkdtemp(dir));
    snprintf(file, sizeof file, "%s/state", dir);
    snprintf(lock, sizeof lock, "%s.lock", file);
    struct parley_options o = {.state_file = file};
    fake_start(&f, &o, "");
    o.servers = f.addr;
    parley_login(f.p, "alice", "correct horse");
    fake_login(&f, 100, 64, true);
    assert_int_equal(parley_group_invite(f.p, group, "bob"), 1);
    op(&f, &r, 101, IM__CONV_KIND__CONV_GROUP_INVITE);
    raw_frame_free(r);
    parley_free(f.p);
    fake_client(&f, &o);
    assert_int_equal(parley_login_token(f.p, NULL), 0);
    fake_login(&f, 200, 64, false);
    const Im__ConvOp *m = op(&f, &r, 101, IM__CONV_KIND__CONV_GROUP_INVITE);
    assert_string_equal(m->logins[0], "bob");
    assert_int_equal(m->conversation.data[0], 3);
    raw_frame_free(r);
    fake_ack(&f, 1, 101, IM__STAGE__STAGE_REFUSED, 3, IM__CODE__GROUP_FULL);
    fake_saw(&f, "sent 1 refused GROUP_FULL");
    fake_stop(&f);
    unlink(file);
    unlink(lock);
    rmdir(dir);
}

static void events_in_order(void **state)
{
    (void)state;
    struct fake f;
    fake_online(&f, 0);
    push(&f, 1, 1, IM__CONV_KIND__CONV_GROUP_CREATE, me);
    push(&f, 2, 2, IM__CONV_KIND__CONV_MESSAGE, NULL);
    push(&f, 3, 3, IM__CONV_KIND__CONV_EDIT, NULL);
    push(&f, 4, 4, IM__CONV_KIND__CONV_GROUP_ROLE, bob);
    fake_confirmed(&f, 4);
    const char *at =
        strstr(f.log, "event GROUP_CREATE 3/1 bob target=0 people=1 bob role=2 flags=5 missed=0\n");
    assert_non_null(at);
    at = strstr(at, "message 3/2 bob missed=0\n");
    assert_non_null(at);
    at = strstr(at, "event EDIT 3/3 bob target=1 people=0");
    assert_non_null(at);
    assert_non_null(strstr(at, "event GROUP_ROLE 3/4"));
    assert_true(raw_quiet(f.s, READ)); /* nobody is told that something arrived in a group */
    fake_stop(&f);
}

static void receipts_leave_by_themselves_and_when_read(void **state)
{
    (void)state;
    struct fake f;
    uint8_t conv[16] = {4};
    fake_online(&f, 0);
    fake_push(&f, 1, 4, 1, "one");
    struct raw_frame *r = fake_want(&f, READ);
    assert_int_equal(((Im__MsgRead *)r->msg)->delivered, 1);
    assert_int_equal(((Im__MsgRead *)r->msg)->read, 0);
    raw_frame_free(r);
    assert_int_equal(parley_read(f.p, conv, 0), -EINVAL);
    assert_int_equal(parley_read(f.p, conv, 1), 0);
    r = fake_want(&f, READ);
    assert_int_equal(((Im__MsgRead *)r->msg)->read, 1);
    assert_int_equal(((Im__MsgRead *)r->msg)->conversation.data[0], 4);
    raw_frame_free(r);
    raw_hang_up(f.s); /* nobody answers receipts: again */
    fake_login(&f, 0, 64, false);
    r = fake_want(&f, READ);
    assert_int_equal(((Im__MsgRead *)r->msg)->read, 1);
    raw_frame_free(r);
    parley_read(f.p, conv, 5);
    parley_stop(f.p, 0);
    r = fake_want(&f, IM__FRAME_TYPE__LOGOUT_REQ); /* the second is not over, but this cannot wait */
    raw_frame_free(r);
    r = fake_want(&f, READ);
    assert_int_equal(((Im__MsgRead *)r->msg)->read, 5);
    raw_frame_free(r);
    fake_stop(&f);
}

static void typing_is_not_told_at_every_key(void **state)
{
    (void)state;
    struct fake f;
    fake_online(&f, 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(parley_typing(f.p, group, false), 0);
    parley_typing(f.p, group, true);
    parley_typing(f.p, group, true);
    struct raw_frame *r = fake_want(&f, IM__FRAME_TYPE__TYPING);
    assert_false(((Im__Typing *)r->msg)->stopped);
    raw_frame_free(r);
    r = fake_want(&f, IM__FRAME_TYPE__TYPING);
    assert_true(((Im__Typing *)r->msg)->stopped);
    raw_frame_free(r);
    fake_settle(&f);
    assert_true(raw_quiet(f.s, IM__FRAME_TYPE__TYPING));
    fake_stop(&f);
}

static void what_is_told_without_a_number(void **state)
{
    (void)state;
    struct fake f;
    Im__NotePush n = IM__NOTE_PUSH__INIT;
    Im__ReceiptPush r = IM__RECEIPT_PUSH__INIT;
    Im__TypingPush t = IM__TYPING_PUSH__INIT;
    Im__Presence one = IM__PRESENCE__INIT, *list[] = {&one};
    Im__PresencePush p = IM__PRESENCE_PUSH__INIT;
    fake_online(&f, 0);
    n.conversation = r.conversation = t.conversation = id16(group);
    n.kind = IM__CONV_KIND__CONV_GROUP_JOIN;
    n.sender = t.user = one.user = id16(bob);
    n.sender_login = n.text = t.login = bob_name;
    r.user = id16(me);
    r.read = 9;
    one.online = true;
    p.users = list;
    p.n_users = 1;
    raw_send(f.s, IM__FRAME_TYPE__NOTE_PUSH, 1, &n.base);
    raw_send(f.s, IM__FRAME_TYPE__RECEIPT_PUSH, 2, &r.base);
    raw_send(f.s, IM__FRAME_TYPE__TYPING_PUSH, 0, &t.base);
    raw_send(f.s, IM__FRAME_TYPE__PRESENCE_PUSH, 3, &p.base);
    fake_confirmed(&f, 3);
    fake_saw(&f, "note GROUP_JOIN 3 bob bob people=0\n");
    fake_saw(&f, "receipt 3 user=1 own read=9 delivered=0\n");
    fake_saw(&f, "typing 3 bob\n");
    fake_saw(&f, "presence 2 online\n");
    fake_stop(&f);
}

/* A page of history, from `from` on. */
static void past(struct fake *f, const struct raw_frame *q, uint64_t from, size_t n, bool more, uint64_t head)
{
    Im__HistoryRsp m = IM__HISTORY_RSP__INIT;
    Im__HistoryItem items[8], *list[8];
    Im__ChatPush events[8];
    assert_true(n <= 8);
    for (size_t i = 0; i < n; i++) {
        im__history_item__init(&items[i]);
        im__chat_push__init(&events[i]);
        events[i].conversation = id16(group);
        events[i].sender = id16(bob);
        events[i].sender_login = bob_name;
        events[i].text = bob_name;
        events[i].seq = from + i;
        events[i].kind = IM__CONV_KIND__CONV_MESSAGE;
        events[i].group = true;
        items[i].event = &events[i];
        list[i] = &items[i];
    }
    m.conversation = id16(group);
    m.items = list;
    m.n_items = n;
    m.more_after = more;
    m.head = head;
    fake_answer(f, IM__FRAME_TYPE__HISTORY_RSP, q, &m.base);
}

static struct raw_frame *history_after(struct fake *f, uint64_t after, uint64_t upto)
{
    struct raw_frame *r = fake_want(f, HISTORY);
    const Im__HistoryReq *q = (Im__HistoryReq *)r->msg;
    assert_true(q->events);
    assert_int_equal(q->direction, IM__DIRECTION__AFTER);
    assert_int_equal(q->conversation.data[0], 3);
    assert_int_equal(q->seq, after);
    assert_non_null(q->wait);
    assert_int_equal(q->wait->seq, upto);
    return r;
}

static void holes_of_groups_and_news_come_from_history(void **state)
{
    (void)state;
    struct fake f;
    Im__News one = IM__NEWS__INIT, *list[] = {&one};
    Im__NewsPush n = IM__NEWS_PUSH__INIT;
    fake_online(&f, 0);
    push(&f, 1, 1, IM__CONV_KIND__CONV_GROUP_CREATE, me);
    push(&f, 2, 6, IM__CONV_KIND__CONV_MESSAGE, NULL);
    struct raw_frame *r = history_after(&f, 1, 5);
    past(&f, r, 2, 2, true, 6);
    raw_frame_free(r);
    r = history_after(&f, 3, 5);
    past(&f, r, 5, 2, false, 6); /* 4 is not for us */
    raw_frame_free(r);
    fake_confirmed(&f, 2);
    assert_int_equal(fake_count(&f, "message 3/"), 4);
    one.conversation = id16(group);
    one.upto = 8;
    n.news = list;
    n.n_news = 1;
    raw_send(f.s, IM__FRAME_TYPE__NEWS_PUSH, 3, &n.base);
    r = history_after(&f, 6, 8);
    Im__HistoryRsp behind = IM__HISTORY_RSP__INIT;
    behind.code = IM__CODE__BEHIND;
    fake_answer(&f, IM__FRAME_TYPE__HISTORY_RSP, r, &behind.base);
    raw_frame_free(r);
    r = history_after(&f, 6, 8);
    past(&f, r, 7, 2, false, 8);
    raw_frame_free(r);
    fake_saw(&f, "news 3/8\n");
    fake_saw(&f, "message 3/8 bob missed=0\n");
    fake_stop(&f);
}

/* Nothing queues an announcement: the list of conversations tells who was away that there are some. */
static void missed_announcements_come_from_history(void **state)
{
    (void)state;
    struct fake f;
    Im__ConvInfo info = IM__CONV_INFO__INIT, *list[] = {&info};
    Im__ConvListRsp m = IM__CONV_LIST_RSP__INIT;
    struct parley_question q = {.about = PARLEY_ASK_CONVERSATIONS};
    info.conversation = id16(group);
    info.system = true;
    info.head = 3;
    m.conversations = list;
    m.n_conversations = 1;
    fake_online(&f, 0);
    assert_true(parley_ask(f.p, &q, NULL, NULL) >
                0); /* none was ever seen: it begins with the first that is */
    struct raw_frame *r = fake_want(&f, IM__FRAME_TYPE__CONV_LIST_REQ);
    fake_answer(&f, IM__FRAME_TYPE__CONV_LIST_RSP, r, &m.base);
    raw_frame_free(r);
    push(&f, 1, 4, IM__CONV_KIND__CONV_ANNOUNCEMENT, NULL);
    fake_confirmed(&f, 1);
    info.head = 6;
    assert_true(parley_ask(f.p, &q, NULL, NULL) > 0);
    r = fake_want(&f, IM__FRAME_TYPE__CONV_LIST_REQ);
    fake_answer(&f, IM__FRAME_TYPE__CONV_LIST_RSP, r, &m.base);
    raw_frame_free(r);
    r = history_after(&f, 4, 6);
    past(&f, r, 5, 2, false, 6);
    raw_frame_free(r);
    fake_saw(&f, "message 3/6 bob missed=0\n");
    fake_stop(&f);
}

static void a_server_without_history_does_not_stop_messages(void **state)
{
    (void)state;
    struct fake f;
    struct parley_options o = {.device_id = "dev", .gap_patience_ms = 300};
    fake_start(&f, &o, "");
    parley_login(f.p, "alice", "correct horse");
    fake_login(&f, 0, 64, true);
    push(&f, 1, 1, IM__CONV_KIND__CONV_GROUP_CREATE, me);
    push(&f, 2, 3, IM__CONV_KIND__CONV_MESSAGE, NULL);
    for (int i = 0; i < 10 && !strstr(f.log, "3/3"); i++) {
        struct raw_frame *r = raw_wait(f.s, HISTORY, 100);
        if (r)
            fake_refuse(&f, r->seq_id, IM__CODE__UNKNOWN_TYPE, 0);
        raw_frame_free(r);
        r = raw_wait(f.s, PULL, 100);
        if (r)
            fake_page(&f, r->seq_id, 3, NULL, 0, false, 0);
        raw_frame_free(r);
    }
    fake_saw(&f, "message 3/3 bob missed=1\n");
    fake_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_is_made_and_written_to),
        cmocka_unit_test(deeds_of_every_kind),
        cmocka_unit_test(what_has_no_form_is_not_queued),
        cmocka_unit_test(deeds_outlive_a_restart),
        cmocka_unit_test(events_in_order),
        cmocka_unit_test(receipts_leave_by_themselves_and_when_read),
        cmocka_unit_test(typing_is_not_told_at_every_key),
        cmocka_unit_test(what_is_told_without_a_number),
        cmocka_unit_test(holes_of_groups_and_news_come_from_history),
        cmocka_unit_test(missed_announcements_come_from_history),
        cmocka_unit_test(a_server_without_history_does_not_stop_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
