/* Order, repeats, holes and what may be confirmed: the client's inbox and its sets of numbers. */
#include "client/lib/inbox.h"
#include "client/lib/ranges.h"
#include "common/base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct seen {
    uint64_t seq[1024];
    uint64_t missed[1024];
    bool late[1024];
    size_t n;
};

static void note(void *ctx, const void *payload, size_t n, uint64_t missed, bool late)
{
    struct seen *s = ctx;
    assert_int_equal(n, sizeof s->seq[0]);
    memcpy(&s->seq[s->n], payload, n);
    s->missed[s->n] = missed;
    s->late[s->n++] = late;
}

static struct inbox *box_of(struct seen *s, uint32_t patience_ms)
{
    struct inbox_conf c = {
        .patience_ms = patience_ms, .talks_max = 4, .catch_up_max = 100, .deliver = note, .ctx = s};
    *s = (struct seen){.n = 0};
    return inbox_new(&c);
}

/* With the queue only. */
static struct inbox *box(struct seen *s)
{
    struct inbox *in = box_of(s, 1000);
    inbox_no_history(in);
    return in;
}

static struct id16 conv(uint8_t v)
{
    return (struct id16){{v}};
}

static int msg(struct inbox *in, uint8_t c, uint64_t seq, uint32_t delivery, int64_t now)
{
    return inbox_message(in, conv(c), seq, delivery, &seq, sizeof seq, 0, now);
}

/* The next question is about this conversation; it may be asked now, or when it is due. */
static struct inbox_question asks(struct inbox *in, int64_t now, uint8_t c)
{
    struct inbox_question q;
    assert_true(inbox_ask(in, now, &q));
    assert_true(id_eq(q.conv, conv(c)));
    return q;
}

/* The queue, asked when due, has nothing, until something is handed on all the same; when that was. */
static int64_t empty_answers(struct inbox *in, const struct seen *s)
{
    size_t had = s->n;
    int64_t now = 0;
    for (int i = 0; i < 50 && s->n == had; i++) {
        struct inbox_question q;
        now = inbox_due(in);
        assert_true(inbox_ask(in, now, &q));
        assert_false(q.history);
        inbox_answered(in, q.conv, false, now);
    }
    assert_int_equal(s->n, had + 1);
    return now;
}

static void assert_seqs(const struct seen *s, const uint64_t *want, size_t n)
{
    assert_int_equal(s->n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(s->seq[i], want[i]);
}
#define ASSERT_SEQS(s, ...) assert_seqs(s, (uint64_t[]){__VA_ARGS__}, sizeof((uint64_t[]){__VA_ARGS__}) / 8)

static void ranges_merge(void **state)
{
    (void)state;
    struct ranges r = {0};
    assert_int_equal(ranges_add(&r, 5, 5), 0);
    assert_int_equal(ranges_add(&r, 1, 2), 0);
    assert_int_equal(ranges_add(&r, 9, 12), 0);
    assert_int_equal(r.n, 3);
    assert_true(ranges_has(&r, 2) && !ranges_has(&r, 3) && ranges_has(&r, 5) && !ranges_has(&r, 8));
    assert_int_equal(ranges_add(&r, 3, 4), 0);
    assert_int_equal(r.n, 2);
    assert_int_equal(ranges_add(&r, 4, 10), 0);
    assert_int_equal(r.n, 1);
    assert_int_equal(r.v[0].from, 1);
    assert_int_equal(r.v[0].upto, 12);
    assert_int_not_equal(ranges_add(&r, 0, 3), 0);
    assert_int_not_equal(ranges_add(&r, 4, 3), 0);
    assert_int_not_equal(ranges_add(&r, 4, UINT64_MAX), 0);
    ranges_release(&r);
}

/* Against a plain array of flags. */
static void ranges_random(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct rng g = {seed};
        struct ranges r = {0};
        bool here[64] = {false};
        for (int i = 0; i < 20; i++) {
            uint64_t from = 1 + rng_below(&g, 60), upto = from + rng_below(&g, 3);
            assert_int_equal(ranges_add(&r, from, upto), 0);
            for (uint64_t k = from; k <= upto; k++)
                here[k] = true;
        }
        if (r.n < RANGES_MAX) /* else a hole was given up */
            for (uint64_t k = 1; k < 64; k++)
                assert_int_equal(ranges_has(&r, k), here[k]);
        for (uint32_t i = 1; i < r.n; i++)
            assert_true(r.v[i].from > r.v[i - 1].upto + 1);
        ranges_release(&r);
    }
}

static void in_order_and_once(void **state)
{
    (void)state;
    struct seen s;
    struct inbox *in = box(&s);
    msg(in, 1, 1, 1, 0);
    msg(in, 1, 2, 2, 0);
    msg(in, 1, 2, 3, 0);
    msg(in, 1, 1, 0, 0);
    msg(in, 2, 1, 4, 0);
    ASSERT_SEQS(&s, 1, 2, 1);
    assert_int_equal(inbox_confirmed(in), 4);
    assert_int_equal(inbox_due(in), INT64_MAX);
    inbox_free(in);
}

static void above_a_hole_waits_and_is_not_confirmed(void **state)
{
    (void)state;
    struct seen s;
    struct inbox_question q;
    struct inbox *in = box(&s);
    msg(in, 1, 1, 1, 0);
    msg(in, 1, 4, 2, 0);
    msg(in, 1, 3, 3, 0);
    msg(in, 2, 1, 4, 0);
    ASSERT_SEQS(&s, 1, 1);
    assert_int_equal(inbox_waiting(in), 2);
    assert_int_equal(inbox_confirmed(in), 1);
    assert_false(inbox_ask(in, 10, &q)); /* most holes close by themselves */
    asks(in, inbox_due(in), 1);
    assert_false(inbox_ask(in, 100000, &q)); /* one question at a time */
    msg(in, 1, 2, 0, 300);
    inbox_answered(in, conv(1), false, 300);
    ASSERT_SEQS(&s, 1, 1, 2, 3, 4);
    assert_int_equal(inbox_confirmed(in), 4);
    assert_int_equal(inbox_due(in), INT64_MAX);
    inbox_free(in);
}

/* Nobody will ever deliver them here: each one forgotten would be a hole of its own. */
static void many_own_messages_above_a_hole_are_remembered(void **state)
{
    (void)state;
    enum { PAIRS = 25 };
    struct seen s;
    struct inbox *in = box(&s);
    msg(in, 1, 1, 1, 0);
    for (uint64_t i = 0; i < PAIRS; i++) { /* 3, 5, 7 … are own, 4, 6, 8 … somebody else's; 2 is missing */
        assert_int_equal(inbox_own(in, conv(1), 3 + 2 * i, 0), 0);
        msg(in, 1, 4 + 2 * i, 2 + (uint32_t)i, 0);
    }
    assert_int_equal(s.n, 1);
    msg(in, 1, 2, 0, 10);
    assert_int_equal(s.n, 2 + PAIRS);
    assert_int_equal(inbox_waiting(in), 0);
    assert_int_equal(inbox_due(in), INT64_MAX);
    inbox_free(in);
}

static void a_hole_is_given_up_only_after_answers(void **state)
{
    (void)state;
    struct seen s;
    struct inbox *in = box(&s);
    msg(in, 1, 1, 1, 0);
    msg(in, 1, 5, 2, 0);
    int64_t now = empty_answers(in, &s);
    ASSERT_SEQS(&s, 1, 5);
    assert_int_equal(s.missed[1], 3);
    assert_true(now >= 1000);
    assert_int_equal(inbox_confirmed(in), 2);
    msg(in, 1, 3, 0, now); /* it was only late */
    ASSERT_SEQS(&s, 1, 5, 3);
    assert_true(s.late[2]);
    msg(in, 1, 3, 0, now);
    assert_int_equal(s.n, 3);
    inbox_free(in);
}

static void rest_in_history_ends_the_wait(void **state)
{
    (void)state;
    struct seen s;
    struct inbox *in = box(&s);
    msg(in, 1, 1, 1, 0);
    msg(in, 1, 5, 2, 0);
    asks(in, inbox_due(in), 1);
    inbox_answered(in, conv(1), true, 200);
    ASSERT_SEQS(&s, 1, 5);
    assert_int_equal(s.missed[1], 3);
    inbox_free(in);
}

static void unknown_conversation_asks_where_it_starts(void **state)
{
    (void)state;
    struct seen s;
    struct inbox *in = box(&s);
    msg(in, 1, 8, 1, 0);
    assert_int_equal(s.n, 0);
    asks(in, 0, 1);
    assert_int_equal(inbox_have(in, conv(1), 1, 6, true), 0); /* the server's cursor */
    msg(in, 1, 7, 0, 0);
    inbox_answered(in, conv(1), false, 0);
    ASSERT_SEQS(&s, 7, 8);
    msg(in, 2, 8, 2, 0); /* and one of which the server knows nothing either */
    asks(in, 0, 2);
    inbox_answered(in, conv(2), false, 0);
    ASSERT_SEQS(&s, 7, 8, 8);
    assert_int_equal(s.missed[2], 0);
    uint64_t seq = 40;
    inbox_message(in, conv(3), seq, 3, &seq, sizeof seq, INBOX_START,
                  0); /* a new device starts with what comes */
    ASSERT_SEQS(&s, 7, 8, 8, 40);
    inbox_free(in);
}

static void own_messages_are_places_too(void **state)
{
    (void)state;
    struct seen s;
    struct inbox *in = box(&s);
    msg(in, 1, 1, 1, 0);
    msg(in, 1, 3, 2, 0);
    inbox_event(in, 3);
    assert_int_equal(inbox_own(in, conv(1), 2, 0), 0);
    ASSERT_SEQS(&s, 1, 3);
    assert_int_equal(inbox_confirmed(in), 3);
    inbox_free(in);
}

static void own_places_above_a_hole_are_remembered(void **state)
{
    (void)state;
    struct seen s;
    struct inbox_cursor c[8];
    struct inbox *in = box(&s);
    msg(in, 1, 1, 1, 0);
    inbox_own(in, conv(1), 3, 0);
    inbox_own(in, conv(1), 4, 0);
    assert_int_equal(inbox_due(in), INT64_MAX); /* nothing waits to be shown */
    msg(in, 1, 6, 2, 0);
    assert_int_equal(s.n, 1);
    msg(in, 1, 2, 3, 0);
    ASSERT_SEQS(&s, 1, 2);
    inbox_take_cursors(in, c, 8);
    assert_int_equal(c[0].upto, 4);
    inbox_own(in, conv(1), 5, 0);
    ASSERT_SEQS(&s, 1, 2, 6);
    inbox_own(in, conv(1), 9, 0);
    msg(in, 1, 10, 4, 0);
    empty_answers(in, &s);
    assert_int_equal(s.missed[3], 2); /* 7 and 8; 9 is our own */
    inbox_free(in);
}

/* Without memory of what it sent itself, a device does not wait long for its own messages. */
static void a_start_from_the_server_is_a_guess(void **state)
{
    (void)state;
    struct seen s;
    struct inbox *in = box_of(&s, 20000);
    inbox_no_history(in);
    inbox_have(in, conv(1), 1, 5, false);
    msg(in, 1, 7, 1, 0);
    int64_t now = empty_answers(in, &s);
    assert_true(now >= 2000 && now < 5000);
    msg(in, 1, 9, 2, now); /* from here on it is our own memory */
    assert_true(empty_answers(in, &s) >= 20000);
    inbox_free(in);
}

static void cursors_are_told_once_a_change(void **state)
{
    (void)state;
    struct seen s;
    struct inbox_cursor c[8];
    struct inbox *in = box(&s);
    msg(in, 1, 1, 1, 0);
    msg(in, 1, 2, 2, 0);
    inbox_have(in, conv(2), 4, 9, false);
    assert_int_equal(inbox_take_cursors(in, c, 8), 1);
    assert_int_equal(c[0].from, 1);
    assert_int_equal(c[0].upto, 2);
    assert_int_equal(inbox_take_cursors(in, c, 8), 0);
    msg(in, 2, 7, 3, 0); /* here already: the server seems not to know */
    assert_int_equal(inbox_take_cursors(in, c, 8), 1);
    assert_int_equal(c[0].upto, 9);
    inbox_free(in);
}

static void a_new_connection_starts_new_delivery_numbers(void **state)
{
    (void)state;
    struct seen s;
    struct inbox *in = box(&s);
    msg(in, 1, 1, 1, 0);
    msg(in, 1, 3, 2, 0);
    asks(in, 1000, 1);
    inbox_disconnected(in);
    assert_int_equal(inbox_confirmed(in), 0);
    msg(in, 2, 1, 1, 1000);
    assert_int_equal(inbox_confirmed(in), 1); /* what waits has no number on this connection */
    asks(in, inbox_due(in), 1);               /* the question was lost with the other one */
    inbox_free(in);
}

static void what_does_not_fit_is_not_confirmed(void **state)
{
    (void)state;
    struct seen s;
    struct inbox *in = box(&s);
    msg(in, 1, 1, 1, 0);
    int rc = 0;
    uint32_t d = 1;
    while (!rc) {
        d++;
        rc = msg(in, 1, d + 1, d, 0);
    }
    assert_true(d > 100);
    msg(in, 1, 2, d + 1, 0);
    assert_int_equal(s.n, d);
    assert_int_equal(inbox_confirmed(in), d - 1);
    inbox_free(in);
}

static void conversations_are_bounded(void **state)
{
    (void)state;
    struct seen s;
    struct inbox_cursor c[8];
    struct inbox *in = box(&s);
    for (uint8_t i = 1; i < 100; i++) {
        msg(in, i, 1, i, 0);
        inbox_take_cursors(in, c, 8);
    }
    assert_int_equal(s.n, 99);
    assert_int_equal(inbox_confirmed(in), 99);
    inbox_free(in);
}

/* Whatever the order of arrival, repeats and answers: each once, ascending. */
static void any_order_of_arrival(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct seen s;
        struct inbox_question q;
        struct rng g = {seed};
        struct inbox *in = box(&s);
        uint64_t order[30];
        for (uint64_t i = 0; i < 30; i++)
            order[i] = i + 1;
        for (size_t i = 29; i > 0; i--) {
            size_t j = rng_below(&g, i + 1);
            uint64_t t = order[i];
            order[i] = order[j];
            order[j] = t;
        }
        inbox_have(in, conv(1), 1, 1, true);
        for (uint32_t i = 0; i < 30; i++) {
            msg(in, 1, order[i], i + 1, i);
            msg(in, 1, order[rng_below(&g, i + 1)], 0, i);
            if (rng_below(&g, 4) == 0 && inbox_ask(in, i + 200, &q))
                inbox_answered(in, q.conv, false, i + 200);
        }
        assert_int_equal(s.n, 29);
        for (size_t i = 0; i < s.n; i++)
            assert_int_equal(s.seq[i], i + 2);
        assert_int_equal(inbox_confirmed(in), 30);
        inbox_free(in);
    }
}

/* ---- history ---- */
static int group_msg(struct inbox *in, uint8_t c, uint64_t seq, uint32_t delivery, unsigned flags,
                     int64_t now)
{
    return inbox_message(in, conv(c), seq, delivery, &seq, sizeof seq, flags | INBOX_GROUP, now);
}

/* A page of history with these events; `head` 0: there is more. */
static void past(struct inbox *in, struct inbox_question q, const uint64_t *seqs, size_t n, uint64_t head,
                 int64_t now)
{
    uint64_t after = q.after;
    for (size_t i = 0; i < n; i++) {
        inbox_past(in, q.conv, after, seqs[i], &seqs[i], sizeof seqs[i]);
        after = seqs[i];
    }
    inbox_past_end(in, q.conv, after, head ? head : after, !head, now);
}
#define PAST(in, q, head, now, ...) \
    past(in, q, (uint64_t[]){__VA_ARGS__}, sizeof((uint64_t[]){__VA_ARGS__}) / 8, head, now)

static void a_group_starts_where_the_user_came_in(void **state)
{
    (void)state;
    struct seen s;
    struct inbox *in = box_of(&s, 1000);
    group_msg(in, 1, 40, 1, INBOX_START, 0);
    group_msg(in, 1, 41, 2, 0, 0);
    ASSERT_SEQS(&s, 40, 41);
    assert_int_equal(inbox_due(in), INT64_MAX);
    inbox_free(in);
}

static void a_hole_of_a_group_is_filled_from_history(void **state)
{
    (void)state;
    struct seen s;
    struct inbox *in = box_of(&s, 1000);
    group_msg(in, 1, 1, 1, 0, 0);
    group_msg(in, 1, 9, 2, 0, 0);
    struct inbox_question q = asks(in, inbox_due(in), 1);
    assert_true(q.history);
    assert_int_equal(q.after, 1);
    assert_int_equal(q.upto, 8);
    PAST(in, q, 0, 300, 2, 3);
    ASSERT_SEQS(&s, 1, 2, 3);
    assert_int_equal(inbox_confirmed(in), 1);
    q = asks(in, 300, 1); /* the next page, at once */
    assert_int_equal(q.after, 3);
    PAST(in, q, 9, 301, 5, 9); /* 4, 6, 7, 8 are not for this user: no hole, nothing missed */
    ASSERT_SEQS(&s, 1, 2, 3, 5, 9);
    assert_int_equal(s.missed[3] + s.missed[4], 0);
    assert_int_equal(inbox_confirmed(in), 2);
    assert_int_equal(inbox_due(in), INT64_MAX);
    inbox_free(in);
}

static void news_are_fetched(void **state)
{
    (void)state;
    struct seen s;
    struct inbox_cursor c[4];
    struct inbox *in = box_of(&s, 1000);
    inbox_have(in, conv(1), 3, 5, true);
    inbox_news(in, conv(1), 5, 0, 0); /* the server does not know yet */
    assert_int_equal(inbox_take_cursors(in, c, 4), 1);
    assert_int_equal(inbox_waiting(in), 0);
    inbox_news(in, conv(1), 8, 0, 0);
    assert_int_equal(inbox_waiting(in), 1);
    struct inbox_question q = asks(in, 0, 1);
    assert_true(q.history && q.after == 5 && q.upto == 8);
    inbox_past_failed(in, conv(1), false, 1); /* behind */
    assert_int_equal(inbox_waiting(in), 1);
    q = asks(in, inbox_due(in), 1);
    PAST(in, q, 8, 400, 6, 7);
    ASSERT_SEQS(&s, 6, 7);
    assert_int_equal(inbox_waiting(in), 0);
    assert_int_equal(inbox_take_cursors(in, c, 4), 1);
    assert_int_equal(c[0].upto, 8); /* so that the server forgets the news */
    inbox_news(in, conv(1), 9, 0, 500);
    asks(in, 500, 1);
    inbox_past_failed(in, conv(1), true, 500); /* no member any more */
    assert_int_equal(inbox_waiting(in), 0);
    assert_int_equal(inbox_take_cursors(in, c, 4), 1);
    inbox_free(in);
}

/* However many groups have news, no more than the cap are remembered: the oldest go, and an answer about them is none. */
static void news_of_very_many_groups_are_bounded(void **state)
{
    (void)state;
    struct seen s;
    struct inbox_cursor c[8];
    struct inbox *in = box_of(&s, 1000);
    inbox_have(in, conv(1), 3, 5, true);
    inbox_news(in, conv(1), 8, 0, 0);
    struct inbox_question q = asks(in, 0, 1); /* it is being fetched: not this one */
    for (uint8_t g = 2; g < 100; g++) {
        inbox_have(in, conv(g), 1, 1, true);
        inbox_news(in, conv(g), 1, 0, 1); /* the server is to be told */
        inbox_news(in, conv(g), 2, 0, 1);
        assert_in_range(inbox_waiting(in), 1, 4);
    }
    assert_int_equal(inbox_known(in, conv(99)), 1);
    assert_int_equal(inbox_known(in, conv(2)), 0);
    assert_int_equal(inbox_take_cursors(in, c, 8), 3);
    PAST(in, q, 8, 400, 6, 7, 8);
    ASSERT_SEQS(&s, 6, 7, 8);
    inbox_past_end(in, conv(2), 0, 9, false, 500); /* nobody waits for it */
    assert_true(msg(in, 200, 7, 1, 600) == 0);     /* waits above a hole, and stays whatever comes */
    for (uint8_t g = 100; g < 150; g++)
        inbox_news(in, conv(g), 3, 0, 700);
    assert_int_equal(inbox_confirmed(in), 0);
    inbox_free(in);
}

static void an_unknown_group_starts_at_its_cursor_or_what_is_visible(void **state)
{
    (void)state;
    struct seen s;
    struct inbox *in = box_of(&s, 1000);
    inbox_news(in, conv(1), 8, 0, 0);
    assert_false(asks(in, 0, 1).history);
    inbox_have(in, conv(1), 1, 6, false);
    inbox_answered(in, conv(1), false, 1);
    struct inbox_question q = asks(in, 1, 1);
    assert_true(q.history && q.after == 6);
    PAST(in, q, 8, 2, 7, 8);
    group_msg(in, 2, 30, 1, 0, 2);
    assert_false(asks(in, 2, 2).history);
    inbox_answered(in, conv(2), false, 3); /* no cursor */
    q = asks(in, 3, 2);
    assert_true(q.history && q.after == 0 && q.upto == 29);
    PAST(in, q, 30, 4, 28, 29, 30);
    ASSERT_SEQS(&s, 7, 8, 28, 29, 30);
    inbox_news(in, conv(3), 12, INBOX_START, 5); /* a new device starts at the head */
    assert_int_equal(inbox_waiting(in), 0);
    inbox_free(in);
}

static void too_much_is_not_fetched_but_counted(void **state)
{
    (void)state;
    struct seen s;
    struct inbox *in = box_of(&s, 1000);
    inbox_have(in, conv(1), 1, 10, true);
    inbox_news(in, conv(1), 1000, 0, 0);
    struct inbox_question q = asks(in, 0, 1);
    assert_int_equal(q.after, 900);
    PAST(in, q, 1000, 1, 901, 1000);
    ASSERT_SEQS(&s, 901, 1000);
    assert_int_equal(s.missed[0], 890);
    assert_int_equal(s.missed[1], 0);
    inbox_free(in);
}

/* Two people: the queue first; what it has not, history has. */
static void the_queue_ran_over(void **state)
{
    (void)state;
    struct seen s;
    struct inbox *in = box_of(&s, 1000);
    msg(in, 1, 1, 1, 0);
    msg(in, 1, 5, 2, 0);
    assert_false(asks(in, inbox_due(in), 1).history);
    inbox_answered(in, conv(1), true, 300);
    struct inbox_question q = asks(in, 300, 1);
    assert_true(q.history && q.after == 1 && q.upto == 4);
    PAST(in, q, 5, 301, 2, 3, 4, 5);
    ASSERT_SEQS(&s, 1, 2, 3, 4, 5);
    assert_int_equal(inbox_confirmed(in), 2);
    inbox_free(in);
}

static void history_that_stays_away_is_given_up(void **state)
{
    (void)state;
    struct seen s;
    struct inbox *in = box_of(&s, 1000);
    group_msg(in, 1, 1, 1, 0, 0);
    group_msg(in, 1, 5, 2, 0, 0);
    for (int i = 0; i < 20 && s.n == 1; i++) {
        int64_t now = inbox_due(in);
        assert_true(asks(in, now, 1).history);
        inbox_past_failed(in, conv(1), false, now);
    }
    ASSERT_SEQS(&s, 1, 5);
    assert_int_equal(s.missed[1], 3);
    assert_int_equal(inbox_confirmed(in), 2);
    inbox_free(in);
}

static void news_that_history_does_not_have_are_put_off(void **state)
{
    (void)state;
    struct seen s;
    struct inbox *in = box_of(&s, 1000);
    inbox_have(in, conv(1), 1, 5, true);
    inbox_news(in, conv(1), 8, 0, 0);
    int64_t now = 0;
    while (inbox_waiting(in) && now < 20000) {
        now = inbox_due(in);
        asks(in, now, 1);
        inbox_past_failed(in, conv(1), false, now);
    }
    assert_true(now >= 1000 && now < 5000);
    assert_true(inbox_behind(in));
    struct inbox_question q = asks(in, inbox_due(in), 1);
    PAST(in, q, 8, 60000, 6, 7, 8);
    ASSERT_SEQS(&s, 6, 7, 8);
    assert_false(inbox_behind(in));
    inbox_free(in);
}

/* Whatever comes live, whatever pages history has: what is visible comes once and in order. */
static void any_order_of_history_and_pushes(void **state)
{
    (void)state;
    enum { N = 60 };
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct seen s;
        struct rng g = {seed};
        struct inbox *in = box_of(&s, 1000000);
        bool visible[N + 1];
        uint64_t head = 1;
        uint32_t delivery = 0;
        for (uint64_t i = 2; i <= N; i++)
            visible[i] = rng_below(&g, 4) != 0;
        inbox_have(in, conv(1), 1, 1, true);
        for (int64_t now = 0; now < 100000 && (head < N || inbox_waiting(in)); now += 250) {
            struct inbox_question q;
            for (uint64_t end = head + rng_below(&g, 6); head < end && head < N;)
                if (visible[++head] && rng_below(&g, 3))
                    group_msg(in, 1, head, ++delivery, 0, now);
            if (rng_below(&g, 3) == 0 || head == N)
                inbox_news(in, conv(1), head, 0, now);
            if (!inbox_ask(in, now, &q))
                continue;
            uint64_t page[8], at = q.after;
            size_t n = 0;
            while (n < 8 && at < head)
                if (visible[++at])
                    page[n++] = at;
            past(in, q, page, n, n == 8 && at < head ? 0 : head, now);
        }
        size_t k = 0;
        for (uint64_t i = 2; i <= N; i++)
            if (visible[i]) {
                assert_true(k < s.n);
                assert_int_equal(s.missed[k], 0);
                assert_int_equal(s.seq[k++], i);
            }
        assert_int_equal(s.n, k);
        assert_int_equal(inbox_confirmed(in), delivery);
        inbox_free(in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_merge),
        cmocka_unit_test(ranges_random),
        cmocka_unit_test(in_order_and_once),
        cmocka_unit_test(many_own_messages_above_a_hole_are_remembered),
        cmocka_unit_test(above_a_hole_waits_and_is_not_confirmed),
        cmocka_unit_test(a_hole_is_given_up_only_after_answers),
        cmocka_unit_test(rest_in_history_ends_the_wait),
        cmocka_unit_test(unknown_conversation_asks_where_it_starts),
        cmocka_unit_test(own_messages_are_places_too),
        cmocka_unit_test(own_places_above_a_hole_are_remembered),
        cmocka_unit_test(a_start_from_the_server_is_a_guess),
        cmocka_unit_test(cursors_are_told_once_a_change),
        cmocka_unit_test(a_new_connection_starts_new_delivery_numbers),
        cmocka_unit_test(what_does_not_fit_is_not_confirmed),
        cmocka_unit_test(conversations_are_bounded),
        cmocka_unit_test(any_order_of_arrival),
        cmocka_unit_test(a_group_starts_where_the_user_came_in),
        cmocka_unit_test(a_hole_of_a_group_is_filled_from_history),
        cmocka_unit_test(news_are_fetched),
        cmocka_unit_test(an_unknown_group_starts_at_its_cursor_or_what_is_visible),
        cmocka_unit_test(too_much_is_not_fetched_but_counted),
        cmocka_unit_test(the_queue_ran_over),
        cmocka_unit_test(history_that_stays_away_is_given_up),
        cmocka_unit_test(news_that_history_does_not_have_are_put_off),
        cmocka_unit_test(news_of_very_many_groups_are_bounded),
        cmocka_unit_test(any_order_of_history_and_pushes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
