/* test_query_rows.c: rows to answers without a server: results are made by hand, as PostgreSQL would send them. */
#include "common/im/frame.h"
#include "query/history.h"

#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct id16 ann = {{1}}, bob = {{2}};

static PGresult *table(int columns)
{
    PGresult *r = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc attrs[40] = {{0}};
    for (int i = 0; i < columns; i++)
        attrs[i].name = (char *)(uintptr_t) "x";
    assert_true(PQsetResultAttrs(r, columns, attrs));
    return r;
}
static void put(PGresult *r, int row, int col, const void *p, int n)
{
    assert_true(PQsetvalue(r, row, col, (char *)(uintptr_t)p, n));
}
static void number(PGresult *r, int row, int col, uint64_t v)
{
    v = htobe64(v);
    put(r, row, col, &v, 8);
}
static void event(PGresult *r, int row, uint64_t seq, const struct id16 *sender, const char *text, size_t n)
{
    for (int i = 0; i < NOW_COLUMNS; i++)
        put(r, row, i, NULL, -1);
    number(r, row, EV_SEQ, seq);
    put(r, row, EV_SENDER, sender->b, ID_SIZE);
    put(r, row, EV_LOGIN, "ann", 3);
    put(r, row, EV_TEXT, text, (int)n);
    number(r, row, EV_KIND, 1);
}

static const struct row_conv conv = {{{9}}, {{1}}, {{2}}, "ann", "bob", false};

static void an_event_has_its_fields(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    PGresult *r = table(NOW_COLUMNS);
    static const uint8_t logins[] = {0, 0, 0, 1, 0, 0, 0, 0, 0,   0, 0, 25, 0, 0,   0,  2,
                                     0, 0, 0, 1, 0, 0, 0, 1, 'a', 0, 0, 0,  2, 'b', 'c'};
    uint8_t users[2 * ID_SIZE] = {1};
    event(r, 0, 7, &bob, "hello", 5);
    put(r, 0, EV_USERS, users, sizeof users);
    put(r, 0, EV_LOGINS, logins, sizeof logins);
    put(r, 0, NOW_EDITED, "\1", 1);
    const Im__HistoryItem *i = history_item(row_of(r, 0), 0, &conv, arena);
    assert_int_equal(i->event->seq, 7);
    assert_string_equal(i->event->text, "hello");
    assert_string_equal(i->event->content_type, "");
    assert_int_equal(i->event->n_users, 2);
    assert_int_equal(i->event->n_logins, 2);
    assert_string_equal(i->event->logins[1], "bc");
    assert_memory_equal(i->event->peer.data, ann.b, ID_SIZE); /* the one who is not the sender */
    assert_string_equal(i->event->peer_login, "ann");
    assert_true(i->edited);
    assert_false(i->recalled);
    PQclear(r);
    arena_free(arena);
}

static void a_torn_list_of_texts_is_cut(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    PGresult *r = table(1);
    static const uint8_t torn[] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 25, 0,
                                   0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 9, 'a'};
    size_t n;
    put(r, 0, 0, torn, sizeof torn);
    row_texts(row_of(r, 0), 0, arena, &n);
    assert_int_equal(n, 0);
    PQclear(r);
    arena_free(arena);
}

static void reactions_and_readers_find_their_message(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    PGresult *r = table(NOW_COLUMNS), *reactions = table(4);
    Im__HistoryItem *items[3];
    for (int i = 0; i < 3; i++) {
        event(r, i, (uint64_t)(10 + 2 * i), i == 2 ? &bob : &ann, "x", 1);
        items[i] = history_item(row_of(r, i), 0, &conv, arena);
    }
    for (int i = 0; i < 130; i++) {
        number(reactions, i, 0, i == 0 ? 11 : 12); /* 11 is not on the page */
        put(reactions, i, 1, bob.b, ID_SIZE);
        put(reactions, i, 2, "bob", 3);
        put(reactions, i, 3, "+1", 2);
    }
    history_reactions(items, 3, reactions, arena);
    assert_int_equal(items[0]->n_reactions, 0);
    assert_int_equal(items[1]->n_reactions, 100);
    uint8_t readers[READER_BYTES] = {2, [READER_BYTES - 1] = 14}; /* bob, 14 */
    history_read_by(items, 3, (ProtobufCBinaryData){sizeof readers, readers});
    assert_int_equal(items[0]->read_by, 1);
    assert_int_equal(items[2]->read_by, 0); /* his own */
    PQclear(r);
    PQclear(reactions);
    arena_free(arena);
}

static void mark(PGresult *r, int row, uint64_t seq, uint64_t target, int64_t kind, const struct id16 *by,
                 const char *text)
{
    event(r, row, seq, by, text, strlen(text));
    number(r, row, EV_KIND, (uint64_t)kind);
    number(r, row, EV_TARGET, target);
}

static const uint8_t from_ten[] = {0, 0, 0, 1, 0, 0, 0, 13, 0x12, 0, 0,
                                   0, 8, 0, 0, 0, 0, 0, 0,  0,    10}; /* [10,) */

static void what_was_done_is_folded(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    PGresult *r = table(NOW_COLUMNS), *done = table(NOW_COLUMNS);
    struct seen seen = seen_of((ProtobufCBinaryData){sizeof from_ten, (uint8_t *)(uintptr_t)from_ten}, arena);
    Im__HistoryItem **items;
    size_t n;
    event(r, 0, 12, &ann, "three", 5);
    event(r, 1, 11, &bob, "two", 3);
    event(r, 2, 10, &ann, "one", 3);
    event(r, 3, 9, &ann, "before her time", 15);
    mark(done, 0, 22, 10, 2, &ann, "newest");
    mark(done, 1, 21, 10, 2, &ann, "newer");
    mark(done, 2, 23, 11, 2, &bob, "gone");
    mark(done, 3, 24, 11, 3, &bob, "");
    mark(done, 4, 25, 11, 4, &ann, "+1"); /* to what was recalled */
    mark(done, 5, 30, 10, 4, &ann, "+1");
    mark(done, 6, 31, 10, 4, &bob, "no");
    mark(done, 7, 32, 10, 4, &ann, "ha"); /* the other one's, then hers that replaced an older one */
    mark(done, 8, 33, 12, 4, &ann, "x");
    mark(done, 9, 34, 12, 4, &ann, ""); /* taken back */
    mark(done, 10, 40, 12, 6, &ann, "");
    mark(done, 11, 41, 12, 5, &ann, "");
    mark(done, 12, 43, 10, 6, &ann, "");
    mark(done, 13, 42, 10, 5, &ann, "");
    mark(done, 14, 50, 13, 2, &ann, "of no message here");
    mark(done, 15, 8, 12, 2, &ann, "unseen"); /* cannot be; left out all the same */
    assert_true(history_fold(r, done, &seen, &conv, arena, &items, &n));
    assert_int_equal(n, 3);
    assert_int_equal(items[0]->event->seq, 10);
    assert_string_equal(items[0]->event->text, "newest");
    assert_true(items[0]->edited && !items[0]->recalled && !items[0]->pinned);
    assert_int_equal(items[0]->n_reactions, 2);
    assert_string_equal(items[0]->reactions[0]->text, "no");
    assert_string_equal(items[0]->reactions[1]->text, "ha");
    assert_memory_equal(items[0]->reactions[1]->user.data, ann.b, ID_SIZE);
    assert_string_equal(items[1]->event->text, "");
    assert_true(items[1]->recalled && !items[1]->edited);
    assert_int_equal(items[1]->n_reactions, 0);
    assert_string_equal(items[2]->event->text, "three");
    assert_true(items[2]->pinned && !items[2]->edited);
    assert_int_equal(items[2]->n_reactions, 0);
    PQclear(r);
    PQclear(done);
    arena_free(arena);
}

static void too_much_is_not_folded(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    PGresult *r = table(NOW_COLUMNS), *done = table(NOW_COLUMNS), *large = table(NOW_COLUMNS),
             *nothing = table(NOW_COLUMNS);
    struct seen_range all = {1, UINT64_MAX};
    const struct seen seen = {1, &all};
    Im__HistoryItem **items;
    size_t n;
    event(r, 0, 1, &ann, "x", 1);
    for (int i = 0; i < FOLD_MOST; i++)
        mark(done, i, (uint64_t)i + 2, 1, 4, &ann, "+1");
    assert_true(history_fold(r, done, &seen, &conv, arena, &items, &n));
    assert_int_equal(items[0]->n_reactions, 1);
    mark(done, FOLD_MOST, FOLD_MOST + 2, 1, 4, &ann, "+1");
    assert_false(history_fold(r, done, &seen, &conv, arena, &items, &n));
    event(large, 0, 1, &ann, "", 0);
    put(large, 0, FOLD_TOO_LARGE, "\1", 1);
    assert_false(history_fold(large, nothing, &seen, &conv, arena, &items, &n));
    assert_true(history_fold(nothing, nothing, &seen, &conv, arena, &items, &n));
    assert_int_equal(n, 0);
    PQclear(r);
    PQclear(done);
    PQclear(large);
    PQclear(nothing);
    arena_free(arena);
}

static void a_readers_ranges_are_read(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    static const uint8_t two[] = {0, 0, 0,  2,    0, 0, 0, 25, 0x02, 0, 0, 0, 8, 0, 0, 0, 0,
                                  0, 0, 0,  3,    0, 0, 0, 8,  0,    0, 0, 0, 0, 0, 0, 5, 0,
                                  0, 0, 13, 0x12, 0, 0, 0, 8,  0,    0, 0, 0, 0, 0, 0, 9}; /* {[3,5),[9,)} */
    struct seen s = seen_of((ProtobufCBinaryData){sizeof two, (uint8_t *)(uintptr_t)two}, arena);
    const uint64_t yes[] = {3, 4, 9, 1000}, no[] = {2, 5, 8};
    assert_int_equal(s.n, 2);
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        assert_true(seen_has(&s, yes[i]));
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        assert_false(seen_has(&s, no[i]));
    for (size_t cut = 0; cut < sizeof two; cut++)
        assert_int_equal(seen_of((ProtobufCBinaryData){cut, (uint8_t *)(uintptr_t)two}, arena).n, 0);
    arena_free(arena);
}

static size_t asked(struct question *q, Im__HistoryReq *r, uint32_t round, bool probe)
{
    struct ask a;
    q->round = round;
    q->probe = probe;
    q->req = &r->base;
    ask_start(&a, q->arena);
    assert_int_equal(verb_history.ask(q, &a), IM__CODE__OK);
    return a.n;
}

static void only_what_is_wanted_is_asked(void **state)
{
    (void)state;
    static const struct question_env env = {.receipt_cap = 200};
    struct arena *arena = arena_new(0);
    struct question q = {.env = &env, .verb = &verb_history, .arena = arena};
    Im__HistoryReq r = IM__HISTORY_REQ__INIT;
    assert_int_equal(asked(&q, &r, 0, false), 3); /* where, messages, what was done */
    assert_int_equal(asked(&q, &r, 1, true), 3);  /* too much was done: message by message */
    r.direction = IM__DIRECTION__AROUND;
    assert_int_equal(asked(&q, &r, 0, false), 5);
    assert_int_equal(asked(&q, &r, 1, true), 5);
    r.time_ms = 1;
    assert_int_equal(asked(&q, &r, 0, false), 1); /* the number at that time */
    assert_int_equal(asked(&q, &r, 1, false), 5);
    assert_int_equal(asked(&q, &r, 2, true), 5);
    r.events = true;
    assert_int_equal(asked(&q, &r, 1, false), 3);
    arena_free(arena);
}

#define WHERE_COLUMNS 11

/* A group's reader who sees from number 10 on, a page and its head. */
struct asking {
    struct arena *arena;
    struct question q;
    Im__HistoryReq r;
    PGresult *where, *page, *done, *names;
    ProtobufCMessage *rsp;
};

static const char *known_login(void *ctx, struct id16 user)
{
    return *(bool *)ctx && id_eq(user, bob) ? "bob" : NULL;
}

static void learn_login(void *ctx, struct id16 user, const char *login)
{
    assert_true(id_eq(user, bob));
    assert_string_equal(login, "bob");
    *(bool *)ctx = true;
}

static struct asking *ask_page(const struct question_env *env, uint32_t limit)
{
    struct asking *a = calloc(1, sizeof *a);
    a->arena = arena_new(0);
    a->q = (struct question){.env = env, .verb = &verb_history, .arena = a->arena, .from = {.user = ann}};
    im__history_req__init(&a->r);
    a->r.limit = limit;
    a->q.req = &a->r.base;
    a->where = table(WHERE_COLUMNS);
    a->page = table(NOW_COLUMNS);
    a->done = table(NOW_COLUMNS);
    a->names = table(2);
    for (int i = 0; i < WHERE_COLUMNS; i++)
        put(a->where, 0, i, NULL, -1);
    number(a->where, 0, 2, 10);
    number(a->where, 0, 4, 100);
    number(a->where, 0, 5, 2);
    put(a->where, 0, 10, from_ten, sizeof from_ten);
    return a;
}

static const Im__HistoryRsp *taken(struct asking *a)
{
    const PGresult *res[] = {a->where, a->page, a->done, a->names};
    a->rsp = NULL;
    assert_int_equal(verb_history.take(&a->q, res, &a->rsp), IM__CODE__OK);
    return (const Im__HistoryRsp *)a->rsp;
}

static void asked_and_over(struct asking *a)
{
    PQclear(a->where);
    PQclear(a->page);
    PQclear(a->done);
    PQclear(a->names);
    arena_free(a->arena);
    free(a);
}

static void a_page_knows_when_it_is_whole(void **state)
{
    (void)state;
    bool known = true;
    const struct question_env env = {
        .receipt_cap = 200, .ctx = &known, .login = known_login, .learn = learn_login};
    struct asking *a = ask_page(&env, 3);
    for (int i = 0; i < 4; i++) /* 12 … 9: the last is before the reader's time, and so is all below */
        event(a->page, i, (uint64_t)(12 - i), &bob, "x", 1);
    a->r.seq = 13;
    const Im__HistoryRsp *rsp = taken(a);
    assert_non_null(rsp);
    assert_int_equal(rsp->n_items, 3);
    assert_false(rsp->more_before);
    assert_string_equal(rsp->items[0]->event->sender_login, "bob");
    asked_and_over(a);

    a = ask_page(&env, 3); /* far below the newest: what was done to it was not looked for */
    for (int i = 0; i < 3; i++)
        event(a->page, i, (uint64_t)(20 - i), &bob, "x", 1);
    assert_null(taken(a));
    assert_true(a->q.probe);
    asked_and_over(a);

    a = ask_page(&env, 3); /* too large */
    event(a->page, 0, 99, &bob, "", 0);
    put(a->page, 0, FOLD_TOO_LARGE, "\1", 1);
    assert_null(taken(a));
    assert_true(a->q.probe);
    asked_and_over(a);
}

static void who_is_not_known_is_asked_for_once(void **state)
{
    (void)state;
    bool known = false;
    const struct question_env env = {
        .receipt_cap = 200, .ctx = &known, .login = known_login, .learn = learn_login};
    struct asking *a = ask_page(&env, 3);
    struct ask statements;
    event(a->page, 0, 100, &bob, "x", 1);
    event(a->page, 1, 99, &bob, "y", 1);
    for (int i = 0; i < 2; i++)
        put(a->page, i, EV_LOGIN, NULL, -1);
    assert_null(taken(a));
    assert_false(a->q.probe);
    assert_int_equal(a->q.n_names, 1);
    ask_start(&statements, a->arena);
    assert_int_equal(verb_history.ask(&a->q, &statements), IM__CODE__OK);
    assert_int_equal(statements.n, 4);
    const Im__HistoryRsp *rsp = taken(a); /* nobody knows him yet: an answer all the same */
    assert_non_null(rsp);
    assert_string_equal(rsp->items[0]->event->sender_login, "");
    put(a->names, 0, 0, bob.b, ID_SIZE);
    put(a->names, 0, 1, "bob", 3);
    rsp = taken(a);
    assert_non_null(rsp);
    assert_string_equal(rsp->items[0]->event->sender_login, "bob");
    asked_and_over(a);
}

static void a_page_fits_its_frame(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    PGresult *r = table(NOW_COLUMNS);
    Im__HistoryItem *items[4];
    char *text = calloc(1, 1000);
    memset(text, 'x', 999);
    for (int i = 0; i < 4; i++) {
        event(r, i, (uint64_t)i + 1, &ann, text, 999);
        items[i] = history_item(row_of(r, i), 0, &conv, arena);
    }
    assert_int_equal(history_fit(items, 4, 1, 100000), 4);
    assert_int_equal(history_fit(items, 4, 1, 2500), 2);
    assert_int_equal(history_fit(items, 4, -1, 10), 1); /* always something */
    free(text);
    PQclear(r);
    arena_free(arena);
}

static void the_mark_of_a_page_comes_back(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    const int64_t in[2] = {-1, 1LL << 40};
    int64_t out[2];
    struct slice tail;
    ProtobufCBinaryData key = page_key(arena, in, 2, slice_of("ann", 3));
    assert_true(page_key_parse(key, out, 2, &tail));
    assert_int_equal(out[0], -1);
    assert_true(out[1] == 1LL << 40);
    assert_int_equal(tail.n, 3);
    key.len = 15;
    assert_false(page_key_parse(key, out, 2, &tail));
    arena_free(arena);
}

static void every_question_has_a_verb_and_an_answer_with_a_code(void **state)
{
    (void)state;
    size_t n, questions = 0;
    const struct frame_type *all = frame_types(&n);
    const struct question_env env = {0};
    for (size_t i = 0; i < n; i++) {
        if (!(all[i].flags & FRAME_QUERY))
            continue;
        struct arena *arena = arena_new(0);
        struct session from = {.user = ann};
        struct question q;
        questions++;
        assert_non_null(verb_of(all[i].type));
        assert_int_equal(question_init(&q, &env, arena, &from, all[i].type, 1, (struct slice){"", 0}), 0);
        assert_int_equal(question_answer_type(&q), all[i].answer);
        assert_non_null(question_refusal(&q, IM__CODE__NOT_A_MEMBER));
        assert_int_equal(question_init(&q, &env, arena, &from, all[i].type, 1, (struct slice){"\xff", 1}),
                         -EBADMSG);
        arena_free(arena);
    }
    assert_int_equal(questions, 11);
    assert_null(verb_of(IM__FRAME_TYPE__SINGLE_CHAT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_has_its_fields),
        cmocka_unit_test(a_torn_list_of_texts_is_cut),
        cmocka_unit_test(reactions_and_readers_find_their_message),
        cmocka_unit_test(what_was_done_is_folded),
        cmocka_unit_test(too_much_is_not_folded),
        cmocka_unit_test(a_readers_ranges_are_read),
        cmocka_unit_test(only_what_is_wanted_is_asked),
        cmocka_unit_test(a_page_knows_when_it_is_whole),
        cmocka_unit_test(who_is_not_known_is_asked_for_once),
        cmocka_unit_test(a_page_fits_its_frame),
        cmocka_unit_test(the_mark_of_a_page_comes_back),
        cmocka_unit_test(every_question_has_a_verb_and_an_answer_with_a_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
