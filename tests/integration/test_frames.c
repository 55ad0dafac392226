/* What is not valid: each gets the documented code, is closed where that is documented, and harms nobody else. */
#include "common/base/macros.h"
#include "tests/support/person.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { PLAIN, HASTY, SMALL }; /* edges: usual settings; short times; small limits */

static struct pl *pl;
static struct person ann, bob; /* two who talk all the time */

static int setup(void **state)
{
    (void)state;
    pl = pl_up(
        &(struct pl_conf){.n = {3, 2, 2, 1, 1},
                          .edge_env = {[HASTY] = "PARLEY_EDGE_LOGIN=4s PARLEY_EDGE_HEARTBEAT=500ms",
                                       [SMALL] = "PARLEY_EDGE_SEND_WINDOW=4 PARLEY_EDGE_RATE=1"
                                                 " PARLEY_EDGE_BURST=12 PARLEY_EDGE_CONNS_PER_ADDRESS=3"}});
    person_new(&ann, pl, PLAIN, "ann", "laptop");
    person_new(&bob, pl, SMALL, "bob", "phone");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    person_free(&ann);
    person_free(&bob);
    return 0;
}

/* The others notice nothing, and the edge is well. */
static void all_is_well(void)
{
    int status;
    size_t had = bob.n_said;
    person_placed(&ann, person_say(&ann, bob.login, "still here"));
    person_wait_said(&bob, had + 1);
    person_confirm(&bob);
    person_confirm(&ann);
    pl_http(pl, PL_EDGE, PLAIN, "/healthz", &status);
    assert_int_equal(status, 200);
}

/* ---- one table of bad frames ---- */

enum login { OUT, IN };
struct bad {
    const char *name;
    enum login login;
    const char *bytes; /* of the payload, or of the whole when raw */
    size_t n;
    uint16_t type;
    bool raw;
    int code;
    const char *field;
    bool closes;
};

#define B(text)  .bytes = text, .n = sizeof(text) - 1
#define FRAME(t) .type = IM__FRAME_TYPE__##t
#define CODE(c)  .code = IM__CODE__##c

static const struct bad table[] = {
    {"totalLen 0", OUT, B("\0\0\0\0\0\4\0\0\0\1"), .raw = true, CODE(FRAME_TOO_SHORT), .closes = true},
    {"totalLen 9", IN, B("\0\0\0\11\0\4\0\0\0\1"), .raw = true, CODE(FRAME_TOO_SHORT), .closes = true},
    {"4097 bytes before login", OUT, B("\0\0\20\1\0\4\0\0\0\1"), .raw = true, CODE(FRAME_TOO_LARGE),
     .closes = true},
    {"65537 bytes after it", IN, B("\0\1\0\1\0\12\0\0\0\1"), .raw = true, CODE(FRAME_TOO_LARGE),
     .closes = true},
    {"4 GiB", IN, B("\377\377\377\377\0\12\0\0\0\1"), .raw = true, CODE(FRAME_TOO_LARGE), .closes = true},
    {"not our protocol", OUT, B("GET / HTTP/1.1\r\n\r\n"), .raw = true, CODE(FRAME_TOO_LARGE),
     .closes = true},
    {"unknown type", OUT, B(""), .type = 9999, CODE(UNKNOWN_TYPE)},
    {"type 0", IN, B(""), .type = 0, CODE(UNKNOWN_TYPE)},
    {"an empty message to a group", IN, B(""), FRAME(GROUP_CHAT), CODE(BAD_FIELD), .field = "client_seq"},
    {"a number nobody has", IN, B(""), .type = 59, CODE(UNKNOWN_TYPE)},
    {"a server's type", IN, B(""), FRAME(CHAT_PUSH), CODE(UNKNOWN_TYPE)},
    {"a server's answer", OUT, B(""), FRAME(LOGIN_RSP), CODE(UNKNOWN_TYPE)},
    {"no protobuf", IN, B("\377\377\377"), FRAME(SINGLE_CHAT), CODE(BAD_PROTOBUF)},
    {"no protobuf before login", OUT, B("\377\377\377"), FRAME(LOGIN_REQ), CODE(BAD_PROTOBUF)},
    {"a length inside that lies", IN, B("\10\1\42\177hi"), FRAME(SINGLE_CHAT), CODE(BAD_PROTOBUF)},
    {"a group, endless", IN, B("\13\13\13\13"), FRAME(SINGLE_CHAT), CODE(BAD_PROTOBUF)},
    {"text is not UTF-8", IN, B("\10\1\22\3bob\42\2\303\50"), FRAME(SINGLE_CHAT), CODE(BAD_TEXT), "text"},
    {"half a surrogate", IN, B("\10\1\22\3bob\42\3\355\240\200"), FRAME(SINGLE_CHAT), CODE(BAD_TEXT), "text"},
    {"NUL in text", IN, B("\10\1\22\3bob\42\3a\0b"), FRAME(SINGLE_CHAT), CODE(BAD_TEXT), "text"},
    {"NUL in a login name", OUT, B("\12\3a\0b\22\10password"), FRAME(REGISTER_REQ), CODE(BAD_TEXT), "login"},
    {"no client_seq", IN, B("\22\3bob\42\2hi"), FRAME(SINGLE_CHAT), CODE(BAD_FIELD), "client_seq"},
    {"to nobody", IN, B("\10\1\42\2hi"), FRAME(SINGLE_CHAT), CODE(BAD_FIELD), "to"},
    {"half an id", IN, B("\10\1\32\5abcde\42\2hi"), FRAME(SINGLE_CHAT), CODE(BAD_FIELD), "to_user"},
    {"nothing said", IN, B("\10\1\22\3bob"), FRAME(SINGLE_CHAT), CODE(BAD_FIELD), "text"},
    {"text and data", IN, B("\10\1\22\3bob\42\2hi\52\1x\62\1y"), FRAME(SINGLE_CHAT), CODE(BAD_FIELD),
     "content_type"},
    {"data of no type", IN, B("\10\1\22\3bob\62\1y"), FRAME(SINGLE_CHAT), CODE(BAD_FIELD), "content_type"},
    {"a page too large", IN, B("\20\377\177"), FRAME(PULL_OFFLINE_REQ), CODE(BAD_FIELD), "limit"},
    {"a cursor backwards", IN, B("\22\26\12\020abcdefghijklmnop\20\5\30\4"), FRAME(DELIVERY_ACK),
     CODE(BAD_FIELD), "cursors"},
    {"never sent that much", IN, B("\10\377\377\3"), FRAME(DELIVERY_ACK), CODE(BAD_FIELD), "upto"},
    {"a short password", OUT, B("\12\3bob\22\3abc"), FRAME(REGISTER_REQ), CODE(BAD_FIELD), "password"},
    {"a name with blanks", OUT, B("\12\5b o b\22\10password"), FRAME(REGISTER_REQ), CODE(BAD_FIELD), "login"},
    {"no device", OUT, B("\12\3bob\22\10password"), FRAME(LOGIN_REQ), CODE(BAD_FIELD), "device_id"},
    {"a chat before login", OUT, B("\10\1\22\3bob\42\2hi"), FRAME(SINGLE_CHAT), CODE(NOT_LOGGED_IN)},
    {"a pull before login", OUT, B(""), FRAME(PULL_OFFLINE_REQ), CODE(NOT_LOGGED_IN)},
    {"a logout before login", OUT, B(""), FRAME(LOGOUT_REQ), CODE(NOT_LOGGED_IN)},
    {"a confirmation before login", OUT, B(""), FRAME(DELIVERY_ACK), CODE(NOT_LOGGED_IN)},
    {"a second login", IN, B("\12\3bob\22\10password\42\1x"), FRAME(LOGIN_REQ), CODE(WRONG_STATE)},
};

static void answers_heartbeats(struct person *p)
{
    size_t had = p->heartbeats;
    assert_int_equal(raw_send(p->raw, IM__FRAME_TYPE__HEARTBEAT, 3, NULL), 0);
    UNTIL(pl, (person_pump(p), p->heartbeats > had || p->closed));
    assert_false(p->closed);
}

static void send_bad(struct person *p, const struct bad *b, uint32_t seq_id)
{
    uint8_t frame[256];
    if (b->raw) {
        assert_int_equal(raw_bytes(p->raw, b->bytes, b->n), 0);
        return;
    }
    frame_header(frame, b->type, seq_id, b->n);
    memcpy(frame + FRAME_HEADER, b->bytes, b->n);
    assert_int_equal(raw_bytes(p->raw, frame, FRAME_HEADER + b->n), 0);
}

static void each_bad_frame_has_its_code(void **state)
{
    (void)state;
    struct person out = {0}, in;
    person_connect(&out, pl, PLAIN);
    person_join(&in, pl, PLAIN, &ann, "other");
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        const struct bad *b = &table[i];
        struct person *p = b->login == IN ? &in : &out;
        uint32_t seq_id = 100 + (uint32_t)i;
        p->n_told = 0;
        send_bad(p, b, seq_id);
        UNTIL(pl, (person_pump(p), p->n_told || p->closed));
        if (!p->n_told)
            fail_msg("%s: closed without a word", b->name);
        if (p->told[0].code != b->code || strcmp(p->told[0].field, b->field ? b->field : "") != 0)
            fail_msg("%s: code %d, field \"%s\"", b->name, p->told[0].code, p->told[0].field);
        assert_int_equal(p->told[0].seq_id, b->raw ? p->told[0].seq_id : seq_id);
        if (!b->closes) {
            answers_heartbeats(p);
            continue;
        }
        person_wait_closed(p);
        if (b->login == IN) {
            person_free(p);
            person_join(p, pl, PLAIN, &ann, "other");
        } else {
            person_connect(p, pl, PLAIN);
        }
    }
    person_free(&in);
    person_free(&out);
    all_is_well();
}

static void a_frame_of_the_largest_size_is_taken(void **state)
{
    (void)state;
    enum { TEXT = 65536 - FRAME_HEADER - 120 };
    char *text = malloc(TEXT + 1);
    struct person p;
    memset(text, 'x', TEXT);
    text[TEXT] = 0;
    person_join(&p, pl, PLAIN, &ann, "other");
    person_send(&p, p.next, bob.login, text);
    person_placed(&p, p.next);
    UNTIL(pl, pl_number(pl, "SELECT count(*) FROM messages WHERE length(text) = %d", TEXT) == 1);
    person_free(&p);
    free(text);
    all_is_well();
}

static void pieces_make_a_frame_and_half_a_frame_harms_nobody(void **state)
{
    (void)state;
    uint8_t frame[64];
    struct person p = {0};
    Im__AccountExistsReq m = IM__ACCOUNT_EXISTS_REQ__INIT;
    m.login = (char *)"nobody-of-this-name";
    int n = raw_encode(frame, sizeof frame, IM__FRAME_TYPE__ACCOUNT_EXISTS_REQ, 8, &m.base);
    person_connect(&p, pl, PLAIN);
    for (int i = 0; i < n; i++) {
        assert_int_equal(raw_bytes(p.raw, frame + i, 1), 0);
        poll(NULL, 0, 1);
    }
    struct raw_frame *f = raw_wait(p.raw, IM__FRAME_TYPE__ACCOUNT_EXISTS_RSP, pl_ms(PL_WAIT_MS));
    assert_non_null(f);
    raw_frame_free(f);
    for (int cut = 1; cut < n; cut += 5) { /* gone in the middle, politely and not */
        person_connect(&p, pl, PLAIN);
        assert_int_equal(raw_bytes(p.raw, frame, (size_t)cut), 0);
        if (cut & 1)
            raw_hang_up(p.raw);
    }
    person_free(&p);
    all_is_well();
}

static void an_unknown_recipient_is_refused_and_nothing_is_written(void **state)
{
    (void)state;
    struct person p;
    person_join(&p, pl, PLAIN, &ann, "other");
    uint64_t n = person_say(&p, "nobody-of-this-name", "to nobody at all");
    const struct told *t = person_wait_told(&p, IM__CODE__UNKNOWN_USER);
    assert_int_equal(t->seq_id, (uint32_t)n);
    person_placed(&p, person_say(&p, bob.login, "to somebody")); /* behind it in every log */
    assert_null(person_ack(&p, n, IM__STAGE__ACCEPTED));
    assert_null(strstr(PL_CTL(pl, "tail", "inbound", "--from", "beginning", "--until-end", "--json"),
                       "to nobody at all"));
    UNTIL(pl, pl_number(pl, "SELECT count(*) FROM messages WHERE text = 'to somebody'") == 1);
    assert_int_equal(pl_number(pl, "SELECT count(*) FROM messages WHERE text = 'to nobody at all'"), 0);
    p.n_told = 0;
    person_say(&p, p.login, "to myself");
    person_wait_told(&p, IM__CODE__BAD_FIELD);
    person_free(&p);
}

static void only_so_many_sends_without_an_outcome(void **state)
{
    (void)state;
    uint64_t n[6];
    struct person p;
    person_new(&p, pl, SMALL, "cleo", "tablet");
    person_placed(&p, person_say(&p, ann.login, "known from now on"));
    for (int i = 0; i < 2; i++)
        pl_signal(pl, PL_FANOUT, i, SIGSTOP);
    for (int i = 0; i < 5; i++)
        n[i] = person_say(&p, ann.login, "%d", i);
    const struct told *t = person_wait_told(&p, IM__CODE__TOO_MANY_UNRESOLVED);
    assert_int_equal(t->seq_id, (uint32_t)n[4]);
    for (int i = 0; i < 4; i++)
        person_accepted(&p, n[i]);
    assert_null(person_ack(&p, n[4], IM__STAGE__ACCEPTED));
    person_send(&p, n[0], ann.login, "0"); /* a resend needs no place of its own */
    for (int i = 0; i < 2; i++)
        pl_signal(pl, PL_FANOUT, i, SIGCONT);
    for (int i = 0; i < 4; i++)
        assert_int_equal(person_placed(&p, n[i]), i + 2);
    person_send(&p, n[4], ann.login, "4");
    assert_int_equal(person_placed(&p, n[4]), 6);
    person_free(&p);
}

static void only_so_many_requests(void **state)
{
    (void)state;
    struct person p;
    uint64_t n = 0;
    person_new(&p, pl, SMALL, "dora", "tablet");
    for (int i = 0; i < 20; i++)
        assert_int_equal(raw_send(p.raw, IM__FRAME_TYPE__HEARTBEAT, 3, NULL), 0);
    const struct told *t = person_wait_told(&p, IM__CODE__TOO_MANY_REQUESTS);
    assert_true(t->retry_ms > 0);
    n = p.next++;
    do { /* again, unchanged, after the time it said */
        p.n_told = 0;
        person_send(&p, n, ann.login, "at last");
        UNTIL(pl, (person_pump(&p), p.n_told || person_ack(&p, n, IM__STAGE__ACCEPTED)));
        poll(NULL, 0, p.n_told ? (int)p.told[0].retry_ms : 0);
    } while (p.n_told);
    assert_int_equal(person_placed(&p, n), 1);
    person_free(&p);
}

static void only_so_many_connections_of_one_address(void **state)
{
    (void)state;
    struct person p[3] = {0}; /* bob is one of three */
    for (int i = 0; i < 3; i++)
        person_connect(&p[i], pl, SMALL);
    person_wait_told(&p[2], IM__CODE__TOO_MANY_CONNECTIONS);
    person_wait_closed(&p[2]);
    person_hang_up(&p[0]);
    do { /* room again */
        person_free(&p[2]);
        person_connect(&p[2], pl, SMALL);
        raw_send(p[2].raw, IM__FRAME_TYPE__HEARTBEAT, 3, NULL);
        UNTIL(pl, (person_pump(&p[2]), p[2].heartbeats || p[2].closed));
    } while (p[2].closed);
    for (int i = 0; i < 3; i++)
        person_free(&p[i]);
}

static void who_does_not_log_in_is_closed(void **state)
{
    (void)state;
    struct person silent = {0}, busy = {0};
    person_connect(&silent, pl, HASTY);
    person_connect(&busy, pl, HASTY);
    while (!busy.closed) { /* speaking does not help */
        raw_send(busy.raw, IM__FRAME_TYPE__HEARTBEAT, 3, NULL);
        pl_turn(pl, INT64_MAX, "", __FILE__, __LINE__);
        person_pump(&busy);
    }
    person_wait_closed(&silent);
    assert_int_equal(silent.n_told, 1);
    assert_int_equal(silent.told[0].code, IM__CODE__LOGIN_TIMEOUT);
    assert_int_equal(busy.told[busy.n_told - 1].code, IM__CODE__LOGIN_TIMEOUT);
    person_free(&silent);
    person_free(&busy);
}

static void who_says_nothing_for_long_is_closed(void **state)
{
    (void)state;
    struct person quiet, lively;
    person_new(&quiet, pl, HASTY, "emma", "laptop");
    person_join(&lively, pl, HASTY, &quiet, "phone");
    assert_int_equal(quiet.heartbeat_ms, 500);
    person_pump(&quiet);
    while (!quiet.closed) {
        raw_send(lively.raw, IM__FRAME_TYPE__HEARTBEAT, 3, NULL);
        pl_turn(pl, INT64_MAX, "", __FILE__, __LINE__);
        person_pump(&quiet);
        person_pump(&lively);
    }
    assert_int_equal(quiet.kicked, IM__CODE__IDLE_TIMEOUT);
    assert_false(lively.closed);
    person_placed(&ann, person_say(&ann, quiet.login, "still there?"));
    person_wait_said(&lively, 1);
    person_join(&quiet, pl, PLAIN, &quiet, "laptop"); /* what it missed was kept */
    person_wait_said(&quiet, 1);
    person_free(&quiet);
    person_free(&lively);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_bad_frame_has_its_code),
        cmocka_unit_test(a_frame_of_the_largest_size_is_taken),
        cmocka_unit_test(pieces_make_a_frame_and_half_a_frame_harms_nobody),
        cmocka_unit_test(an_unknown_recipient_is_refused_and_nothing_is_written),
        cmocka_unit_test(only_so_many_sends_without_an_outcome),
        cmocka_unit_test(only_so_many_requests),
        cmocka_unit_test(only_so_many_connections_of_one_address),
        cmocka_unit_test(who_does_not_log_in_is_closed),
        cmocka_unit_test(who_says_nothing_for_long_is_closed),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, teardown));
}
