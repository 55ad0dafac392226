#include "client/lib/link.h"

#include "common/im/frame.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_CHUNK 65536

static int parse_server(struct server *s, const char *text, size_t n)
{
    const char *host = text, *colon = memrchr(text, ':', n);
    size_t host_n = colon ? (size_t)(colon - text) : 0;
    if (host_n == 0 || n >= sizeof s->name)
        return -EINVAL;
    size_t port_n = n - host_n - 1;
    if (port_n == 0 || port_n > 5 || strspn(colon + 1, "0123456789") < port_n)
        return -EINVAL;
    snprintf(s->name, sizeof s->name, "%.*s", (int)n, text);
    snprintf(s->port, sizeof s->port, "%.*s", (int)port_n, colon + 1);
    if (strtol(s->port, NULL, 10) < 1 || strtol(s->port, NULL, 10) > 65535)
        return -EINVAL;
    if (host[0] == '[' && host[host_n - 1] == ']') {
        host++;
        host_n -= 2;
    }
    if (host_n == 0 || host_n >= sizeof s->host)
        return -EINVAL;
    snprintf(s->host, sizeof s->host, "%.*s", (int)host_n, host);
    return 0;
}

int link_init(struct link *l, const char *servers)
{
    *l = (struct link){.fd = -1};
    for (const char *p = servers; p && *p;) {
        size_t n = strcspn(p, ",");
        while (n && (*p == ' '))
            p++, n--;
        size_t used = n;
        while (used && p[used - 1] == ' ')
            used--;
        if (l->n == LINK_SERVERS || parse_server(&l->servers[l->n], p, used))
            return -EINVAL;
        l->n++;
        p += n + (p[n] == ',');
    }
    return l->n ? 0 : -EINVAL;
}

static void drop_addrs(struct link *l)
{
    if (l->addrs)
        freeaddrinfo(l->addrs);
    l->addrs = l->addr = NULL;
}

static void close_fd(struct link *l)
{
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
    l->up = false;
}

void link_close(struct link *l)
{
    close_fd(l);
    drop_addrs(l);
    bytes_clear(&l->in);
    bytes_clear(&l->out);
}

void link_release(struct link *l)
{
    link_close(l);
    bytes_release(&l->in);
    bytes_release(&l->out);
}

void link_next(struct link *l)
{
    l->at = (l->at + 1) % l->n;
}

static void came_up(struct link *l)
{
    int one = 1;
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    drop_addrs(l);
    l->up = true;
}

/* From l->addr on, the first that does not fail at once. */
static int try_addrs(struct link *l)
{
    int rc = -EHOSTUNREACH;
    for (; l->addr; l->addr = l->addr->ai_next) {
        l->fd = socket(l->addr->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (l->fd < 0) {
            rc = -errno;
            continue;
        }
        if (connect(l->fd, l->addr->ai_addr, l->addr->ai_addrlen) == 0) {
            came_up(l);
            return 0;
        }
        if (errno == EINPROGRESS)
            return 0;
        rc = -errno;
        close_fd(l);
    }
    drop_addrs(l);
    return rc;
}

int link_connect(struct link *l)
{
    const struct server *s = &l->servers[l->at];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    link_close(l);
    int rc = getaddrinfo(s->host, s->port, &hints, &l->addrs);
    if (rc) {
        l->addrs = NULL;
        return rc == EAI_SYSTEM && errno ? -errno : -EHOSTUNREACH;
    }
    l->addr = l->addrs;
    return try_addrs(l);
}

int link_connected(struct link *l)
{
    int err = 0;
    socklen_t n = sizeof err;
    if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &err, &n))
        err = errno;
    if (!err) {
        came_up(l);
        return 0;
    }
    close_fd(l);
    if (l->addr)
        l->addr = l->addr->ai_next;
    if (!l->addr || try_addrs(l))
        return -err;
    return l->up ? 0 : -EINPROGRESS;
}

ssize_t link_read(struct link *l)
{
    size_t had = l->in.n;
    uint8_t *room = bytes_room(&l->in, READ_CHUNK);
    if (!room)
        return -ENOMEM;
    ssize_t n;
    do {
        n = recv(l->fd, room, READ_CHUNK, 0);
    } while (n < 0 && errno == EINTR);
    int err = errno;
    l->in.n = had + (n > 0 ? (size_t)n : 0);
    return n < 0 ? -err : n;
}

int link_flush(struct link *l)
{
    size_t done = 0;
    int rc = l->out.failed ? -ENOMEM : 0;
    while (!rc && done < l->out.n) {
        ssize_t n = send(l->fd, l->out.p + done, l->out.n - done, MSG_NOSIGNAL);
        if (n >= 0)
            done += (size_t)n;
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            rc = -errno;
    }
    bytes_eat(&l->out, done);
    return rc;
}

void link_frame(struct link *l, uint16_t type, uint32_t seq_id, const ProtobufCMessage *m)
{
    size_t n = m ? protobuf_c_message_get_packed_size(m) : 0;
    uint8_t *p = bytes_room(&l->out, FRAME_HEADER + n);
    if (!p)
        return; /* bytes_ok() tells at the flush */
    frame_header(p, type, seq_id, n);
    if (n)
        protobuf_c_message_pack(m, p + FRAME_HEADER);
}

void link_packed(struct link *l, uint16_t type, uint32_t seq_id, uint64_t field1, const void *body, size_t n)
{
    uint8_t head[11] = {1 << 3};
    size_t head_n = field1 ? 1 : 0;
    for (uint64_t v = field1; v; v >>= 7)
        head[head_n++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
    uint8_t *p = bytes_room(&l->out, FRAME_HEADER + head_n + n);
    if (!p)
        return; /* as above */
    frame_header(p, type, seq_id, head_n + n);
    memcpy(p + FRAME_HEADER, head, head_n);
    if (n)
        memcpy(p + FRAME_HEADER + head_n, body, n);
}
