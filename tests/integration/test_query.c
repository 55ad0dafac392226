/* test_query.c: questions as an edge writes them into im.query, rows as the persister writes them, answers as an edge
 * reads them. */
#include "common/base/arena_protobuf.h"
#include "common/base/kproducer.h"
#include "common/base/kview.h"
#include "common/base/loop.h"
#include "common/im/codec.h"
#include "common/im/frame.h"
#include "common/im/topics.h"
#include "tests/support/pipeline.h"
#include "tests/support/rawclient.h"

#include <libpq-fe.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* cmocka.h wants these first */
#include <setjmp.h>

#include <cmocka.h>

#define EPOCH 7

static struct pl *pl;
static struct loop *loop;
static struct topics *topics;
static struct kproducer *producer;
static struct kview *view;
static ProtobufCMessage *answer; /* to the question `asked` */
static uint32_t asked;
static uint16_t asked_type;
static struct id16 ann, bob, cyd, direct;

static void on_record(void *ctx, const struct record *r)
{
    (void)ctx;
    Im__DeliverRecord *d = im__deliver_record__unpack(NULL, r->value.n, r->value.p);
    assert_non_null(d);
    assert_int_equal(d->epoch, EPOCH);
    for (size_t i = 0; i < d->n_items; i++) {
        const Im__DeliverItem *it = d->items[i];
        if (it->kind != IM__ITEM_KIND__ITEM_REPLY || it->seq_id != asked)
            continue;
        assert_null(answer);
        asked_type = (uint16_t)it->frame_type;
        answer = protobuf_c_message_unpack(frame_type(asked_type)->server, NULL, it->payload.len,
                                           it->payload.data);
    }
    im__deliver_record__free_unpacked(d, NULL);
}

static void sql(const char *fmt, ...)
{
    char text[4096];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    assert_int_equal(pl_number(pl, "WITH x AS (%s RETURNING 1) SELECT count(*) > -1 FROM x", text) == -1, 0);
}

static void account(const char *login, struct id16 *id)
{
    char hex[ID_HEX];
    *id = id_user(login);
    sql("INSERT INTO accounts (part, user_id, login, display_name, token_generation, source_part, "
        "source_offset, "
        "registered_ms) VALUES (0, '\\x%s', '%s', 'Name of %s', 1, 0, 0, 1)",
        id_hex(*id, hex), login, login);
}

static void member(struct id16 user, const char *login, struct id16 peer, const char *peer_login,
                   const char *visible)
{
    char u[ID_HEX], c[ID_HEX], p[ID_HEX];
    sql("INSERT INTO memberships (user_id, conv, part, peer, peer_login, login, role, visible, joined) "
        "VALUES "
        "('\\x%s', '\\x%s', 0, '\\x%s', '%s', '%s', 1, '%s', 1)",
        id_hex(user, u), id_hex(direct, c), id_hex(peer, p), peer_login, login, visible);
}

static void message(uint64_t seq, struct id16 sender, int kind, const char *text, int target)
{
    char u[ID_HEX], c[ID_HEX];
    sql("INSERT INTO messages (conv, seq, sender, device, client_seq, msg_id, kind, text, key_id, time_ms, "
        "source_part, "
        "source_offset, conv_part, conv_offset, target) VALUES ('\\x%s', %d, '\\x%s', 1, %d, '\\x%s', %d, "
        "'%s', 0, %d, "
        "0, 0, 0, %d, nullif(%d, 0))",
        id_hex(direct, c), (int)seq, id_hex(sender, u), (int)seq, u, kind, text, 1000 * (int)seq, (int)seq,
        target);
}

static void rows(void)
{
    char c[ID_HEX];
    account("ann", &ann);
    account("bob", &bob);
    account("cyd", &cyd);
    direct = id_direct(ann, bob);
    sql("INSERT INTO conversations (conv, part, type, members, created_ms) VALUES ('\\x%s', 0, 1, 2, 1000)",
        id_hex(direct, c));
    member(ann, "ann", bob, "bob", "{[1,)}");
    member(bob, "bob", ann, "ann", "{[1,)}");
    message(1, ann, 1, "first", 0);
    message(2, bob, 1, "second", 0);
    message(3, ann, 1, "secret", 0);
    message(4, ann, 2, "first, corrected", 1);
    message(5, bob, 4, "+1", 1);
    message(6, ann, 3, "", 3);
    message(7, ann, 5, "", 2);
    message(8, bob, 1, "\u4f60\u597d\u4e16\u754c", 0);
}

static int setup(void **state)
{
    (void)state;
    char err[256];
    pl = pl_up(&(struct pl_conf){.n = {[PL_QUERY] = 1}});
    rows();
    assert_int_equal(loop_new(&loop), 0);
    topics = topics_new(NULL, "small", pl_prefix(pl), err, sizeof err);
    assert_non_null(topics);
    const struct kconf kafka = {.bootstrap = getenv("PARLEY_KAFKA"), .client_id = "test"};
    const struct kproducer_conf pc = {
        .kafka = kafka, .topics = topics_ktopics(topics), .n_topics = topics_count(topics)};
    const struct kview_conf vc = {.kafka = kafka,
                                  .topic = topic_of_slot(0),
                                  .name = topics_name(topics, topic_of_slot(0)),
                                  .partitions = 1,
                                  .message = on_record};
    producer = kproducer_new(loop, &pc);
    view = kview_new(loop, &vc);
    assert_non_null(producer);
    assert_non_null(view);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kproducer_free(producer, 1000);
    kview_free(view);
    topics_free(topics);
    loop_free(loop);
    return 0;
}

/* A question's answer of any kind, `asked_type`; until the next question. */
static const void *ask_any(struct id16 user, uint16_t type, const ProtobufCMessage *req)
{
    static uint8_t payload[65536], value[70000];
    Im__Session session = IM__SESSION__INIT;
    Im__QueryRecord q = IM__QUERY_RECORD__INIT;
    protobuf_c_message_free_unpacked(answer, NULL);
    answer = NULL;
    session.user = (ProtobufCBinaryData){ID_SIZE, user.b};
    session.device = 1;
    session.epoch = EPOCH;
    session.handle = 1;
    session.login_offset = 5;
    q.version = CODEC_VERSION;
    q.session = &session;
    q.seq_id = ++asked;
    q.frame_type = type;
    q.payload = (ProtobufCBinaryData){protobuf_c_message_pack(req, payload), payload};
    size_t n = im__query_record__pack(&q, value);
    int64_t by = clock_mono_ms() + pl_ms(PL_WAIT_MS);
    while (kproducer_send(producer, T_QUERY, FX_BY_KEY, slice_id(&user), slice_of(value, n), NULL))
        assert_int_equal(loop_turn(loop, 10), 0);
    while (!answer && clock_mono_ms() < by)
        assert_int_equal(loop_turn(loop, 10), 0);
    assert_non_null(answer);
    return answer;
}

static const void *ask(struct id16 user, uint16_t type, const ProtobufCMessage *req)
{
    const void *a = ask_any(user, type, req);
    assert_int_equal(asked_type, type + 1);
    return a;
}

static const Im__HistoryRsp *history(struct id16 user, bool events)
{
    Im__HistoryReq r = IM__HISTORY_REQ__INIT;
    r.conversation = (ProtobufCBinaryData){ID_SIZE, direct.b};
    r.events = events;
    return ask(user, IM__FRAME_TYPE__HISTORY_REQ, &r.base);
}

static void history_shows_messages_as_they_are(void **state)
{
    (void)state;
    const Im__HistoryRsp *h = history(bob, false);
    assert_int_equal(h->code, IM__CODE__OK);
    assert_int_equal(h->n_items, 4);
    assert_int_equal(h->head, 8);
    assert_string_equal(h->items[0]->event->text, "first, corrected");
    assert_true(h->items[0]->edited);
    assert_string_equal(h->items[0]->event->sender_login, "ann");
    assert_string_equal(h->items[0]->event->peer_login, "bob");
    assert_int_equal(h->items[0]->n_reactions, 1);
    assert_string_equal(h->items[0]->reactions[0]->login, "bob");
    assert_true(h->items[1]->pinned);
    assert_true(h->items[2]->recalled);
    assert_string_equal(h->items[2]->event->text, "");
    assert_false(h->more_before || h->more_after);
}

static void history_shows_events_as_they_were(void **state)
{
    (void)state;
    const Im__HistoryRsp *h = history(ann, true);
    assert_int_equal(h->n_items, 8);
    assert_string_equal(h->items[0]->event->text, "first");
    assert_string_equal(h->items[2]->event->text, "");
    assert_int_equal(h->items[3]->event->kind, IM__CONV_KIND__CONV_EDIT);
    assert_int_equal(h->items[3]->event->target, 1);
}

static void strangers_and_unknown_conversations_look_alike(void **state)
{
    (void)state;
    assert_int_equal(history(cyd, false)->code, IM__CODE__NOT_A_MEMBER);
    assert_int_equal(history(cyd, true)->n_items, 0);
    struct id16 known = direct;
    direct = id_direct(cyd, cyd);
    assert_int_equal(history(cyd, false)->code, IM__CODE__NOT_A_MEMBER);
    direct = known;
}

static void the_list_has_the_last_message_and_what_is_unread(void **state)
{
    (void)state;
    Im__ConvListReq r = IM__CONV_LIST_REQ__INIT;
    const Im__ConvListRsp *l = ask(ann, IM__FRAME_TYPE__CONV_LIST_REQ, &r.base);
    assert_int_equal(l->code, IM__CODE__OK);
    assert_int_equal(l->n_conversations, 1);
    assert_int_equal(l->conversations[0]->unread, 2);
    assert_int_equal(l->conversations[0]->last->event->seq, 8);
    assert_string_equal(l->conversations[0]->peer_name, "Name of bob");
    l = ask(cyd, IM__FRAME_TYPE__CONV_LIST_REQ, &r.base);
    assert_int_equal(l->n_conversations, 0);
    Im__ConvInfoReq i = IM__CONV_INFO_REQ__INIT;
    i.with = (char *)(uintptr_t) "ann";
    const Im__ConvInfoRsp *info = ask(bob, IM__FRAME_TYPE__CONV_INFO_REQ, &i.base);
    assert_int_equal(info->code, IM__CODE__OK);
    assert_int_equal(info->conversation->n_pins, 1);
    assert_int_equal(info->conversation->pins[0], 2);
    assert_int_equal(info->conversation->unread, 1); /* the other was recalled */
    info = ask(cyd, IM__FRAME_TYPE__CONV_INFO_REQ, &i.base);
    assert_int_equal(info->code, IM__CODE__NOT_A_MEMBER);
}

static void changes_are_told_in_order(void **state)
{
    (void)state;
    Im__ChangesReq r = IM__CHANGES_REQ__INIT;
    r.conversation = (ProtobufCBinaryData){ID_SIZE, direct.b};
    r.target = 1;
    const Im__ChangesRsp *c = ask(bob, IM__FRAME_TYPE__CHANGES_REQ, &r.base);
    assert_int_equal(c->n_events, 3);
    assert_int_equal(c->events[0]->seq, 1);
    assert_int_equal(c->events[1]->seq, 4);
    assert_int_equal(c->events[2]->seq, 5);
    r.target = 4; /* an edit, not a message */
    c = ask(bob, IM__FRAME_TYPE__CHANGES_REQ, &r.base);
    assert_int_equal(c->code, IM__CODE__NO_SUCH_MESSAGE);
}

static size_t hits(struct id16 user, const char *text)
{
    Im__SearchReq r = IM__SEARCH_REQ__INIT;
    r.text = (char *)(uintptr_t)text;
    const Im__SearchRsp *s = ask(user, IM__FRAME_TYPE__SEARCH_REQ, &r.base);
    assert_int_equal(s->code, IM__CODE__OK);
    return s->n_items;
}

/* All pages; how many hits there were. */
static size_t pages(struct id16 user, const char *text, uint32_t limit)
{
    uint8_t after[256];
    size_t n = 0, after_n = 0;
    int64_t at = INT64_MAX;
    do {
        Im__SearchReq r = IM__SEARCH_REQ__INIT;
        r.text = (char *)(uintptr_t)text;
        r.limit = limit;
        r.after = (ProtobufCBinaryData){after_n, after};
        const Im__SearchRsp *s = ask(user, IM__FRAME_TYPE__SEARCH_REQ, &r.base);
        assert_int_equal(s->code, IM__CODE__OK);
        assert_true(s->n_items <= limit);
        for (size_t i = 0; i < s->n_items; i++) {
            assert_true(s->items[i]->event->time_ms <= at);
            at = s->items[i]->event->time_ms;
        }
        n += s->n_items;
        after_n = s->next.len;
        if (after_n)
            memcpy(after, s->next.data, after_n);
    } while (after_n);
    return n;
}

/* Every script, accents and what is mixed, from the question to the answer. */
static void search_knows_words_of_any_language(void **state)
{
    static const struct {
        const char *text, *hit, *hit2, *miss;
    } cases[] = {
        {"今天天气很好，我们去公园吧", "天气", "公园", "气天"},
        {"日本語のテキストを検索する", "テキスト", "検索", "索検"},
        {"ｶﾀｶﾅ です", "カタカナ", "です", "ナカ"},
        {"안녕하세요 여러분", "하세", "여러분 안녕", "세하"},
        {"Ein größeres Café in Köln", "cafe KOLN", "GROßERES", "cafes"},
        {"Cafe\u0301 und nai\u0308ve", "café naive", "naïve CAFÉ", "nai"},
        {"Привет, Ёлка!", "елка", "ПРИВЕТ", "прив"},
        {"meet at 10:30 你好 ok, version 2.5", "你好 10", "ok 30", "好你"},
        {"ｆｕｌｌ ｗｉｄｔｈ and ﬁne", "full fine", "WIDTH", "fullwidth"},
        {"สวัสดีครับ", "สวัส", "ครับ", "ครัส"},
    };
    (void)state;
    struct id16 was = direct;
    char c[ID_HEX];
    direct = id_direct(bob, cyd);
    sql("INSERT INTO conversations (conv, part, type, members, created_ms) VALUES ('\\x%s', 0, 1, 2, 1000)",
        id_hex(direct, c));
    member(bob, "bob", cyd, "cyd", "{[1,)}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        message(i + 1, bob, 1, cases[i].text, 0);
    direct = was;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (hits(bob, cases[i].hit) != 1 || hits(bob, cases[i].hit2) != 1 || hits(bob, cases[i].miss) != 0)
            fail_msg("%s", cases[i].text);
        assert_int_equal(hits(ann, cases[i].hit), 0); /* not hers */
    }
}

/* 70 conversations of 100 messages, more than one band holds: pages follow one another without a gap, a repeat or a
 * step back in time, for a word that is everywhere, one that is rare, and in blocks with words and without. */
static void search_pages_are_newest_first_over_all_conversations(void **state)
{
    (void)state;
    struct id16 dan;
    account("dan", &dan);
    char u[ID_HEX];
    id_hex(dan, u);
    sql("INSERT INTO conversations (conv, part, type, members, created_ms) SELECT decode(md5('s' || c), "
        "'hex'), 0, 2, 1, 1 "
        "FROM generate_series(1, 70) c");
    sql("INSERT INTO memberships (user_id, conv, part, login, role, visible, joined) SELECT '\\x%s', "
        "decode(md5('s' || c), "
        "'hex'), 0, 'dan', 0, '{[3,91)}', 1 FROM generate_series(1, 70) c",
        u);
    sql("INSERT INTO messages (conv, seq, sender, device, client_seq, msg_id, kind, text, key_id, time_ms, "
        "source_part, "
        "source_offset, conv_part, conv_offset) SELECT decode(md5('s' || c), 'hex'), n, '\\x%s', 1, n, "
        "'\\x00', 1, "
        "CASE WHEN n * 70 + c %% 97 = 200 THEN 'common rare' ELSE 'common' END || CASE WHEN (n * 70 + c) %% "
        "500 = 7 THEN ' some' "
        "ELSE '' END, 0, 5000 + n / 3 * (1 + c %% 5), 0, 0, 0, n FROM generate_series(1, 100) n, "
        "generate_series(1, 70) c",
        u);
    sql("INSERT INTO search_blocks (conv, block, part) SELECT decode(md5('s' || c), 'hex'), 0, 0 FROM "
        "generate_series(1, 70) c");
    for (int indexed = 0; indexed < 2; indexed++) {
        assert_int_equal(pages(dan, "common", 50), 70 * 88);
        assert_int_equal(pages(dan, "some", 3),
                         pl_number(pl, "SELECT count(*) FROM messages WHERE text LIKE '%%some' AND seq "
                                       "BETWEEN 3 AND 90"));
        assert_int_equal(pages(dan, "rare", 1),
                         pl_number(pl, "SELECT count(*) FROM messages WHERE text LIKE '%%rare%%' AND "
                                       "seq BETWEEN 3 AND 90"));
        assert_int_equal(pages(dan, "nowhere", 1), 0);
        assert_true(pl_number(pl, "SELECT parley_index_blocks(1000)") >= 0);
    }
}

static void a_mark_that_is_no_pages_is_refused(void **state)
{
    (void)state;
    Im__SearchReq r = IM__SEARCH_REQ__INIT;
    r.text = (char *)(uintptr_t) "first";
    r.after = (ProtobufCBinaryData){3, (uint8_t *)(uintptr_t) "abc"};
    assert_int_equal(((const Im__SearchRsp *)ask(ann, IM__FRAME_TYPE__SEARCH_REQ, &r.base))->code,
                     IM__CODE__BAD_FIELD);
    uint8_t wild[32];
    memset(wild, 0x7f, sizeof wild);
    r.after = (ProtobufCBinaryData){sizeof wild, wild};
    assert_int_equal(((const Im__SearchRsp *)ask(ann, IM__FRAME_TYPE__SEARCH_REQ, &r.base))->code,
                     IM__CODE__BAD_FIELD);
    memset(wild, 0xff, sizeof wild);
    assert_int_equal(((const Im__SearchRsp *)ask(ann, IM__FRAME_TYPE__SEARCH_REQ, &r.base))->code,
                     IM__CODE__BAD_FIELD);
}

static void search_finds_what_is_there_now(void **state)
{
    (void)state;
    assert_int_equal(hits(ann, "corrected"), 1);
    assert_int_equal(hits(ann, "first"), 1);
    assert_int_equal(hits(ann, "secret"), 0); /* recalled */
    assert_int_equal(hits(bob, "\u4e16\u754c"), 1);
    assert_int_equal(hits(bob, "\u754c\u4e16"), 0);
    assert_int_equal(hits(cyd, "second"), 0);
}

/* Of marks the last 10,000 stay, and one on what is not the user's shows nothing. */
static void marks_are_bounded_and_show_nothing(void **state)
{
    (void)state;
    char u[ID_HEX], c[ID_HEX];
    id_hex(cyd, u);
    id_hex(direct, c);
    for (int from = 1; from <= 10001; from += 5000)
        sql("INSERT INTO prefs (user_id, conv, part, pinned, muted, remark, source_offset) SELECT '\\x%s', "
            "decode(md5('p' || "
            "n), 'hex'), 0, true, true, 'x', n FROM generate_series(%d, %d) n",
            u, from, from + 4999);
    assert_int_equal(pl_number(pl, "SELECT count(*) FROM prefs"), 10000);
    assert_int_equal(pl_number(pl, "SELECT min(source_offset) FROM prefs"), 5001);
    sql("INSERT INTO prefs (user_id, conv, part, pinned, muted, remark, source_offset) VALUES ('\\x%s', "
        "'\\x%s', 0, true, true, "
        "'x', 20000)",
        u, c);
    assert_int_equal(pl_number(pl, "SELECT count(*) FROM prefs"), 10000);
    Im__ConvInfoReq i = IM__CONV_INFO_REQ__INIT;
    i.conversation = (ProtobufCBinaryData){ID_SIZE, direct.b};
    assert_int_equal(((const Im__ConvInfoRsp *)ask(cyd, IM__FRAME_TYPE__CONV_INFO_REQ, &i.base))->code,
                     IM__CODE__NOT_A_MEMBER);
}

static void a_number_is_waited_for(void **state)
{
    (void)state;
    Im__Wait w = IM__WAIT__INIT;
    Im__ConvListReq r = IM__CONV_LIST_REQ__INIT;
    w.conversation = (ProtobufCBinaryData){ID_SIZE, direct.b};
    w.seq = 8;
    r.wait = &w;
    assert_int_equal(((const Im__ConvListRsp *)ask(ann, IM__FRAME_TYPE__CONV_LIST_REQ, &r.base))->code,
                     IM__CODE__OK);
    w.seq = 9;
    assert_int_equal(((const Im__ConvListRsp *)ask(ann, IM__FRAME_TYPE__CONV_LIST_REQ, &r.base))->code,
                     IM__CODE__BEHIND);
    w.seq = 1;
    assert_int_equal(((const Im__ConvListRsp *)ask(cyd, IM__FRAME_TYPE__CONV_LIST_REQ, &r.base))->code,
                     IM__CODE__BEHIND); /* as for a conversation that is not there */
}

static void people_are_found(void **state)
{
    (void)state;
    Im__UsersReq r = IM__USERS_REQ__INIT;
    r.prefix = (char *)(uintptr_t) "A";
    const Im__UsersRsp *u = ask(bob, IM__FRAME_TYPE__USERS_REQ, &r.base);
    assert_int_equal(u->n_users, 1);
    assert_string_equal(u->users[0]->login, "ann");
    assert_false(u->users[0]->online);
    Im__ContactsReq c = IM__CONTACTS_REQ__INIT;
    assert_int_equal(((const Im__ContactsRsp *)ask(bob, IM__FRAME_TYPE__CONTACTS_REQ, &c.base))->n_contacts,
                     0);
    Im__DevicesReq d = IM__DEVICES_REQ__INIT;
    assert_int_equal(((const Im__DevicesRsp *)ask(bob, IM__FRAME_TYPE__DEVICES_REQ, &d.base))->n_devices, 0);
    Im__MembersReq m = IM__MEMBERS_REQ__INIT;
    m.conversation = (ProtobufCBinaryData){ID_SIZE, direct.b};
    assert_int_equal(((const Im__MembersRsp *)ask(bob, IM__FRAME_TYPE__MEMBERS_REQ, &m.base))->n_members, 2);
    assert_int_equal(((const Im__MembersRsp *)ask(cyd, IM__FRAME_TYPE__MEMBERS_REQ, &m.base))->code,
                     IM__CODE__NOT_A_MEMBER);
    Im__AsksReq a = IM__ASKS_REQ__INIT;
    a.conversation = m.conversation;
    assert_int_equal(((const Im__AsksRsp *)ask(bob, IM__FRAME_TYPE__ASKS_REQ, &a.base))->code,
                     IM__CODE__NOT_ALLOWED);
    Im__PresenceReq p = IM__PRESENCE_REQ__INIT;
    ProtobufCBinaryData who[] = {{ID_SIZE, ann.b}, {ID_SIZE, direct.b}};
    p.users = who;
    p.n_users = 2;
    p.subscribe = true;
    assert_int_equal(((const Im__PresenceRsp *)ask(bob, IM__FRAME_TYPE__PRESENCE_REQ, &p.base))->n_users, 2);
}

/* Without PostgreSQL every question is answered all the same: BUSY, and when to ask again. */
static void without_postgres_one_is_told_to_come_again(void **state)
{
    (void)state;
    Im__HistoryReq r = IM__HISTORY_REQ__INIT;
    r.conversation = (ProtobufCBinaryData){ID_SIZE, direct.b};
    Im__SearchReq s = IM__SEARCH_REQ__INIT;
    s.text = (char *)(uintptr_t) "first";
    pl_server(pl, "stop-one", "postgres");
    for (int i = 0; i < 3; i++) {
        const Im__Error *e = i % 2 ? ask_any(bob, IM__FRAME_TYPE__SEARCH_REQ, &s.base)
                                   : ask_any(bob, IM__FRAME_TYPE__HISTORY_REQ, &r.base);
        assert_int_equal(asked_type, IM__FRAME_TYPE__ERROR);
        assert_int_equal(e->code, IM__CODE__BUSY);
        assert_true(e->retry_after_ms > 0);
    }
    UNTIL(pl, !pl_ready(pl, PL_QUERY, 0));
    pl_server(pl, "start-one", "postgres");
    int64_t by = clock_mono_ms() + pl_ms(PL_WAIT_MS);
    do { /* BUSY until it is back */
        assert_true(clock_mono_ms() < by);
        ask_any(bob, IM__FRAME_TYPE__HISTORY_REQ, &r.base);
    } while (asked_type == IM__FRAME_TYPE__ERROR);
    assert_int_equal(((const Im__HistoryRsp *)answer)->n_items, 4);
    UNTIL(pl, pl_ready(pl, PL_QUERY, 0));
    do { /* each connection finds its way back by itself */
        assert_true(clock_mono_ms() < by);
        ask_any(ann, IM__FRAME_TYPE__SEARCH_REQ, &s.base);
    } while (asked_type == IM__FRAME_TYPE__ERROR);
    assert_int_equal(hits(ann, "corrected"), 1);
}

static void command(PGconn *c, const char *text)
{
    PGresult *r = PQexec(c, text);
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", text, PQerrorMessage(c));
    PQclear(r);
}

static bool may(PGconn *c, const char *text)
{
    PGresult *r = PQexec(c, text);
    bool yes = PQresultStatus(r) == PGRES_TUPLES_OK || PQresultStatus(r) == PGRES_COMMAND_OK;
    PQclear(r);
    return yes;
}

static const char *schema_name(PGconn *owner)
{
    static char name[100];
    PGresult *r = PQexec(owner, "SELECT quote_ident(current_schema())");
    snprintf(name, sizeof name, "%s", PQgetvalue(r, 0, 0));
    PQclear(r);
    return name;
}

/* The last role of schema/roles.sql, under a name and for a schema of this test's own. */
static void make_role(PGconn *owner, const char *role)
{
    static char file[16384], out[16384];
    FILE *f = fopen("schema/roles.sql", "r");
    assert_non_null(f);
    file[fread(file, 1, sizeof file - 1, f)] = 0;
    fclose(f);
    const char *at = strstr(file, "CREATE ROLE parley_query");
    assert_non_null(at);
    size_t n = 0;
    while (*at && n + 100 < sizeof out) {
        const char *schema = "SCHEMA public", *name = "parley_query";
        if (strncmp(at, schema, strlen(schema)) == 0) {
            n += (size_t)snprintf(out + n, sizeof out - n, "SCHEMA %s", schema_name(owner));
            at += strlen(schema);
        } else if (strncmp(at, name, strlen(name)) == 0) {
            n += (size_t)snprintf(out + n, sizeof out - n, "%s", role);
            at += strlen(name);
        } else {
            out[n++] = *at++;
        }
    }
    out[n] = 0;
    command(owner, out);
}

/* The process does with its own role what it does with the owner's, and the role can change nothing. */
static void its_own_role_is_enough_and_writes_nothing(void **state)
{
    (void)state;
    char role[40], text[400], env[1000];
    PGconn *owner = PQconnectdb(pl_conninfo(pl));
    assert_int_equal(PQstatus(owner), CONNECTION_OK);
    snprintf(role, sizeof role, "parley_q_%d", (int)getpid());
    make_role(owner, role);
    snprintf(text, sizeof text, "ALTER ROLE %s PASSWORD 'secret'; ALTER ROLE %s SET search_path = %s", role,
             role, schema_name(owner));
    command(owner, text);
    snprintf(env, sizeof env, "PARLEY_POSTGRES_CONNINFO=postgresql://%s:secret@%s:%s/%s", role, PQhost(owner),
             PQport(owner), PQdb(owner));
    assert_int_equal(pl_stop(pl, PL_QUERY, 0, SIGTERM), 0);
    pl_start(pl, PL_QUERY, 0, env);
    UNTIL(pl, pl_ready(pl, PL_QUERY, 0));
    history_shows_messages_as_they_are(NULL);
    the_list_has_the_last_message_and_what_is_unread(NULL);
    changes_are_told_in_order(NULL);
    search_finds_what_is_there_now(NULL);
    people_are_found(NULL);
    UNTIL(pl, pl_number(pl, "SELECT count(*) FROM pg_stat_activity WHERE usename = '%s'", role) > 0);
    PGconn *q = PQconnectdb(strchr(env, '=') + 1);
    assert_int_equal(PQstatus(q), CONNECTION_OK);
    assert_true(may(q, "SELECT count(*) FROM messages"));
    assert_false(may(q, "INSERT INTO asks SELECT * FROM asks"));
    command(q, "SET default_transaction_read_only = off"); /* not that alone */
    assert_false(may(q, "INSERT INTO asks SELECT * FROM asks"));
    assert_false(may(q, "UPDATE memberships SET role = 3"));
    assert_false(may(q, "SELECT * FROM verifiers"));
    PQfinish(q);
    assert_int_equal(pl_stop(pl, PL_QUERY, 0, SIGTERM), 0);
    pl_start(pl, PL_QUERY, 0, NULL);
    UNTIL(pl, pl_ready(pl, PL_QUERY, 0));
    snprintf(text, sizeof text, "DROP OWNED BY %s; DROP ROLE %s", role, role);
    command(owner, text);
    PQfinish(owner);
}

static void answered_questions_are_committed(void **state)
{
    (void)state;
    UNTIL(pl, pl_metric(pl, PL_QUERY, 0, "parley_query_in_work") == 0);
    assert_int_equal(pl_stop(pl, PL_QUERY, 0, SIGTERM), 0);
    pl_start(pl, PL_QUERY, 0, NULL);
    UNTIL(pl, pl_ready(pl, PL_QUERY, 0));
    assert_true(history(ann, false)->n_items == 4); /* and no answer came twice: on_record() looks */
    assert_int_equal((int)pl_metric(pl, PL_QUERY, 0, "parley_query_questions_total"), 1);
}

static struct raw *arrive(struct pl *whole, const char *login, int ms)
{
    struct raw *r = raw_connect(pl_edge(whole, 0), ms);
    assert_int_equal(raw_login(r, login, "a password", "d", NULL, ms), IM__CODE__OK);
    return r;
}

/* Subscribed to bob and eve; bob wants to be seen by nobody any more, and then comes back before eve does: nothing is
 * heard of him, though the subscription goes on. */
static void hidden_from_the_moment_they_say_so(struct pl *whole, struct raw *a, int ms)
{
    struct raw *e = raw_connect(pl_edge(whole, 0), ms);
    struct id16 bob_id = id_user("bob"), eve_id = id_user("eve");
    ProtobufCBinaryData who[] = {{ID_SIZE, bob_id.b}, {ID_SIZE, eve_id.b}};
    Im__PresenceReq p = IM__PRESENCE_REQ__INIT;
    assert_int_equal(raw_register(e, "eve", "a password", ms), IM__CODE__OK);
    raw_free(e);
    UNTIL(whole, pl_number(whole, "SELECT count(*) FROM accounts") == 3);
    p.users = who;
    p.n_users = 2;
    p.subscribe = true;
    assert_int_equal(raw_send(a, IM__FRAME_TYPE__PRESENCE_REQ, 8, &p.base), 0);
    struct raw_frame *f = raw_wait(a, IM__FRAME_TYPE__PRESENCE_RSP, ms);
    assert_non_null(f);
    raw_frame_free(f);
    assert_true(
        pl_number(whole,
                  "WITH x AS (UPDATE accounts SET presence = 3 WHERE login = 'bob' RETURNING 1) SELECT "
                  "count(*) FROM x") == 1);
    struct raw *b = arrive(whole, "bob", ms);
    e = arrive(whole, "eve", ms);
    f = raw_wait(a, IM__FRAME_TYPE__PRESENCE_PUSH, ms);
    assert_non_null(f);
    const Im__PresencePush *push = (const Im__PresencePush *)f->msg;
    assert_int_equal(push->n_users, 1);
    assert_memory_equal(push->users[0]->user.data, eve_id.b, ID_SIZE);
    assert_true(push->users[0]->online);
    raw_frame_free(f);
    raw_free(b);
    raw_free(e);
}

/* One of two processes is killed: what it had is not answered, what is asked again is, whoever asks. */
static void the_other_one_takes_over(struct pl *whole, int ms)
{
    static const char *const who[] = {"ann", "bob", "eve"};
    pl_expect_end(whole, PL_QUERY, 0);
    pl_stop(whole, PL_QUERY, 0, SIGKILL);
    for (size_t i = 0; i < sizeof who / sizeof *who; i++) {
        Im__ConvListReq r = IM__CONV_LIST_REQ__INIT;
        struct raw_frame *f = NULL;
        struct raw *a = arrive(whole, who[i], ms);
        int64_t by = clock_mono_ms() + pl_ms(PL_WAIT_MS);
        for (uint32_t seq = 1; !f; seq++) {
            assert_true(clock_mono_ms() < by);
            (void)raw_send(a, IM__FRAME_TYPE__CONV_LIST_REQ, seq,
                           &r.base); /* with too many open ones: an ERROR */
            f = raw_wait(a, IM__FRAME_TYPE__CONV_LIST_RSP, pl_ms(3000));
        }
        assert_int_equal(((Im__ConvListRsp *)f->msg)->code, IM__CODE__OK);
        raw_frame_free(f);
        raw_free(a);
    }
}

/* From socket to socket: who was told "sequenced" finds it in history; somebody else's connection is told of one's end. */
static void a_message_is_in_history_once_it_is_waited_for(void **state)
{
    (void)state;
    struct pl *whole = pl_up(&(struct pl_conf){.n = {1, 1, 1, 1, 1, 2}});
    int ms = pl_ms(PL_WAIT_MS);
    struct raw *a = raw_connect(pl_edge(whole, 0), ms), *b = raw_connect(pl_edge(whole, 0), ms);
    assert_int_equal(raw_register(a, "ann", "a password", ms), IM__CODE__OK);
    assert_int_equal(raw_register(b, "bob", "a password", ms), IM__CODE__OK);
    Im__LoginRsp *login = NULL;
    assert_int_equal(raw_login(a, "ann", "a password", "d", &login, ms), IM__CODE__OK);
    assert_int_equal(raw_login(b, "bob", "a password", "d", NULL, ms), IM__CODE__OK);
    Im__SingleChat chat = IM__SINGLE_CHAT__INIT;
    chat.client_seq = login->client_seq_base + 1;
    chat.to = (char *)(uintptr_t) "bob";
    chat.text = (char *)(uintptr_t) "hello";
    assert_int_equal(raw_send(a, IM__FRAME_TYPE__SINGLE_CHAT, 5, &chat.base), 0);
    struct id16 conv = id_direct(id_user("ann"), id_user("bob"));
    Im__Wait w = IM__WAIT__INIT;
    Im__HistoryReq r = IM__HISTORY_REQ__INIT;
    w.conversation = (ProtobufCBinaryData){ID_SIZE, conv.b};
    w.seq = 1;
    r.with = (char *)(uintptr_t) "bob";
    r.wait = &w;
    struct raw_frame *f = NULL;
    do { /* BEHIND on a slow machine: ask again */
        raw_frame_free(f);
        assert_int_equal(raw_send(a, IM__FRAME_TYPE__HISTORY_REQ, 6, &r.base), 0);
        f = raw_wait(a, IM__FRAME_TYPE__HISTORY_RSP, ms);
        assert_non_null(f);
    } while (((Im__HistoryRsp *)f->msg)->code == IM__CODE__BEHIND);
    const Im__HistoryRsp *h = (const Im__HistoryRsp *)f->msg;
    assert_int_equal(h->code, IM__CODE__OK);
    assert_int_equal(h->n_items, 1);
    assert_string_equal(h->items[0]->event->text, "hello");
    raw_frame_free(f);
    Im__PresenceReq p = IM__PRESENCE_REQ__INIT;
    struct id16 bob_id = id_user("bob");
    ProtobufCBinaryData who = {ID_SIZE, bob_id.b};
    p.users = &who;
    p.n_users = 1;
    p.subscribe = true;
    assert_int_equal(raw_send(a, IM__FRAME_TYPE__PRESENCE_REQ, 7, &p.base), 0);
    f = raw_wait(a, IM__FRAME_TYPE__PRESENCE_RSP, ms);
    assert_non_null(f);
    assert_true(((Im__PresenceRsp *)f->msg)->users[0]->online);
    raw_frame_free(f);
    raw_free(b);
    f = raw_wait(a, IM__FRAME_TYPE__PRESENCE_PUSH, ms);
    assert_non_null(f);
    assert_false(((Im__PresencePush *)f->msg)->users[0]->online);
    raw_frame_free(f);
    hidden_from_the_moment_they_say_so(whole, a, ms);
    raw_free(a);
    the_other_one_takes_over(whole, ms);
    im__login_rsp__free_unpacked(login, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(history_shows_messages_as_they_are),
        cmocka_unit_test(history_shows_events_as_they_were),
        cmocka_unit_test(strangers_and_unknown_conversations_look_alike),
        cmocka_unit_test(the_list_has_the_last_message_and_what_is_unread),
        cmocka_unit_test(changes_are_told_in_order),
        cmocka_unit_test(search_finds_what_is_there_now),
        cmocka_unit_test(search_knows_words_of_any_language),
        cmocka_unit_test(search_pages_are_newest_first_over_all_conversations),
        cmocka_unit_test(a_mark_that_is_no_pages_is_refused),
        cmocka_unit_test(marks_are_bounded_and_show_nothing),
        cmocka_unit_test(a_number_is_waited_for),
        cmocka_unit_test(people_are_found),
        cmocka_unit_test(without_postgres_one_is_told_to_come_again),
        cmocka_unit_test(its_own_role_is_enough_and_writes_nothing),
        cmocka_unit_test(answered_questions_are_committed),
        cmocka_unit_test(a_message_is_in_history_once_it_is_waited_for),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, teardown));
}
