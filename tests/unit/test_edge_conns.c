/* The edge's sockets over a real loop and loopback TCP, with a core whose producer is the test. */
#include "common/base/loop.h"
#include "common/im/codec.h"
#include "common/im/topics.h"
#include "edge/conns_int.h"
#include "edge/listen.h"
#include "edge/state.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define TURNS 2000

struct world {
    struct loop *loop;
    struct conns *conns;
    struct edge_core *core;
    struct listener listener;
    struct secrets *secrets;
    uint16_t port;
    uint32_t handle; /* of the last record */
    uint32_t purpose;
    int lookups, chats, bounces, logins;
    int64_t next;
};

static void enter(void *ctx)
{
    struct world *w = ctx;
    edge_core_now(w->core, loop_now_us(w->loop), 1700000000000000);
}
static void o_write(void *ctx, uint32_t c, uint16_t type, uint32_t seq, struct slice p, struct buf *b)
{
    conns_write(((struct world *)ctx)->conns, c, type, seq, p, b);
}
static void o_close(void *ctx, uint32_t c, enum edge_cut why)
{
    conns_close(((struct world *)ctx)->conns, c, why);
}
static void o_pause(void *ctx, uint32_t c, bool paused)
{
    conns_pause(((struct world *)ctx)->conns, c, paused);
}
static bool o_produce(void *ctx, uint16_t topic, struct slice place, struct slice key, struct slice value,
                      uint64_t tag)
{
    struct world *w = ctx;
    (void)place, (void)key, (void)tag;
    if (topic == T_OFFLINE) {
        w->bounces++;
        return true;
    }
    Im__Inbound *in;
    assert_int_equal(codec_inbound(NULL, value, &in), 0);
    w->handle = in->session->handle;
    w->lookups += in->body_case == IM__INBOUND__BODY_LOOKUP;
    w->chats += in->body_case == IM__INBOUND__BODY_CHAT;
    w->logins += in->body_case == IM__INBOUND__BODY_LOGIN;
    if (in->body_case == IM__INBOUND__BODY_LOOKUP)
        w->purpose = in->lookup->purpose;
    im__inbound__free_unpacked(in, NULL);
    return true;
}
static bool o_job(void *ctx, enum edge_job_kind kind, uint64_t tag, struct id16 u, struct slice p,
                  struct slice s)
{
    (void)ctx, (void)kind, (void)tag, (void)u, (void)p, (void)s;
    return false;
}
static void o_commit(void *ctx, int64_t next)
{
    (void)ctx, (void)next;
}
static void o_lost(void *ctx, const char *why)
{
    (void)ctx, (void)why;
}
static bool o_behind(void *ctx, uint32_t c)
{
    return conns_behind(((struct world *)ctx)->conns, c);
}
static const struct edge_out out = {.write = o_write,
                                    .close = o_close,
                                    .pause = o_pause,
                                    .produce = o_produce,
                                    .job = o_job,
                                    .commit = o_commit,
                                    .lost = o_lost,
                                    .behind = o_behind};

static void on_accepted(void *ctx, int fd, uint64_t address)
{
    int small = 32768;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    conns_add(((struct world *)ctx)->conns, fd, address);
}
static void on_freed(void *ctx)
{
    listener_freed(&((struct world *)ctx)->listener);
}

static void start(struct world *w)
{
    static const uint8_t key[32] = {1};
    *w = (struct world){.next = 1};
    assert_int_equal(loop_new(&w->loop), 0);
    w->secrets = secrets_from_key(key, 1);
    struct edge_setup s = {.name = "e", .secrets = w->secrets, .out = &out, .ctx = w};
    w->core = edge_core_new(&s);
    struct conns_setup c = {
        .loop = w->loop, .pause = 1 << 20, .cut = 4 << 20, .freed = on_freed, .entering = enter, .ctx = w};
    w->conns = conns_new(&c);
    conns_core(w->conns, w->core);
    w->listener.accepted = on_accepted;
    w->listener.ctx = w;
    assert_int_equal(listener_open(&w->listener, w->loop, "127.0.0.1:0"), 0);
    w->port = (uint16_t)listener_port(&w->listener);
    enter(w);
    edge_core_claimed(w->core, 0, 5, 1);
}
static void stop(struct world *w)
{
    listener_close(&w->listener);
    conns_free(w->conns);
    edge_core_free(w->core);
    secrets_free(w->secrets);
    loop_free(w->loop);
}
static void turn(struct world *w)
{
    assert_int_equal(loop_turn(w->loop, 1), 0);
    enter(w);
    edge_core_tick(w->core);
    conns_tick(w->conns);
}

static int dial(struct world *w)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(w->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0), small = 16384;
    assert_true(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}
static size_t frame(uint8_t *p, uint16_t type, uint32_t seq, const ProtobufCMessage *m)
{
    size_t n = m ? protobuf_c_message_get_packed_size(m) : 0;
    frame_header(p, type, seq, n);
    if (m)
        protobuf_c_message_pack(m, p + FRAME_HEADER);
    return FRAME_HEADER + n;
}
static void put(struct world *w, int fd, const uint8_t *p, size_t n)
{
    for (int i = 0; n && i < TURNS; i++) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
        if (k > 0) {
            p += k;
            n -= (size_t)k;
        } else {
            turn(w);
        }
    }
    assert_int_equal(n, 0);
}
/* Reads exactly n bytes; false: closed before. */
static bool get(struct world *w, int fd, uint8_t *p, size_t n)
{
    for (int i = 0; n && i < TURNS; i++) {
        ssize_t k = recv(fd, p, n, 0);
        if (k == 0 || (k < 0 && errno != EAGAIN))
            return false;
        if (k > 0) {
            p += k;
            n -= (size_t)k;
        } else {
            turn(w);
        }
    }
    assert_int_equal(n, 0);
    return true;
}
static bool next_frame(struct world *w, int fd, uint16_t *type, uint32_t *seq)
{
    uint8_t h[FRAME_HEADER], skip[4096];
    if (!get(w, fd, h, sizeof h))
        return false;
    size_t n = ((size_t)h[0] << 24 | (size_t)h[1] << 16 | (size_t)h[2] << 8 | h[3]) - FRAME_HEADER;
    *type = (uint16_t)(h[4] << 8 | h[5]);
    *seq = (uint32_t)h[6] << 24 | (uint32_t)h[7] << 16 | (uint32_t)h[8] << 8 | h[9];
    while (n) {
        size_t k = n < sizeof skip ? n : sizeof skip;
        if (!get(w, fd, skip, k))
            return false;
        n -= k;
    }
    return true;
}
static void expect(struct world *w, int fd, uint16_t type, uint32_t seq)
{
    uint16_t t = 0;
    uint32_t s = 0;
    assert_true(next_frame(w, fd, &t, &s));
    assert_int_equal(t, type);
    assert_int_equal(s, seq);
}

static void item(struct world *w, Im__ItemKind kind, uint16_t type, struct slice payload, struct id16 user,
                 uint64_t login, uint64_t seq)
{
    Im__DeliverRecord rec = IM__DELIVER_RECORD__INIT;
    Im__DeliverItem it = IM__DELIVER_ITEM__INIT, *items[1] = {&it};
    struct id16 conv = {{9}};
    uint32_t device = 1;
    it.kind = kind;
    it.frame_type = type;
    it.seq_id = 1;
    it.payload = codec_bytes(payload);
    it.n_handles = it.n_devices = it.n_logins = 1;
    it.handles = &w->handle;
    it.devices = &device;
    it.logins = &login;
    it.users = codec_bytes(slice_id(&user));
    it.seq = seq;
    if (seq)
        it.conversation = codec_bytes(slice_id(&conv));
    rec.version = 1;
    rec.epoch = 5;
    rec.n_items = 1;
    rec.items = items;
    size_t n = im__deliver_record__get_packed_size(&rec);
    uint8_t *p = malloc(n);
    im__deliver_record__pack(&rec, p);
    enter(w);
    edge_core_deliver(w->core, w->next++, (struct slice){p, n});
    free(p);
}
/* By token, the way without hashing. */
static int log_in(struct world *w, struct id16 *user)
{
    uint8_t p[1024];
    char text[TOKEN_TEXT_MAX];
    struct token t = {.device = 1, .issued_s = 1, .expires_s = 9000000000, .login = "alice"};
    *user = t.user = id_user("alice");
    assert_true(token_sign(w->secrets, &t, text, sizeof text) > 0);
    Im__LoginReq req = IM__LOGIN_REQ__INIT;
    req.token = text;
    req.device_id = (char *)"d";
    int fd = dial(w), before = w->logins;
    put(w, fd, p, frame(p, IM__FRAME_TYPE__LOGIN_REQ, 1, &req.base));
    for (int i = 0; w->logins == before && i < TURNS; i++)
        turn(w);
    Im__LoginVerdict v = IM__LOGIN_VERDICT__INIT;
    v.user = codec_bytes(slice_id(user));
    v.device = 1;
    v.login = (char *)"alice";
    v.login_offset = 77;
    size_t n = im__login_verdict__pack(&v, p);
    item(w, IM__ITEM_KIND__ITEM_LOGIN, IM__FRAME_TYPE__LOGIN_RSP, slice_of(p, n), *user, 77, 0);
    expect(w, fd, IM__FRAME_TYPE__LOGIN_RSP, 1);
    return fd;
}

static void test_bytes_one_by_one(void **state)
{
    (void)state;
    struct world w;
    uint8_t p[64];
    start(&w);
    int fd = dial(&w);
    size_t n = frame(p, IM__FRAME_TYPE__HEARTBEAT, 6, NULL);
    n += frame(p + n, IM__FRAME_TYPE__HEARTBEAT, 7, NULL);
    for (size_t i = 0; i < n; i++) {
        put(&w, fd, p + i, 1);
        turn(&w);
        turn(&w);
    }
    expect(&w, fd, IM__FRAME_TYPE__HEARTBEAT, 6);
    expect(&w, fd, IM__FRAME_TYPE__HEARTBEAT, 7);
    struct conns_stats s;
    conns_stats(w.conns, &s);
    assert_int_equal(s.buffers, 0); /* nothing is kept when nothing is pending */
    assert_int_equal(s.pending, 0);
    close(fd);
    stop(&w);
}

static void test_error_survives_the_close(void **state)
{
    (void)state;
    struct world w;
    uint8_t p[9000] = {0};
    start(&w);
    int fd = dial(&w);
    frame_header(p, IM__FRAME_TYPE__LOGIN_REQ, 3, 60000);
    put(&w, fd, p, sizeof p); /* more than is read before the edge has seen enough */
    put(&w, fd, p, sizeof p);
    expect(&w, fd, IM__FRAME_TYPE__ERROR, 3);
    uint16_t t;
    uint32_t s;
    assert_false(next_frame(&w, fd, &t, &s));
    close(fd);
    for (int i = 0; i < 20; i++)
        turn(&w);
    assert_int_equal(edge_core_stats(w.core)->connections, 0);
    stop(&w);
}

static void test_what_follows_a_lookup_waits(void **state)
{
    (void)state;
    struct world w;
    uint8_t p[4096];
    struct id16 user;
    start(&w);
    int fd = log_in(&w, &user);
    Im__SingleChat c = IM__SINGLE_CHAT__INIT;
    c.to = (char *)"bob";
    c.text = (char *)"hi";
    size_t n = 0;
    for (uint64_t i = 1; i <= 3; i++) {
        c.client_seq = i;
        n += frame(p + n, IM__FRAME_TYPE__SINGLE_CHAT, (uint32_t)i, &c.base);
    }
    n += frame(p + n, IM__FRAME_TYPE__HEARTBEAT, 9, NULL);
    put(&w, fd, p, n);
    for (int i = 0; i < 50; i++)
        turn(&w);
    assert_int_equal(w.lookups, 1);
    assert_int_equal(w.chats, 0);
    uint8_t rsp[128];
    struct id16 bob = id_user("bob");
    Im__LookupReply l = IM__LOOKUP_REPLY__INIT;
    l.exists = true;
    l.user = codec_bytes(slice_id(&bob));
    l.login = (char *)"bob";
    l.purpose = w.purpose;
    size_t m = im__lookup_reply__pack(&l, rsp);
    item(&w, IM__ITEM_KIND__ITEM_LOOKUP, 0, slice_of(rsp, m), bob, 0, 0);
    expect(&w, fd, IM__FRAME_TYPE__HEARTBEAT, 9);
    assert_int_equal(w.chats, 3);
    close(fd);
    stop(&w);
}

/* A password leaves no copy where it was read, whether it came in one piece or in two, before others or after. */
static void test_passwords_are_not_left_in_buffers(void **state)
{
    (void)state;
    static const char secret[] = "correct horse battery";
    for (size_t cut = 0; cut < 2; cut++) {
        struct world w;
        uint8_t p[1024];
        start(&w);
        int fd = dial(&w);
        Im__LoginReq req = IM__LOGIN_REQ__INIT;
        req.login = (char *)"alice";
        req.password = (char *)(uintptr_t)secret;
        req.device_id = (char *)"laptop";
        size_t n = frame(p, IM__FRAME_TYPE__HEARTBEAT, 1, NULL);
        n += frame(p + n, IM__FRAME_TYPE__LOGIN_REQ, 2, &req.base);
        n += frame(p + n, IM__FRAME_TYPE__HEARTBEAT, 3, NULL); /* has to wait: it is kept */
        size_t first = cut ? n - 20 : n;
        put(&w, fd, p, first);
        for (int i = 0; i < 50; i++)
            turn(&w);
        assert_null(memmem(w.conns->scratch, 65536, secret, strlen(secret)));
        put(&w, fd, p + first, n - first);
        for (int i = 0; i < 50; i++)
            turn(&w);
        assert_int_equal(w.lookups, 1);
        struct sock *s = conns_sock(w.conns, 0);
        assert_non_null(s);
        assert_null(memmem(w.conns->scratch, 65536, secret, strlen(secret)));
        if (s->in)
            assert_null(memmem(s->in->data, s->in->cap, secret, strlen(secret)));
        close(fd);
        stop(&w);
    }
}

static void test_stalled_producer_stops_reading(void **state)
{
    (void)state;
    struct world w;
    uint8_t p[64];
    start(&w);
    int fd = dial(&w);
    turn(&w);
    conns_stall(w.conns, true);
    put(&w, fd, p, frame(p, IM__FRAME_TYPE__HEARTBEAT, 6, NULL));
    for (int i = 0; i < 50; i++)
        turn(&w);
    assert_int_equal(edge_core_stats(w.core)->frames[IM__FRAME_TYPE__HEARTBEAT], 0);
    conns_stall(w.conns, false);
    expect(&w, fd, IM__FRAME_TYPE__HEARTBEAT, 6);
    close(fd);
    stop(&w);
}

static void test_slow_reader(void **state)
{
    (void)state;
    struct world w;
    struct id16 user;
    uint8_t p[64];
    char *big = calloc(1, 60000);
    struct conns_stats s;
    start(&w);
    int fd = log_in(&w, &user);
    uint64_t seq = 0;
    item(&w, IM__ITEM_KIND__ITEM_SIGNAL, IM__FRAME_TYPE__TYPING_PUSH, slice_of(big, 0), user, 77, 0);
    expect(&w, fd, IM__FRAME_TYPE__TYPING_PUSH, 0);
    do { /* over one MiB: not read any more, not cut */
        item(&w, IM__ITEM_KIND__ITEM_MESSAGE, IM__FRAME_TYPE__CHAT_PUSH, slice_of(big, 60000), user, 77,
             ++seq);
        turn(&w);
        conns_stats(w.conns, &s);
    } while (s.pending < 1100000);
    item(&w, IM__ITEM_KIND__ITEM_SIGNAL, IM__FRAME_TYPE__TYPING_PUSH, slice_of(big, 0), user, 77, 0);
    assert_int_equal(edge_core_stats(w.core)->signals_dropped, 1); /* nothing is put behind all that */
    uint64_t beats = edge_core_stats(w.core)->frames[IM__FRAME_TYPE__HEARTBEAT];
    put(&w, fd, p, frame(p, IM__FRAME_TYPE__HEARTBEAT, 6, NULL));
    for (int i = 0; i < 50; i++)
        turn(&w);
    assert_int_equal(edge_core_stats(w.core)->frames[IM__FRAME_TYPE__HEARTBEAT], beats);
    assert_int_equal(edge_core_stats(w.core)->sessions, 1);
    for (uint64_t i = 1; i <= seq; i++) /* it catches up and is heard again */
        expect(&w, fd, IM__FRAME_TYPE__CHAT_PUSH, (uint32_t)i);
    expect(&w, fd, IM__FRAME_TYPE__HEARTBEAT, 6);
    while (edge_core_stats(w.core)->sessions && seq < 1000) { /* over four: cut */
        item(&w, IM__ITEM_KIND__ITEM_MESSAGE, IM__FRAME_TYPE__CHAT_PUSH, slice_of(big, 60000), user, 77,
             ++seq);
        turn(&w);
    }
    assert_in_range(seq, 4 * 1048576 / 60000, 300);
    assert_true(w.bounces > 0);
    assert_int_equal(edge_core_stats(w.core)->bounced, seq);
    conns_stats(w.conns, &s);
    assert_int_equal(s.pending, 0);
    close(fd);
    free(big);
    stop(&w);
}

static void test_out_of_descriptors(void **state)
{
    (void)state;
    struct world w;
    struct rlimit old, few;
    int fds[8];
    start(&w);
    int top = dup(0);
    close(top);
    for (int i = 0; i < 8; i++)
        fds[i] = dial(&w);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = old;
    few.rlim_cur = (rlim_t)fds[7] + 3; /* two more */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    for (int i = 0; i < 50; i++)
        turn(&w);
    assert_int_equal(edge_core_stats(w.core)->connections, 2);
    assert_true(w.listener.starved);
    close(fds[0]); /* one of those that were taken: its place goes to the next */
    for (int i = 0; edge_core_stats(w.core)->accepted < 3 && i < TURNS; i++)
        turn(&w);
    assert_true(edge_core_stats(w.core)->accepted >= 3);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    for (int i = 0; edge_core_stats(w.core)->accepted < 8 && i < TURNS; i++)
        turn(&w);
    assert_int_equal(edge_core_stats(w.core)->accepted, 8);
    for (int i = 1; i < 8; i++)
        close(fds[i]);
    stop(&w);
}

static void test_memory_of_an_idle_connection(void **state)
{
    (void)state;
    /* handles: 8 bytes a slot, at most three quarters full, at least three eighths after doubling */
    assert_in_range(sizeof(struct econn) + sizeof(struct sock) + 8 * 8 / 3, 1, 256);
    assert_int_equal(sizeof(struct dconn), 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_one_by_one),
        cmocka_unit_test(test_error_survives_the_close),
        cmocka_unit_test(test_what_follows_a_lookup_waits),
        cmocka_unit_test(test_passwords_are_not_left_in_buffers),
        cmocka_unit_test(test_stalled_producer_stops_reading),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_out_of_descriptors),
        cmocka_unit_test(test_memory_of_an_idle_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
