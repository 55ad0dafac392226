/* parleyctl trace: every hop of one message, from topics and stores, and from the log alone. */
#include "tests/support/person.h"

#include "common/im/ids.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NO_STORES "PARLEY_POSTGRES=host=127.0.0.1 port=1 connect_timeout=1"

static struct pl *pl;
static struct person ann, ben;

static int setup(void **state)
{
    (void)state;
    pl = pl_up(&(struct pl_conf){.n = {2, 1, 1, 1, 1}});
    person_new(&ann, pl, 0, "ann", "phone");
    person_new(&ben, pl, 1, "ben", "phone");
    return 0;
}

/* All lines; the caller frees. Fails unless the exit status is `expect`. */
static json_t *trace(int expect, const char *what, const char *env, const char *option)
{
    char *out = NULL;
    const char *argv[] = {"parleyctl", "-q", "trace", what, "--json", option, NULL};
    int rc = pl_run(pl, argv, env, &out);
    if (rc != expect)
        fail_msg("trace %s: exit %d\n%s", what, rc, out);
    json_t *all = json_array();
    for (char *line = out, *end; *line; line = end) {
        end = line + strcspn(line, "\n");
        end += *end == '\n';
        json_error_t e;
        if (*line != '{')
            continue;
        json_t *j = json_loads(line, JSON_DISABLE_EOF_CHECK, &e);
        if (!j)
            fail_msg("not JSON: %s", line);
        json_array_append_new(all, j);
    }
    free(out);
    return all;
}

/* The nth hop of this name whose `field` is `value` (NULL: any). */
static const json_t *hop(const json_t *all, const char *name, const char *field, const char *value)
{
    size_t i;
    const json_t *j;
    json_array_foreach(all, i, j)
    {
        const char *v = field ? json_string_value(json_object_get(j, field)) : NULL;
        if (strcmp(json_string_value(json_object_get(j, "hop")), name) == 0 &&
            (!value || (v && strcmp(v, value) == 0)))
            return j;
    }
    return NULL;
}

static size_t hops(const json_t *all, const char *name)
{
    size_t i, n = 0;
    const json_t *j;
    json_array_foreach(all, i, j) n += strcmp(json_string_value(json_object_get(j, "hop")), name) == 0;
    return n;
}

static int64_t number(const json_t *j, const char *field)
{
    assert_non_null(j);
    return json_integer_value(json_object_get(j, field));
}

static const char *text(const json_t *j, const char *field)
{
    assert_non_null(j);
    return json_string_value(json_object_get(j, field));
}

static void place(char out[200], const struct person *a, const struct person *b, uint64_t seq)
{
    snprintf(out, 200, "%s~%s:%llu", a->login, b->login, (unsigned long long)seq);
}

/* PostgreSQL and the queues are behind by a moment. */
static json_t *settled(const char *what, const char *name, const char *field)
{
    json_t *all = trace(0, what, NULL, NULL);
    int64_t by = clock_mono_ms() + pl_ms(PL_WAIT_MS);
    while (!json_is_true(json_object_get(hop(all, name, NULL, NULL), field))) {
        pl_turn(pl, by, what, __FILE__, __LINE__);
        json_decref(all);
        all = trace(0, what, NULL, NULL);
    }
    return all;
}

static void every_hop_of_a_message(void **state)
{
    char what[200], id[ID_HEX];
    struct id16 msg_id;
    (void)state;
    uint64_t mine = person_say(&ann, ben.login, "hello");
    uint64_t seq = person_placed(&ann, mine);
    person_wait_said(&ben, 1);
    person_confirm(&ben);
    person_confirm(&ann);
    place(what, &ann, &ben, seq);
    json_t *all = settled(what, "postgres", "row");
    const json_t *m = hop(all, "message", NULL, NULL);
    assert_string_equal(text(m, "sender"), ann.login);
    assert_string_equal(text(m, "peer"), ben.login);
    assert_int_equal(number(m, "client_seq"), mine);
    assert_int_equal(number(m, "seq"), seq);
    assert_int_equal(hops(all, "im.inbound"), 1);
    const json_t *conv = hop(all, "im.conversation", NULL, NULL);
    assert_string_equal(text(conv, "verdict"), "accepted");
    assert_int_equal(number(conv, "seq"), seq);
    assert_int_equal(number(conv, "source_offset"), number(hop(all, "im.inbound", NULL, NULL), "offset"));
    assert_true(number(conv, "since_first_us") >= 0);
    assert_non_null(text(hop(all, "edge", NULL, NULL), "time"));
    const json_t *push = hop(all, "im.deliver.0", "kind", "ITEM_MESSAGE");
    for (int i = 1; !push && i < 8; i++) {
        char topic[32];
        snprintf(topic, sizeof topic, "im.deliver.%d", i);
        push = hop(all, topic, "kind", "ITEM_MESSAGE");
    }
    assert_non_null(push);
    const json_t *to = json_array_get(json_object_get(push, "to"), 0);
    assert_string_equal(text(to, "user"), ben.login);
    assert_int_equal(number(hop(all, "postgres", NULL, NULL), "seq"), seq);
    /* by the sender's number, and by the id: the same record */
    snprintf(what, sizeof what, "%s:%llu", ann.login, (unsigned long long)mine);
    json_t *by_number = trace(0, what, NULL, NULL);
    assert_int_equal(number(hop(by_number, "im.conversation", NULL, NULL), "offset"), number(conv, "offset"));
    memcpy(msg_id.b, person_ack(&ann, mine, IM__STAGE__ACCEPTED)->msg_id, ID_SIZE);
    json_t *by_id = trace(0, id_hex(msg_id, id), NULL, "--since=10m");
    assert_int_equal(number(hop(by_id, "im.conversation", NULL, NULL), "offset"), number(conv, "offset"));
    assert_string_equal(text(hop(by_id, "message", NULL, NULL), "msg_id"), id);
    json_decref(by_id);
    json_decref(by_number);
    json_decref(all);
}

static void without_stores_the_log_says_the_same(void **state)
{
    char what[200];
    (void)state;
    place(what, &ann, &ben, 1);
    json_t *all = trace(0, what, NULL, "--log-only"), *away = trace(0, what, NO_STORES, NULL);
    assert_int_equal(number(hop(all, "message", NULL, NULL), "seq"), 1);
    assert_string_equal(text(hop(all, "im.conversation", NULL, NULL), "verdict"), "accepted");
    assert_null(hop(all, "postgres", NULL, NULL));
    assert_true(json_is_true(json_object_get(hop(away, "postgres", NULL, NULL), "away")));
    assert_int_equal(number(hop(away, "im.conversation", NULL, NULL), "offset"),
                     number(hop(all, "im.conversation", NULL, NULL), "offset"));
    json_decref(all);
    json_decref(away);
}

static void a_resend_is_a_second_frame_of_the_same(void **state)
{
    char what[200];
    (void)state;
    uint64_t mine = person_say(&ann, ben.login, "twice");
    person_placed(&ann, mine);
    struct person again = {0};
    person_join(&again, pl, 1, &ann, "phone"); /* the same device: the first connection is replaced */
    person_send(&again, mine, ben.login, "twice");
    person_placed(&again, mine);
    snprintf(what, sizeof what, "%s:%llu", ann.login, (unsigned long long)mine);
    json_t *all = trace(0, what, NULL, "--log-only");
    assert_int_equal(hops(all, "im.inbound"), 2);
    assert_int_equal(hops(all, "im.conversation"), 2);
    assert_non_null(hop(all, "im.conversation", "verdict", "accepted"));
    assert_int_equal(number(hop(all, "im.conversation", "verdict", "duplicate"), "seq"), 2);
    json_decref(all);
    person_free(&ann);
    ann = again;
}

static void a_refusal_has_its_reason(void **state)
{
    char what[200];
    uint8_t nowhere[16] = {7};
    (void)state;
    Im__GroupChat g = IM__GROUP_CHAT__INIT;
    g.client_seq = ann.next + 1;
    g.conversation = (ProtobufCBinaryData){sizeof nowhere, nowhere};
    g.text = "is anybody there?";
    assert_int_equal(raw_send(ann.raw, IM__FRAME_TYPE__GROUP_CHAT, 900, &g.base), 0);
    UNTIL(pl, (person_pump(&ann), person_ack(&ann, g.client_seq, IM__STAGE__STAGE_REFUSED)));
    snprintf(what, sizeof what, "%s:%llu", ann.login, (unsigned long long)g.client_seq);
    json_t *all = trace(0, what, NULL, NULL);
    const json_t *conv = hop(all, "im.conversation", NULL, NULL);
    assert_string_equal(text(conv, "verdict"), "refused");
    assert_string_equal(text(conv, "reason"), "NOT_A_MEMBER");
    assert_int_equal(number(hop(all, "message", NULL, NULL), "seq"), 0);
    json_decref(all);
    ann.next = g.client_seq + 1;
}

static void what_waits_is_in_the_queue(void **state)
{
    char what[200];
    (void)state;
    person_hang_up(&ben);
    person_connect(&ben, pl, 1); /* so that the end of the session has surely been read: */
    assert_int_equal(person_login(&ben, ben.login, "correct horse", "phone"), 0);
    person_logout(&ben);
    uint64_t mine = person_say(&ann, ben.login, "for later");
    uint64_t seq = person_placed(&ann, mine);
    place(what, &ann, &ben, seq);
    json_t *all = settled(what, "redis", "queued");
    assert_string_equal(text(hop(all, "redis", NULL, NULL), "user"), ben.login);
    assert_non_null(hop(all, "im.offline", NULL, NULL));
    json_decref(all);
    /* the next login gets it, and says so */
    person_connect(&ben, pl, 0);
    assert_int_equal(person_login(&ben, ben.login, "correct horse", "phone"), 0);
    UNTIL(pl, (person_pump(&ben), ben.n_pages > 0));
    person_confirm(&ben);
    person_logout(&ben);
    all = trace(0, what, NULL, NULL);
    int64_t by = clock_mono_ms() + pl_ms(PL_WAIT_MS);
    while (!hop(all, "im.cursor", "user", ben.login)) {
        pl_turn(pl, by, what, __FILE__, __LINE__);
        json_decref(all);
        all = trace(0, what, NULL, NULL);
    }
    json_decref(all);
}

/* ben is away: nothing is queued, he is marked. */
static void a_group_by_its_id(void **state)
{
    char conv[ID_HEX], what[80];
    struct id16 me;
    (void)state;
    Im__ConvOp op = IM__CONV_OP__INIT;
    memcpy(me.b, ann.user, ID_SIZE);
    op.client_seq = ann.next++;
    op.kind = IM__CONV_KIND__CONV_GROUP_CREATE;
    op.text = "friends";
    char *names[] = {ben.login};
    op.n_logins = 1;
    op.logins = names;
    assert_int_equal(raw_send(ann.raw, IM__FRAME_TYPE__CONV_OP, 901, &op.base), 0);
    person_placed(&ann, op.client_seq);
    struct id16 group = id_group(me, ann.device, op.client_seq);
    Im__GroupChat g = IM__GROUP_CHAT__INIT;
    g.client_seq = ann.next++;
    g.conversation = (ProtobufCBinaryData){ID_SIZE, group.b};
    g.text = "to all of you";
    assert_int_equal(raw_send(ann.raw, IM__FRAME_TYPE__GROUP_CHAT, 902, &g.base), 0);
    uint64_t seq = person_placed(&ann, g.client_seq);
    snprintf(what, sizeof what, "%s:%llu", id_hex(group, conv), (unsigned long long)seq);
    json_t *all = settled(what, "postgres", "row"), *log = trace(0, what, NULL, "--log-only");
    assert_string_equal(text(hop(all, "message", NULL, NULL), "conversation"), conv);
    assert_string_equal(text(hop(all, "message", NULL, NULL), "sender"), ann.login);
    assert_int_equal(number(hop(log, "im.conversation", NULL, NULL), "seq"), seq);
    json_decref(log);
    int64_t by = clock_mono_ms() + pl_ms(PL_WAIT_MS);
    while (!hop(all, "im.offline", "kind", "to be marked")) {
        pl_turn(pl, by, what, __FILE__, __LINE__);
        json_decref(all);
        all = trace(0, what, NULL, NULL);
    }
    json_decref(all);
}

static void as_a_tree(void **state)
{
    char what[200], *out = NULL;
    (void)state;
    place(what, &ann, &ben, 1);
    const char *argv[] = {"parleyctl", "-q", "trace", what, NULL};
    assert_int_equal(pl_run(pl, argv, NULL, &out), 0);
    assert_non_null(strstr(out, "├─ im.inbound/"));
    assert_non_null(strstr(out, "CONV_MESSAGE: accepted, number 1"));
    assert_non_null(strstr(out, "└─ redis"));
    if (getenv("SHOW"))
        fputs(out, stderr);
    free(out);
}

static void what_is_not_there(void **state)
{
    char what[200];
    (void)state;
    json_decref(trace(1, "00112233445566778899aabbccddeeff", NULL, "--since=10m"));
    place(what, &ann, &ben, 4711);
    json_decref(trace(1, what, NULL, NULL));
    json_decref(trace(1, "nobody:1", NULL, NULL));
    json_decref(trace(2, "what", NULL, NULL));
    json_decref(trace(2, "ann~ben:0", NULL, NULL));
}

static int teardown(void **state)
{
    (void)state;
    person_free(&ann);
    person_free(&ben);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_hop_of_a_message),
        cmocka_unit_test(without_stores_the_log_says_the_same),
        cmocka_unit_test(a_resend_is_a_second_frame_of_the_same),
        cmocka_unit_test(a_refusal_has_its_reason),
        cmocka_unit_test(what_waits_is_in_the_queue),
        cmocka_unit_test(a_group_by_its_id),
        cmocka_unit_test(as_a_tree),
        cmocka_unit_test(what_is_not_there),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, teardown));
}
