/* What has no number, or is for everybody: receipts, requests to join, blocks, announcements, typing. */
#include "tests/unit/fanoutrun.h"

#define K(kind) IM__CONV_KIND__CONV_##kind

/* anna's group of bert and carl: all live, anna with two devices. */
struct trio {
    struct id16 g;
    struct session anna, anna2, bert, carl;
};

static struct trio trio(struct world *w, uint32_t flags)
{
    struct trio t = {.g = group_of("anna", 1),
                     .anna = live(w, "anna", 1, 0, 7, 2),
                     .anna2 = live(w, "anna", 2, 2, 8, 2),
                     .bert = live(w, "bert", 1, 1, 9, 1),
                     .carl = live(w, "carl", 1, 1, 10, 1)};
    one(w, (struct op){.from = "anna",
                       .client_seq = 1,
                       .kind = K(GROUP_CREATE),
                       .conv = t.g,
                       .users = {"bert", "carl"},
                       .text = "us",
                       .flags = flags,
                       .flags_mask = flags});
    one(w, (struct op){.from = "anna", .client_seq = 2, .conv = t.g});
    pass(w);
    return t;
}

static const Im__DeliverItem *event(struct world *w, const struct session *s, Im__FrameType type)
{
    const Im__DeliverItem *i = heard_by(w, s);
    assert_non_null(i);
    assert_int_equal(i->kind, IM__ITEM_KIND__ITEM_EVENT);
    assert_int_equal(i->frame_type, type);
    return i;
}

static void noted(struct world *w, const struct session *s)
{
    const Im__MsgAck *a = UNPACK(w, msg_ack, event(w, s, IM__FRAME_TYPE__MSG_ACK));
    assert_int_equal(a->stage, IM__STAGE__NOTED);
    assert_int_equal(a->seq, 0);
}

/* ---- receipts ---- */

static void a_receipt_goes_to_the_others_and_ones_own_devices(void **state)
{
    struct world *w = *state;
    struct trio t = trio(w, 0);
    one(w, (struct op){.from = "anna", .device = 2, .kind = K(RECEIPT), .conv = t.g, .read = 2});
    const struct session *told[] = {&t.anna, &t.bert, &t.carl};
    for (size_t i = 0; i < 3; i++) {
        const Im__ReceiptPush *p = UNPACK(w, receipt_push, event(w, told[i], IM__FRAME_TYPE__RECEIPT_PUSH));
        assert_int_equal(p->read, 2);
        assert_int_equal(p->device, 2);
        assert_true(p->group);
    }
    assert_null(heard_by(w, &t.anna2));
    assert_int_equal(sends_to(w, T_OFFLINE), 0);
}

static void in_a_large_group_only_ones_own_devices_hear_of_a_receipt(void **state)
{
    struct world *w = *state;
    struct trio t = trio(w, 0);
    const struct op o = {
        .from = "anna", .device = 2, .kind = K(RECEIPT), .conv = t.g, .read = 2, .receipt_cap = 2};
    one(w, o);
    event(w, &t.anna, IM__FRAME_TYPE__RECEIPT_PUSH);
    assert_null(heard_by(w, &t.bert));
    assert_null(heard_by(w, &t.anna2));
}

static void who_came_later_learns_nothing_of_what_was_read_before(void **state)
{
    struct world *w = *state;
    struct trio t = trio(w, 0);
    struct session dora = live(w, "dora", 1, 3, 40, 1);
    one(w, (struct op){
               .from = "anna", .client_seq = 3, .kind = K(GROUP_INVITE), .conv = t.g, .users = {"dora"}});
    pass(w);
    one(w, (struct op){.from = "bert", .kind = K(RECEIPT), .conv = t.g, .read = 2});
    event(w, &t.carl, IM__FRAME_TYPE__RECEIPT_PUSH);
    assert_null(heard_by(w, &dora));
    pass(w);
    one(w, (struct op){.from = "bert", .kind = K(RECEIPT), .conv = t.g, .read = 3});
    event(w, &dora, IM__FRAME_TYPE__RECEIPT_PUSH);
}

static void a_receipt_between_two(void **state)
{
    struct world *w = *state;
    struct session anna = live(w, "anna", 1, 0, 7, 2), anna2 = live(w, "anna", 2, 2, 8, 2),
                   bert = live(w, "bert", 1, 1, 9, 1);
    one(w, (struct op){.from = "anna", .to = "bert", .client_seq = 1});
    pass(w);
    one(w, (struct op){.from = "anna", .to = "bert", .kind = K(RECEIPT), .delivered = 1});
    const Im__ReceiptPush *p = UNPACK(w, receipt_push, event(w, &bert, IM__FRAME_TYPE__RECEIPT_PUSH));
    assert_int_equal(p->delivered, 1);
    assert_false(p->group);
    event(w, &anna2, IM__FRAME_TYPE__RECEIPT_PUSH);
    assert_null(heard_by(w, &anna));
}

/* ---- notes ---- */

static void a_request_to_join_goes_to_the_admins(void **state)
{
    struct world *w = *state;
    struct trio t = trio(w, IM__GROUP_FLAG__GROUP_APPROVAL);
    struct session dora = live(w, "dora", 1, 3, 40, 1);
    one(w, (struct op){.from = "dora",
                       .client_seq = 1,
                       .kind = K(GROUP_JOIN),
                       .conv = t.g,
                       .text = "please",
                       .origin = &dora});
    const Im__NotePush *p = UNPACK(w, note_push, event(w, &t.anna, IM__FRAME_TYPE__NOTE_PUSH));
    assert_int_equal(p->kind, K(GROUP_JOIN));
    assert_string_equal(p->sender_login, "dora");
    assert_string_equal(p->text, "please");
    event(w, &t.anna2, IM__FRAME_TYPE__NOTE_PUSH);
    assert_null(heard_by(w, &t.bert));
    noted(w, &dora);
    pass(w);
    one(w, (struct op){.from = "anna",
                       .client_seq = 3,
                       .kind = K(GROUP_DECLINE),
                       .conv = t.g,
                       .users = {"dora"},
                       .origin = &t.anna});
    p = UNPACK(w, note_push, event(w, &dora, IM__FRAME_TYPE__NOTE_PUSH));
    assert_int_equal(p->kind, K(GROUP_DECLINE));
    event(w, &t.anna2, IM__FRAME_TYPE__NOTE_PUSH);
    noted(w, &t.anna);
    assert_null(heard_by(w, &t.bert));
}

/* Who else asked is the admins' to know. */
static void a_decline_names_nobody_else(void **state)
{
    struct world *w = *state;
    struct trio t = trio(w, IM__GROUP_FLAG__GROUP_APPROVAL);
    struct session dora = live(w, "dora", 1, 3, 40, 1), emil = live(w, "emil", 1, 3, 41, 1);
    one(w, (struct op){.from = "dora", .client_seq = 1, .kind = K(GROUP_JOIN), .conv = t.g});
    one(w, (struct op){.from = "emil", .client_seq = 1, .kind = K(GROUP_JOIN), .conv = t.g});
    pass(w);
    one(w, (struct op){.from = "anna",
                       .client_seq = 3,
                       .kind = K(GROUP_DECLINE),
                       .conv = t.g,
                       .users = {"dora", "emil"},
                       .origin = &t.anna});
    const Im__NotePush *p = UNPACK(w, note_push, event(w, &dora, IM__FRAME_TYPE__NOTE_PUSH));
    assert_int_equal(p->n_users, 1);
    assert_memory_equal(p->users[0].data, dora.user.b, ID_SIZE);
    p = UNPACK(w, note_push, event(w, &emil, IM__FRAME_TYPE__NOTE_PUSH));
    assert_int_equal(p->n_users, 1);
    p = UNPACK(w, note_push, event(w, &t.anna2, IM__FRAME_TYPE__NOTE_PUSH));
    assert_int_equal(p->n_users, 2);
}

static void a_block_is_told_to_ones_own_devices_only(void **state)
{
    struct world *w = *state;
    struct session anna = live(w, "anna", 1, 0, 7, 2), anna2 = live(w, "anna", 2, 2, 8, 2),
                   bert = live(w, "bert", 1, 1, 9, 1);
    one(w, (struct op){.from = "anna", .to = "bert", .client_seq = 1});
    pass(w);
    one(w, (struct op){.from = "anna", .to = "bert", .client_seq = 2, .kind = K(BLOCK), .origin = &anna});
    const Im__NotePush *p = UNPACK(w, note_push, event(w, &anna2, IM__FRAME_TYPE__NOTE_PUSH));
    assert_int_equal(p->kind, K(BLOCK));
    noted(w, &anna);
    assert_null(heard_by(w, &bert));
    assert_int_equal(sends_to(w, T_OFFLINE), 0);
}

/* ---- everybody ---- */

static void an_announcement_is_one_item_per_held_slot(void **state)
{
    struct world *w = *state;
    lease_record(w, 2, IM__LEASE_KIND__LEASE_EXPIRE, 12, 50);
    one(w, (struct op){.from = "root",
                       .client_seq = 1,
                       .kind = K(ANNOUNCEMENT),
                       .conv = id_system(),
                       .text = "down at noon",
                       .admin = true});
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        if (slot == 2) {
            assert_int_equal(sends_to(w, topic_of_slot(2)), 0);
            continue;
        }
        struct heard h = heard(w, slot);
        assert_int_equal(h.n, 1);
        assert_true(h.item[0]->all);
        assert_int_equal(h.item[0]->kind, IM__ITEM_KIND__ITEM_EVENT);
        const Im__ChatPush *p = UNPACK(w, chat_push, h.item[0]);
        assert_int_equal(p->kind, K(ANNOUNCEMENT));
        assert_int_equal(p->seq, 1);
        assert_string_equal(p->text, "down at noon");
    }
    assert_int_equal(sends_to(w, T_OFFLINE), 0);
}

/* ---- typing ---- */

static void typing_where(struct world *w, const char *from, struct id16 conv, bool strangers_refused)
{
    Im__SignalRecord s = IM__SIGNAL_RECORD__INIT;
    struct id16 user = uid(from);
    s.version = 1;
    s.conversation = (ProtobufCBinaryData){ID_SIZE, conv.b};
    s.user = (ProtobufCBinaryData){ID_SIZE, user.b};
    s.user_login = (char *)(uintptr_t)from;
    s.device = 1;
    s.strangers_refused = strangers_refused;
    struct record r = {.topic = T_SIGNAL, .time_ms = w->time_ms, .value = pack(w, &s.base)};
    pass(w);
    assert_int_equal(run_batch(&w->run, &r, 1), CORE_OK);
}

static void typing(struct world *w, const char *from, struct id16 conv)
{
    typing_where(w, from, conv, false);
}

static void types(struct world *w, const struct session *s, const char *from, bool group)
{
    const Im__DeliverItem *i = heard_by(w, s);
    assert_non_null(i);
    assert_int_equal(i->kind, IM__ITEM_KIND__ITEM_SIGNAL);
    const Im__TypingPush *p = UNPACK(w, typing_push, i);
    assert_string_equal(p->login, from);
    assert_int_equal(p->group, group);
}

static void the_others_see_one_type(void **state)
{
    struct world *w = *state;
    struct trio t = trio(w, 0);
    struct session dora = live(w, "dora", 1, 3, 40, 1);
    typing(w, "anna", t.g);
    types(w, &t.bert, "anna", true);
    types(w, &t.carl, "anna", true);
    assert_null(heard_by(w, &t.anna));
    assert_null(heard_by(w, &t.anna2));
    typing(w, "dora", t.g); /* is no member */
    assert_int_equal(w->run.fx.n_sends, w->seen);
    one(w, (struct op){.from = "dora", .to = "bert", .client_seq = 1});
    struct id16 direct = id_direct(uid("dora"), uid("bert"));
    typing(w, "bert", direct);
    types(w, &dora, "bert", false);
    assert_null(heard_by(w, &t.bert));
    typing(w, "anna", direct);
    assert_int_equal(w->run.fx.n_sends, w->seen);
    typing(w, "anna", id_direct(uid("anna"), uid("bert"))); /* never wrote to each other */
    assert_int_equal(w->run.fx.n_sends, w->seen);
}

static void strangers_do_not_type_where_they_may_not_write(void **state)
{
    struct world *w = *state;
    struct session anna = live(w, "anna", 1, 3, 40, 1), bert = live(w, "bert", 1, 3, 41, 2);
    struct id16 direct = id_direct(uid("anna"), uid("bert"));
    one(w, (struct op){.from = "anna", .to = "bert", .client_seq = 1, .kind = K(FRIEND_REQUEST)});
    pass(w);
    typing_where(w, "anna", direct, true);
    assert_null(heard_by(w, &bert));
    typing_where(w, "bert", direct, true);
    assert_null(heard_by(w, &anna));
    typing(w, "anna", direct); /* where strangers are welcome */
    types(w, &bert, "anna", false);
    one(w, (struct op){.from = "bert", .to = "anna", .client_seq = 1, .kind = K(FRIEND_CONFIRM)});
    typing_where(w, "anna", direct, true);
    types(w, &bert, "anna", false);
}

static void nobody_sees_the_muted_and_the_blocked_type(void **state)
{
    struct world *w = *state;
    struct trio t = trio(w, 0);
    one(w,
        (struct op){.from = "anna", .client_seq = 3, .kind = K(GROUP_MUTE), .conv = t.g, .users = {"bert"}});
    typing(w, "bert", t.g);
    assert_int_equal(w->run.fx.n_sends, w->seen);
    typing(w, "carl", t.g);
    types(w, &t.bert, "carl", true);
    one(w, (struct op){.from = "anna", .to = "bert", .client_seq = 4});
    struct id16 direct = id_direct(uid("anna"), uid("bert"));
    typing(w, "anna", direct);
    types(w, &t.bert, "anna", false);
    one(w, (struct op){.from = "anna", .to = "bert", .client_seq = 5, .kind = K(BLOCK)});
    typing(w, "bert", direct);
    assert_int_equal(w->run.fx.n_sends, w->seen);
    typing(w, "anna", direct);
    assert_int_equal(w->run.fx.n_sends, w->seen);
}

static void typing_finds_what_is_not_in_memory_and_changes_nothing(void **state)
{
    struct world *w = *state;
    struct trio t = trio(w, 0);
    one(w, (struct op){.from = "carl", .to = "bert", .client_seq = 1});
    run_crash(&w->run);
    run_open(&w->run, &fanout_core, &settings, &views, w->offset, w->offset);
    typing(w, "anna", t.g);
    types(w, &t.bert, "anna", true);
    types(w, &t.carl, "anna", true);
    typing(w, "bert", id_direct(uid("carl"), uid("bert")));
    types(w, &t.carl, "bert", false);
    struct record r = {.topic = T_SIGNAL, .value = slice_of("\xff\xff", 2)};
    assert_int_equal(run_batch(&w->run, &r, 1), CORE_OK);
    assert_int_equal(w->run.n_poison, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_receipt_goes_to_the_others_and_ones_own_devices),
        T(in_a_large_group_only_ones_own_devices_hear_of_a_receipt),
        T(who_came_later_learns_nothing_of_what_was_read_before),
        T(a_receipt_between_two),
        T(a_request_to_join_goes_to_the_admins),
        T(a_decline_names_nobody_else),
        T(a_block_is_told_to_ones_own_devices_only),
        T(an_announcement_is_one_item_per_held_slot),
        T(the_others_see_one_type),
        T(strangers_do_not_type_where_they_may_not_write),
        T(nobody_sees_the_muted_and_the_blocked_type),
        T(typing_finds_what_is_not_in_memory_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
