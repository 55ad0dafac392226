#include "common/base/rand.h"
#include "offline/cursors.h"
#include "offline/head.h"
#include "offline/rebuild.h"
#include "offline/users.h"
#include "tests/unit/offlinerun.h"

/* Events of groups that were missed: marks, news in pages and at once. */

struct absent { /* one user of an OffGroup */
    const char *login;
    uint32_t served[2];
    size_t n_served;
};

static struct record r_group_of(struct world *w, int conversation, uint64_t seq, const struct id16 *users,
                                size_t n, const Im__OffServed *served, size_t n_served, bool left)
{
    Im__OfflineRecord m = IM__OFFLINE_RECORD__INIT;
    Im__OffGroup g = IM__OFF_GROUP__INIT;
    Im__OffServed **list = arena_alloc(w->arena, (n_served + 1) * sizeof *list);
    struct id16 c = conv(conversation);
    for (size_t i = 0; i < n_served; i++)
        list[i] = (Im__OffServed *)(uintptr_t)&served[i];
    g.conversation = codec_bytes(slice_id(&c));
    g.seq = seq;
    g.users = (ProtobufCBinaryData){n * ID_SIZE, (uint8_t *)(uintptr_t)users};
    g.served = list;
    g.n_served = n_served;
    g.left = left;
    m.version = 1;
    m.body_case = IM__OFFLINE_RECORD__BODY_GROUP;
    m.group = &g;
    return (struct record){.topic = T_OFFLINE, .offset = w->offset++, .value = pack(w, &m.base)};
}

static struct record r_group(struct world *w, int conversation, uint64_t seq, const struct absent *a,
                             size_t n)
{
    struct id16 users[8];
    Im__OffServed served[8];
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        users[i] = uid(a[i].login);
        if (!a[i].n_served)
            continue;
        im__off_served__init(&served[k]);
        served[k].index = (uint32_t)i;
        served[k].devices = (uint32_t *)(uintptr_t)a[i].served;
        served[k++].n_devices = a[i].n_served;
    }
    return r_group_of(w, conversation, seq, users, n, served, k, false);
}

static const struct absent anna = {"anna", {0}, 0};

static struct record r_missed(struct world *w, int conversation, uint64_t seq)
{
    return r_group(w, conversation, seq, &anna, 1);
}

static struct record r_left(struct world *w, int conversation, uint64_t seq)
{
    struct id16 user = uid("anna");
    return r_group_of(w, conversation, seq, &user, 1, NULL, 0, true);
}

/* As r_bounce(), of an event that is in history. */
static struct record r_pointed(struct world *w, struct session s, int conversation, uint64_t seq)
{
    Im__OfflineRecord m = IM__OFFLINE_RECORD__INIT;
    Im__OffBounce b = IM__OFF_BOUNCE__INIT;
    Im__QueueItem q = IM__QUEUE_ITEM__INIT, *list[1] = {&q};
    Im__Session pb;
    struct id16 c = conv(conversation);
    session_to_pb(&s, &pb);
    q.conversation = codec_bytes(slice_id(&c));
    q.seq = seq;
    b.session = &pb;
    b.items = list;
    b.n_items = 1;
    m.body_case = IM__OFFLINE_RECORD__BODY_BOUNCE;
    m.bounce = &b;
    return record_of(w, s.user, &m);
}

static struct record r_dropped(struct world *w, uint32_t device)
{
    Im__OfflineRecord m = IM__OFFLINE_RECORD__INIT;
    Im__OffEnd b = IM__OFF_END__INIT;
    Im__Session pb;
    struct session s = {.user = uid("anna"), .device = device};
    session_to_pb(&s, &pb);
    b.session = &pb;
    b.dropped = true;
    m.body_case = IM__OFFLINE_RECORD__BODY_END;
    m.end = &b;
    return record(w, &m);
}

static struct session sess_of(const char *login, uint32_t device, uint64_t at)
{
    struct session s = sess(device, at);
    s.user = uid(login);
    return s;
}

/* Known, with these devices, and away. */
static void away(struct world *w, const char *login, const uint32_t *devices, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct session s = sess_of(login, devices[i], (uint64_t)i + 1);
        one(w, r_login(w, s, devices, n, false, false));
        one(w, r_end(w, s));
    }
    pass(w);
}

static void news_is(const Im__PullOfflineRsp *p, size_t i, int conversation, uint64_t upto)
{
    struct id16 c = conv(conversation);
    assert_true(i < p->n_news);
    assert_memory_equal(p->news[i]->conversation.data, c.b, ID_SIZE);
    assert_int_equal(p->news[i]->upto, upto);
}

static void told(struct world *w, struct session to, int conversation, uint64_t upto)
{
    struct id16 c = conv(conversation);
    Im__DeliverRecord *r = deliver(w, to);
    assert_int_equal(r->n_items, 1);
    assert_int_equal(r->items[0]->kind, IM__ITEM_KIND__ITEM_EVENT);
    assert_int_equal(r->items[0]->frame_type, IM__FRAME_TYPE__NEWS_PUSH);
    Im__NewsPush *n = im__news_push__unpack(NULL, r->items[0]->payload.len, r->items[0]->payload.data);
    assert_non_null(n);
    assert_int_equal(n->n_news, 1);
    assert_memory_equal(n->news[0]->conversation.data, c.b, ID_SIZE);
    assert_int_equal(n->news[0]->upto, upto);
    im__news_push__free_unpacked(n, NULL);
}

static struct user *user_row(struct world *w, const char *login)
{
    struct id16 id = uid(login);
    const struct stored *s = run_find(&w->run, OFFLINE_USER, slice_id(&id));
    assert_non_null(s);
    struct user *u = user_new(id);
    assert_int_equal(user_unpack(u, slice_of(s->row, s->row_n)), 0);
    s = run_find(&w->run, OFFLINE_NEWS, slice_id(&id));
    assert_int_equal(u->marks.missing, s != NULL); /* the user row says so */
    if (s)
        assert_int_equal(marks_unpack(&u->marks, slice_of(s->row, s->row_n)), 0);
    return u;
}

static size_t marks_of(struct world *w, const char *login)
{
    struct user *u = user_row(w, login);
    size_t n = u->marks.n;
    user_free(u);
    return n;
}

/* ---- marks ---- */

static void what_a_group_had_meanwhile_comes_with_the_login(void **state)
{
    struct world *w = *state;
    away(w, "anna", one_device, 1);
    one(w, r_missed(w, 1, 5));
    one(w, r_missed(w, 2, 9));
    one(w, r_missed(w, 1, 6));
    no_more(w);
    assert_int_equal(rows(w, OFFLINE_ITEM), 0);
    one(w, r_login(w, sess(1, 9), one_device, 1, false, false));
    Im__PullOfflineRsp *p = page(w, sess(1, 9), 0);
    assert_int_equal(p->n_items, 0);
    assert_int_equal(p->n_news, 2);
    news_is(p, 0, 1, 6);
    news_is(p, 1, 2, 9);
    assert_false(p->more);
    one(w, r_cursor(w, 1, 1, 1, 5)); /* not all of it */
    assert_int_equal(marks_of(w, "anna"), 2);
    one(w, r_cursor(w, 1, 1, 1, 6));
    assert_int_equal(marks_of(w, "anna"), 1);
    one(w, r_cursor(w, 1, 2, 9, 9));
    assert_int_equal(marks_of(w, "anna"), 0);
    assert_int_equal(rows(w, OFFLINE_NEWS), 0);
    one(w, r_login(w, sess(1, 12), one_device, 1, false, false));
    no_more(w);
}

static void a_marked_user_costs_no_row_per_event(void **state)
{
    struct world *w = *state;
    enum { USERS = 300 };
    static struct id16 users[USERS];
    for (int i = 0; i < USERS; i++) {
        char login[16];
        snprintf(login, sizeof login, "user%d", i);
        users[i] = uid(login);
        away(w, login, two_devices, 2);
    }
    one(w, r_group_of(w, 1, 1, users, USERS, NULL, 0, false));
    assert_int_equal(rows(w, OFFLINE_NEWS), USERS);
    assert_int_equal(rows(w, OFFLINE_CONV), 1);
    struct record r = r_group_of(w, 1, 2, users, USERS, NULL, 0, false);
    struct want want = {.arena = w->arena};
    assert_int_equal(w->run.ops->plan(w->run.core, &r, &want), CORE_OK);
    assert_int_equal(want.n, 0);
    assert_int_equal(w->run.ops->step(w->run.core, &r, 0, &w->run.fx), CORE_OK);
    w->run.ops->end(w->run.core, 0, &w->run.fx);
    assert_int_equal(w->run.fx.n_puts, 1);
    assert_int_equal(w->run.fx.puts[0].table, OFFLINE_CONV);
    assert_true(w->run.fx.puts[0].row.n < 32);
    no_more(w);
}

static void nobody_is_marked_who_is_not_known_or_was_served(void **state)
{
    struct world *w = *state;
    const struct absent list[] = {{"stranger", {0}, 0}, {"anna", {1, 2}, 2}, {"bert", {2}, 1}};
    away(w, "anna", two_devices, 2);
    away(w, "bert", two_devices, 2);
    one(w, r_group(w, 1, 1, list, 3));
    assert_int_equal(marks_of(w, "anna"), 0);
    assert_int_equal(marks_of(w, "bert"), 1);
    assert_int_equal(rows(w, OFFLINE_NEWS), 1);
    struct session s = sess_of("bert", 1, 9);
    one(w, r_login(w, s, two_devices, 2, false, false));
    news_is(page(w, s, 0), 0, 1, 1);
}

static void all_devices_must_have_it(void **state)
{
    struct world *w = *state;
    away(w, "anna", two_devices, 2);
    one(w, r_missed(w, 1, 5));
    one(w, r_cursor(w, 1, 1, 1, 5));
    assert_int_equal(marks_of(w, "anna"), 1);
    login(w, 1, 9);
    no_more(w); /* this one has it */
    login(w, 2, 10);
    news_is(page(w, sess(2, 10), 0), 0, 1, 5);
    one(w, r_cursor(w, 2, 1, 1, 5));
    assert_int_equal(marks_of(w, "anna"), 0);
    one(w, r_missed(w, 1, 5)); /* a repeat */
    no_more(w);
    assert_int_equal(marks_of(w, "anna"), 0);
}

/* ---- sessions ---- */

static void a_live_device_that_was_not_served_is_told_at_once(void **state)
{
    struct world *w = *state;
    const struct absent served = {"anna", {1}, 1};
    away(w, "anna", two_devices, 2);
    login(w, 1, 8);
    login(w, 2, 9);
    one(w, r_missed(w, 1, 4));
    Im__DeliverRecord *r = deliver(w, sess(1, 8));
    assert_int_equal(r->items[0]->frame_type, IM__FRAME_TYPE__NEWS_PUSH);
    told(w, sess(2, 9), 1, 4);
    one(w, r_group(w, 1, 5, &served, 1));
    told(w, sess(2, 9), 1, 5);
    one(w, r_cursor(w, 2, 1, 1, 6));
    one(w, r_group(w, 1, 6, &served, 1)); /* it has that already */
    no_more(w);
    one(w, r_end(w, sess(2, 9)));
    one(w, r_group(w, 1, 7, &served, 1));
    no_more(w);
    login(w, 2, 11);
    news_is(page(w, sess(2, 11), 0), 0, 1, 7);
    lease_record(w, 2, IM__LEASE_KIND__LEASE_EXPIRE, 12, 100); /* its edge is dead */
    one(w, r_group(w, 1, 8, &served, 1));
    no_more(w);
}

static void login_and_event_in_one_batch_in_either_order(void **state)
{
    struct world *w = *state;
    away(w, "anna", one_device, 1);
    struct record a[2] = {r_missed(w, 1, 1), {0}};
    a[1] = r_login(w, sess(1, 7), one_device, 1, false, false);
    step(w, a, 2);
    news_is(page(w, sess(1, 7), 0), 0, 1, 1);
    one(w, r_end(w, sess(1, 7)));
    struct record b[2] = {r_login(w, sess(1, 9), one_device, 1, false, false), {0}};
    b[1] = r_missed(w, 1, 2);
    step(w, b, 2);
    Im__DeliverRecord *r = deliver(w, sess(1, 9));
    assert_int_equal(r->n_items, 2);
    news_is(page_of(w, r->items[0], 0), 0, 1, 1); /* the records are taken one by one */
    assert_int_equal(r->items[1]->frame_type, IM__FRAME_TYPE__NEWS_PUSH);
}

static void a_user_row_of_version_1_learns_who_is_live_from_the_queues(void **state)
{
    struct world *w = *state;
    struct id16 id = uid("anna");
    struct bytes b = {0};
    away(w, "anna", two_devices, 2);
    login(w, 2, 9);
    bytes_u8(&b, 1);
    bytes_u8(&b, 1);
    bytes_be64(&b, 9);
    bytes_be32(&b, 2);
    bytes_u8(&b, 2);
    bytes_be32(&b, 1);
    bytes_be32(&b, 2);
    run_put(&w->run, OFFLINE_USER, slice_id(&id), bytes_slice(&b));
    bytes_release(&b);
    run_crash(&w->run);
    run_open(&w->run, &offline_core, &settings, w->lease, 0, 0);
    one(w, r_missed(w, 1, 3));
    told(w, sess(2, 9), 1, 3);
    struct user *u = user_row(w, "anna");
    assert_int_equal(u->n_live, 1);
    assert_int_equal(u->live[0].device, 2);
    assert_int_equal(u->marks.n, 1);
    user_free(u);
}

/* ---- bounces ---- */

static void a_bounce_without_payload_marks(void **state)
{
    struct world *w = *state;
    away(w, "anna", one_device, 1);
    one(w, r_login(w, sess(1, 8), one_device, 1, false, false));
    one(w, r_pointed(w, sess(1, 8), 1, 7));
    no_more(w);
    struct user *u = user_row(w, "anna");
    assert_int_equal(u->n_live, 0);
    user_free(u);
    one(w, r_login(w, sess(1, 9), one_device, 1, false, false));
    news_is(page(w, sess(1, 9), 0), 0, 1, 7);
    one(w, r_pointed(w, sess(1, 8), 1, 8)); /* late, of the old session */
    told(w, sess(1, 9), 1, 8);
    one(w, r_cursor(w, 1, 1, 1, 8));
    assert_int_equal(marks_of(w, "anna"), 0);
    one(w, r_pointed(w, sess(1, 8), 1, 6)); /* it has that */
    no_more(w);
    assert_int_equal(marks_of(w, "anna"), 0);
    /* Marked already. */
    one(w, r_end(w, sess(1, 9)));
    one(w, r_missed(w, 1, 9));
    one(w, r_pointed(w, sess(1, 9), 1, 12));
    login(w, 1, 15);
    news_is(page(w, sess(1, 15), 0), 0, 1, 12);
}

static void a_bounce_before_the_first_login_is_not_lost(void **state)
{
    struct world *w = *state;
    one(w, r_pointed(w, sess(1, 5), 1, 3));
    one(w, r_login(w, sess(1, 5), one_device, 1, true, false));
    no_more(w); /* that session is over */
    one(w, r_login(w, sess(1, 8), one_device, 1, false, false));
    assert_true(page(w, sess(1, 8), 0)->rest_in_history);
}

/* A session that went on elsewhere may have, and claim, what came after what its edge took with it. */
static void a_bounce_below_a_claim_is_told_and_not_forgotten(void **state)
{
    struct world *w = *state;
    away(w, "anna", one_device, 1);
    one(w, r_login(w, sess(1, 9), one_device, 1, false, false));
    one(w, r_cursor(w, 1, 1, 10, 12));
    one(w, r_pointed(w, sess(1, 8), 1, 7));
    told(w, sess(1, 9), 1, 7);
    one(w, r_pointed(w, sess(1, 8), 1, 11)); /* it has that */
    no_more(w);
    one(w, r_end(w, sess(1, 9)));
    one(w, r_login(w, sess(1, 15), one_device, 1, false, false));
    assert_true(page(w, sess(1, 15), 0)->rest_in_history); /* the push may have met the session's end */
}

/* ---- those who left ---- */

static void who_left_is_told_nothing_of_what_came_after(void **state)
{
    struct world *w = *state;
    const struct absent bert = {"bert", {0}, 0};
    away(w, "anna", one_device, 1);
    away(w, "bert", one_device, 1);
    const struct absent both[] = {anna, bert};
    one(w, r_group(w, 1, 4, both, 2));
    one(w, r_left(w, 1, 5));
    for (uint64_t seq = 6; seq < 10; seq++)
        one(w, r_group(w, 1, seq, &bert, 1));
    one(w, r_left(w, 1, 5)); /* repeats */
    one(w, r_missed(w, 1, 4));
    login(w, 1, 9);
    Im__PullOfflineRsp *p = page(w, sess(1, 9), 0);
    assert_int_equal(p->n_news, 1);
    news_is(p, 0, 1, 5);
    one(w, r_missed(w, 1, 12)); /* a member again */
    told(w, sess(1, 9), 1, 12);
    one(w, r_left(w, 1, 5)); /* a late repeat does not undo that */
    told(w, sess(1, 9), 1, 5);
    one(w, r_end(w, sess(1, 9)));
    login(w, 1, 13);
    news_is(page(w, sess(1, 13), 0), 0, 1, 12);
}

/* Reached by the last thing that is theirs, with an earlier mark still there: it ends all the same. */
static void who_leaves_connected_has_no_mark_for_ever(void **state)
{
    struct world *w = *state;
    const struct absent bert = {"bert", {0}, 0};
    uint32_t device = 1;
    Im__OffServed served = IM__OFF_SERVED__INIT;
    struct id16 user = uid("anna");
    served.n_devices = 1;
    served.devices = &device;
    away(w, "anna", one_device, 1);
    away(w, "bert", one_device, 1);
    one(w, r_missed(w, 1, 4));
    one(w, r_login(w, sess(1, 9), one_device, 1, false, false));
    one(w, r_group_of(w, 1, 5, &user, 1, &served, 1, true));
    one(w, r_group(w, 1, 6, &bert, 1));
    assert_int_equal(marks_of(w, "anna"), 1);
    one(w, r_cursor(w, 1, 1, 1, 5));
    assert_int_equal(marks_of(w, "anna"), 0);
}

/* What a cut connection gives back, their leaving among it, says nothing of where the group has got to since. */
static void who_left_learns_nothing_from_what_came_back(void **state)
{
    struct world *w = *state;
    const struct absent bert = {"bert", {0}, 0};
    uint32_t device = 1;
    Im__OffServed served = IM__OFF_SERVED__INIT;
    struct id16 user = uid("anna");
    served.n_devices = 1;
    served.devices = &device;
    away(w, "anna", one_device, 1);
    away(w, "bert", one_device, 1);
    one(w, r_login(w, sess(1, 8), one_device, 1, false, false));
    one(w, r_group_of(w, 1, 5, &user, 1, &served, 1, true));
    one(w, r_pointed(w, sess(1, 8), 1, 4));
    one(w, r_pointed(w, sess(1, 8), 1, 5));
    for (uint64_t seq = 6; seq < 10; seq++)
        one(w, r_group(w, 1, seq, &bert, 1));
    login(w, 1, 9);
    Im__PullOfflineRsp *p = page(w, sess(1, 9), 0);
    assert_int_equal(p->n_news, 1);
    news_is(p, 0, 1, 5);
    one(w, r_end(w, sess(1, 9)));
    one(w, r_missed(w, 1, 12)); /* a member again */
    one(w, r_group(w, 1, 13, &bert, 1));
    login(w, 1, 15);
    news_is(page(w, sess(1, 15), 0), 0, 1, 13);
}

/* ---- devices ---- */

static void a_new_device_begins_at_the_heads(void **state)
{
    struct world *w = *state;
    away(w, "anna", one_device, 1);
    one(w, r_missed(w, 1, 4));
    one(w, r_login(w, sess(2, 9), two_devices, 2, true, false));
    no_more(w);
    one(w, r_end(w, sess(2, 9)));
    one(w, r_cursor(w, 1, 1, 1, 4)); /* only the first one wanted it */
    assert_int_equal(marks_of(w, "anna"), 0);
    one(w, r_missed(w, 1, 5));
    one(w, r_login(w, sess(2, 12), two_devices, 2, false, false));
    news_is(page(w, sess(2, 12), 0), 0, 1, 5);
}

static void a_dropped_device_holds_no_mark(void **state)
{
    struct world *w = *state;
    static const uint32_t without_1[] = {2, 3};
    for (int by_login = 0; by_login < 2; by_login++) {
        uint32_t gone = by_login ? 1 : 4;
        static const uint32_t with_4[] = {2, 1, 4};
        away(w, "anna", with_4, by_login ? 2 : 3);
        int c = 1 + by_login;
        one(w, r_missed(w, c, 5));
        for (uint32_t d = 1; d <= 2; d++)
            if (d != gone)
                one(w, r_cursor(w, d, c, 1, 5));
        assert_int_equal(marks_of(w, "anna"), 1);
        if (by_login)
            one(w, r_login(w, sess(3, 20), without_1, 2, true, false));
        else
            one(w, r_dropped(w, gone));
        assert_int_equal(marks_of(w, "anna"), 0);
        no_more(w);
    }
    one(w, r_pointed(w, sess(1, 1), 1, 9)); /* late, of a device that is no more */
    assert_int_equal(marks_of(w, "anna"), 0);
    one(w, r_dropped(w, 3));
    struct user *u = user_row(w, "anna");
    assert_int_equal(u->n_live, 0);
    assert_int_equal(u->n_devices, 1);
    user_free(u);
    one(w, r_missed(w, 1, 10));
    no_more(w);
}

/* ---- pages ---- */

static struct record r_missed_in(struct world *w, struct id16 c, uint64_t seq)
{
    Im__OfflineRecord m = IM__OFFLINE_RECORD__INIT;
    Im__OffItem b = IM__OFF_ITEM__INIT;
    Im__QueueItem q = IM__QUEUE_ITEM__INIT;
    q.conversation = codec_bytes(slice_id(&c));
    q.seq = seq;
    b.item = &q;
    m.body_case = IM__OFFLINE_RECORD__BODY_ITEM;
    m.item = &b;
    return record(w, &m);
}

static struct id16 nth(uint32_t i)
{
    char name[16];
    snprintf(name, sizeof name, "conv %u", i);
    return id_user(name); /* a hash */
}

static void very_many_news_take_several_pages(void **state)
{
    struct world *w = *state;
    enum { CONVS = 1300, BATCH = 100 };
    away(w, "anna", one_device, 1);
    for (uint32_t i = 0; i < CONVS; i += BATCH) {
        struct record r[BATCH];
        for (uint32_t k = 0; k < BATCH; k++)
            r[k] = r_missed_in(w, nth(i + k), i + k + 1);
        step(w, r, BATCH);
    }
    for (uint64_t i = 1; i <= 3; i++)
        one(w, r_item(w, 1, i));
    for (int crash = 0; crash < 2; crash++) {
        bool seen[CONVS] = {0};
        size_t pages = 1, items = 0, n = 0;
        if (crash) {
            run_crash(&w->run);
            run_open(&w->run, &offline_core, &settings, w->lease, 0, 0);
        }
        login(w, 1, 50 + (uint64_t)crash);
        Im__PullOfflineRsp *p = page(w, sess(1, 50 + (uint64_t)crash), 0);
        for (;; pages++) {
            for (size_t i = 0; i < p->n_news; i++) {
                uint32_t k = (uint32_t)p->news[i]->upto - 1;
                struct id16 c = nth(k);
                assert_memory_equal(p->news[i]->conversation.data, c.b, ID_SIZE);
                n += !seen[k];
                seen[k] = true;
            }
            assert_true(p->n_news < 600);
            items += p->n_items;
            if (!p->more)
                break;
            assert_int_equal(p->n_items, 0);
            one(w, r_pull(w, sess(1, 50), p->next, 0, 0));
            p = page(w, sess(1, 50), 33);
        }
        assert_int_equal(n, CONVS);
        assert_int_equal(items, 3);
        assert_int_equal(pages, 3);
        one(w, r_end(w, sess(1, 50 + (uint64_t)crash)));
    }
    /* One conversation only. */
    one(w, r_missed(w, 7, 70));
    one(w, r_pull(w, sess(1, 50), 0, 0, 7));
    Im__PullOfflineRsp *p = page(w, sess(1, 50), 33);
    assert_int_equal(p->n_news, 1);
    news_is(p, 0, 7, 70);
    assert_false(p->more);
}

static void past_the_cap_the_rest_is_in_history(void **state)
{
    struct world *w = *state;
    enum { BATCH = 128 };
    away(w, "anna", one_device, 1);
    for (uint32_t i = 0; i < MARKS_MAX + BATCH; i += BATCH) {
        struct record r[BATCH];
        for (uint32_t k = 0; k < BATCH; k++)
            r[k] = r_missed_in(w, nth(i + k), 1);
        step(w, r, BATCH);
    }
    assert_int_equal(marks_of(w, "anna"), MARKS_MAX);
    login(w, 1, 50);
    assert_true(page(w, sess(1, 50), 0)->rest_in_history);
}

static void memory_is_bounded_and_marks_come_back(void **state)
{
    struct world *w = *state;
    struct offline_settings tiny = settings;
    tiny.cache_bytes = 4096;
    run_crash(&w->run);
    run_open(&w->run, &offline_core, &tiny, w->lease, 0, 0);
    away(w, "anna", two_devices, 2);
    away(w, "bert", two_devices, 2);
    const struct absent both[] = {anna, {"bert", {1}, 1}};
    for (int i = 0; i < 100; i++) {
        one(w, r_group(w, i, (uint64_t)i + 1, both, 2));
        if (i % 2)
            one(w, r_cursor(w, 1, i, 1, (uint64_t)i + 1));
    }
    login(w, 1, 9);
    assert_int_equal(page(w, sess(1, 9), 0)->n_news, 50);
    login(w, 2, 9);
    assert_int_equal(page(w, sess(2, 9), 0)->n_news, 100);
}

/* ---- all of it again ---- */

static const char *const people[] = {"anna", "bert", "cleo"};

struct life {
    struct world *w;
    struct rng rng;
    uint64_t at, last[4];              /* of the groups */
    uint64_t born[3][3], online[3][3]; /* login offsets by person and device; 0: not */
};

/* What was served is confirmed, or comes back. */
static void served(struct life *l, int p, uint32_t d, int g)
{
    struct session s = sess_of(people[p], d, l->online[p][d]);
    if (!l->born[p][d])
        return;
    if (l->online[p][d] && rng_below(&l->rng, 3) == 0) {
        one(l->w, r_pointed(l->w, s, g, l->last[g]));
        l->online[p][d] = 0;
    } else {
        one(l->w, r_cursor_of(l->w, uid(people[p]), d, g, 1, l->last[g]));
    }
}

static void event(struct life *l, int g)
{
    struct absent list[3];
    uint32_t got[3];
    size_t n = 0;
    for (int p = 0; p < 3; p++) {
        got[p] = (uint32_t)rng_below(&l->rng, 4); /* a bit per device */
        if (got[p] == 3)
            continue;
        list[n] = (struct absent){people[p], {got[p]}, got[p] != 0};
        n++;
    }
    l->last[g]++;
    if (n)
        one(l->w, r_group(l->w, g, l->last[g], list, n));
    for (int p = 0; p < 3; p++)
        for (uint32_t d = 1; d <= 2; d++)
            if (got[p] & d)
                served(l, p, d, g);
}

static void log_in(struct life *l, int p, uint32_t d)
{
    bool first = !l->born[p][d];
    l->online[p][d] = ++l->at;
    if (first)
        l->born[p][d] = l->at;
    one(l->w, r_login(l->w, sess_of(people[p], d, l->at), two_devices, l->born[p][2] ? 2 : 1, first, false));
}

/* A random life of three people with two devices each and four groups. */
static void life(struct world *w, uint64_t seed)
{
    struct life l = {.w = w, .rng = {seed}};
    for (int p = 0; p < 3; p++)
        log_in(&l, p, 1);
    for (int round = 0; round < 300; round++) {
        int p = (int)rng_below(&l.rng, 3), g = (int)rng_below(&l.rng, 4);
        uint32_t d = 1 + (uint32_t)rng_below(&l.rng, 2);
        switch (rng_below(&l.rng, 5)) {
        case 0:
            if (l.online[p][d])
                one(w, r_end(w, sess_of(people[p], d, l.online[p][d])));
            l.online[p][d] = 0;
            break;
        case 1:
            log_in(&l, p, d);
            break;
        case 2:
            if (l.born[p][d] && l.last[g])
                one(w, r_cursor_of(w, uid(people[p]), d, g, 1, l.last[g]));
            break;
        default:
            event(&l, g);
        }
    }
}

static void rows_are(const struct run *a, const struct run *b)
{
    static const uint8_t tables[] = {OFFLINE_USER, OFFLINE_CONV, OFFLINE_NEWS};
    for (size_t i = 0; i < sizeof tables; i++)
        assert_true(run_same(a, b, tables[i]));
}

/* Batches of `size`; every third one comes twice, as after a crash. */
static void split_is_the_same(struct world *w, size_t size)
{
    struct run other = {0};
    run_open(&other, &offline_core, &settings, w->lease, 0, 0);
    for (size_t i = 0; i < w->n_log; i += size) {
        size_t n = w->n_log - i < size ? w->n_log - i : size;
        if (i / size % 3 == 1) {
            other.no_end_effects = true;
            assert_int_equal(run_batch(&other, w->log + i, n), CORE_OK);
            other.no_end_effects = false;
            run_crash(&other);
            run_open(&other, &offline_core, &settings, w->lease, 0, 0);
        }
        assert_int_equal(run_batch(&other, w->log + i, n), CORE_OK);
    }
    rows_are(&w->run, &other);
    run_release(&other);
}

static void any_split_into_batches_gives_the_same_marks(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct world *w = world_new(&offline_core, &settings);
        life(w, seed);
        for (size_t size = 2; size < 200; size = size * 3 - 1)
            split_is_the_same(w, size);
        world_free(w);
    }
}

static void user_record(struct world *w, struct offline_rebuild *r, const char *login, uint32_t device,
                        int64_t at)
{
    Im__UserRecord u = IM__USER_RECORD__INIT;
    struct id16 user = uid(login);
    u.version = 1;
    u.kind = IM__USER_KIND__USER_DEVICE_ADDED;
    u.user = codec_bytes(slice_id(&user));
    u.device = device;
    u.device_id = "d";
    u.source_offset = at;
    struct record rec = {.topic = T_USER, .value = pack(w, &u.base)};
    assert_int_equal(offline_rebuild_feed(r, &rec), 0);
}

/* im.user has every new device with its login. */
static void rebuild_users(struct world *w, struct offline_rebuild *r)
{
    for (size_t i = 0; i < w->n_log; i++) {
        Im__OfflineRecord *o;
        if (w->log[i].topic != T_OFFLINE)
            continue;
        DECODE(w, offline, w->log[i].value, &o);
        if (o->body_case != IM__OFFLINE_RECORD__BODY_LOGIN || !o->login->new_device)
            continue;
        for (size_t p = 0; p < 3; p++)
            if (id_eq(codec_id(o->user), uid(people[p])))
                user_record(w, r, people[p], o->login->session->device,
                            (int64_t)o->login->session->login_offset);
    }
}

static void rebuild_is_the_same(struct world *w)
{
    struct slice key, row;
    uint8_t table;
    struct run other = {0};
    struct offline_rebuild *r = offline_rebuild_new(0, 1, false);
    rebuild_users(w, r);
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
    rows_are(&w->run, &other);
    run_release(&other);
}

static void a_rebuild_has_the_same_marks(void **state)
{
    size_t marks = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world *w = world_new(&offline_core, &settings);
        life(w, seed);
        marks += rows(w, OFFLINE_NEWS);
        rebuild_is_the_same(w);
        world_free(w);
    }
    assert_true(marks > 10);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(what_a_group_had_meanwhile_comes_with_the_login),
        T(a_marked_user_costs_no_row_per_event),
        T(nobody_is_marked_who_is_not_known_or_was_served),
        T(all_devices_must_have_it),
        T(a_live_device_that_was_not_served_is_told_at_once),
        T(login_and_event_in_one_batch_in_either_order),
        T(a_user_row_of_version_1_learns_who_is_live_from_the_queues),
        T(a_bounce_without_payload_marks),
        T(a_bounce_before_the_first_login_is_not_lost),
        T(a_bounce_below_a_claim_is_told_and_not_forgotten),
        T(who_left_is_told_nothing_of_what_came_after),
        T(who_leaves_connected_has_no_mark_for_ever),
        T(who_left_learns_nothing_from_what_came_back),
        T(a_new_device_begins_at_the_heads),
        T(a_dropped_device_holds_no_mark),
        T(very_many_news_take_several_pages),
        T(past_the_cap_the_rest_is_in_history),
        T(memory_is_bounded_and_marks_come_back),
        T(any_split_into_batches_gives_the_same_marks),
        T(a_rebuild_has_the_same_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
