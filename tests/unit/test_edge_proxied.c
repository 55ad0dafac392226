/* Headers of the PROXY protocol: each form, cut anywhere, and what is none. Real sockets for the waiting. */
#include "edge/listen.h"
#include "edge/proxied.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define OWN 77

static uint64_t number4(const char *text)
{
    struct sockaddr_storage a = {.ss_family = AF_INET};
    assert_int_equal(inet_pton(AF_INET, text, &((struct sockaddr_in *)&a)->sin_addr), 1);
    return listener_number(&a);
}

static uint64_t number6(const char *text)
{
    struct sockaddr_storage a = {.ss_family = AF_INET6};
    assert_int_equal(inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)&a)->sin6_addr), 1);
    return listener_number(&a);
}

static size_t v2(uint8_t *out, uint8_t command, uint8_t family, const void *addresses, size_t n)
{
    static const uint8_t head[12] = {0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A};
    memcpy(out, head, sizeof head);
    out[12] = command;
    out[13] = family;
    out[14] = (uint8_t)(n >> 8);
    out[15] = (uint8_t)n;
    if (n)
        memcpy(out + 16, addresses, n);
    return 16 + n;
}

static void is(const void *header, size_t n, uint64_t wanted)
{
    uint8_t more[700];
    memcpy(more, header, n);
    memset(more + n, 'x', 20); /* the client's own bytes */
    for (size_t cut = 0; cut < n; cut++) {
        uint64_t address = OWN;
        assert_int_equal(proxied_parse(more, cut, &address), 0);
    }
    uint64_t address = OWN;
    assert_int_equal(proxied_parse(more, n, &address), n);
    assert_true(address == wanted);
    assert_int_equal(proxied_parse(more, n + 20, &address), n);
}

static void each_form_is_read(void **state)
{
    (void)state;
    static const uint8_t four[12 + 8] = {192, 0, 2, 9, 10, 0, 0,
                                         1,   1, 2, 3, 4,  4 /* a TLV: nothing of ours */};
    uint8_t six[36] = {0}, out[700];
    assert_int_equal(inet_pton(AF_INET6, "2001:db8:1:2::9", six), 1);
    is(out, v2(out, 0x21, 0x11, four, 12), number4("192.0.2.9"));
    is(out, v2(out, 0x21, 0x11, four, sizeof four), number4("192.0.2.9"));
    is(out, v2(out, 0x21, 0x21, six, 36), number6("2001:db8:1:2::1"));
    is(out, v2(out, 0x20, 0x00, NULL, 0), OWN); /* the balancer's own check */
    is(out, v2(out, 0x21, 0x00, NULL, 0), OWN);
    is("PROXY TCP4 192.0.2.9 10.0.0.1 5000 7000\r\n", 41, number4("192.0.2.9"));
    is("PROXY TCP6 2001:db8:1:2::9 ::1 5000 7000\r\n", 42, number6("2001:db8:1:2::9"));
    is("PROXY UNKNOWN\r\n", 15, OWN);
}

static void bad(const void *p, size_t n)
{
    uint64_t address = OWN;
    assert_int_equal(proxied_parse(p, n, &address), -EBADMSG);
    assert_true(address == OWN);
}

static void what_is_none_is_refused(void **state)
{
    (void)state;
    uint8_t out[700], zero[600] = {0}, line[200];
    bad("\0\0\0\x0d", 4); /* a client's frame */
    bad("PROXX", 5);
    bad(out, v2(out, 0x31, 0x11, zero, 12)); /* another version */
    bad(out, v2(out, 0x22, 0x11, zero, 12)); /* another command */
    bad(out, v2(out, 0x21, 0x11, zero, 11));
    bad(out, v2(out, 0x21, 0x21, zero, 35));
    bad(out, v2(out, 0x21, 0x11, zero, 600));
    bad("PROXY TCP4 1.2.3 4.5.6.7 1 2\r\n", 30);
    bad("PROXY TCP4 1.2.3.4 4.5.6.7 1 2\n", 31);
    bad("PROXY TCP9 1.2.3.4 4.5.6.7 1 2\r\n", 32);
    memset(line, 'x', sizeof line);
    memcpy(line, "PROXY ", 6);
    bad(line, 107);
}

struct got {
    struct loop *loop;
    int fd, n;
    uint64_t address;
};

static void known(void *ctx, int fd, uint64_t address)
{
    struct got *g = ctx;
    g->fd = fd;
    g->address = address;
    g->n++;
    loop_stop(g->loop, 0);
}

static void on_end(struct timer *t)
{
    (void)t;
    fail_msg("nothing came of it");
}

/* Until the connection is known, or was closed (which shows at the other end). */
static void run(struct got *g)
{
    struct timer limit;
    timer_init(&limit, on_end);
    loop_timer_start(g->loop, &limit, 20000);
    loop_run(g->loop);
    loop_timer_stop(g->loop, &limit);
}

static void the_clients_bytes_stay(void **state)
{
    (void)state;
    static const char header[] = "PROXY TCP4 192.0.2.9 10.0.0.1 5000 7000\r\n";
    struct got g = {0};
    int pair[2];
    char rest[8] = "";
    assert_true(loop_new(&g.loop) >= 0);
    struct proxied *p = proxied_new(g.loop, known, &g);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    proxied_add(p, pair[0], OWN);
    assert_int_equal(send(pair[1], header, sizeof header - 1, 0), sizeof header - 1);
    assert_int_equal(send(pair[1], "hello", 5, 0), 5);
    run(&g);
    assert_int_equal(g.n, 1);
    assert_true(g.address == number4("192.0.2.9"));
    assert_int_equal(recv(g.fd, rest, sizeof rest, 0), 5);
    assert_string_equal(rest, "hello");
    close(g.fd);
    close(pair[1]);
    proxied_free(p);
    loop_free(g.loop);
}

struct other_end {
    struct loop_fd watch;
    struct loop *loop;
};

static void on_other_end(struct loop_fd *watch, uint32_t events)
{
    struct other_end *o = container_of(watch, struct other_end, watch);
    if (events & (EPOLLHUP | EPOLLIN))
        loop_stop(o->loop, 0);
}

/* What was sent, and then no more: closed at once, and nobody spins meanwhile. */
static void closed_after(const char *sent, bool shut)
{
    struct got g = {0};
    struct other_end other;
    int pair[2];
    char c;
    assert_true(loop_new(&g.loop) >= 0);
    struct proxied *p = proxied_new(g.loop, known, &g);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    proxied_add(p, pair[0], OWN);
    other.loop = g.loop;
    assert_int_equal(loop_add(g.loop, &other.watch, pair[1], EPOLLIN, on_other_end), 0);
    assert_int_equal(send(pair[1], sent, strlen(sent), 0), strlen(sent));
    if (shut)
        assert_int_equal(shutdown(pair[1], SHUT_WR), 0);
    run(&g);
    assert_int_equal(g.n, 0);
    assert_true(recv(pair[1], &c, 1, 0) <= 0);
    loop_del(g.loop, &other.watch);
    close(pair[1]);
    proxied_free(p);
    loop_free(g.loop);
}

static void who_sends_none_is_closed(void **state)
{
    (void)state;
    closed_after("GET / HTTP/1.1\r\n", false);
    closed_after("PROXY TCP4 192.0", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_is_read),
        cmocka_unit_test(what_is_none_is_refused),
        cmocka_unit_test(the_clients_bytes_stay),
        cmocka_unit_test(who_sends_none_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
