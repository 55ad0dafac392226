#include "common/base/http.h"
#include "common/base/log.h"
#include "common/base/metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

METRIC_COUNTER(asked, "test_asked_total", "Requests in the test.");

struct fixture {
    struct loop *loop;
    struct ready *ready;
    struct http *http;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    log_set_level(LOG_NOTHING);
    if (loop_new(&f->loop))
        return -1;
    f->ready = ready_new(f->loop);
    return http_new(&f->http, f->loop, f->ready, "127.0.0.1:0");
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    http_free(f->http);
    ready_free(f->ready);
    loop_free(f->loop);
    free(f);
    return 0;
}

struct reader {
    struct loop_fd watch;
    struct bytes got;
    bool closed;
};

static void on_readable(struct loop_fd *w, uint32_t events)
{
    (void)events;
    struct reader *r = container_of(w, struct reader, watch);
    char buf[4096];
    ssize_t n = read(w->fd, buf, sizeof buf);
    if (n > 0)
        bytes_put(&r->got, buf, (size_t)n);
    else
        r->closed = true;
}

/* The whole answer to one request, client and server in the same loop. The caller releases it. */
static struct bytes ask(struct fixture *f, const char *request)
{
    struct reader r = {0};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(http_port(f->http))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    char text[512];
    int n = snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", request);
    assert_int_equal(write(fd, text, (size_t)n), n);
    assert_int_equal(loop_add(f->loop, &r.watch, fd, EPOLLIN, on_readable), 0);
    while (!r.closed)
        assert_int_equal(loop_turn(f->loop, -1), 0);
    loop_del(f->loop, &r.watch);
    close(fd);
    return r.got;
}

static void expect(struct fixture *f, const char *request, const char *status, const char *body)
{
    struct bytes got = ask(f, request);
    assert_non_null(got.p);
    if (strncmp((char *)got.p, status, strlen(status)) != 0 || !strstr((char *)got.p, body))
        fail_msg("%s: %s", request, (char *)got.p);
    bytes_release(&got);
}

static void built_in_paths(void **state)
{
    struct fixture *f = *state;
    metric_add(&asked, 3);
    expect(f, "GET /metrics", "HTTP/1.1 200", "\ntest_asked_total 3\n");
    expect(f, "GET /healthz", "HTTP/1.1 200", "\r\n\r\nok\n");
    expect(f, "GET /readyz", "HTTP/1.1 200", "{\"ready\":true");
    ready_wait(f->ready, "kafka", "connection refused");
    expect(f, "GET /readyz", "HTTP/1.1 503", "{\"for\":\"kafka\",\"why\":\"connection refused\"}");
    ready_ok(f->ready, "kafka");
    expect(f, "GET /readyz?x=1", "HTTP/1.1 200", "\"waiting\":[]");
    expect(f, "GET /nowhere", "HTTP/1.1 404", "/metrics");
    expect(f, "POST /metrics", "HTTP/1.1 405", "only GET");
    struct bytes head = ask(f, "HEAD /healthz");
    assert_null(strstr((char *)head.p, "\r\n\r\nok"));
    bytes_release(&head);
}

static void answer_teapot(void *ctx, const char *path, struct http_answer *a)
{
    a->status = 418;
    a->type = "application/json";
    bytes_printf(&a->body, "{\"%s\":%d}", path, *(int *)ctx);
}

static void own_paths(void **state)
{
    struct fixture *f = *state;
    int n = 7, rc = 0;
    assert_int_equal(http_route(f->http, "/tea", answer_teapot, &n), 0);
    expect(f, "GET /tea", "HTTP/1.1 418", "{\"/tea\":7}");
    for (int i = 0; i < 20 && !rc; i++)
        rc = http_route(f->http, "/x", answer_teapot, &n);
    assert_int_equal(rc, -ENOSPC);
}

static void addresses(void **state)
{
    struct fixture *f = *state;
    struct http *h;
    char taken[64];
    snprintf(taken, sizeof taken, "127.0.0.1:%u", http_port(f->http));
    assert_int_equal(http_new(&h, f->loop, f->ready, taken), -EADDRINUSE);
    assert_int_equal(http_new(&h, f->loop, f->ready, "nonsense"), -EINVAL);
    http_free(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {TEST(built_in_paths), TEST(own_paths), TEST(addresses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
