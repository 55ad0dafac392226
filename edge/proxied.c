#include "edge/proxied.h"

#include "edge/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#define V1_MAX  107 /* with its line end */
#define V2_HEAD 16
#define V2_MAX  (V2_HEAD + 520) /* addresses, and what some balancers add */

static const uint8_t v2_signature[12] = {0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D,
                                         0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A};

/* ---- the header ---- */

static void take4(const void *ip, uint64_t *address)
{
    struct sockaddr_storage a = {.ss_family = AF_INET};
    memcpy(&((struct sockaddr_in *)&a)->sin_addr, ip, 4);
    *address = listener_number(&a);
}

static void take6(const void *ip, uint64_t *address)
{
    struct sockaddr_storage a = {.ss_family = AF_INET6};
    memcpy(&((struct sockaddr_in6 *)&a)->sin6_addr, ip, 16);
    *address = listener_number(&a);
}

static int parse_v2(const uint8_t *p, size_t n, uint64_t *address)
{
    enum { LOCAL = 0x20, PROXY = 0x21, INET = 0x10, INET6 = 0x20 };
    if (n < V2_HEAD)
        return 0;
    size_t len = (size_t)p[14] << 8 | p[15];
    if ((p[12] != LOCAL && p[12] != PROXY) || V2_HEAD + len > V2_MAX)
        return -EBADMSG;
    if (n < V2_HEAD + len)
        return 0;
    unsigned family = p[13] & 0xf0;
    if (p[12] == PROXY && family == INET && len >= 12)
        take4(p + V2_HEAD, address);
    else if (p[12] == PROXY && family == INET6 && len >= 36)
        take6(p + V2_HEAD, address);
    else if (p[12] == PROXY && (family == INET || family == INET6))
        return -EBADMSG;
    return (int)(V2_HEAD + len);
}

/* "PROXY TCP4 192.0.2.1 192.0.2.2 5000 7000\r\n" */
static int parse_v1(const uint8_t *p, size_t n, uint64_t *address)
{
    char line[V1_MAX + 1], source[64];
    uint8_t ip[16];
    const uint8_t *end = memchr(p, '\n', n < V1_MAX ? n : V1_MAX);
    if (!end)
        return n < V1_MAX ? 0 : -EBADMSG;
    size_t len = (size_t)(end - p) + 1;
    if (len < 2 || p[len - 2] != '\r' || memchr(p, '\0', len))
        return -EBADMSG;
    memcpy(line, p, len);
    line[len] = '\0';
    if (strncmp(line, "PROXY UNKNOWN", 13) == 0)
        return (int)len;
    if (sscanf(line, "PROXY TCP4 %63s", source) == 1 && inet_pton(AF_INET, source, ip) == 1)
        take4(ip, address);
    else if (sscanf(line, "PROXY TCP6 %63s", source) == 1 && inet_pton(AF_INET6, source, ip) == 1)
        take6(ip, address);
    else
        return -EBADMSG;
    return (int)len;
}

int proxied_parse(const uint8_t *p, size_t n, uint64_t *address)
{
    size_t v1 = n < 6 ? n : 6, v2 = n < sizeof v2_signature ? n : sizeof v2_signature;
    if (n == 0)
        return 0;
    if (memcmp(p, v2_signature, v2) == 0)
        return parse_v2(p, n, address);
    if (memcmp(p, "PROXY ", v1) == 0)
        return parse_v1(p, n, address);
    return -EBADMSG;
}

/* ---- connections that wait for it ---- */

struct waiting {
    struct loop_fd watch;
    struct timer late;
    struct proxied *of;
    struct waiting *next, *prev;
    uint64_t address;
    ssize_t seen; /* bytes */
};

struct proxied {
    struct loop *loop;
    void (*known)(void *ctx, int fd, uint64_t address);
    void *ctx;
    struct waiting *all;
    unsigned n;
};

/* The socket, which is the caller's again. */
static int leave(struct waiting *w)
{
    struct proxied *p = w->of;
    int fd = w->watch.fd;
    loop_timer_stop(p->loop, &w->late);
    loop_del(p->loop, &w->watch);
    DL_DELETE(p->all, w);
    p->n--;
    free(w);
    return fd;
}

static void on_late(struct timer *t)
{
    close(leave(container_of(t, struct waiting, late)));
}

/* Only looks until all of it is there: what follows is not ours to read. */
static void on_bytes(struct loop_fd *watch, uint32_t events)
{
    struct waiting *w = container_of(watch, struct waiting, watch);
    struct proxied *p = w->of;
    uint8_t head[V2_MAX];
    uint64_t address = w->address;
    ssize_t n = recv(watch->fd, head, sizeof head, MSG_PEEK);
    (void)events;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    int len = n > 0 ? proxied_parse(head, (size_t)n, &address) : -EBADMSG;
    if (len == 0 && n > w->seen) { /* else the other end closed */
        int need = (int)n + 1;     /* the socket is quiet until there is more */
        w->seen = n;
        (void)setsockopt(watch->fd, SOL_SOCKET, SO_RCVLOWAT, &need, sizeof need);
        return;
    }
    int fd = leave(w), usual = 1;
    if (len <= 0 || recv(fd, head, (size_t)len, 0) != len) {
        close(fd);
        return;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &usual, sizeof usual);
    p->known(p->ctx, fd, address);
}

void proxied_add(struct proxied *p, int fd, uint64_t own)
{
    struct waiting *w = p->n < PROXIED_MAX ? calloc(1, sizeof *w) : NULL;
    if (!w || loop_add(p->loop, &w->watch, fd, EPOLLIN, on_bytes)) {
        free(w);
        close(fd);
        return;
    }
    w->of = p;
    w->address = own;
    timer_init(&w->late, on_late);
    loop_timer_start(p->loop, &w->late, PROXIED_MS);
    DL_APPEND(p->all, w);
    p->n++;
}

struct proxied *proxied_new(struct loop *loop, void (*known)(void *ctx, int fd, uint64_t address), void *ctx)
{
    struct proxied *p = calloc(1, sizeof *p);
    if (p)
        *p = (struct proxied){.loop = loop, .known = known, .ctx = ctx};
    return p;
}

void proxied_free(struct proxied *p)
{
    while (p && p->all)
        close(leave(p->all));
    free(p);
}
