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

static void what_was_done_is_folded(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    PGresult *r = table(NOW_COLUMNS);
    Im__HistoryItem **items;
    size_t n;
    event(r, 0, 12, &ann, "three", 5);
    event(r, 1, 11, &bob, "two", 3);
    event(r, 2, 10, &ann, "one", 3);
    mark(r, 3, 22, 10, 2, &ann, "newest");
    mark(r, 4, 21, 10, 2, &ann, "newer");
    mark(r, 5, 23, 11, 2, &bob, "gone");
    mark(r, 6, 24, 11, 3, &bob, "");
    mark(r, 7, 25, 11, 4, &ann, "+1"); /* to what was recalled */
    mark(r, 8, 30, 10, 4, &ann, "+1");
    mark(r, 9, 31, 10, 4, &bob, "no");
    mark(r, 10, 32, 10, 4, &ann, "ha"); /* the other one's, then hers that replaced an older one */
    mark(r, 11, 33, 12, 4, &ann, "x");
    mark(r, 12, 34, 12, 4, &ann, ""); /* taken back */
    mark(r, 13, 40, 12, 6, &ann, "");
    mark(r, 14, 41, 12, 5, &ann, "");
    mark(r, 15, 43, 10, 6, &ann, "");
    mark(r, 16, 42, 10, 5, &ann, "");
    mark(r, 17, 50, 13, 2, &ann, "of no message here");
    assert_true(history_fold(r, &conv, arena, &items, &n));
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
    arena_free(arena);
}

static void too_much_is_not_folded(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    PGresult *r = table(NOW_COLUMNS), *large = table(NOW_COLUMNS), *nothing = table(NOW_COLUMNS);
    Im__HistoryItem **items;
    size_t n;
    event(r, 0, 1, &ann, "x", 1);
    for (int i = 1; i <= FOLD_MOST; i++)
        mark(r, i, (uint64_t)i + 1, 1, 4, &ann, "+1");
    assert_true(history_fold(r, &conv, arena, &items, &n));
    assert_int_equal(items[0]->n_reactions, 1);
    mark(r, FOLD_MOST + 1, FOLD_MOST + 2, 1, 4, &ann, "+1");
    assert_false(history_fold(r, &conv, arena, &items, &n));
    event(large, 0, 1, &ann, "", 0);
    put(large, 0, FOLD_TOO_LARGE, "\1", 1);
    assert_false(history_fold(large, &conv, arena, &items, &n));
    assert_true(history_fold(nothing, &conv, arena, &items, &n));
    assert_int_equal(n, 0);
    PQclear(r);
    PQclear(large);
    PQclear(nothing);
    arena_free(arena);
}

static size_t asked(struct question *q, Im__HistoryReq *r, uint32_t round)
{
    struct ask a;
    q->round = round;
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
    assert_int_equal(asked(&q, &r, 0), 2); /* where, and one side */
    assert_int_equal(asked(&q, &r, 1), 3); /* too much was done: message by message */
    r.direction = IM__DIRECTION__AROUND;
    assert_int_equal(asked(&q, &r, 0), 3);
    assert_int_equal(asked(&q, &r, 1), 5);
    r.time_ms = 1;
    assert_int_equal(asked(&q, &r, 0), 1); /* the number at that time */
    assert_int_equal(asked(&q, &r, 1), 3);
    assert_int_equal(asked(&q, &r, 2), 5);
    r.events = true;
    assert_int_equal(asked(&q, &r, 1), 3);

    PGresult *where = table(10), *large = table(NOW_COLUMNS);
    const PGresult *res[] = {where, large};
    ProtobufCMessage *rsp = NULL;
    for (int i = 0; i < 10; i++)
        put(where, 0, i, NULL, -1);
    event(large, 0, 1, &ann, "", 0);
    put(large, 0, FOLD_TOO_LARGE, "\1", 1);
    r = (Im__HistoryReq)IM__HISTORY_REQ__INIT;
    q.round = 0;
    assert_int_equal(verb_history.take(&q, res, &rsp), IM__CODE__OK);
    assert_null(rsp); /* ask again */
    PQclear(where);
    PQclear(large);
    arena_free(arena);
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
        cmocka_unit_test(only_what_is_wanted_is_asked),
        cmocka_unit_test(a_page_fits_its_frame),
        cmocka_unit_test(the_mark_of_a_page_comes_back),
        cmocka_unit_test(every_question_has_a_verb_and_an_answer_with_a_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
