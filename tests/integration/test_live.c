/* Messages: every stage, every device, every place one is kept; what a device gets that was away. */
#include "tests/support/person.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define QUEUE 60 /* messages kept for a device */
#define PAGE  20

static struct pl *pl;

static int setup(void **state)
{
    (void)state;
    /* With this lookup time a recipient's existence is asked, not taken on trust. */
    pl = pl_up(&(struct pl_conf){.settings = "{\"edge\": {\"lookup\": \"60s\"},"
                                             " \"offline\": {\"queue_items\": 60, \"page_items\": 20}}"});
    return 0;
}

/* How many records `parleyctl tail` shows of a topic that contain this text. */
static int records_with(const char *topic, const char *text)
{
    int n = 0;
    const char *p = PL_CTL(pl, "tail", topic, "--from", "beginning", "--until-end", "--json");
    for (p = strstr(p, text); p; p = strstr(p + 1, text))
        n++;
    return n;
}

static int64_t rows_of(const struct person *sender)
{
    int64_t n = pl_number(
        pl, "SELECT count(*) FROM messages m, accounts a WHERE m.sender = a.user_id AND a.login = '%s'",
        sender->login);
    return n;
}

/* n sends, each with its place */
static void say_many(struct person *from, const struct person *to, int n)
{
    uint64_t last = 0;
    for (int i = 0; i < n; i++) {
        last = person_say(from, to->login, "%s %d", from->login, i);
        if (i % 50 == 49)
            person_placed(from, last);
    }
    person_placed(from, last);
}

static void a_message_between_two_edges(void **state)
{
    (void)state;
    struct person a, b;
    char text[100];
    person_new(&a, pl, 0, "ann", "laptop");
    person_new(&b, pl, 1, "bob", "phone");
    uint64_t n = person_say(&a, b.login, "hello from %s", a.login);
    person_accepted(&a, n);
    assert_int_equal(person_placed(&a, n), 1);
    person_wait_said(&b, 1);
    assert_string_equal(b.said[0].sender, a.login);
    assert_int_equal(b.said[0].client_seq, n);
    assert_int_equal(b.said[0].seq, 1);
    assert_int_equal(b.said[0].sender_device, a.device);
    assert_memory_equal(person_ack(&a, n, IM__STAGE__ACCEPTED)->msg_id,
                        person_ack(&a, n, IM__STAGE__SEQUENCED)->msg_id, 16);
    n = person_say(&b, a.login, "and back");
    assert_int_equal(person_placed(&b, n), 2);
    person_wait_said(&a, 1);
    assert_string_equal(a.said[0].text, "and back");
    assert_int_equal(a.said[0].seq, 2);
    assert_int_equal(b.n_said, 1); /* a device is not told what it sent itself */
    snprintf(text, sizeof text, "hello from %s", a.login);
    UNTIL(pl, pl_number(pl, "SELECT count(*) FROM messages WHERE text = '%s' AND seq = 1", text) == 1);
    assert_int_equal(records_with("inbound", text), 1);
    assert_int_equal(records_with("conversation", text), 0); /* sealed */
    person_free(&a);
    person_free(&b);
}

static void every_device_of_both_gets_it(void **state)
{
    (void)state;
    struct person a1, a2, b[3];
    person_new(&a1, pl, 0, "ann", "laptop");
    person_join(&a2, pl, 1, &a1, "phone");
    person_new(&b[0], pl, 1, "bob", "laptop");
    person_join(&b[1], pl, 0, &b[0], "phone");
    person_join(&b[2], pl, 1, &b[0], "tablet");
    assert_int_not_equal(a1.device, a2.device);
    say_many(&a1, &b[0], 10);
    person_wait_said(&a2, 10);
    assert_dense(&a2, 10);
    for (int i = 0; i < 3; i++) {
        person_wait_said(&b[i], 10);
        assert_same_said(&a2, &b[i]);
    }
    say_many(&b[1], &a1, 5);
    person_wait_said(&a1, 5);
    person_wait_said(&a2, 15);
    person_wait_said(&b[0], 15);
    person_wait_said(&b[2], 15);
    assert_dense(&a2, 15);
    assert_same_said(&b[0], &b[2]);
    assert_int_equal(b[1].n_said, 10);
    for (int i = 0; i < 3; i++)
        person_free(&b[i]);
    person_free(&a1);
    person_free(&a2);
}

static void who_was_away_gets_it_at_login_until_it_is_confirmed(void **state)
{
    (void)state;
    struct person a, b;
    person_new(&a, pl, 0, "ann", "laptop");
    person_new(&b, pl, 1, "bob", "phone");
    person_logout(&b);
    say_many(&a, &b, 7);
    for (int turn = 0; turn < 3; turn++) { /* not confirmed: it comes again, here or there */
        person_join(&b, pl, turn & 1, &b, "phone");
        person_wait_said(&b, 7);
        assert_dense(&b, 7);
        person_hang_up(&b);
        person_forget(&b);
    }
    person_join(&b, pl, 1, &b, "phone");
    person_wait_said(&b, 7);
    person_confirm(&b);
    person_logout(&b);
    person_forget(&b);
    uint64_t n = person_say(&a, b.login, "one more");
    person_placed(&a, n);
    person_join(&b, pl, 0, &b, "phone");
    person_wait_said(&b, 1);
    assert_string_equal(b.said[0].text, "one more");
    assert_int_equal(b.said[0].seq, 8);
    assert_int_equal(b.n_said, 1);
    person_free(&a);
    person_free(&b);
}

/* A push that was not confirmed comes again after the connection is gone, and one that was does not. */
static void pushes_without_confirmation_come_again(void **state)
{
    (void)state;
    struct person a, b;
    person_new(&a, pl, 0, "ann", "laptop");
    person_new(&b, pl, 1, "bob", "phone");
    say_many(&a, &b, 3);
    person_wait_said(&b, 3);
    person_confirm(&b);
    say_many(&a, &b, 3);
    person_wait_said(&b, 6);
    person_hang_up(&b);
    person_forget(&b);
    person_join(&b, pl, 0, &b, "phone");
    person_wait_said(&b, 3);
    person_pull(&b, 0, 0); /* all there is */
    for (size_t i = 0; i < b.n_said; i++)
        assert_in_range(b.said[i].seq, 4, 6);
    person_free(&a);
    person_free(&b);
}

static void pending_messages_are_pulled_in_pages(void **state)
{
    (void)state;
    struct person a, b;
    person_new(&a, pl, 0, "ann", "laptop");
    person_new(&b, pl, 1, "bob", "phone");
    person_logout(&b);
    say_many(&a, &b, 50);
    person_join(&b, pl, 0, &b, "phone");
    person_wait_said(&b, PAGE); /* the first page comes by itself */
    assert_int_equal(b.pages[0].n, PAGE);
    assert_int_equal(b.pages[0].seq_id, 0);
    assert_true(b.pages[0].more);
    person_forget(&b);
    uint64_t after = 0;
    int pages = 0;
    do {
        person_pull(&b, after, 15);
        const struct page *p = &b.pages[b.n_pages - 1];
        assert_in_range(p->n, 1, 15);
        assert_false(p->rest);
        after = p->next;
        pages++;
    } while (b.pages[b.n_pages - 1].more);
    assert_int_equal(pages, 4);
    assert_dense(&b, 50);
    person_confirm(&b);
    person_logout(&b);
    person_forget(&b);
    person_join(&b, pl, 1, &b, "phone");
    person_pull(&b, 0, 0);
    assert_int_equal(b.n_said, 0);
    person_free(&a);
    person_free(&b);
}

static void past_the_queues_cap_the_rest_is_in_history(void **state)
{
    (void)state;
    struct person a, b;
    person_new(&a, pl, 0, "ann", "laptop");
    person_new(&b, pl, 1, "bob", "phone");
    person_logout(&b);
    say_many(&a, &b, QUEUE + 25);
    UNTIL(pl, rows_of(&a) == QUEUE + 25);
    person_join(&b, pl, 1, &b, "phone");
    person_wait_said(&b, 1);
    person_forget(&b);
    uint64_t after = 0;
    bool rest = false;
    do {
        person_pull(&b, after, 0);
        after = b.pages[b.n_pages - 1].next;
        rest = rest || b.pages[b.n_pages - 1].rest;
    } while (b.pages[b.n_pages - 1].more);
    assert_true(rest);
    assert_in_range(b.n_said, 1, QUEUE);
    assert_int_equal(b.said[b.n_said - 1].seq, QUEUE + 25); /* the latest are kept */
    assert_int_equal(b.said[0].seq, QUEUE + 25 - b.n_said + 1);
    person_free(&a);
    person_free(&b);
}

static void one_send_fifty_times_over_two_edges_is_one_message(void **state)
{
    (void)state;
    struct person a, b;
    person_new(&a, pl, 0, "ann", "laptop");
    person_new(&b, pl, 1, "bob", "phone");
    uint64_t n = a.next++;
    for (int i = 0; i < 50; i++) {
        if (i == 25) /* the device moves to the other edge and goes on */
            person_join(&a, pl, 1, &a, "laptop");
        person_send(&a, n, b.login, "only once");
    }
    assert_int_equal(person_placed(&a, n), 1);
    a.next = n + 1;
    uint64_t last = person_say(&a, b.login, "the next");
    assert_int_equal(person_placed(&a, last), 2);
    person_wait_said(&b, 2);
    assert_dense(&b, 2);
    assert_string_equal(b.said[0].text, "only once");
    assert_string_equal(b.said[1].text, "the next");
    for (size_t i = 0; i < a.n_acked; i++)
        if (a.acked[i].client_seq == n && a.acked[i].stage == IM__STAGE__SEQUENCED)
            assert_int_equal(a.acked[i].seq, 1);
    UNTIL(pl, rows_of(&a) == 2);
    person_free(&a);
    person_free(&b);
}

struct order {
    const struct person *p;
    size_t n;
};

static void compare_row(void *ctx, char **columns)
{
    struct order *o = ctx;
    assert_true(o->n < o->p->n_said);
    assert_string_equal(columns[1], o->p->said[o->n].text);
    assert_int_equal(strtoull(columns[0], NULL, 10), o->p->said[o->n].seq);
    o->n++;
}

static void one_order_for_all_devices_and_history(void **state)
{
    (void)state;
    enum { EACH = 60, WINDOW = 20 };
    struct person p[5]; /* 0, 1: ann's; 2, 3: bob's; 4: bob's, only reads */
    person_new(&p[0], pl, 0, "ann", "laptop");
    person_join(&p[1], pl, 1, &p[0], "phone");
    person_new(&p[2], pl, 1, "bob", "laptop");
    person_join(&p[3], pl, 0, &p[2], "phone");
    person_join(&p[4], pl, 1, &p[2], "tablet");
    for (int i = 0; i < EACH; i++)
        for (int s = 0; s < 4; s++) {
            uint64_t n = person_say(&p[s], p[s < 2 ? 2 : 0].login, "from %d: %d", s, i);
            if (i % WINDOW == WINDOW - 1)
                person_accepted(&p[s], n);
        }
    person_wait_said(&p[4], 4 * EACH);
    assert_dense(&p[4], 4 * EACH);
    for (int s = 0; s < 4; s++) { /* the others saw the same, without their own */
        person_wait_said(&p[s], 3 * EACH);
        size_t at = 0;
        int64_t mine = 0;
        for (size_t i = 0; i < p[4].n_said; i++) {
            const struct said *all = &p[4].said[i];
            if (all->sender_device == p[s].device && !strcmp(all->sender, p[s].login)) {
                char text[32];
                snprintf(text, sizeof text, "from %d: %d", s, (int)mine++); /* a sender's order is kept */
                assert_string_equal(all->text, text);
                continue;
            }
            assert_int_equal(p[s].said[at].seq, all->seq);
            assert_string_equal(p[s].said[at].text, all->text);
            at++;
        }
        assert_int_equal(at, 3 * EACH);
    }
    UNTIL(pl, rows_of(&p[0]) + rows_of(&p[2]) == 4 * EACH);
    struct order o = {.p = &p[4]};
    assert_true(pl_rows(pl, compare_row, &o,
                        "SELECT seq, text FROM messages m, accounts a WHERE m.sender = a.user_id"
                        " AND a.login IN ('%s', '%s') ORDER BY seq",
                        p[0].login, p[2].login));
    assert_int_equal(o.n, 4 * EACH);
    for (int i = 0; i < 5; i++)
        person_free(&p[i]);
}

static void the_same_device_again_replaces_the_earlier(void **state)
{
    (void)state;
    struct person a, b, again;
    person_new(&a, pl, 0, "ann", "laptop");
    person_new(&b, pl, 0, "bob", "phone");
    say_many(&a, &b, 3);
    person_wait_said(&b, 3);
    person_join(&again, pl, 1, &b, "phone");
    assert_int_equal(again.device, b.device);
    person_wait_closed(&b);
    assert_int_equal(b.kicked, IM__CODE__SESSION_REPLACED);
    say_many(&a, &b, 3);
    person_wait_said(&again, 6); /* the first three were never confirmed */
    for (uint64_t seq = 1; seq <= 6; seq++) {
        bool found = false;
        for (size_t i = 0; i < again.n_said; i++)
            found = found || again.said[i].seq == seq;
        assert_true(found);
    }
    person_free(&a);
    person_free(&b);
    person_free(&again);
}

static void what_the_replaced_session_had_sent_counts(void **state)
{
    (void)state;
    struct person a, again, b;
    uint64_t n[20];
    person_new(&a, pl, 0, "ann", "laptop");
    person_new(&b, pl, 1, "bob", "phone");
    for (int i = 0; i < 20; i++)
        n[i] = person_say(&a, b.login, "%d", i);
    person_join(&again, pl, 1, &a, "laptop");
    person_wait_closed(&a);
    for (int i = 0; i < 20; i++) /* again, as a client does with what has no outcome */
        person_send(&again, n[i], b.login, "again");
    for (int i = 0; i < 20; i++)
        assert_int_equal(person_placed(&again, n[i]), i + 1);
    person_wait_said(&b, 20);
    assert_dense(&b, 20);
    person_free(&a);
    person_free(&again);
    person_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_between_two_edges),
        cmocka_unit_test(every_device_of_both_gets_it),
        cmocka_unit_test(who_was_away_gets_it_at_login_until_it_is_confirmed),
        cmocka_unit_test(pushes_without_confirmation_come_again),
        cmocka_unit_test(pending_messages_are_pulled_in_pages),
        cmocka_unit_test(past_the_queues_cap_the_rest_is_in_history),
        cmocka_unit_test(one_send_fifty_times_over_two_edges_is_one_message),
        cmocka_unit_test(one_order_for_all_devices_and_history),
        cmocka_unit_test(the_same_device_again_replaces_the_earlier),
        cmocka_unit_test(what_the_replaced_session_had_sent_counts),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, NULL));
}
