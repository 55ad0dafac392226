/* What is encoded into a batch: acks, pushes, queue items, bounces, dead letters, and what goes to the edges. */
#include "common/im/push.h"

#include "common/im/deliver.h"
#include "common/im/topics.h"
#include "proto/client.pb-c.h"
#include "tests/support/samples.h"
#include "tests/unit/imfx.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct fx fx;
static struct convrec rec;
static uint8_t rec_bytes[SAMPLE_MAX];

static int setup(void **state)
{
    (void)state;
    size_t n = sample_convrec(0, rec_bytes);
    return convrec_decode((struct slice){rec_bytes, n}, 1000, &rec);
}

static int teardown(void **state)
{
    (void)state;
    fx_reset(&fx);
    return 0;
}

static void *decoded(enum record_kind kind, size_t i)
{
    ProtobufCMessage *m = NULL;
    assert_true(i < fx.n);
    assert_int_equal(codec_decode(kind, NULL, fx.sent[i].value, &m), 0);
    return m;
}

static void freed(void *m)
{
    protobuf_c_message_free_unpacked(m, NULL);
}

static void acks(void **state)
{
    (void)state;
    uint8_t buf[PUSH_ACK_MAX];
    struct id16 max;
    memset(max.b, 0xff, sizeof max.b);
    assert_true(push_accepted(UINT64_MAX, max, max, buf) <= PUSH_ACK_MAX);
    assert_true(push_refused(UINT64_MAX, max, max, IM__CODE__NOT_A_MEMBER, buf) <= PUSH_ACK_MAX);
    struct convrec big = rec;
    big.event.client_seq = UINT64_MAX;
    struct conv_outcome o = {.verdict = CONV_ACCEPTED, .seq = UINT64_MAX, .time_ms = -1};
    assert_true(push_outcome(&big, &o, buf) <= PUSH_ACK_MAX);

    o = (struct conv_outcome){.verdict = CONV_DUPLICATE, .seq = 7, .time_ms = 1234};
    Im__MsgAck *a = im__msg_ack__unpack(NULL, push_outcome(&rec, &o, buf), buf);
    assert_int_equal(a->stage, IM__STAGE__SEQUENCED);
    assert_int_equal(a->seq, 7);
    assert_int_equal(a->time_ms, 1234);
    assert_int_equal(a->client_seq, 300);
    assert_true(id_eq(codec_id(a->msg_id), rec.msg_id) && id_eq(codec_id(a->conversation), rec.event.conv));
    im__msg_ack__free_unpacked(a, NULL);
    o = (struct conv_outcome){.verdict = CONV_DUPLICATE, .time_ms = 1234}; /* of a note */
    a = im__msg_ack__unpack(NULL, push_outcome(&rec, &o, buf), buf);
    assert_int_equal(a->stage, IM__STAGE__NOTED);
    im__msg_ack__free_unpacked(a, NULL);
    o = (struct conv_outcome){.verdict = CONV_DUPLICATE, .reason = IM__CODE__REFUSED, .time_ms = 1234};
    a = im__msg_ack__unpack(NULL, push_outcome(&rec, &o, buf), buf);
    assert_int_equal(a->stage, IM__STAGE__STAGE_REFUSED);
    assert_int_equal(a->code, IM__CODE__REFUSED);
    im__msg_ack__free_unpacked(a, NULL);
}

static void chat(void **state)
{
    (void)state;
    struct conv_outcome o = {.verdict = CONV_ACCEPTED, .seq = 9, .time_ms = 2000};
    struct slice s = push_chat(&fx, NULL, &rec, &o);
    Im__ChatPush *c = im__chat_push__unpack(NULL, s.n, s.p);
    assert_non_null(c);
    assert_int_equal(im__chat_push__get_packed_size(c), s.n); /* just as protobuf-c would write it */
    assert_true(id_eq(codec_id(c->conversation), rec.event.conv) &&
                id_eq(codec_id(c->sender), rec.event.user));
    assert_true(id_eq(codec_id(c->peer), rec.event.peer) && id_eq(codec_id(c->msg_id), rec.msg_id));
    assert_int_equal(c->seq, 9);
    assert_int_equal(c->time_ms, 2000);
    assert_int_equal(c->sender_device, 2);
    assert_int_equal(c->client_seq, 300);
    assert_string_equal(c->sender_login, "anna");
    assert_string_equal(c->peer_login, "bert");
    assert_string_equal(c->text, "h\xc3\xa9llo");
    im__chat_push__free_unpacked(c, NULL);
}

static struct conv *group_of_three(void)
{
    struct conv_event e = {.rules = 2,
                           .kind = IM__CONV_KIND__CONV_GROUP_CREATE,
                           .user = id_user("anna"),
                           .device = 1,
                           .client_seq = 1,
                           .flags = 2,
                           .settings.group_cap = 9};
    struct id16 two[2] = {id_user("bert"), id_user("carl")};
    if (id_cmp(two[0], two[1]) > 0)
        two[0] = id_user("carl"), two[1] = id_user("bert");
    e.users = (struct slice){two, sizeof two};
    e.conv = id_group(e.user, 1, 1);
    struct conv *c = conv_new(e.conv);
    assert_int_equal(conv_load(c, &(struct conv_cell){.key_n = 1}), 0);
    assert_int_equal(conv_apply(c, &e).seq, 1);
    return c;
}

static void chat_of_a_group(void **state)
{
    (void)state;
    struct conv *c = group_of_three();
    struct id16 users[3] = {{{1}}, {{2}}, {{3}}};
    struct convrec r = rec;
    r.event.kind = IM__CONV_KIND__CONV_GROUP_INVITE;
    r.event.peer = (struct id16){{0}};
    r.event.users = (struct slice){users, sizeof users};
    r.n_logins = 3;
    r.logins[0] = (struct slice){"one", 3};
    r.logins[1] = (struct slice){NULL, 0};
    r.logins[2] = (struct slice){"three", 5};
    r.event.target = 5;
    r.event.reply_to = 6;
    struct conv_outcome o = {
        .verdict = CONV_ACCEPTED, .seq = 9, .time_ms = 2000, .changed = {6}, .until_ms = 7};
    struct slice s = push_chat(&fx, c, &r, &o);
    Im__ChatPush *p = im__chat_push__unpack(NULL, s.n, s.p);
    assert_non_null(p);
    assert_int_equal(im__chat_push__get_packed_size(p), s.n);
    assert_true(p->group && p->flags == 2 && p->target == 5 && p->reply_to == 6 && p->until_ms == 7);
    assert_int_equal(p->kind, IM__CONV_KIND__CONV_GROUP_INVITE);
    assert_int_equal(p->n_users, 2); /* only those it changed */
    assert_int_equal(p->users[0].data[0], 2);
    assert_int_equal(p->n_logins, 2);
    assert_string_equal(p->logins[0], "");
    assert_string_equal(p->logins[1], "three");
    assert_int_equal(p->peer.len, 0);
    im__chat_push__free_unpacked(p, NULL);
    s = push_note(&fx, c, &r, &o);
    Im__NotePush *n = im__note_push__unpack(NULL, s.n, s.p);
    assert_non_null(n);
    assert_int_equal(im__note_push__get_packed_size(n), s.n);
    assert_true(n->n_users == 2 && n->n_logins == 2 && n->time_ms == 2000);
    im__note_push__free_unpacked(n, NULL);
    o.read = 4;
    s = push_receipt(&fx, c, &r, &o);
    Im__ReceiptPush *q = im__receipt_push__unpack(NULL, s.n, s.p);
    assert_non_null(q);
    assert_true(q->read == 4 && q->delivered == 0 && q->group && q->device == 2);
    im__receipt_push__free_unpacked(q, NULL);
    s = push_typing(&fx, rec.event.conv, rec.event.user, rec.user_login, true, false);
    Im__TypingPush *t = im__typing_push__unpack(NULL, s.n, s.p);
    assert_non_null(t);
    assert_true(t->stopped && !t->group);
    assert_string_equal(t->login, "anna");
    im__typing_push__free_unpacked(t, NULL);
    conv_free(c);
}

static void absent_members(void **state)
{
    (void)state;
    uint32_t devices[] = {4, 5};
    size_t n = 140000;
    struct push_absent *list = calloc(n, sizeof *list);
    for (size_t i = 0; i < n; i++)
        memcpy(list[i].user.b, &i, sizeof i);
    list[2] = (struct push_absent){{{2}}, devices, 2};
    push_offline_group(&fx, 3, rec.event.conv, 12, list, n, true, rec.trace);
    assert_true(fx.n >= 2);
    size_t users = 0;
    for (size_t i = 0; i < fx.n; i++) {
        assert_true(fx.sent[i].value.n <= 2 << 20);
        Im__OfflineRecord *r = decoded(REC_OFFLINE, i);
        assert_true(r->group->seq == 12 && fx.sent[i].part == 3);
        users += r->group->users.len / ID_SIZE;
        assert_int_equal(r->group->n_served, i == 0);
        if (i == 0)
            assert_true(r->group->served[0]->index == 2 && r->group->served[0]->n_devices == 2);
        freed(r);
    }
    assert_int_equal(users, n);
    free(list);
}

static void queue_items(void **state)
{
    (void)state;
    struct session s = {rec.event.user, 2, 3, 4, 5, 6};
    struct push_item item = {rec.event.conv, 9, {"payload", 7}};
    uint32_t served[] = {1, 2};
    push_offline(&fx, s.user, &item, served, 2, rec.trace);
    Im__OfflineRecord *r = decoded(REC_OFFLINE, 0);
    assert_int_equal(fx.sent[0].topic, T_OFFLINE);
    assert_memory_equal(fx.sent[0].key.p, s.user.b, ID_SIZE);
    assert_int_equal(r->body_case, IM__OFFLINE_RECORD__BODY_ITEM);
    assert_int_equal(r->item->n_served, 2);
    assert_int_equal(r->item->item->seq, 9);
    assert_int_equal(r->trace.len, CODEC_TRACE);
    freed(r);

    struct push_item many[600];
    static uint8_t large[100 << 10];
    for (size_t i = 0; i < 600; i++)
        many[i] = (struct push_item){rec.event.conv, i + 1, {large, i < 12 ? sizeof large : 3}};
    fx_reset(&fx);
    push_bounce(&fx, &s, many, 600, 77);
    uint64_t seq = 0;
    for (size_t i = 0; i < fx.n; i++) {
        r = decoded(REC_OFFLINE, i);
        assert_true(fx.sent[i].value.n < 600 << 10);
        assert_int_equal(fx.sent[i].tag, i + 1 == fx.n ? 77 : 0);
        for (size_t k = 0; k < r->bounce->n_items; k++)
            assert_int_equal(r->bounce->items[k]->seq, ++seq);
        freed(r);
    }
    assert_int_equal(seq, 600);
    fx_reset(&fx);
    push_bounce(&fx, &s, NULL, 0, 5); /* the session is over, nothing to give back */
    assert_int_equal(fx.n, 1);
    assert_int_equal(fx.sent[0].tag, 5);
}

static struct deliver_item message(void)
{
    return (struct deliver_item){.kind = IM__ITEM_KIND__ITEM_MESSAGE,
                                 .frame_type = IM__FRAME_TYPE__CHAT_PUSH,
                                 .payload = {"a push", 6},
                                 .conv = rec.event.conv,
                                 .seq = 9};
}

static void one_record_per_slot(void **state)
{
    (void)state;
    struct deliver *d = deliver_new(8);
    struct deliver_item item = message();
    struct session to[] = {{rec.event.user, 1, 5, 40, 1, 10},
                           {rec.event.peer, 2, 3, 41, 2, 11},
                           {rec.event.user, 3, 5, 40, 3, 12},
                           {rec.event.user, 4, 99, 40, 4, 12}};
    deliver_add(d, &fx, &item, to, 4);
    item.seq = 10;
    deliver_add(d, &fx, &item, to, 1);
    assert_int_equal(fx.n, 0);
    deliver_flush(d, &fx);
    assert_int_equal(fx.n, 2);
    for (size_t i = 0; i < 2; i++) {
        Im__DeliverRecord *r = decoded(REC_DELIVER, i);
        bool five = fx.sent[i].topic == topic_of_slot(5);
        assert_true(five || fx.sent[i].topic == topic_of_slot(3));
        assert_int_equal(fx.sent[i].part, 0);
        assert_int_equal(r->epoch, five ? 40 : 41);
        assert_int_equal(r->n_items, five ? 2 : 1);
        Im__DeliverItem *m = r->items[0];
        assert_int_equal(m->n_handles, five ? 2 : 1);
        assert_int_equal(m->handles[0], five ? 1 : 2);
        assert_int_equal(m->users.len, m->n_handles * ID_SIZE);
        assert_int_equal(m->devices[m->n_devices - 1], five ? 3 : 2);
        assert_int_equal(m->logins[0], five ? 10 : 11);
        assert_int_equal(m->payload.len, 6);
        freed(r);
    }
    deliver_flush(d, &fx); /* nothing twice */
    assert_int_equal(fx.n, 2);
    deliver_add(d, &fx, &item, to, 1);
    deliver_clear(d);
    deliver_flush(d, &fx);
    assert_int_equal(fx.n, 2);
    deliver_free(d);
    deliver_free(NULL);
}

static void a_new_epoch_is_a_new_record(void **state)
{
    (void)state;
    struct deliver *d = deliver_new(8);
    struct deliver_item item = message();
    struct session to[] = {{rec.event.user, 1, 5, 40, 1, 10}, {rec.event.user, 2, 5, 41, 1, 11}};
    deliver_add(d, &fx, &item, to, 2);
    deliver_flush(d, &fx);
    assert_int_equal(fx.n, 2);
    for (size_t i = 0; i < 2; i++) {
        Im__DeliverRecord *r = decoded(REC_DELIVER, i);
        assert_int_equal(r->epoch, 40 + i);
        freed(r);
    }
    deliver_free(d);
}

static void records_are_split(void **state)
{
    (void)state;
    static uint8_t large[60 << 10];
    struct deliver *d = deliver_new(8);
    struct deliver_item item = message();
    struct session to = {rec.event.user, 1, 5, 40, 1, 10};
    for (int i = 0; i < DELIVER_ITEMS + 1; i++)
        deliver_add(d, &fx, &item, &to, 1);
    assert_int_equal(fx.n, 1);
    deliver_flush(d, &fx);
    item.payload = (struct slice){large, sizeof large};
    for (int i = 0; i < 20; i++)
        deliver_add(d, &fx, &item, &to, 1);
    deliver_flush(d, &fx);
    size_t items = 0;
    for (size_t i = 0; i < fx.n; i++) {
        Im__DeliverRecord *r = decoded(REC_DELIVER, i);
        assert_true(fx.sent[i].value.n <= DELIVER_BYTES && r->n_items <= DELIVER_ITEMS);
        items += r->n_items;
        freed(r);
    }
    assert_int_equal(items, DELIVER_ITEMS + 21);
    fx_reset(&fx);

    static struct session crowd[20000];
    for (uint32_t i = 0; i < 20000; i++)
        crowd[i] = (struct session){rec.event.user, i, i % 2, 40, i, i};
    item = message();
    deliver_add(d, &fx, &item, crowd, 20000);
    deliver_flush(d, &fx);
    size_t handles = 0;
    for (size_t i = 0; i < fx.n; i++) {
        Im__DeliverRecord *r = decoded(REC_DELIVER, i);
        for (size_t k = 0; k < r->n_items; k++) {
            assert_true(r->items[k]->n_handles <= CODEC_HANDLES_MAX && r->items[k]->users.len == 0);
            handles += r->items[k]->n_handles;
        }
        freed(r);
    }
    assert_int_equal(handles, 20000);
    deliver_free(d);
}

static void at_once(void **state)
{
    (void)state;
    struct session to = {rec.event.user, 1, 5, 40, 1, 10};
    struct deliver_item item = {.kind = IM__ITEM_KIND__ITEM_REPLY, .frame_type = 41, .seq_id = 8};
    deliver_now(&fx, &item, &to, 99);
    Im__DeliverRecord *r = decoded(REC_DELIVER, 0);
    assert_int_equal(fx.sent[0].tag, 99);
    assert_int_equal(r->items[0]->seq_id, 8);
    assert_int_equal(r->items[0]->handles[0], 1);
    freed(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(acks, setup, teardown),
        cmocka_unit_test_setup_teardown(chat, setup, teardown),
        cmocka_unit_test_setup_teardown(chat_of_a_group, setup, teardown),
        cmocka_unit_test_setup_teardown(absent_members, setup, teardown),
        cmocka_unit_test_setup_teardown(queue_items, setup, teardown),
        cmocka_unit_test_setup_teardown(one_record_per_slot, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_epoch_is_a_new_record, setup, teardown),
        cmocka_unit_test_setup_teardown(records_are_split, setup, teardown),
        cmocka_unit_test_setup_teardown(at_once, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
