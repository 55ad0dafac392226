/* A client that does not read: cut at the cap, nobody else is harmed, and it gets everything at its next login. */
#include "tests/support/person.h"
#include "tests/support/traffic.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define LARGE 30000

static struct pl *pl;

static int setup(void **state)
{
    (void)state;
    pl = pl_up(&(struct pl_conf){.settings =
                                     "{\"edge\": {\"output_pause\": \"256KiB\", \"output_cut\": \"1MiB\"},"
                                     " \"offline\": {\"queue_bytes\": \"64MiB\"}}"});
    return 0;
}

/* Pages until there are no more. */
static void pull_all(struct person *p)
{
    uint64_t after = 0;
    person_forget(p);
    do {
        person_pull(p, after, 0);
        assert_false(p->pages[p->n_pages - 1].rest);
        after = p->pages[p->n_pages - 1].next;
    } while (p->pages[p->n_pages - 1].more);
}

static int by_seq(const void *a, const void *b)
{
    const struct said *x = a, *y = b;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* What is not confirmed may come again; a client drops it by its place. */
static void sort_unique(struct person *p)
{
    size_t n = 0;
    qsort(p->said, p->n_said, sizeof *p->said, by_seq);
    for (size_t i = 0; i < p->n_said; i++)
        if (!n || p->said[i].seq != p->said[n - 1].seq)
            p->said[n++] = p->said[i];
    p->n_said = n;
}

/* Everything, in however many logins' worth of pages and pushes. */
static bool has_all(struct person *p, size_t n)
{
    pull_all(p);
    sort_unique(p);
    return p->n_said >= n;
}

static void a_slow_reader_is_cut_and_nothing_is_lost(void **state)
{
    (void)state;
    struct person writer, slow;
    char *text = malloc(LARGE + 1);
    int small = 4096;
    size_t n = 0;
    memset(text, 'x', LARGE);
    text[LARGE] = 0;
    person_new(&writer, pl, 1, "ann", "laptop");
    person_new(&slow, pl, 0, "bob", "phone");
    setsockopt(raw_fd(slow.raw), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    struct traffic *t = traffic_new(pl, &(struct traffic_conf){.people = 2, .devices = 2});
    /* `slow` never reads from here on. */
    while (pl_metric(pl, PL_EDGE, 0, "parley_edge_cuts_total{reason=\"slow\"}") < 1) {
        if (n > 2000)
            fail_msg("it was not cut after %zu large messages", n);
        uint64_t last = 0;
        for (int i = 0; i < 8; i++, n++) {
            last = writer.next++;
            person_send(&writer, last, slow.login, text);
        }
        TRAFFIC_UNTIL(t, pl, (person_pump(&writer), person_ack(&writer, last, IM__STAGE__SEQUENCED)));
        person_confirm(&writer);
    }
    traffic_more(t, 100);
    assert_int_equal(traffic_reconnects(t), 0); /* the others noticed nothing */
    TRAFFIC_UNTIL(
        t, pl, pl_number(pl, "SELECT count(*) FROM messages WHERE length(text) = %d", LARGE) == (int64_t)n);
    person_join(&slow, pl, 1, &slow, "phone");
    TRAFFIC_UNTIL(t, pl, has_all(&slow, n));
    assert_dense(&slow, n);
    person_confirm(&slow);
    traffic_settle(t);
    person_free(&writer);
    person_free(&slow);
    free(text);
}

/* It reads, but confirms nothing: after so many the edge lets go, and nothing is lost either. */
static void one_who_confirms_nothing_is_cut_too(void **state)
{
    (void)state;
    struct person writer, slow;
    pl_stop(pl, PL_EDGE, 0, SIGTERM);
    pl_start(pl, PL_EDGE, 0, "PARLEY_EDGE_UNCONFIRMED=50");
    pl_wait_ready(pl);
    person_new(&writer, pl, 1, "ann", "laptop");
    person_new(&slow, pl, 0, "bob", "phone");
    for (int i = 0; i < 60; i++) {
        person_say(&writer, slow.login, "%d", i);
        if (i % 30 == 29)
            person_placed(&writer, writer.next - 1);
    }
    person_wait_closed(&slow);
    assert_int_equal(slow.kicked, IM__CODE__SLOW_READER);
    person_join(&slow, pl, 1, &slow, "phone");
    UNTIL(pl, has_all(&slow, 60));
    assert_dense(&slow, 60);
    person_free(&writer);
    person_free(&slow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_reader_is_cut_and_nothing_is_lost),
        cmocka_unit_test(one_who_confirms_nothing_is_cut_too),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, NULL));
}
