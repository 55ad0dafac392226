/* floor_echo.c: E0, a frame there and a frame back over loopback between two processes, each in a bare epoll loop. */
#include "bench/args.h"
#include "bench/bench.h"
#include "bench/echo.h"
#include "bench/result.h"

#include "common/base/addr.h"
#include "common/base/macros.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define EVENTS 256

static int listen_at(const char *text, struct sockaddr_storage *at)
{
    socklen_t len;
    int one = 1;
    if (addr_parse(text, at, &len)) {
        fprintf(stderr, "parley-bench: --listen %s: not host:port\n", text);
        return -1;
    }
    int fd = socket(at->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, (struct sockaddr *)at, len) || listen(fd, 4096) ||
        getsockname(fd, (struct sockaddr *)at, &(socklen_t){sizeof *at})) {
        fprintf(stderr, "parley-bench: %s: %s\n", text, strerror(errno));
        return -1;
    }
    return fd;
}

static void answer(int fd)
{
    static char b[65536];
    ssize_t n = recv(fd, b, sizeof b, 0);
    if (n <= 0 || send(fd, b, (size_t)n, MSG_NOSIGNAL) != n)
        close(fd);
}

static int serve(int listener)
{
    struct epoll_event e = {.events = EPOLLIN, .data.fd = listener}, ready[EVENTS];
    int ep = epoll_create1(EPOLL_CLOEXEC), one = 1;
    if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e))
        return 1;
    for (;;) {
        int n = epoll_wait(ep, ready, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (ready[i].data.fd != listener) {
                answer(ready[i].data.fd);
                continue;
            }
            int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0)
                continue;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            e.data.fd = fd;
            if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e))
                close(fd);
        }
    }
}

int command_echo_server(int argc, char **argv)
{
    const char *at = "127.0.0.1:7900";
    const struct arg args[] = {{"listen", ARG_TEXT, &at, "host:port (127.0.0.1:7900)"}};
    int rc = args_parse("parley-bench echo-server: sends back what it gets; until a signal ends it.", args,
                        ARRAY_LEN(args), argc, argv);
    struct sockaddr_storage sa;
    char text[ADDR_TEXT];
    if (rc)
        return rc - 1;
    int fd = listen_at(at, &sa);
    if (fd < 0)
        return 1;
    fprintf(stderr, "echo at %s\n", addr_format(text, (struct sockaddr *)&sa));
    return serve(fd);
}

pid_t echo_start(char at[32])
{
    struct sockaddr_storage sa;
    char text[ADDR_TEXT];
    int listener = listen_at("127.0.0.1:0", &sa);
    pid_t child = listener < 0 ? -1 : fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(serve(listener));
    }
    if (listener >= 0)
        close(listener);
    if (child > 0)
        snprintf(at, 32, "%s", addr_format(text, (struct sockaddr *)&sa));
    return child;
}

void echo_stop(pid_t child)
{
    if (child <= 0)
        return;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

/* One there and back; epoll on this side too, as a real client has it. */
static bool trip(int fd, int ep, char *b, size_t size)
{
    struct epoll_event e;
    if (send(fd, b, size, MSG_NOSIGNAL) != (ssize_t)size)
        return false;
    for (size_t have = 0; have < size;) {
        if (epoll_wait(ep, &e, 1, 5000) != 1)
            return false;
        ssize_t n = recv(fd, b + have, size - have, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return false;
        have += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static bool measure(int fd, struct hist *h, size_t size, int64_t warm_ns, int64_t measure_ns)
{
    static char b[65536];
    struct epoll_event e = {.events = EPOLLIN};
    int ep = epoll_create1(EPOLL_CLOEXEC);
    bool ok = ep >= 0 && !epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
    int64_t begin = now_ns() + warm_ns, end = begin + measure_ns, now = 0;
    while (ok && now < end) {
        int64_t t = now_ns();
        ok = trip(fd, ep, b, size);
        now = now_ns();
        if (t >= begin)
            hist_add(h, now - t);
    }
    if (ep >= 0)
        close(ep);
    return ok;
}

int command_floor_e0(int argc, char **argv)
{
    uint64_t size = 143, warm_ms = 500, measure_ms = 3000;
    const struct arg args[] = {
        {"size", ARG_NUMBER, &size, "bytes of the frame, up to 65536 (143: a chat of 100)"},
        {"warm-ms", ARG_NUMBER, &warm_ms, "before measuring (500)"},
        {"measure-ms", ARG_NUMBER, &measure_ms, "how long (3000)"}};
    int rc = args_parse("parley-bench floor e0: round trip over loopback to another process.", args,
                        ARRAY_LEN(args), argc, argv);
    struct sockaddr_storage to;
    socklen_t len;
    char at[32];
    int one = 1;
    if (rc)
        return rc - 1;
    if (size < 1 || size > 65536)
        return 2;
    pid_t child = echo_start(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct hist *h = hist_new();
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    bool ok = child > 0 && h && fd >= 0 && !addr_parse(at, &to, &len) &&
              !connect(fd, (struct sockaddr *)&to, len) &&
              measure(fd, h, size, (int64_t)warm_ms * 1000000, (int64_t)measure_ms * 1000000);
    echo_stop(child);
    json_t *o = result_new("e0", 0);
    json_object_set_new(o, "frame_bytes", json_integer((json_int_t)size));
    if (h)
        json_object_set_new(o, "round_trip_us", result_latency(h));
    hist_free(h);
    close(fd);
    return result_print(o, ok);
}
