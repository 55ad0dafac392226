#include "offline/cursors.h"
#include "offline/queue.h"
#include "offline/rebuild.h"
#include "tests/unit/offlinerun.h"

/* ---- queue and login ---- */

static void an_unknown_user_has_no_queue(void **state)
{
    struct world *w = *state;
    one(w, r_item(w, 1, 1));
    assert_int_equal(rows(w, OFFLINE_ITEM), 0);
    no_more(w);
}

static void what_was_missed_comes_with_the_login(void **state)
{
    struct world *w = *state;
    one(w, r_login(w, sess(1, 5), one_device, 1, true, false));
    no_more(w); /* nothing pending: no frame */
    one(w, r_end(w, sess(1, 5)));
    one(w, r_item(w, 1, 1));
    one(w, r_item(w, 1, 2));
    no_more(w);
    one(w, r_login(w, sess(1, 9), one_device, 1, false, false));
    Im__PullOfflineRsp *p = page(w, sess(1, 9), 0);
    assert_int_equal(p->n_items, 2);
    assert_int_equal(p->items[0]->seq, 1);
    assert_string_equal(p->items[1]->text, "xxxxx");
    assert_false(p->more);
    assert_false(p->rest_in_history);
    no_more(w);
}

static void an_item_for_a_live_device_goes_to_it_and_stays_until_confirmed(void **state)
{
    struct world *w = *state;
    one(w, r_login(w, sess(1, 5), one_device, 1, true, false));
    one(w, r_item(w, 1, 1));
    pushed(w, sess(1, 5), 1);
    assert_int_equal(rows(w, OFFLINE_ITEM), 1);
    one(w, r_item(w, 1, 1)); /* a repeat */
    no_more(w);
    one(w, r_cursor(w, 1, 1, 1, 1));
    assert_int_equal(rows(w, OFFLINE_ITEM), 0);
    assert_int_equal(rows(w, OFFLINE_INDEX), 0);
    one(w, r_item(w, 1, 1)); /* the device has it */
    no_more(w);
    assert_int_equal(rows(w, OFFLINE_ITEM), 0);
}

static void served_devices_are_left_out(void **state)
{
    struct world *w = *state;
    login(w, 1, 5);
    login(w, 2, 6);
    pass(w);
    static const uint32_t served[] = {1};
    one(w, r_item_sized(w, 1, 1, served, 1, 5));
    pushed(w, sess(2, 6), 1);
    no_more(w);
    assert_int_equal(rows(w, OFFLINE_ITEM), 1);
}

static void login_and_item_in_one_batch_in_either_order(void **state)
{
    struct world *w = *state;
    struct record a[2] = {r_item(w, 1, 1), {0}};
    one(w, r_login(w, sess(1, 5), one_device, 1, true, false));
    one(w, r_end(w, sess(1, 5)));
    a[1] = r_login(w, sess(1, 7), one_device, 1, false, false);
    step(w, a, 2);
    assert_int_equal(page(w, sess(1, 7), 0)->n_items, 1);
    struct record b[2] = {r_login(w, sess(1, 9), one_device, 1, false, false), {0}};
    b[1] = r_item(w, 1, 2);
    step(w, b, 2);
    Im__DeliverRecord *r = deliver(w, sess(1, 9));
    assert_int_equal(r->n_items, 2);
    assert_int_equal(page_of(w, r->items[0], 0)->n_items, 1);
    assert_int_equal(r->items[1]->kind, IM__ITEM_KIND__ITEM_MESSAGE);
    assert_int_equal(r->items[1]->seq, 2);
    no_more(w);
}

static void a_user_known_only_within_the_batch_is_served(void **state)
{
    struct world *w = *state;
    struct record a[3] = {r_login(w, sess(1, 5), two_devices, 2, true, false), {0}, {0}};
    a[1] = r_item(w, 1, 1);
    a[2] = r_cursor(w, 2, 1, 1, 1);
    step(w, a, 3);
    pushed(w, sess(1, 5), 1);
    assert_int_equal(rows(w, OFFLINE_ITEM), 1);
}

/* ---- sessions ---- */

static void a_later_login_takes_over(void **state)
{
    struct world *w = *state;
    login(w, 1, 5);
    struct session later = sess(1, 9);
    later.slot = 3;
    later.epoch = 13;
    one(w, r_login(w, later, two_devices, 2, false, false));
    one(w, r_login(w, sess(1, 7), two_devices, 2, false, false)); /* late */
    one(w, r_end(w, sess(1, 5)));                                 /* of the replaced one */
    one(w, r_item(w, 1, 1));
    pushed(w, later, 1);
    no_more(w);
}

static void a_bounce_ends_its_session_only(void **state)
{
    struct world *w = *state;
    login(w, 1, 5);
    one(w, r_bounce(w, sess(1, 5), 1, 1, 3));
    no_more(w);
    assert_int_equal(rows(w, OFFLINE_ITEM), 3);
    one(w, r_item(w, 1, 4));
    no_more(w); /* not live any more, nothing goes round */
    login(w, 1, 9);
    Im__PullOfflineRsp *p = page(w, sess(1, 9), 0);
    assert_int_equal(p->n_items, 4);
    /* A bounce of the old session after the new login goes straight on. */
    one(w, r_bounce(w, sess(1, 5), 2, 1, 1));
    pushed(w, sess(1, 9), 1);
    no_more(w);
}

static void a_bounce_may_come_before_its_login(void **state)
{
    struct world *w = *state;
    one(w, r_bounce(w, sess(1, 5), 1, 1, 2)); /* of a device that is not known yet */
    one(w, r_login(w, sess(1, 5), one_device, 1, true, false));
    no_more(w); /* that session is over */
    one(w, r_item(w, 1, 3));
    no_more(w);
    one(w, r_login(w, sess(1, 8), one_device, 1, false, false));
    assert_int_equal(page(w, sess(1, 8), 0)->n_items, 3);
}

static void a_session_at_a_dead_edge_is_not_live(void **state)
{
    struct world *w = *state;
    login(w, 1, 5);
    lease_record(w, 1, IM__LEASE_KIND__LEASE_EXPIRE, 11, 100);
    one(w, r_item(w, 1, 1));
    one(w, r_pull(w, sess(1, 5), 0, 0, 0));
    no_more(w);
    struct session s = sess(1, 9);
    s.epoch = 200; /* a claim that this view has not seen */
    one(w, r_login(w, s, two_devices, 2, false, false));
    assert_int_equal(page(w, s, 0)->n_items, 1);
}

static void a_dropped_device_leaves_nothing(void **state)
{
    struct world *w = *state;
    static const uint32_t without_1[] = {2, 3};
    login(w, 1, 5);
    login(w, 2, 6);
    one(w, r_end(w, sess(1, 5)));
    for (uint64_t i = 1; i <= 100; i++)
        one(w, r_item(w, 1, i));
    one(w, r_cursor(w, 1, 2, 1, 7));
    one(w, r_cursor(w, 2, 1, 1, 100));
    assert_int_equal(rows(w, OFFLINE_ITEM), 100);
    assert_int_equal(rows(w, OFFLINE_CURSORS), 2);
    one(w, r_login(w, sess(3, 10), without_1, 2, true, false));
    assert_int_equal(rows(w, OFFLINE_ITEM), 0);
    assert_int_equal(rows(w, OFFLINE_INDEX), 0);
    assert_int_equal(rows(w, OFFLINE_CURSORS), 1);
    assert_int_equal(rows(w, OFFLINE_QUEUE), 2); /* of 2 and 3 */
    one(w, r_cursor(w, 1, 2, 1, 9));             /* late */
    one(w, r_bounce(w, sess(1, 5), 1, 1, 2));
    assert_int_equal(rows(w, OFFLINE_CURSORS), 1);
    assert_int_equal(rows(w, OFFLINE_ITEM), 0);
    /* An older login does not bring it back. */
    login(w, 1, 7);
    pass(w);
    one(w, r_item(w, 1, 200));
    assert_int_equal(rows(w, OFFLINE_QUEUE), 2);
}

/* ---- pages ---- */

static void pages_follow_each_other(void **state)
{
    struct world *w = *state;
    login(w, 1, 5);
    one(w, r_end(w, sess(1, 5)));
    for (uint64_t i = 1; i <= 25; i++)
        one(w, r_item_sized(w, 1 + (int)(i % 2), i, (const uint32_t[]){2}, 1, 5));
    one(w, r_login(w, sess(1, 9), two_devices, 2, false, false));
    Im__PullOfflineRsp *p = page(w, sess(1, 9), 0);
    assert_int_equal(p->n_items, 10);
    assert_true(p->more);
    one(w, r_pull(w, sess(1, 9), p->next, 0, 0));
    p = page(w, sess(1, 9), 33);
    assert_int_equal(p->n_items, 10);
    assert_int_equal(p->items[0]->seq, 11);
    one(w, r_pull(w, sess(1, 9), p->next, 100, 0));
    p = page(w, sess(1, 9), 33);
    assert_int_equal(p->n_items, 5);
    assert_false(p->more);
    one(w, r_pull(w, sess(1, 9), p->next, 0, 0));
    uint64_t last = p->next;
    p = page(w, sess(1, 9), 33);
    assert_int_equal(p->n_items, 0);
    assert_int_equal(p->next, last);
    /* One conversation only, with its cursor. */
    one(w, r_cursor(w, 1, 2, 1, 3));
    one(w, r_pull(w, sess(1, 9), 0, 0, 2));
    p = page(w, sess(1, 9), 33);
    assert_int_equal(p->n_items, 10);
    assert_int_equal(p->items[0]->seq, 5);
    assert_int_equal(p->n_cursors, 1);
    assert_int_equal(p->cursors[0]->from, 1);
    assert_int_equal(p->cursors[0]->upto, 3);
}

static void a_page_is_bounded_in_bytes(void **state)
{
    struct world *w = *state;
    login(w, 1, 5);
    one(w, r_end(w, sess(1, 5)));
    for (uint64_t i = 1; i <= 5; i++)
        one(w, r_item_sized(w, 1, i, (const uint32_t[]){2}, 1, 30000));
    one(w, r_item_sized(w, 1, 6, (const uint32_t[]){2}, 1, 100000)); /* more than a page by itself */
    uint64_t after = 0;
    static const size_t expected[] = {2, 2, 1, 1};
    for (size_t i = 0; i < 4; i++) {
        one(w, r_pull(w, sess(1, 5), after, 0, 0));
        Im__PullOfflineRsp *p = page(w, sess(1, 5), 33);
        assert_int_equal(p->n_items, expected[i]);
        assert_int_equal(p->more, i < 3);
        after = p->next;
    }
}

static void a_fresh_client_gets_its_cursors(void **state)
{
    struct world *w = *state;
    login(w, 1, 5);
    for (int i = 1; i <= 40; i++)
        one(w, r_cursor(w, 1, i, 1, (uint64_t)i * 3));
    pass(w);
    one(w, r_login(w, sess(1, 9), two_devices, 2, false, true));
    Im__PullOfflineRsp *p = page(w, sess(1, 9), 0);
    assert_int_equal(p->n_items, 0);
    assert_int_equal(p->n_cursors, 40);
    for (size_t i = 0; i < 40; i++)
        assert_int_equal(p->cursors[i]->upto, 3 * p->cursors[i]->conversation.data[0]);
}

static void very_many_cursors_take_several_frames(void **state)
{
    struct world *w = *state;
    login(w, 1, 5);
    for (int i = 0; i < 1200; i++)
        one(w, r_cursor(w, 1, i, 1, 7));
    pass(w);
    one(w, r_login(w, sess(1, 9), two_devices, 2, false, true));
    Im__DeliverRecord *r = deliver(w, sess(1, 9));
    size_t n = 0;
    for (size_t i = 0; i < r->n_items; i++) {
        Im__PullOfflineRsp *p = page_of(w, r->items[i], 0);
        assert_int_equal(p->more, i + 1 < r->n_items);
        n += p->n_cursors;
    }
    assert_int_equal(n, 1200);
}

static void a_restarted_core_reads_its_rows(void **state)
{
    struct world *w = *state;
    login(w, 1, 5);
    one(w, r_end(w, sess(1, 5)));
    for (uint64_t i = 1; i <= 150; i++)
        one(w, r_item(w, 1, i));
    run_crash(&w->run);
    run_open(&w->run, &offline_core, &settings, w->lease, 0, 0);
    one(w, r_cursor(w, 1, 1, 10, 149));
    run_crash(&w->run);
    run_open(&w->run, &offline_core, &settings, w->lease, 0, 0);
    struct record both[2] = {r_login(w, sess(1, 9), two_devices, 2, false, false), {0}};
    both[1] = r_pull(w, sess(1, 9), 0, 5, 0);
    step(w, both, 2);
    assert_true(w->run.rounds <= 4);
    Im__DeliverRecord *r = deliver(w, sess(1, 9));
    Im__PullOfflineRsp *p = page_of(w, r->items[0], 0);
    assert_int_equal(p->n_items, 10);
    assert_int_equal(p->items[8]->seq, 9);
    assert_int_equal(p->items[9]->seq, 150);
    assert_int_equal(page_of(w, r->items[1], 33)->n_items, 5);
}

/* ---- caps ---- */

static void past_the_cap_the_oldest_go_and_it_is_said(void **state)
{
    struct world *w = *state;
    login(w, 1, 5);
    one(w, r_end(w, sess(1, 5)));
    for (uint64_t i = 1; i <= 230; i++)
        one(w, r_item_sized(w, 1, i, (const uint32_t[]){2}, 1, 5));
    assert_int_equal(rows(w, OFFLINE_ITEM), 200);
    one(w, r_login(w, sess(1, 9), two_devices, 2, false, false));
    Im__PullOfflineRsp *p = page(w, sess(1, 9), 0);
    assert_true(p->rest_in_history);
    assert_int_equal(p->items[0]->seq, 31);
    one(w, r_cursor(w, 1, 1, 1, 230));
    assert_int_equal(rows(w, OFFLINE_ITEM), 0);
    one(w, r_pull(w, sess(1, 9), 0, 0, 0));
    assert_false(page(w, sess(1, 9), 33)->rest_in_history);
}

static void bytes_are_capped_too(void **state)
{
    struct world *w = *state;
    login(w, 1, 5);
    one(w, r_end(w, sess(1, 5)));
    for (uint64_t i = 1; i <= 20; i++)
        one(w, r_item_sized(w, 1, i, (const uint32_t[]){2}, 1, 100000));
    assert_int_equal(rows(w, OFFLINE_ITEM), 10);
}

static void memory_is_bounded_and_rows_come_back(void **state)
{
    struct world *w = *state;
    static const struct offline_settings tiny = {.cap_items = 200,
                                                 .cap_bytes = 1 << 20,
                                                 .page_items = 10,
                                                 .page_bytes = 64 << 10,
                                                 .cache_bytes = 4096};
    run_crash(&w->run);
    run_open(&w->run, &offline_core, &tiny, w->lease, 0, 0);
    login(w, 1, 5);
    one(w, r_end(w, sess(1, 5)));
    for (uint64_t i = 1; i <= 100; i++) {
        struct record both[2] = {r_item_sized(w, (int)i, i, (const uint32_t[]){2}, 1, 5), {0}};
        both[1] = r_cursor(w, 2, (int)i, 1, i);
        step(w, both, 2);
    }
    login(w, 1, 9);
    assert_int_equal(page(w, sess(1, 9), 0)->n_items, 10);
}

/* Whoever asks for the same page again and again gets it, but not all of it out of one batch's memory. */
static void a_batch_of_pages_is_bounded_in_bytes(void **state)
{
    struct world *w = *state;
    enum { PULLS = 600 };
    static struct record pulls[PULLS];
    login(w, 1, 5);
    one(w, r_end(w, sess(1, 5)));
    for (uint64_t i = 1; i <= 10; i++)
        one(w, r_item_sized(w, 1, i, (const uint32_t[]){2}, 1, 60000));
    login(w, 1, 9);
    for (size_t i = 0; i < PULLS; i++)
        pulls[i] = r_pull(w, sess(1, 9), 0, 0, 0);
    size_t before = w->run.fx.n_sends, bytes = 0;
    step(w, pulls, PULLS);
    for (size_t i = before; i < w->run.fx.n_sends; i++)
        bytes += w->run.fx.sends[i].value.n;
    assert_true(bytes < 10 << 20);
    w->seen = w->run.fx.n_sends;
    one(w, r_pull(w, sess(1, 9), 0, 0, 0)); /* the next batch has room again */
    assert_true(page(w, sess(1, 9), 33)->n_items > 0);
}

static void poison_is_said(void **state)
{
    struct world *w = *state;
    struct record r = {.topic = T_OFFLINE, .value = slice_of("\xff\xff", 2)};
    assert_int_equal(run_batch(&w->run, &r, 1), CORE_OK);
    r.topic = T_CURSOR;
    assert_int_equal(run_batch(&w->run, &r, 1), CORE_OK);
    assert_int_equal(w->run.n_poison, 2);
    r = (struct record){.topic = T_OFFLINE, .value = slice_of("\x08\x09", 2)}; /* a newer version: set aside */
    assert_int_equal(run_batch(&w->run, &r, 1), CORE_OK);
    assert_int_equal(w->run.n_poison, 3);
    r.topic = T_CURSOR; /* cannot be set aside: what it says would be compacted away */
    assert_int_equal(run_batch(&w->run, &r, 1), CORE_STOP);
}

/* ---- all of it again ---- */

/* What the rows mean, whatever their segments are: positions and sessions of a queue, ranges of the cursors. */
static struct slice meaning(struct world *w, const struct run *run)
{
    struct bytes b = {0};
    for (uint32_t device = 1; device <= 3; device++) {
        uint8_t key[CURSORS_KEY];
        struct queue *q = queue_new(uid("anna"), device);
        queue_key(q->user, device, key);
        const struct stored *s = run_find(run, OFFLINE_QUEUE, slice_of(key, QUEUE_KEY));
        if (s) {
            assert_int_equal(queue_unpack(q, slice_of(s->row, s->row_n)), 0);
            for (size_t i = 0; i < q->n_segments; i++) {
                uint8_t k[QUEUE_INDEX_KEY];
                queue_index_key(q, q->segments[i]->no, k);
                s = run_find(run, OFFLINE_INDEX, slice_of(k, sizeof k));
                assert_non_null(s);
                assert_int_equal(queue_unpack_segment(q, q->segments[i]->no, slice_of(s->row, s->row_n)), 0);
            }
        }
        bytes_printf(&b, "device %u login %d ended %d rest %d:", device, (int)q->login, (int)q->ended,
                     q->rest_in_history);
        for (size_t i = 0; i < q->n_segments; i++)
            for (size_t k = 0; k < q->segments[i]->n; k++) {
                const struct entry *e = &q->segments[i]->e[k];
                uint8_t ik[QUEUE_ITEM_KEY];
                queue_item_key(q, e->pos, ik);
                assert_non_null(run_find(run, OFFLINE_ITEM, slice_of(ik, sizeof ik)));
                bytes_printf(&b, " %d/%d@%llx", e->conv.b[0], (int)e->seq, (unsigned long long)e->pos);
            }
        bytes_printf(&b, "\n");
        queue_free(q);
        for (int c = 0; c < 8; c++) {
            struct cursors *cs = cursors_new();
            cursors_key(uid("anna"), device, cursors_bucket(conv(c)), key);
            s = run_find(run, OFFLINE_CURSORS, slice_of(key, sizeof key));
            if (s)
                assert_int_equal(cursors_unpack(cs, slice_of(s->row, s->row_n)), 0);
            const struct range *r = cursors_find(cs, conv(c));
            bytes_printf(&b, " %d-%d", r ? (int)r->from : 0, r ? (int)r->upto : 0);
            cursors_free(cs);
        }
    }
    struct slice out = slice_of(arena_copy(w->arena, b.p, b.n), b.n);
    bytes_release(&b);
    return out;
}

static void user_record(struct world *w, struct offline_rebuild *r, uint32_t device, bool dropped, int64_t at)
{
    Im__UserRecord u = IM__USER_RECORD__INIT;
    struct id16 user = uid("anna");
    u.version = 1;
    u.kind = dropped ? IM__USER_KIND__USER_DEVICE_DROPPED : IM__USER_KIND__USER_DEVICE_ADDED;
    u.user = codec_bytes(slice_id(&user));
    u.device = device;
    u.device_id = "d";
    u.source_offset = at;
    struct record rec = {.topic = T_USER, .value = pack(w, &u.base)};
    assert_int_equal(offline_rebuild_feed(r, &rec), 0);
}

static void history(struct world *w)
{
    uint64_t at = 100;
    one(w, r_item(w, 1, 1)); /* before anybody logged in */
    one(w, r_login(w, sess(1, 5), one_device, 1, true, false));
    for (uint64_t i = 2; i <= 70; i++)
        one(w, r_item(w, (int)(i % 5), i));
    one(w, r_login(w, sess(2, 50), two_devices, 2, true, false));
    for (uint64_t i = 71; i <= 150; i++) {
        one(w, r_item(w, (int)(i % 5), i));
        if (i % 20 == 0)
            one(w, r_cursor(w, 1, (int)(i / 20 % 5), 1, i));
        if (i % 30 == 0)
            one(w, r_bounce(w, sess(2, at), 6, i, 3));
        if (i % 25 == 0)
            one(w, r_login(w, sess(2, ++at), two_devices, 2, false, false));
    }
    one(w, r_end(w, sess(1, 5)));
}

static void a_rebuild_has_the_same_queues(void **state)
{
    struct world *w = *state;
    history(w);
    struct slice before = meaning(w, &w->run);
    struct run other = {0};
    struct slice key, row;
    uint8_t table;
    struct offline_rebuild *r = offline_rebuild_new(0, 1, false);
    user_record(w, r, 1, false, 5);
    user_record(w, r, 2, false, 50);
    for (size_t i = 0; i < w->n_log; i++)
        if (w->log[i].topic == T_CURSOR)
            assert_int_equal(offline_rebuild_feed(r, &w->log[i]), 0);
    while (offline_rebuild_row(r, &table, &key, &row))
        run_put(&other, table, key, row);
    offline_rebuild_free(r);
    run_open(&other, &offline_core, &settings, w->lease, 0, 0);
    for (size_t i = 0; i < w->n_log; i++)
        if (w->log[i].topic == T_OFFLINE)
            assert_int_equal(run_batch(&other, &w->log[i], 1), CORE_OK);
    struct slice after = meaning(w, &other);
    assert_int_equal(before.n, after.n);
    assert_memory_equal(before.p, after.p, before.n);
    run_release(&other);
}

static void any_split_into_batches_gives_the_same_queues(void **state)
{
    struct world *w = *state;
    history(w);
    struct slice before = meaning(w, &w->run);
    for (size_t size = 2; size < 200; size = size * 3 - 1) {
        struct run other = {0};
        run_open(&other, &offline_core, &settings, w->lease, 0, 0);
        for (size_t i = 0; i < w->n_log; i += size) {
            size_t n = w->n_log - i < size ? w->n_log - i : size;
            if (i / size % 3 == 1) { /* a crash: the batch comes again */
                other.no_end_effects = true;
                assert_int_equal(run_batch(&other, w->log + i, n), CORE_OK);
                other.no_end_effects = false;
                run_crash(&other);
                run_open(&other, &offline_core, &settings, w->lease, 0, 0);
            }
            assert_int_equal(run_batch(&other, w->log + i, n), CORE_OK);
        }
        struct slice after = meaning(w, &other);
        assert_int_equal(before.n, after.n);
        assert_memory_equal(before.p, after.p, before.n);
        run_release(&other);
    }
}

static void a_log_that_was_cut_is_said_to_every_device(void **state)
{
    struct world *w = *state;
    struct slice key, row;
    uint8_t table;
    struct offline_rebuild *r = offline_rebuild_new(0, 1, true);
    user_record(w, r, 1, false, 5);
    user_record(w, r, 2, false, 6);
    user_record(w, r, 2, true, 7);
    while (offline_rebuild_row(r, &table, &key, &row))
        run_put(&w->run, table, key, row);
    offline_rebuild_free(r);
    one(w, r_item(w, 1, 9)); /* nobody has logged in within the log: queued all the same */
    assert_int_equal(rows(w, OFFLINE_ITEM), 1);
    one(w, r_login(w, sess(1, 9), one_device, 1, false, false));
    Im__PullOfflineRsp *p = page(w, sess(1, 9), 0);
    assert_true(p->rest_in_history);
    assert_int_equal(p->n_items, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(an_unknown_user_has_no_queue),
        T(what_was_missed_comes_with_the_login),
        T(an_item_for_a_live_device_goes_to_it_and_stays_until_confirmed),
        T(served_devices_are_left_out),
        T(login_and_item_in_one_batch_in_either_order),
        T(a_user_known_only_within_the_batch_is_served),
        T(a_later_login_takes_over),
        T(a_bounce_ends_its_session_only),
        T(a_bounce_may_come_before_its_login),
        T(a_session_at_a_dead_edge_is_not_live),
        T(a_dropped_device_leaves_nothing),
        T(pages_follow_each_other),
        T(a_page_is_bounded_in_bytes),
        T(a_fresh_client_gets_its_cursors),
        T(very_many_cursors_take_several_frames),
        T(a_restarted_core_reads_its_rows),
        T(past_the_cap_the_oldest_go_and_it_is_said),
        T(bytes_are_capped_too),
        T(a_batch_of_pages_is_bounded_in_bytes),
        T(memory_is_bounded_and_rows_come_back),
        T(poison_is_said),
        T(a_rebuild_has_the_same_queues),
        T(any_split_into_batches_gives_the_same_queues),
        T(a_log_that_was_cut_is_said_to_every_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
