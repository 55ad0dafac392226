#include "bench/link.h"

#include "common/base/addr.h"
#include "common/im/frame.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_MAX   262144
#define PER_SOURCE 4000
#define SEND_MAX   65536

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

static void lost(struct link *k, const char *why)
{
    link_close(k);
    k->set->over(k, why);
}

static void parse(struct link *k, const uint8_t *p, size_t n, size_t *used)
{
    struct frame f;
    size_t size;
    *used = 0;
    while (k->open) {
        enum frame_rc rc = frame_decode(p + *used, n - *used, FRAME_CAP_MAX, &f, &size);
        if (rc == FRAME_MORE)
            return;
        if (rc != FRAME_READY) {
            lost(k, "no valid frame");
            return;
        }
        *used += size;
        k->set->frame(k, f.type, f.seq_id, f.payload);
    }
}

/* Whole frames are read where they lie; only an unfinished one is kept. */
static void on_bytes(struct link *k, const uint8_t *p, size_t n)
{
    size_t used;
    if (k->in.n) {
        bytes_put(&k->in, p, n);
        parse(k, k->in.p, k->in.n, &used);
        bytes_eat(&k->in, used);
        return;
    }
    parse(k, p, n, &used);
    if (used < n && k->open)
        bytes_put(&k->in, p + used, n - used);
}

static void watch(struct link *k, uint32_t events)
{
    if (loop_mod(k->set->loop, &k->watch, events) < 0)
        abort();
}

static void flush_one(struct link *k)
{
    k->queued = false;
    if (!k->open || k->blocked || k->connecting || !k->out.n)
        return;
    ssize_t n = send(k->fd, k->out.p, k->out.n, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return; /* reading will say so */
    bytes_eat(&k->out, n > 0 ? (size_t)n : 0);
    if (!k->out.n)
        return;
    k->blocked = true;
    watch(k, EPOLLIN | EPOLLOUT);
}

static void on_flush(struct loop_hook *h)
{
    struct links *s = container_of(h, struct links, hook);
    for (struct link *k; (k = s->flush_list);) {
        s->flush_list = k->next_flush;
        flush_one(k);
    }
}

static void connected(struct link *k)
{
    int err = 0;
    socklen_t len = sizeof err;
    getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &err, &len);
    if (err) {
        lost(k, strerror(err));
        return;
    }
    k->connecting = false;
    watch(k, EPOLLIN);
    k->set->up(k);
}

static void on_event(struct loop_fd *w, uint32_t events)
{
    static uint8_t buffer[READ_MAX];
    struct link *k = container_of(w, struct link, watch);
    if (k->connecting) {
        connected(k);
        return;
    }
    if (events & EPOLLOUT) {
        k->blocked = false;
        watch(k, EPOLLIN);
        flush_one(k);
    }
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    ssize_t n = recv(k->fd, buffer, sizeof buffer, 0);
    if (n > 0)
        on_bytes(k, buffer, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        lost(k, n ? strerror(errno) : "the other side closed the connection");
}

void links_init(struct links *s)
{
    s->flush_list = NULL;
    loop_hook(s->loop, &s->hook, on_flush);
}

static void choose_source(int fd, const struct sockaddr_storage *to, uint32_t index)
{
    struct sockaddr_in from = {.sin_family = AF_INET};
    int one = 1;
    if (to->ss_family != AF_INET || ntohl(((const struct sockaddr_in *)to)->sin_addr.s_addr) >> 24 != 127)
        return;
    from.sin_addr.s_addr = htonl(0x7f000001 + index / PER_SOURCE);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0)
        return; /* then as the kernel likes */
}

int link_open(struct link *k, struct links *s, uint32_t index)
{
    struct sockaddr_storage to;
    socklen_t len;
    int one = 1;
    const char *edge = s->edges.v[index % s->edges.n];
    if (addr_parse(edge, &to, &len)) {
        fprintf(stderr, "parley-bench: --edge %s: not host:port\n", edge);
        return -EINVAL;
    }
    k->set = s;
    k->index = index;
    k->fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (k->fd < 0)
        goto fail;
    setsockopt(k->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    choose_source(k->fd, &to, index);
    k->connecting = k->open = true;
    k->blocked = false;
    if ((connect(k->fd, (struct sockaddr *)&to, len) == 0 || errno == EINPROGRESS) &&
        loop_add(s->loop, &k->watch, k->fd, EPOLLOUT, on_event) >= 0)
        return 0;
    close(k->fd);
    k->open = false;
fail:;
    int rc = -errno;
    fprintf(stderr, "parley-bench: connecting to %s: %s\n", edge, strerror(-rc));
    return rc;
}

void link_close(struct link *k)
{
    if (!k->open)
        return;
    loop_del(k->set->loop, &k->watch);
    close(k->fd);
    k->open = false;
    bytes_clear(&k->in);
    bytes_release(&k->out);
}

void link_frame(struct link *k, uint16_t type, uint32_t seq_id, const void *payload, size_t n)
{
    uint8_t *p = bytes_room(&k->out, FRAME_HEADER + n);
    if (!p)
        abort();
    frame_header(p, type, seq_id, n);
    if (n)
        memcpy(p + FRAME_HEADER, payload, n);
    if (k->queued)
        return;
    k->queued = true;
    k->next_flush = k->set->flush_list;
    k->set->flush_list = k;
}

void link_send(struct link *k, uint16_t type, uint32_t seq_id, const ProtobufCMessage *m)
{
    static uint8_t b[SEND_MAX];
    if (protobuf_c_message_get_packed_size(m) > sizeof b)
        abort();
    link_frame(k, type, seq_id, b, protobuf_c_message_pack(m, b));
}

void link_login(struct link *k, uint32_t seq_id, const char *token)
{
    Im__LoginReq m = IM__LOGIN_REQ__INIT;
    m.token = (char *)(uintptr_t)token;
    m.device_id = (char *)(uintptr_t) "bench";
    m.device_class = (char *)(uintptr_t) "bench";
    m.client = (char *)(uintptr_t) "parley-bench";
    link_send(k, IM__FRAME_TYPE__LOGIN_REQ, seq_id, &m.base);
}
