/* Messages between people who are there: every stage, every device, every place a message is kept. */
#include "tests/support/person.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct pl *pl;

static int setup(void **state)
{
    (void)state;
    pl = pl_up(&(struct pl_conf){0});
    return 0;
}

/* How many records `parleyctl tail` shows of a topic that contain this text. */
static int records_with(const char *topic, const char *text)
{
    int n = 0;
    const char *p = PL_CTL(pl, "tail", topic, "--from", "beginning", "--until-end", "--json");
    while ((p = strstr(p, text))) {
        n++;
        p = strchr(p, '\n');
        if (!p)
            break;
    }
    return n;
}

static void a_message_between_two_edges(void **state)
{
    (void)state;
    struct person a, b;
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
    assert_int_equal(a.n_said, 0); /* the device that sent it is not told it */
    UNTIL(pl, pl_number(pl, "SELECT count(*) FROM messages WHERE text = 'hello from %s' AND seq = 1",
                        a.login) == 1);
    char text[100];
    snprintf(text, sizeof text, "hello from %s", a.login);
    assert_int_equal(records_with("inbound", text), 1);
    assert_int_equal(records_with("conversation", text), 1);
    person_free(&a);
    person_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_between_two_edges),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, NULL));
}
