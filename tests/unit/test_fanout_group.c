/* Who is told what in a group: members, those who come and go, their devices here and away. */
#include "tests/unit/fanoutrun.h"

#define K(kind) IM__CONV_KIND__CONV_##kind
#define MANY    10000

/* anna's group of bert and carl. anna: device 1 at slot 0, device 2 at slot 2; bert: one device at slot 1; carl: away. */
struct trio {
    struct id16 g;
    struct session anna, anna2, bert;
};

static struct trio trio(struct world *w)
{
    struct trio t = {.g = group_of("anna", 1),
                     .anna = live(w, "anna", 1, 0, 7, 3),
                     .anna2 = live(w, "anna", 2, 2, 8, 3),
                     .bert = live(w, "bert", 1, 1, 9, 1)};
    one(w, (struct op){.from = "anna",
                       .client_seq = 1,
                       .kind = K(GROUP_CREATE),
                       .conv = t.g,
                       .users = {"bert", "carl"},
                       .text = "us",
                       .origin = &t.anna});
    return t;
}

static void push_is(struct world *w, const Im__DeliverItem *i, Im__ConvKind kind, uint64_t seq)
{
    assert_non_null(i);
    assert_int_equal(i->kind, IM__ITEM_KIND__ITEM_POINTED);
    assert_int_equal(i->frame_type, IM__FRAME_TYPE__CHAT_PUSH);
    assert_int_equal(i->seq, seq);
    const Im__ChatPush *p = UNPACK(w, chat_push, i);
    assert_int_equal(p->kind, kind);
    assert_int_equal(p->seq, seq);
    assert_true(p->group);
}

static void stage_is(struct world *w, const Im__DeliverItem *i, Im__Stage stage, uint64_t seq, Im__Code code)
{
    assert_non_null(i);
    assert_int_equal(i->frame_type, IM__FRAME_TYPE__MSG_ACK);
    const Im__MsgAck *a = UNPACK(w, msg_ack, i);
    assert_int_equal(a->stage, stage);
    assert_int_equal(a->seq, seq);
    assert_int_equal(a->code, code);
}

static void everybody_but_the_sending_device_gets_it(void **state)
{
    struct world *w = *state;
    struct trio t = trio(w);
    for (uint64_t seq = 1; seq <= 2; seq++) {
        stage_is(w, heard_by(w, &t.anna), IM__STAGE__SEQUENCED, seq, 0);
        push_is(w, heard_by(w, &t.bert), seq == 1 ? K(GROUP_CREATE) : K(MESSAGE), seq);
        push_is(w, heard_by(w, &t.anna2), seq == 1 ? K(GROUP_CREATE) : K(MESSAGE), seq);
        assert_int_equal(queued(w, "carl", NULL), 0);
        assert_int_equal(queued(w, "anna", NULL), 2); /* her third device is away */
        assert_int_equal(queued(w, "bert", NULL), -1);
        assert_int_equal(heard(w, 3).n, 0);
        pass(w);
        one(w, (struct op){.from = "anna", .client_seq = 2, .conv = t.g, .origin = &t.anna});
    }
}

/* Her login is not in the view yet, her message is there already. */
static void a_sender_who_is_not_seen_yet_has_it(void **state)
{
    struct world *w = *state;
    struct trio t = trio(w);
    gone(&t.anna);
    pass(w);
    one(w, (struct op){.from = "anna", .client_seq = 2, .conv = t.g, .origin = &t.anna});
    stage_is(w, heard_by(w, &t.anna), IM__STAGE__SEQUENCED, 2, 0);
    assert_int_equal(queued(w, "anna", NULL), 2);
    pass(w);
    one(w, (struct op){.from = "bert", .client_seq = 1, .conv = t.g, .origin = &t.bert});
    assert_int_equal(queued(w, "anna", NULL), 1); /* of another's message she has to hear there */
    push_is(w, heard_by(w, &t.anna2), K(MESSAGE), 3);
}

static void what_the_views_say_now_counts(void **state)
{
    struct world *w = *state;
    struct trio t = trio(w);
    one(w, (struct op){.from = "anna", .client_seq = 2, .conv = t.g});
    struct session carl = live(w, "carl", 1, 3, 20, 1);
    gone(&t.bert);
    pass(w);
    one(w, (struct op){.from = "anna", .client_seq = 3, .conv = t.g});
    push_is(w, heard_by(w, &carl), K(MESSAGE), 3);
    assert_int_equal(heard(w, 1).n, 0);
    assert_int_equal(queued(w, "bert", NULL), 0);
    assert_int_equal(queued(w, "carl", NULL), -1);
    lease_record(w, 3, IM__LEASE_KIND__LEASE_EXPIRE, 13, 100);
    pass(w);
    one(w, (struct op){.from = "anna", .client_seq = 4, .conv = t.g});
    assert_int_equal(heard(w, 3).n, 0);
    assert_int_equal(queued(w, "carl", NULL), 0);
}

static void who_was_removed_hears_that_and_no_more(void **state)
{
    struct world *w = *state;
    bool left = false;
    struct trio t = trio(w);
    pass(w);
    one(w, (struct op){.from = "anna",
                       .client_seq = 2,
                       .kind = K(GROUP_REMOVE),
                       .conv = t.g,
                       .users = {"bert", "carl"}});
    push_is(w, heard_by(w, &t.bert), K(GROUP_REMOVE), 2);
    push_is(w, heard_by(w, &t.anna2), K(GROUP_REMOVE), 2);
    assert_int_equal(queued(w, "carl", &left), 0);
    assert_true(left);
    left = false;
    assert_int_equal(queued(w, "bert", &left), 1); /* reached, but an older mark of his has to end here */
    assert_true(left);
    assert_int_equal(queued(w, "anna", &left), 2);
    assert_false(left);
    pass(w);
    one(w, (struct op){.from = "anna", .client_seq = 3, .conv = t.g});
    push_is(w, heard_by(w, &t.anna2), K(MESSAGE), 3);
    assert_null(heard_by(w, &t.bert));
    assert_int_equal(queued(w, "carl", NULL), -1);
    one(w, (struct op){.from = "bert", .client_seq = 1, .conv = t.g, .origin = &t.bert});
    stage_is(w, heard_by(w, &t.bert), IM__STAGE__STAGE_REFUSED, 0, IM__CODE__NOT_A_MEMBER);
}

static void who_leaves_hears_that_on_the_other_devices(void **state)
{
    struct world *w = *state;
    bool left = false;
    struct trio t = trio(w);
    struct session bert2 = live(w, "bert", 2, 3, 30, 3);
    pass(w);
    one(w,
        (struct op){.from = "bert", .client_seq = 1, .kind = K(GROUP_LEAVE), .conv = t.g, .origin = &t.bert});
    stage_is(w, heard_by(w, &t.bert), IM__STAGE__SEQUENCED, 2, 0);
    push_is(w, heard_by(w, &bert2), K(GROUP_LEAVE), 2);
    push_is(w, heard_by(w, &t.anna), K(GROUP_LEAVE), 2);
    assert_int_equal(queued(w, "bert", &left), 2);
    assert_true(left);
    pass(w);
    one(w, (struct op){.from = "anna", .client_seq = 2, .conv = t.g});
    assert_null(heard_by(w, &t.bert));
    assert_null(heard_by(w, &bert2));
    assert_int_equal(queued(w, "bert", NULL), -1);
}

static void who_is_invited_hears_it_from_there_on(void **state)
{
    struct world *w = *state;
    struct trio t = trio(w);
    struct session dora = live(w, "dora", 1, 3, 40, 1);
    one(w, (struct op){.from = "anna", .client_seq = 2, .conv = t.g});
    assert_null(heard_by(w, &dora));
    pass(w);
    one(w, (struct op){.from = "bert",
                       .client_seq = 1,
                       .kind = K(GROUP_INVITE),
                       .conv = t.g,
                       .users = {"carl", "dora"}});
    push_is(w, heard_by(w, &dora), K(GROUP_INVITE), 3);
    const Im__ChatPush *p = UNPACK(w, chat_push, heard_by(w, &dora));
    assert_int_equal(p->n_users, 1); /* carl was there */
    pass(w);
    one(w, (struct op){.from = "dora", .client_seq = 1, .conv = t.g});
    push_is(w, heard_by(w, &t.bert), K(MESSAGE), 4);
    assert_null(heard_by(w, &dora));
}

static void the_end_of_a_group_is_told_to_its_members(void **state)
{
    struct world *w = *state;
    struct trio t = trio(w);
    pass(w);
    one(w, (struct op){.from = "anna", .client_seq = 2, .kind = K(GROUP_DISSOLVE), .conv = t.g});
    push_is(w, heard_by(w, &t.bert), K(GROUP_DISSOLVE), 2);
    assert_int_equal(queued(w, "carl", NULL), 0);
}

/* A repeat only answers its sender. */
static void a_repeat_is_not_told_again(void **state)
{
    struct world *w = *state;
    struct trio t = trio(w);
    one(w, (struct op){.from = "anna", .client_seq = 2, .conv = t.g});
    pass(w);
    one(w, (struct op){.from = "anna", .client_seq = 2, .conv = t.g, .origin = &t.anna});
    stage_is(w, heard_by(w, &t.anna), IM__STAGE__SEQUENCED, 2, 0);
    assert_int_equal(w->run.fx.n_sends, w->seen + 1);
}

/* Nobody from outside can have the whole roster read again and again. */
static void an_outsider_costs_no_roster(void **state)
{
    struct world *w = *state;
    struct trio t = trio(w);
    static const struct fanout_settings tiny = {.cache_bytes = 1};
    run_crash(&w->run);
    run_open(&w->run, &fanout_core, &tiny, &views, w->offset, w->offset);
    one(w, (struct op){.from = "zoe", .client_seq = 1, .conv = t.g});
    assert_int_equal(w->run.rounds, 2);
    pass(w);
    struct record both[2] = {
        record(w,
               (struct op){
                   .from = "anna", .client_seq = 2, .kind = K(GROUP_INVITE), .conv = t.g, .users = {"zoe"}}),
        record(w, (struct op){.from = "zoe", .client_seq = 2, .conv = t.g})}; /* a member by then */
    assert_int_equal(run_batch(&w->run, both, 2), CORE_OK);
    struct heard h = heard(w, 1);
    assert_int_equal(h.n, 2);
    push_is(w, h.item[0], K(GROUP_INVITE), 2);
    push_is(w, h.item[1], K(MESSAGE), 3);
}

/* ---- after a crash, after a recovery ---- */

static void a_group_that_left_memory_is_told_alike(void **state)
{
    struct world *w = *state;
    struct trio t = trio(w);
    run_crash(&w->run);
    run_open(&w->run, &fanout_core, &settings, &views, w->offset, w->offset);
    pass(w);
    one(w, (struct op){.from = "bert", .client_seq = 1, .conv = t.g});
    push_is(w, heard_by(w, &t.anna), K(MESSAGE), 2);
    push_is(w, heard_by(w, &t.anna2), K(MESSAGE), 2);
    assert_int_equal(queued(w, "carl", NULL), 0);
}

/* The cells know of dora already, and that bert is gone; the records from before are told again. */
static void what_is_told_again_goes_to_those_who_see_it(void **state)
{
    struct world *w = *state;
    struct trio t = trio(w);
    struct session dora = live(w, "dora", 1, 3, 40, 1);
    uint8_t key[F_DECIDED_KEY], row[F_DECIDED_ROW], ahead[F_AHEAD_ROW];
    struct record log[3] = {record(w, (struct op){.from = "anna", .client_seq = 2, .conv = t.g}),
                            record(w, (struct op){.from = "anna",
                                                  .client_seq = 3,
                                                  .kind = K(GROUP_INVITE),
                                                  .conv = t.g,
                                                  .users = {"carl", "dora"}}),
                            record(w, (struct op){.from = "anna",
                                                  .client_seq = 4,
                                                  .kind = K(GROUP_REMOVE),
                                                  .conv = t.g,
                                                  .users = {"bert"}})};
    assert_int_equal(run_batch(&w->run, log, 3), CORE_OK);
    fanout_ahead_row(4, ahead);
    run_put(&w->run, F_AHEAD, fanout_ahead_key, slice_of(ahead, sizeof ahead));
    for (int i = 1; i <= 3; i++) {
        fanout_decided_key(i, key);
        struct id16 changed = uid(i == 2 ? "dora" : "bert");
        size_t n = fanout_decided_row((uint64_t)i + 1, 1000 + i, 0,
                                      i == 1 ? (struct slice){NULL, 0} : slice_id(&changed), row);
        run_put(&w->run, F_DECIDED, slice_of(key, sizeof key), slice_of(row, n));
    }
    run_crash(&w->run);
    run_open(&w->run, &fanout_core, &settings, &views, 1, 1);
    pass(w);
    assert_int_equal(run_batch(&w->run, &log[0], 1), CORE_OK);
    assert_null(heard_by(w, &dora)); /* came later */
    push_is(w, heard_by(w, &t.anna2), K(MESSAGE), 2);
    pass(w);
    assert_int_equal(run_batch(&w->run, &log[1], 1), CORE_OK);
    push_is(w, heard_by(w, &dora), K(GROUP_INVITE), 3);
    const Im__ChatPush *p = UNPACK(w, chat_push, heard_by(w, &dora));
    struct id16 id = uid("dora");
    assert_int_equal(p->n_users, 1); /* carl was there */
    assert_memory_equal(p->users[0].data, id.b, ID_SIZE);
    pass(w);
    assert_int_equal(run_batch(&w->run, &log[2], 1), CORE_OK);
    push_is(w, heard_by(w, &t.bert), K(GROUP_REMOVE), 4);
    push_is(w, heard_by(w, &dora), K(GROUP_REMOVE), 4);
    pass(w);
    one(w, (struct op){.from = "dora", .client_seq = 1, .conv = t.g});
    push_is(w, heard_by(w, &t.anna), K(MESSAGE), 5);
    assert_null(heard_by(w, &t.bert));
}

/* The cells know the group already; that it was made is told again, by a fanout that has none of it in memory. */
static void a_making_is_told_again(void **state)
{
    struct world *w = *state;
    struct session anna2 = live(w, "anna", 2, 2, 8, 3), bert = live(w, "bert", 1, 1, 9, 1);
    uint8_t key[F_DECIDED_KEY], row[F_DECIDED_ROW], ahead[F_AHEAD_ROW];
    struct record made = record(w, (struct op){.from = "anna",
                                               .client_seq = 1,
                                               .kind = K(GROUP_CREATE),
                                               .conv = group_of("anna", 1),
                                               .users = {"bert"},
                                               .text = "us"});
    assert_int_equal(run_batch(&w->run, &made, 1), CORE_OK);
    fanout_ahead_row(1, ahead);
    run_put(&w->run, F_AHEAD, fanout_ahead_key, slice_of(ahead, sizeof ahead));
    fanout_decided_key(0, key);
    size_t n = fanout_decided_row(1, 1000, 0, (struct slice){NULL, 0}, row);
    run_put(&w->run, F_DECIDED, slice_of(key, sizeof key), slice_of(row, n));
    run_crash(&w->run);
    run_open(&w->run, &fanout_core, &settings, &views, 0, 0);
    pass(w);
    assert_int_equal(run_batch(&w->run, &made, 1), CORE_OK);
    push_is(w, heard_by(w, &bert), K(GROUP_CREATE), 1);
    push_is(w, heard_by(w, &anna2), K(GROUP_CREATE), 1);
}

/* ---- many ---- */

/* Members m0 … of anna's group; even ones are live, on slots 0 and 1. */
static struct id16 crowd(struct world *w, size_t n)
{
    struct id16 g = group_of("anna", 1);
    struct id16 *ids = arena_alloc(w->arena, n * sizeof *ids);
    one(w, (struct op){.from = "anna", .client_seq = 1, .kind = K(GROUP_CREATE), .conv = g, .text = "all"});
    for (size_t i = 0; i < n; i++) {
        char login[16];
        snprintf(login, sizeof login, "m%zu", i);
        ids[i] = uid(login);
        if (i % 2 == 0)
            live(w, login, 1, i / 2 % 2, 1000 + (uint32_t)i, 1);
    }
    for (size_t i = 0; i < n; i += 100) {
        size_t k = n - i < 100 ? n - i : 100;
        qsort(ids + i, k, sizeof *ids, by_id);
        one(w, (struct op){.from = "anna",
                           .client_seq = 2 + i / 100,
                           .kind = K(GROUP_INVITE),
                           .conv = g,
                           .ids = ids + i,
                           .n_ids = k});
    }
    return g;
}

static void records_follow_edges_not_members(void **state)
{
    struct world *w = *state;
    struct id16 g = crowd(w, MANY);
    uint64_t head = 1 + MANY / 100;
    for (uint64_t k = 0; k < 3; k++) {
        pass(w);
        one(w, (struct op){.from = k == 1 ? "m0" : "anna", .client_seq = 1000 + k, .conv = g});
        size_t handles = 0, absent = 0;
        for (uint32_t slot = 0; slot < SLOTS; slot++) {
            struct heard h = heard(w, slot);
            assert_int_equal(h.records, slot < 2);
            assert_int_equal(h.n, slot < 2);
            for (size_t i = 0; i < h.n; i++) {
                push_is(w, h.item[i], K(MESSAGE), head + 1 + k);
                assert_false(k == 1 && has_handle(h.item[i], 1000));
                handles += h.item[i]->n_handles;
            }
        }
        assert_int_equal(handles, MANY / 2 - (k == 1));
        assert_int_equal(sends_to(w, T_OFFLINE), PARTS);
        for (size_t i = w->seen; i < w->run.fx.n_sends; i++) {
            Im__OfflineRecord *r;
            if (w->run.fx.sends[i].topic != T_OFFLINE)
                continue;
            DECODE(w, offline, w->run.fx.sends[i].value, &r);
            absent += r->group->users.len / ID_SIZE;
            assert_int_equal(r->group->seq, head + 1 + k);
        }
        assert_int_equal(absent, MANY / 2 + 1); /* anna is away, too */
        assert_int_equal(w->run.fx.n_sends - w->seen, 2 + PARTS);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(everybody_but_the_sending_device_gets_it),
        T(a_sender_who_is_not_seen_yet_has_it),
        T(what_the_views_say_now_counts),
        T(who_was_removed_hears_that_and_no_more),
        T(who_leaves_hears_that_on_the_other_devices),
        T(who_is_invited_hears_it_from_there_on),
        T(the_end_of_a_group_is_told_to_its_members),
        T(a_repeat_is_not_told_again),
        T(an_outsider_costs_no_roster),
        T(a_group_that_left_memory_is_told_alike),
        T(what_is_told_again_goes_to_those_who_see_it),
        T(a_making_is_told_again),
        T(records_follow_edges_not_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
