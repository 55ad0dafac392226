#include "edge/listen.h"

#include "common/base/addr.h"
#include "common/base/log.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BURST    64
#define RETRY_MS 100
#define BACKLOG  4096

uint64_t listener_number(const struct sockaddr_storage *a)
{
    uint64_t n = 0;
    if (a->ss_family == AF_INET) {
        n = ((const struct sockaddr_in *)a)->sin_addr.s_addr;
    } else if (a->ss_family == AF_INET6) {
        const struct sockaddr_in6 *s = (const struct sockaddr_in6 *)a;
        bool v4 = IN6_IS_ADDR_V4MAPPED(&s->sin6_addr);
        memcpy(&n, s->sin6_addr.s6_addr + (v4 ? 12 : 0), v4 ? 4 : 8);
    }
    return n;
}

static void tune(int fd)
{
    const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},   {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, 60}, {IPPROTO_TCP, TCP_KEEPINTVL, 20},
        {IPPROTO_TCP, TCP_KEEPCNT, 3},   {IPPROTO_TCP, TCP_USER_TIMEOUT, 60000},
    };
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
}

static void starve(struct listener *l)
{
    log_warn("out of descriptors: not accepting for a while");
    l->starved = true;
    (void)loop_mod(l->loop, &l->watch, 0);
    loop_timer_start(l->loop, &l->retry, RETRY_MS);
}

static void on_connect(struct loop_fd *watch, uint32_t events)
{
    struct listener *l = container_of(watch, struct listener, watch);
    (void)events;
    for (int i = 0; i < BURST && l->open && !l->starved; i++) {
        struct sockaddr_storage a = {0};
        socklen_t len = sizeof a;
        int fd = accept4(watch->fd, (struct sockaddr *)&a, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            tune(fd);
            l->accepted(l->ctx, fd, listener_number(&a));
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            starve(l);
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

void listener_freed(struct listener *l)
{
    if (!l->starved || !l->open)
        return;
    l->starved = false;
    loop_timer_stop(l->loop, &l->retry);
    (void)loop_mod(l->loop, &l->watch, EPOLLIN);
}

static void on_retry(struct timer *t)
{
    listener_freed(container_of(t, struct listener, retry));
}

int listener_open(struct listener *l, struct loop *loop, const char *address)
{
    struct sockaddr_storage a;
    socklen_t len;
    int one = 1, rc = addr_parse(address, &a, &len);
    if (rc)
        return rc;
    int fd = socket(a.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&a, len) || listen(fd, BACKLOG)) {
        rc = -errno;
        close(fd);
        return rc;
    }
    rc = loop_add(loop, &l->watch, fd, EPOLLIN, on_connect);
    if (rc) {
        close(fd);
        return rc;
    }
    l->loop = loop;
    l->open = true;
    l->starved = false;
    timer_init(&l->retry, on_retry);
    return 0;
}

int listener_port(const struct listener *l)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    if (getsockname(l->watch.fd, (struct sockaddr *)&a, &len))
        return -errno;
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                         : ((struct sockaddr_in *)&a)->sin_port);
}

void listener_close(struct listener *l)
{
    if (!l->open)
        return;
    int fd = l->watch.fd;
    l->open = false;
    loop_timer_stop(l->loop, &l->retry);
    loop_del(l->loop, &l->watch);
    close(fd);
}
