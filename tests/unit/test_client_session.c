/* libparley against a scripted server: log-in, order, resends, window, farewells, state file. */
#include "common/base/clock.h"
#include "tests/support/fakeedge.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define CHAT  IM__FRAME_TYPE__SINGLE_CHAT
#define PULL  IM__FRAME_TYPE__PULL_OFFLINE_REQ
#define LOGIN IM__FRAME_TYPE__LOGIN_REQ

/* A folder for a state file, and a client that keeps it. */
struct home {
    char dir[32], file[64];
    struct parley_options o;
};

static void home_new(struct home *h)
{
    *h = (struct home){.dir = "/tmp/parley-client-XXXXXX"};
    assert_non_null(mkdtemp(h->dir));
    snprintf(h->file, sizeof h->file, "%s/state", h->dir);
    h->o = (struct parley_options){.state_file = h->file, .backoff_min_ms = 2, .backoff_max_ms = 10};
}

static void home_free(struct home *h)
{
    char lock[80];
    snprintf(lock, sizeof lock, "%s.lock", h->file);
    unlink(h->file);
    unlink(lock);
    rmdir(h->dir);
}

/* Logged in as a new device, with a state file. */
static void home_start(struct home *h, struct fake *f, uint64_t base)
{
    home_new(h);
    fake_start(f, &h->o, "");
    h->o.servers = f->addr;
    parley_login(f->p, "alice", "correct horse");
    fake_login(f, base, 64, true);
}

/* The program starts again, as if it had been killed. */
static void home_restart(struct home *h, struct fake *f, uint64_t base)
{
    parley_free(f->p);
    fake_client(f, &h->o);
    assert_int_equal(parley_login_token(f->p, NULL), 0);
    fake_login(f, base, 64, false);
}

/* Started, asked to log in by password, and the request came. */
static struct raw_frame *asked_in(struct fake *f, const char *password)
{
    fake_start(f, NULL, "");
    parley_login(f->p, "alice", password);
    fake_accept(f);
    return fake_want(f, LOGIN);
}

/* A send is taken, and has its place. */
static void placed(struct fake *f, uint32_t frame, uint32_t delivery, uint64_t client_seq, uint64_t seq)
{
    fake_ack(f, frame, client_seq, IM__STAGE__ACCEPTED, 3, 0);
    fake_ack(f, delivery, client_seq, IM__STAGE__SEQUENCED, 3, seq);
    while (parley_unresolved(f->p))
        fake_run(f);
}

/* The next SINGLE_CHAT has this number and text; its seqId. */
static uint32_t chat(struct fake *f, uint64_t client_seq, const char *text)
{
    struct raw_frame *r = fake_want(f, CHAT);
    const Im__SingleChat *m = (Im__SingleChat *)r->msg;
    assert_int_equal(m->client_seq, client_seq);
    assert_string_equal(m->text, text);
    uint32_t id = r->seq_id;
    raw_frame_free(r);
    return id;
}

static void password_then_token(void **state)
{
    (void)state;
    struct fake f;
    struct raw_frame *r = asked_in(&f, "correct horse");
    Im__LoginReq *m = (Im__LoginReq *)r->msg;
    assert_string_equal(m->login, "alice");
    assert_string_equal(m->password, "correct horse");
    assert_string_equal(m->device_id, "dev");
    assert_true(m->fresh);
    raw_frame_free(r);
    raw_hang_up(f.s);
    fake_login(&f, 10, 64, true);
    fake_saw(&f, "state online OK");
    assert_string_equal(parley_token(f.p), "a.token");
    assert_string_equal(parley_edge(f.p), "fake");
    raw_hang_up(f.s);
    fake_saw(&f, "state offline DISCONNECTED");
    fake_accept(&f);
    r = fake_want(&f, LOGIN);
    m = (Im__LoginReq *)r->msg;
    assert_string_equal(m->token, "a.token");
    assert_string_equal(m->password, "");
    raw_frame_free(r);
    fake_stop(&f);
}

static void refused_login_ends(void **state)
{
    (void)state;
    struct fake f;
    Im__LoginRsp m = IM__LOGIN_RSP__INIT;
    struct raw_frame *r = asked_in(&f, "wrong");
    m.code = IM__CODE__BAD_CREDENTIALS;
    raw_send(f.s, IM__FRAME_TYPE__LOGIN_RSP, r->seq_id, &m.base);
    raw_frame_free(r);
    fake_saw(&f, "state ended BAD_CREDENTIALS");
    assert_int_equal(parley_run_once(f.p, 0), -ESHUTDOWN);
    fake_stop(&f);
}

static void busy_login_is_tried_again(void **state)
{
    (void)state;
    struct fake f;
    struct raw_frame *r = asked_in(&f, "correct horse");
    fake_refuse(&f, r->seq_id, IM__CODE__TOO_MANY_REQUESTS, 5);
    raw_frame_free(r);
    fake_login(&f, 1, 64, true);
    fake_saw(&f, "state online");
    fake_stop(&f);
}

static void registers_before_logging_in(void **state)
{
    (void)state;
    struct fake f;
    uint8_t user[16] = {9};
    Im__RegisterRsp m = IM__REGISTER_RSP__INIT;
    Im__AccountExistsRsp e = IM__ACCOUNT_EXISTS_RSP__INIT;
    fake_start(&f, NULL, "");
    parley_register(f.p, "alice", "correct horse", "Alice");
    parley_exists(f.p, "bob");
    parley_login(f.p, "alice", "correct horse");
    fake_accept(&f);
    struct raw_frame *r = fake_want(&f, IM__FRAME_TYPE__REGISTER_REQ);
    struct raw_frame *x = fake_want(&f, IM__FRAME_TYPE__ACCOUNT_EXISTS_REQ);
    assert_true(raw_quiet(f.s, LOGIN));
    m.user = (ProtobufCBinaryData){16, user};
    raw_send(f.s, IM__FRAME_TYPE__REGISTER_RSP, r->seq_id, &m.base);
    e.exists = true;
    raw_send(f.s, IM__FRAME_TYPE__ACCOUNT_EXISTS_RSP, x->seq_id, &e.base);
    raw_frame_free(r);
    raw_frame_free(x);
    raw_frame_free(fake_want(&f, LOGIN));
    fake_saw(&f, "registered alice OK user");
    fake_saw(&f, "exists bob OK 1");
    fake_stop(&f);
}

static void a_registration_cut_off_is_not_repeated(void **state)
{
    (void)state;
    struct fake f;
    fake_start(&f, NULL, "");
    parley_register(f.p, "alice", "correct horse", "");
    fake_accept(&f);
    raw_frame_free(fake_want(&f, IM__FRAME_TYPE__REGISTER_REQ));
    raw_hang_up(f.s);
    fake_saw(&f, "registered alice DISCONNECTED");
    fake_stop(&f);
}

static void another_server_takes_over(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) { /* it starts with either */
        char gone[64];
        struct fake f;
        int fd = raw_listen(gone, sizeof gone);
        close(fd);
        fake_start(&f, NULL, gone);
        parley_login(f.p, "alice", "correct horse");
        fake_login(&f, 1, 64, true);
        fake_saw(&f, "state online");
        assert_int_equal(fake_count(&f, "error"), 0);
        fake_stop(&f);
    }
}

static void nobody_there(void **state)
{
    (void)state;
    struct fake f;
    fake_start(&f, NULL, "");
    close(f.listener);
    f.listener = -1;
    parley_login(f.p, "alice", "correct horse");
    fake_saw(&f, "error UNREACHABLE");
    fake_saw(&f, "state offline UNREACHABLE");
    fake_stop(&f);
}

static void messages_in_split_reads(void **state)
{
    (void)state;
    struct fake f;
    uint8_t frame[512];
    uint8_t id[16] = {3}, sender[16] = {2};
    Im__ChatPush m = IM__CHAT_PUSH__INIT;
    fake_online(&f, 1);
    m.conversation = (ProtobufCBinaryData){16, id};
    m.sender = (ProtobufCBinaryData){16, sender};
    m.text = (char *)(uintptr_t) "in pieces";
    m.seq = 1;
    int n = raw_encode(frame, sizeof frame, IM__FRAME_TYPE__CHAT_PUSH, 1, &m.base);
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        raw_bytes(f.s, frame + i, 1);
        fake_run(&f);
    }
    fake_saw(&f, "message 3/1 in pieces missed=0\n");
    fake_confirmed(&f, 1);
    fake_stop(&f);
}

static void repeats_are_dropped_and_confirmed(void **state)
{
    (void)state;
    struct fake f;
    fake_online(&f, 1);
    fake_push(&f, 1, 3, 1, "one");
    fake_push(&f, 2, 3, 1, "one");
    fake_push(&f, 3, 3, 2, "two");
    fake_confirmed(&f, 3);
    assert_int_equal(fake_count(&f, "message"), 2);
    fake_stop(&f);
}

static void a_hole_is_pulled(void **state)
{
    (void)state;
    struct fake f;
    fake_online(&f, 1);
    fake_push(&f, 1, 3, 1, "one");
    fake_push(&f, 2, 3, 4, "four");
    struct raw_frame *r = fake_want(&f, PULL);
    const Im__PullOfflineReq *q = (Im__PullOfflineReq *)r->msg;
    assert_int_equal(q->conversation.len, 16);
    assert_int_equal(q->conversation.data[0], 3);
    assert_int_equal(fake_count(&f, "message"), 1);
    fake_page(&f, r->seq_id, 3, (uint64_t[]){2}, 1, true, 77);
    raw_frame_free(r);
    r = fake_want(&f, PULL);
    assert_int_equal(((Im__PullOfflineReq *)r->msg)->after, 77);
    fake_page(&f, r->seq_id, 3, (uint64_t[]){3}, 1, false, 0);
    raw_frame_free(r);
    fake_confirmed(&f, 2);
    assert_non_null(
        strstr(f.log, "message 3/1 one missed=0\nmessage 3/2 queued missed=0\nmessage 3/3 queued missed=0\n"
                      "message 3/4 four missed=0\n"));
    fake_stop(&f);
}

static void pages_after_login_and_pulled(void **state)
{
    (void)state;
    struct fake f;
    uint64_t a[] = {1, 2, 3}, b[] = {4, 5};
    fake_online(&f, 1);
    fake_page(&f, 0, 3, a, 3, true, 3);
    struct raw_frame *r = fake_want(&f, PULL);
    assert_int_equal(((Im__PullOfflineReq *)r->msg)->after, 3);
    assert_int_equal(((Im__PullOfflineReq *)r->msg)->conversation.len, 0);
    fake_page(&f, r->seq_id, 3, b, 2, false, 0);
    raw_frame_free(r);
    fake_saw(&f, "message 3/5");
    parley_pull(f.p);
    r = fake_want(&f, PULL);
    assert_int_equal(((Im__PullOfflineReq *)r->msg)->after, 0);
    fake_page(&f, r->seq_id, 3, b, 2, false, 0);
    raw_frame_free(r);
    fake_saw(&f, "pulled OK rest=0");
    assert_int_equal(fake_count(&f, "message"), 5);
    /* The server hears what is here, so that it can forget it. */
    uint64_t upto = 0;
    while (upto < 5) {
        r = fake_want(&f, IM__FRAME_TYPE__DELIVERY_ACK);
        const Im__DeliveryAck *k = (Im__DeliveryAck *)r->msg;
        assert_int_equal(k->upto, 0);
        assert_int_equal(k->n_cursors, 1);
        assert_int_equal(k->cursors[0]->from, 1);
        upto = k->cursors[0]->upto;
        raw_frame_free(r);
    }
    fake_stop(&f);
}

static void sends_and_their_stages(void **state)
{
    (void)state;
    struct fake f;
    fake_online(&f, 100);
    assert_int_equal(parley_send_text(f.p, "bob", "one"), 1);
    assert_int_equal(parley_send_text(f.p, "bob", "two"), 2);
    assert_int_equal(parley_send_text(f.p, "bob", "bad\xff"), -EINVAL);
    uint32_t id = chat(&f, 101, "one");
    uint32_t id2 = chat(&f, 102, "two");
    fake_ack(&f, id, 101, IM__STAGE__ACCEPTED, 3, 0);
    fake_saw(&f, "sent 1 accepted OK");
    fake_ack(&f, 1, 101, IM__STAGE__SEQUENCED, 3, 1);
    fake_saw(&f, "sent 1 sequenced OK seq=1");
    fake_ack(&f, id2, 102, IM__STAGE__ACCEPTED, 3, 0);
    fake_ack(&f, 2, 102, IM__STAGE__STAGE_REFUSED, 3, IM__CODE__NOT_A_MEMBER);
    fake_saw(&f, "sent 2 refused NOT_A_MEMBER");
    fake_confirmed(&f, 2);
    assert_int_equal(parley_unresolved(f.p), 0);
    fake_stop(&f);
}

static void without_a_taker_nothing_is_confirmed(void **state)
{
    (void)state;
    struct fake f;
    struct parley_options o = {.device_id = "dev", .backoff_min_ms = 2, .backoff_max_ms = 10};
    fake_start(&f, NULL, "");
    parley_free(f.p);
    o.servers = f.addr;
    f.p = parley_new(&o, NULL, NULL);
    parley_login(f.p, "alice", "correct horse");
    fake_login(&f, 0, 64, true);
    fake_push(&f, 1, 3, 1, "one");
    fake_page(&f, 0, 4, (uint64_t[]){1}, 1, false, 0);
    parley_send_text(f.p, "bob", "x");
    placed(&f, chat(&f, 1, "x"), 2, 1, 2);
    parley_stop(f.p, 0);
    raw_frame_free(fake_want(&f, IM__FRAME_TYPE__LOGOUT_REQ));
    assert_true(raw_quiet(f.s, IM__FRAME_TYPE__DELIVERY_ACK));
    fake_stop(&f);
}

/* `send` takes no messages; a `listen` after it on the same device must not wait for what the device itself wrote. */
static void own_places_are_remembered_without_a_taker(void **state)
{
    (void)state;
    struct fake f;
    struct home h;
    home_start(&h, &f, 0);
    fake_push(&f, 1, 3, 1, "one");
    fake_confirmed(&f, 1);
    parley_free(f.p);
    f.p = parley_new(&h.o, NULL, NULL);
    assert_int_equal(parley_login_token(f.p, NULL), 0);
    fake_login(&f, 50, 64, false);
    parley_send_text(f.p, "bob", "x");
    placed(&f, chat(&f, 51, "x"), 1, 51, 2);
    home_restart(&h, &f, 60);
    fake_push(&f, 1, 3, 3, "three");
    fake_confirmed(&f, 1);
    assert_int_equal(fake_count(&f, "message"), 2);
    assert_true(raw_quiet(f.s, PULL));
    fake_stop(&f);
    home_free(&h);
}

static void stale_is_told(void **state)
{
    (void)state;
    struct fake f;
    fake_online(&f, 5);
    parley_send_text(f.p, "bob", "old");
    chat(&f, 6, "old");
    fake_ack(&f, 1, 6, IM__STAGE__STAGE_REFUSED, 3, IM__CODE__STALE);
    fake_saw(&f, "sent 1 refused STALE");
    fake_stop(&f);
}

static void resends_after_a_cut_in_order_before_new(void **state)
{
    (void)state;
    struct fake f;
    fake_online(&f, 100);
    for (int i = 0; i < 3; i++)
        parley_send_text(f.p, "bob", (const char *[]){"one", "two", "three"}[i]);
    fake_ack(&f, chat(&f, 101, "one"), 101, IM__STAGE__ACCEPTED, 3, 0);
    fake_ack(&f, 1, 101, IM__STAGE__SEQUENCED, 3, 1);
    fake_ack(&f, chat(&f, 102, "two"), 102, IM__STAGE__ACCEPTED, 3, 0);
    fake_saw(&f, "sent 2 accepted");
    chat(&f, 103, "three");
    raw_hang_up(f.s);
    fake_saw(&f, "state offline");
    parley_send_text(f.p, "bob", "four");
    fake_login(&f, 5000, 64, false);
    uint32_t two = chat(&f, 102, "two"), three = chat(&f, 103, "three");
    chat(&f, 5001, "four"); /* a new number, above all the server has seen */
    fake_ack(&f, two, 102, IM__STAGE__ACCEPTED, 3, 0);
    fake_ack(&f, three, 103, IM__STAGE__ACCEPTED, 3, 0);
    fake_ack(&f, 1, 102, IM__STAGE__SEQUENCED, 3, 2);
    fake_ack(&f, 2, 103, IM__STAGE__SEQUENCED, 3, 3);
    fake_saw(&f, "sent 3 sequenced OK seq=3");
    assert_int_equal(fake_count(&f, "sent 2 accepted"), 1);
    fake_stop(&f);
}

static void never_more_than_the_window(void **state)
{
    (void)state;
    struct fake f;
    fake_start(&f, NULL, "");
    parley_login(f.p, "alice", "correct horse");
    fake_login(&f, 0, 4, true);
    for (int i = 0; i < 6; i++)
        parley_send_text(f.p, "bob", "x");
    for (uint64_t i = 1; i <= 4; i++)
        fake_ack(&f, chat(&f, i, "x"), i, IM__STAGE__ACCEPTED, 3, 0);
    fake_settle(&f);
    assert_true(raw_quiet(f.s, CHAT)); /* accepted is no outcome */
    fake_ack(&f, 1, 1, IM__STAGE__SEQUENCED, 3, 1);
    chat(&f, 5, "x");
    fake_settle(&f);
    assert_true(raw_quiet(f.s, CHAT));
    fake_stop(&f);
}

static void refused_for_now_leaves_again(void **state)
{
    (void)state;
    struct fake f;
    fake_online(&f, 0);
    parley_send_text(f.p, "bob", "one");
    fake_refuse(&f, chat(&f, 1, "one"), IM__CODE__BUSY, 3);
    uint32_t id = chat(&f, 1, "one");
    fake_saw(&f, "error BUSY");
    fake_refuse(&f, id, IM__CODE__UNKNOWN_USER, 0);
    fake_saw(&f, "sent 1 refused UNKNOWN_USER");
    fake_stop(&f);
}

static void goaway_confirms_and_comes_back(void **state)
{
    (void)state;
    struct fake f;
    Im__GoAway g = IM__GO_AWAY__INIT;
    fake_online(&f, 0);
    fake_push(&f, 1, 3, 1, "one");
    parley_send_text(f.p, "bob", "mine");
    uint32_t id = chat(&f, 1, "mine");
    g.code = IM__CODE__SHUTTING_DOWN;
    g.retry_after_ms = 5;
    raw_send(f.s, IM__FRAME_TYPE__GOAWAY, 0, &g.base);
    fake_settle(&f);
    parley_send_text(f.p, "bob", "later");
    fake_ack(&f, id, 1, IM__STAGE__ACCEPTED, 3, 0);
    fake_confirmed(&f, 1);
    assert_true(raw_closed(f.s, FAKE_MS));
    assert_true(raw_quiet(f.s, CHAT));
    fake_login(&f, 0, 64, false);
    chat(&f, 1, "mine");
    chat(&f, 2, "later");
    fake_stop(&f);
}

static void kicked_for_another_login_ends(void **state)
{
    (void)state;
    struct fake f;
    Im__Kicked k = IM__KICKED__INIT;
    fake_online(&f, 0);
    k.code = IM__CODE__SLOW_READER;
    raw_send(f.s, IM__FRAME_TYPE__KICKED, 0, &k.base);
    fake_saw(&f, "kicked SLOW_READER");
    fake_login(&f, 0, 64, false); /* this one comes back */
    k.code = IM__CODE__SESSION_REPLACED;
    raw_send(f.s, IM__FRAME_TYPE__KICKED, 0, &k.base);
    fake_saw(&f, "kicked SESSION_REPLACED");
    fake_saw(&f, "state ended SESSION_REPLACED");
    fake_stop(&f);
}

static void nonsense_closes(void **state)
{
    (void)state;
    struct fake f;
    fake_online(&f, 0);
    raw_bytes(f.s, "\0\0\0\3xx", 6);
    fake_saw(&f, "error PROTOCOL");
    fake_login(&f, 0, 64, false);
    raw_bytes(f.s, "\0\0\0\14\0\62\0\0\0\1\377\377", 12); /* a CHAT_PUSH that is no protobuf */
    fake_saw(&f, "state offline PROTOCOL");
    fake_stop(&f);
}

static void stop_says_good_bye(void **state)
{
    (void)state;
    struct fake f;
    Im__LogoutRsp m = IM__LOGOUT_RSP__INIT;
    fake_online(&f, 0);
    parley_send_text(f.p, "bob", "last");
    parley_stop(f.p, 5000);
    fake_ack(&f, chat(&f, 1, "last"), 1, IM__STAGE__ACCEPTED, 3, 0);
    struct raw_frame *r = fake_want(&f, IM__FRAME_TYPE__LOGOUT_REQ);
    raw_send(f.s, IM__FRAME_TYPE__LOGOUT_RSP, r->seq_id, &m.base);
    raw_frame_free(r);
    fake_saw(&f, "state ended STOPPED");
    fake_stop(&f);
}

static void a_restart_goes_on(void **state)
{
    (void)state;
    struct fake f;
    struct home h;
    struct stat st;
    char device[80];
    home_start(&h, &f, 100);
    fake_push(&f, 1, 3, 1, "one");
    fake_confirmed(&f, 1);
    parley_send_text(f.p, "bob", "\xc3\xa4 unresolved");
    chat(&f, 101, "\xc3\xa4 unresolved");
    assert_int_equal(stat(h.file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    snprintf(device, sizeof device, "%s", parley_device_id(f.p));
    assert_null(parley_new(&h.o, NULL, NULL)); /* one at a time */
    assert_int_equal(errno, EBUSY);
    parley_free(f.p); /* as if killed: nothing was said to the server */
    fake_client(&f, &h.o);
    assert_string_equal(parley_device_id(f.p), device);
    assert_int_equal(parley_login(f.p, "mallory", "xxxxxxxx"), -EEXIST);
    assert_int_equal(parley_login_token(f.p, NULL), 0);
    assert_int_equal(parley_unresolved(f.p), 1);
    fake_login(&f, 50, 64, false);
    chat(&f, 101, "\xc3\xa4 unresolved");
    assert_true(parley_send_text(f.p, "bob", "new") == 2);
    chat(&f, 102, "new"); /* never back, whatever the server's base */
    f.log_n = 0;
    f.log[0] = '\0';
    fake_push(&f, 1, 3, 1, "one");
    fake_push(&f, 2, 3, 2, "two");
    fake_confirmed(&f, 2);
    assert_int_equal(fake_count(&f, "message"), 1);
    fake_stop(&f);
    home_free(&h);
}

static void write_state(const struct home *h, const char *text)
{
    FILE *t = fopen(h->file, "w");
    assert_non_null(t);
    fputs(text, t);
    fclose(t);
}

static void a_torn_state_file_is_as_none(void **state)
{
    (void)state;
    struct home h;
    home_new(&h);
    h.o.servers = "127.0.0.1:1";
    write_state(&h, "parley-state 2\nlogin 616c");
    struct parley *p = parley_new(&h.o, NULL, NULL);
    assert_non_null(p);
    assert_int_equal(parley_login_token(p, NULL), -ENOENT);
    parley_free(p);
    write_state(&h, "parley-state 1\nlogin 616c\ntoken 7474\nend\n"); /* of an earlier version */
    p = parley_new(&h.o, NULL, NULL);
    assert_non_null(p);
    assert_string_equal(parley_login_name(p), "al");
    parley_free(p);
    static const char *const bad[] = {
        "login zz", "out 1 2 10 1 626f62", "out 0 2 10 1 626f62 -", "out 1 2 70000 1 626f62 -", "have 00 1 2",
        "nonsense"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[100];
        snprintf(text, sizeof text, "parley-state 2\n%s\nend\n", bad[i]);
        write_state(&h, text);
        assert_null(parley_new(&h.o, NULL, NULL));
        assert_int_equal(errno, EBADMSG);
    }
    home_free(&h);
}

/* The server starts anew (its logs were wiped, or another deployment has this address): places that an earlier one
 * gave out say nothing about it, or its first messages would be taken for known ones. */
static void a_server_that_does_not_know_the_device_voids_its_places(void **state)
{
    (void)state;
    struct fake f;
    struct home h;
    home_start(&h, &f, 100);
    fake_push(&f, 1, 1, 1, "old one");
    fake_push(&f, 2, 1, 2, "old two");
    fake_confirmed(&f, 2);
    parley_free(f.p);
    fake_client(&f, &h.o);
    parley_login(f.p, "alice", "correct horse");
    fake_login(&f, 100, 64, true);
    fake_push(&f, 1, 1, 1, "new one");
    fake_confirmed(&f, 1);
    fake_saw(&f, "new one");
    fake_stop(&f);
    home_free(&h);
}

static void options_are_checked(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "host", "host:", ":70", "host:0", "host:70000", "a:1,b", "a:1x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct parley_options o = {.servers = bad[i]};
        assert_null(parley_new(&o, NULL, NULL));
        assert_int_equal(errno, EINVAL);
    }
    struct parley_options o = {.servers = "[::1]:7000, host.example:7001"};
    struct parley *p = parley_new(&o, NULL, NULL);
    assert_non_null(p);
    assert_int_equal(parley_send_text(p, "", "x"), -EINVAL);
    assert_int_equal(parley_send_text(p, "bob", ""), -EINVAL);
    parley_free(p);
    parley_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(password_then_token),
        cmocka_unit_test(refused_login_ends),
        cmocka_unit_test(busy_login_is_tried_again),
        cmocka_unit_test(registers_before_logging_in),
        cmocka_unit_test(a_registration_cut_off_is_not_repeated),
        cmocka_unit_test(another_server_takes_over),
        cmocka_unit_test(nobody_there),
        cmocka_unit_test(messages_in_split_reads),
        cmocka_unit_test(repeats_are_dropped_and_confirmed),
        cmocka_unit_test(a_hole_is_pulled),
        cmocka_unit_test(pages_after_login_and_pulled),
        cmocka_unit_test(sends_and_their_stages),
        cmocka_unit_test(without_a_taker_nothing_is_confirmed),
        cmocka_unit_test(own_places_are_remembered_without_a_taker),
        cmocka_unit_test(stale_is_told),
        cmocka_unit_test(resends_after_a_cut_in_order_before_new),
        cmocka_unit_test(never_more_than_the_window),
        cmocka_unit_test(refused_for_now_leaves_again),
        cmocka_unit_test(goaway_confirms_and_comes_back),
        cmocka_unit_test(kicked_for_another_login_ends),
        cmocka_unit_test(nonsense_closes),
        cmocka_unit_test(stop_says_good_bye),
        cmocka_unit_test(a_restart_goes_on),
        cmocka_unit_test(a_torn_state_file_is_as_none),
        cmocka_unit_test(a_server_that_does_not_know_the_device_voids_its_places),
        cmocka_unit_test(options_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
