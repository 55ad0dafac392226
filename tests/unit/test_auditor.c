/* The auditor's core and books: honest histories raise nothing, whatever crashes; each planted violation is told once. */
#include "auditor/books_int.h"
#include "auditor/core.h"
#include "auditor/retention.h"
#include "auditor/sight.h"
#include "tests/unit/fanoutrun.h"

#define K(kind) IM__CONV_KIND__CONV_##kind
#define GRACE   1000
#define TOLD    64

struct told {
    enum finding_kind kind;
    uint64_t seq;
    int64_t offset;
    struct id16 user;
    bool traced;
};

static struct world *w;
static struct run audit;
static struct auditor_settings auditor_settings = {.cache_bytes = 1 << 20};
static struct auditor_shared shared;
static struct sight_env env;
static struct report *report;
static struct books *books;
static struct topics *topics;
static struct told told[TOLD];
static size_t n_told;
static int64_t now;
static struct books_row rows[4096];
static size_t n_rows;

static void tell(void *ctx, const struct finding *f)
{
    (void)ctx;
    assert_true(n_told < TOLD);
    told[n_told++] = (struct told){f->kind, f->seq, f->offset, f->user, f->trace.n == CODEC_TRACE};
}

static int set_up(void **state)
{
    char why[200];
    assert_int_equal(setup(state), 0);
    w = *state;
    topics = topics_new("schema/topics.json", "small", "", why, sizeof why);
    assert_non_null(topics);
    report = report_new(tell, NULL);
    books = books_new(&(struct books_conf){
        .parts = 2, .topic = "im.conversation", .bytes = 1 << 20, .grace_ms = GRACE, .report = report});
    shared = (struct auditor_shared){.books = books};
    env = (struct sight_env){topics, presence, books, arena_new(0)};
    run_open(&audit, &auditor_core, &auditor_settings, &shared, 0, 0);
    books_open(books, 1, 0);
    n_told = n_rows = 0;
    now = 1;
    return 0;
}

static int tear_down(void **state)
{
    run_release(&audit);
    books_free(books);
    report_free(report);
    topics_free(topics);
    arena_free(env.arena);
    return teardown(state);
}

/* ---- an honest world ---- */

static void read_one(struct record r)
{
    struct convrec rec;
    struct record same = r;
    assert_int_equal(convrec_decode(r.value, r.time_ms, &rec), 0);
    same.part = topics_partition(topics, T_CONVERSATION, slice_id(&rec.event.conv));
    assert_int_equal(run_batch(&audit, &same, 1), CORE_OK);
    books_pass(books, !same.part, r.offset); /* the world counts offsets over both */
}

static struct record said(struct op o)
{
    struct record r = record(w, o);
    assert_int_equal(run_batch(&w->run, &r, 1), CORE_OK);
    return r;
}

static void see(size_t i)
{
    const struct sent_record *s = &w->run.fx.sends[i];
    const struct record r = {
        .topic = s->topic, .part = s->part < 0 ? 0 : s->part, .offset = (int64_t)i, .value = s->value};
    if (s->topic == T_OFFLINE || s->topic >= T_DELIVER0)
        assert_int_equal(sight_record(&env, &r), 0);
}

/* All that fanout sent since the last time. */
static void see_all(void)
{
    for (; w->seen < w->run.fx.n_sends; w->seen++)
        see(w->seen);
}

static void round_of(int64_t committed)
{
    const int64_t ends[2] = {w->offset, w->offset}, done[2] = {committed, committed};
    books_round_begin(books);
    books_round_ends(books, ends);
    books_round_told(books, done);
}

/* What an honest persister would have written of what is open now. */
static void write_rows(void)
{
    n_rows = 0;
    for (int32_t p = 0; p < 2; p++)
        for (const struct entry *e = books->part[p].first; e; e = e->next) {
            rows[n_rows] = (struct books_row){.offset = e->offset,
                                              .conv = e->name.conv,
                                              .seq = e->name.seq,
                                              .sender = e->sender,
                                              .msg_id = e->msg_id,
                                              .device = e->device,
                                              .client_seq = e->client_seq,
                                              .kind = e->kind,
                                              .time_ms = e->time_ms};
            memcpy(rows[n_rows++].body, e->body, BOOKS_HASH);
        }
}

static void look_at_rows(int64_t mark)
{
    for (int32_t p = 0; p < 2; p++) {
        int64_t from, to;
        struct books_row mine[4096];
        size_t n = 0;
        if (!books_ask(books, p, now, &from, &to))
            continue;
        for (size_t i = 0; i < n_rows; i++)
            if (rows[i].offset >= from && rows[i].offset < to &&
                topics_partition(topics, T_CONVERSATION, slice_id(&rows[i].conv)) == p)
                mine[n++] = rows[i];
        books_rows(books, p, from, to, mark, mine, n, now);
    }
}

static void look_twice(void)
{
    look_at_rows(w->offset);
    look_at_rows(w->offset);
    now += GRACE;
    look_at_rows(w->offset);
    look_at_rows(w->offset);
}

/* PostgreSQL's answers to what waits, twice: `there` and `visible` of everything. */
static size_t ask_late(bool there, bool visible)
{
    size_t asked = 0;
    for (int look = 0; look < 2; look++, now += GRACE)
        for (int32_t p = 0; p < 2; p++) {
            struct books_question q[BOOKS_LATE];
            struct books_answer a[BOOKS_LATE];
            size_t n = books_late(books, p, w->offset, now, q);
            for (size_t i = 0; i < n; i++)
                a[i] = (struct books_answer){there, visible};
            if (n)
                books_late_answer(books, p, a, now);
            asked += n;
        }
    return asked;
}

static void all_is_judged(void)
{
    struct books_stats s;
    books_stats(books, &s);
    assert_int_equal(s.entries, 0);
    assert_int_equal(s.bytes, 0);
    assert_int_equal(s.waiting, 0);
    assert_int_equal(s.history_behind, 0);
}

static void told_once(enum finding_kind kind, uint64_t seq)
{
    if (n_told != 1 || told[0].kind != kind)
        for (size_t i = 0; i < n_told; i++)
            print_message("told %s seq %d\n", finding_name(told[i].kind), (int)told[i].seq);
    assert_int_equal(n_told, 1);
    assert_int_equal(told[0].kind, kind);
    assert_int_equal(told[0].seq, seq);
}

static struct op hello(uint64_t client_seq)
{
    return (struct op){.from = "anna", .to = "bert", .client_seq = client_seq};
}

/* Direct and group messages, refusals, repeats, people who come and go, here and away. */
static void a_busy_day(void (*each)(struct record))
{
    struct session a = live(w, "anna", 1, 0, 7, 2);
    live(w, "bert", 1, 1, 9, 1);
    struct id16 g = group_of("anna", 50);
    for (uint64_t i = 1; i <= 5; i++)
        each(said(hello(i)));
    each(said(hello(3))); /* a repeat */
    each(said((struct op){.from = "bert", .to = "carl", .client_seq = 1, .origin = &a}));
    each(said((struct op){.from = "anna",
                          .client_seq = 50,
                          .kind = K(GROUP_CREATE),
                          .conv = g,
                          .users = {"bert", "carl"},
                          .text = "us"}));
    each(said((struct op){.from = "bert", .client_seq = 51, .conv = g}));
    each(said((struct op){.from = "eve", .client_seq = 52, .conv = g})); /* refused */
    each(said((struct op){.from = "eve", .client_seq = 52, .conv = g}));
    each(said((struct op){
        .from = "anna", .client_seq = 53, .kind = K(GROUP_INVITE), .conv = g, .users = {"dora"}}));
    each(said((struct op){.from = "dora", .client_seq = 1, .conv = g}));
    each(said((struct op){
        .from = "anna", .client_seq = 54, .kind = K(GROUP_REMOVE), .conv = g, .users = {"carl"}}));
    each(said((struct op){.from = "dora", .client_seq = 2, .kind = K(GROUP_LEAVE), .conv = g}));
    each(said((struct op){.from = "bert", .client_seq = 55, .conv = g}));
    each(said((struct op){.from = "bert", .kind = K(RECEIPT), .conv = g, .read = 2}));
    gone(&a);
    each(said((struct op){.from = "bert", .client_seq = 56, .conv = g}));
    each(said((struct op){.from = "anna", .client_seq = 57, .kind = K(GROUP_DISSOLVE), .conv = g}));
}

static void finish_honestly(void)
{
    see_all();
    round_of(w->offset);
    write_rows();
    look_twice();
    round_of(w->offset);
    ask_late(true, true);
    assert_int_equal(n_told, 0);
    all_is_judged();
}

static void an_honest_day_raises_nothing(void **state)
{
    (void)state;
    a_busy_day(read_one);
    assert_int_equal(n_told, 0);
    finish_honestly();
}

static void keep(struct record r)
{
    remember(w, &r, 1);
}

static void nor_when_deliveries_are_seen_first(void **state)
{
    (void)state;
    a_busy_day(keep);
    see_all();
    round_of(w->offset);
    for (size_t i = 0; i < w->n_log; i++)
        read_one(w->log[i]);
    finish_honestly();
}

static void nor_when_everything_is_sent_twice_and_the_auditor_crashes(void **state)
{
    (void)state;
    a_busy_day(keep);
    for (size_t i = 0; i < w->n_log; i++) {
        read_one(w->log[i]);
        if (i % 4 == 2) { /* its mark stays behind, at 0 */
            run_release(&audit);
            run_open(&audit, &auditor_core, &auditor_settings, &shared, 0, 0);
            for (size_t k = 0; k < i; k++)
                read_one(w->log[k]);
            read_one(w->log[i]);
        }
    }
    see_all();
    w->seen = 0; /* fanout was killed before its mark and sends all again */
    finish_honestly();
}

static void nothing_is_concluded_while_fanout_or_postgresql_are_behind(void **state)
{
    (void)state;
    a_busy_day(read_one);
    round_of(0);
    look_at_rows(-1);
    look_at_rows(0);
    now += 100 * GRACE;
    look_at_rows(0);
    assert_int_equal(n_told, 0);
    finish_honestly();
}

static void nor_when_postgresql_is_made_anew(void **state)
{
    (void)state;
    a_busy_day(read_one);
    write_rows();
    size_t n = n_rows;
    n_rows = 0; /* gone, and the mark is still the old one: one look */
    look_at_rows(w->offset);
    n_rows = n;
    now += GRACE;
    look_at_rows(w->offset);
    assert_int_equal(n_told, 0);
}

/* ---- planted ---- */

static void a_message_nobody_was_sent_is_told_once(void **state)
{
    (void)state;
    live(w, "bert", 1, 1, 9, 1);
    read_one(said(hello(1)));
    see_all();
    read_one(said(hello(2)));
    w->seen = w->run.fx.n_sends;
    round_of(w->offset);
    round_of(w->offset);
    told_once(FOUND_UNDELIVERED, 2);
    assert_true(id_eq(told[0].user, uid("bert")));
}

/* Anna's group with bert, who is connected, and carl. */
static struct id16 us(void)
{
    struct id16 g = group_of("anna", 1);
    read_one(said((struct op){.from = "anna",
                              .client_seq = 1,
                              .kind = K(GROUP_CREATE),
                              .conv = g,
                              .users = {"bert", "carl"},
                              .text = "us"}));
    see_all();
    live(w, "bert", 1, 1, 9, 1);
    return g;
}

static void so_is_one_that_a_member_who_is_away_does_not_get(void **state)
{
    (void)state;
    struct id16 g = us();
    read_one(said((struct op){.from = "anna", .client_seq = 2, .conv = g}));
    for (size_t i = w->seen; i < w->run.fx.n_sends; i++)
        if (w->run.fx.sends[i].topic >= T_DELIVER0)
            see(i); /* carl's in im.offline is lost */
    round_of(w->offset);
    told_once(FOUND_UNDELIVERED, 2);
}

/* A restored fanout may not know any more who was a member then. */
static void but_not_of_who_left_meanwhile(void **state)
{
    (void)state;
    struct id16 g = us();
    live(w, "carl", 1, 2, 9, 1);
    struct record said_then = said((struct op){.from = "anna", .client_seq = 2, .conv = g});
    for (size_t i = w->seen; i < w->run.fx.n_sends; i++)
        if (w->run.fx.sends[i].topic != T_DELIVER0 + 2)
            see(i); /* carl's is lost */
    w->seen = w->run.fx.n_sends;
    read_one(said_then);
    struct record leave =
        said((struct op){.from = "carl", .client_seq = 3, .kind = K(GROUP_LEAVE), .conv = g});
    see_all();
    round_of(w->offset); /* the log goes further than it was read */
    assert_int_equal(n_told, 0);
    read_one(leave);
    round_of(w->offset);
    round_of(w->offset);
    assert_int_equal(n_told, 0);
}

static struct books_sight fabricated(const char *to, uint64_t seq, struct id16 *user)
{
    *user = uid(to);
    return (struct books_sight){.topic = "im.deliver.0",
                                .offset = 77,
                                .trace = {"0123456789abcdef01234567", CODEC_TRACE},
                                .conv = id_direct(uid("anna"), uid("bert")),
                                .seq = seq,
                                .users = user,
                                .n_users = 1};
}

static int32_t home(const struct books_sight *s)
{
    return topics_partition(topics, T_CONVERSATION, slice_id(&s->conv));
}

static void a_delivery_to_somebody_else_is_told_once(void **state)
{
    struct id16 eve;
    (void)state;
    struct books_sight s = fabricated("eve", 1, &eve);
    read_one(said(hello(1)));
    books_sight(books, home(&s), &s);
    books_sight(books, home(&s), &s); /* sent again */
    assert_int_equal(n_told, 0);
    assert_true(ask_late(true, false));
    told_once(FOUND_LEAK, 1);
    assert_int_equal(told[0].offset, 77);
    assert_true(told[0].traced && id_eq(told[0].user, eve));
    assert_int_equal(ask_late(true, false), 0);
}

static void so_is_one_of_long_ago(void **state)
{
    struct id16 eve;
    (void)state;
    read_one(said(hello(1)));
    finish_honestly();
    struct books_sight s = fabricated("eve", 1, &eve);
    books_sight(books, home(&s), &s);
    assert_int_equal(ask_late(true, false), 0); /* it may be of a message not read yet */
    round_of(w->offset);
    assert_true(ask_late(true, false));
    told_once(FOUND_LEAK, 1);
}

static void a_message_from_nowhere_is_told_once(void **state)
{
    struct id16 bert;
    (void)state;
    read_one(said(hello(1)));
    see_all();
    struct books_sight s = fabricated("bert", 9, &bert);
    books_sight(books, home(&s), &s);
    round_of(w->offset);
    assert_true(ask_late(false, true));
    told_once(FOUND_PHANTOM, 9);
}

static void a_delivery_that_says_something_else_is_told_once(void **state)
{
    struct id16 bert;
    (void)state;
    read_one(said(hello(1)));
    struct books_sight s = fabricated("bert", 1, &bert);
    s.has_ids = true;
    s.msg_id = id_message(uid("anna"), 1, 1);
    s.sender = uid("anna");
    books_hash((struct slice){"hello", 5}, (struct slice){0}, (struct slice){0}, s.body);
    s.has_body = true;
    books_sight(books, home(&s), &s);
    assert_int_equal(n_told, 0);
    books_hash((struct slice){"hullo", 5}, (struct slice){0}, (struct slice){0}, s.body);
    books_sight(books, home(&s), &s);
    books_sight(books, home(&s), &s);
    told_once(FOUND_DELIVERED_DIFFERS, 1);
    s.sender = uid("carl");
    s.seq = 1;
    books_sight(books, home(&s), &s);
    assert_int_equal(n_told, 1); /* the same message */
}

static void a_missing_row_is_told_once(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 3; i++)
        read_one(said(hello(i)));
    write_rows();
    rows[1] = rows[2];
    n_rows = 2;
    look_twice();
    look_twice();
    told_once(FOUND_HISTORY_MISSING, 2);
    assert_int_equal(told[0].offset, 1);
}

static void a_changed_row_is_told_once(void **state)
{
    (void)state;
    for (int what = 0; what < 5; what++) {
        read_one(said(hello((uint64_t)what + 1)));
        write_rows();
        struct books_row *r = &rows[n_rows - 1];
        if (what == 0)
            r->body[0] ^= 1;
        else if (what == 1)
            r->sender = uid("eve");
        else if (what == 2)
            r->msg_id.b[3] ^= 1;
        else if (what == 3)
            r->seq += 1;
        else
            r->time_ms += 1;
        look_twice();
        told_once(FOUND_HISTORY_DIFFERS, (uint64_t)what + 1);
        n_told = 0;
    }
}

static void a_row_too_many_is_told_once(void **state)
{
    (void)state;
    read_one(said(hello(1)));
    read_one(said(hello(1))); /* a repeat: no row */
    write_rows();
    rows[1] = rows[0];
    rows[1].offset = 1;
    rows[1].seq = 2;
    n_rows = 2;
    look_twice();
    told_once(FOUND_HISTORY_EXTRA, 2);
}

/* The reducer cannot skip or repeat a number; a defect of it could. */
static void a_broken_reducer_is_told(void **state)
{
    struct convrec rec;
    (void)state;
    struct record r = said(hello(1));
    read_one(r);
    struct id16 id = id_direct(uid("anna"), uid("bert"));
    r.part = topics_partition(topics, T_CONVERSATION, slice_id(&id));
    assert_int_equal(convrec_decode(r.value, r.time_ms, &rec), 0);
    struct conv *conv = conv_new(id);
    struct conv_cell cells[CONV_NEEDS_MAX];
    for (size_t n; (n = conv_needs(conv, &rec.event, cells));)
        for (size_t i = 0; i < n; i++)
            assert_int_equal(conv_load(conv, &cells[i]), 0);
    struct conv_outcome out = conv_apply(conv, &rec.event);
    struct books_folded f = {&r, &rec, &out, conv, 1, false};
    out.seq = 2; /* the same send again, with another number */
    r.offset = 1;
    books_fold(books, &f);
    told_once(FOUND_DUPLICATE, 2);
    n_told = 0;
    rec.event.client_seq = 8;
    out.seq = 4;
    f.head = 2;
    r.offset = 2;
    books_fold(books, &f);
    told_once(FOUND_GAP, 4);
    n_told = 0;
    rec.event.client_seq = 9;
    out = (struct conv_outcome){.verdict = CONV_REFUSED, .reason = IM__CODE__NOT_ALLOWED};
    f.for_ever = true;
    r.offset = 3;
    books_fold(books, &f);
    out = (struct conv_outcome){.verdict = CONV_DUPLICATE, .reason = IM__CODE__NOT_ALLOWED};
    r.offset = 4;
    books_fold(books, &f);
    assert_int_equal(n_told, 0);
    out = (struct conv_outcome){.verdict = CONV_ACCEPTED, .seq = 5};
    f.head = 4;
    r.offset = 5;
    books_fold(books, &f);
    told_once(FOUND_VERDICT_CHANGED, 5);
    conv_free(conv);
}

/* ---- bounds ---- */

static void the_window_is_bounded(void **state)
{
    struct books_stats s;
    (void)state;
    for (uint64_t i = 1; i <= 4000; i++) {
        read_one(said(hello(i)));
        w->seen = w->run.fx.n_sends;
    }
    books_stats(books, &s);
    assert_true(s.bytes <= 2 << 20);
    assert_true(s.entries < 4000 && s.entries > 100);
    round_of(0);
    write_rows();
    look_twice();
    for (int i = 0; i < 20; i++)
        look_at_rows(w->offset);
    assert_int_equal(n_told, 0);
}

static void what_is_not_covered_is_not_judged(void **state)
{
    (void)state;
    int64_t from = w->time_ms + 2;
    read_one(said(hello(1)));
    books_cover(books, 0, from);
    books_cover(books, 1, from);
    read_one(said(hello(2)));
    round_of(w->offset);
    assert_int_equal(n_told, 0);
    read_one(said(hello(3)));
    books_blind(books, w->time_ms);
    round_of(w->offset);
    assert_int_equal(n_told, 0);
    read_one(said(hello(4)));
    round_of(w->offset);
    told_once(FOUND_UNDELIVERED, 4);
}

static void large_groups_are_looked_at_in_turn(void **state)
{
    struct viewers *c = malloc(sizeof *c + 1000 * sizeof *c->users);
    struct entry e = {.viewers = c};
    bool looked[1000] = {false};
    (void)state;
    c->n = 1000;
    for (e.name.seq = 1; e.name.seq <= 16; e.name.seq++) {
        int n = 0;
        for (int i = 0; i < 1000; i++) {
            n += must_bit(&e, i) >= 0;
            looked[i] |= must_bit(&e, i) >= 0;
        }
        assert_int_equal(n, BOOKS_MUST);
    }
    for (int i = 0; i < 1000; i++)
        assert_true(looked[i]);
    c->n = 3;
    for (int i = 0; i < 3; i++)
        assert_int_equal(must_bit(&e, i), i);
    free(c);
}

static void retention_is_judged(void **state)
{
    (void)state;
    assert_int_equal(retention_judge(&(struct retention_place){10, 0, 20, 5}), RETENTION_FINE);
    assert_int_equal(retention_judge(&(struct retention_place){10, 0, 20, 11}), RETENTION_CLOSE);
    assert_int_equal(retention_judge(&(struct retention_place){20, 20, 20, 20}), RETENTION_FINE);
    assert_int_equal(retention_judge(&(struct retention_place){10, 11, 20, 15}), RETENTION_OVERTOOK);
    assert_int_equal(retention_judge(&(struct retention_place){-1, 11, 20, 15}), RETENTION_FINE);
    assert_int_equal(retention_judge(&(struct retention_place){10, 0, 20, -1}), RETENTION_FINE);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_honest_day_raises_nothing),
        T(nor_when_deliveries_are_seen_first),
        T(nor_when_everything_is_sent_twice_and_the_auditor_crashes),
        T(nothing_is_concluded_while_fanout_or_postgresql_are_behind),
        T(nor_when_postgresql_is_made_anew),
        T(a_message_nobody_was_sent_is_told_once),
        T(so_is_one_that_a_member_who_is_away_does_not_get),
        T(but_not_of_who_left_meanwhile),
        T(a_delivery_to_somebody_else_is_told_once),
        T(so_is_one_of_long_ago),
        T(a_message_from_nowhere_is_told_once),
        T(a_delivery_that_says_something_else_is_told_once),
        T(a_missing_row_is_told_once),
        T(a_changed_row_is_told_once),
        T(a_row_too_many_is_told_once),
        T(a_broken_reducer_is_told),
        T(the_window_is_bounded),
        T(what_is_not_covered_is_not_judged),
        T(large_groups_are_looked_at_in_turn),
        T(retention_is_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
