#include "tests/support/rawclient.h"

#include "common/base/addr.h"
#include "common/base/bytes.h"
#include "common/base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#define PUMP_MS 2

struct raw {
    int fd;
    bool server, closed;
    struct bytes in;
    struct raw_frame *frames;
    void (*pump)(void *);
    void *arg;
};

struct raw *raw_adopt(int fd)
{
    struct raw *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->fd = fd;
    r->server = true;
    return r;
}

static int wait_fd(int fd, short events, int64_t by, void (*pump)(void *), void *arg)
{
    for (;;) {
        int64_t left = by - clock_mono_ms();
        struct pollfd f = {.fd = fd, .events = events};
        if (pump)
            pump(arg);
        int n = poll(&f, 1, left <= 0 ? 0 : pump && left > PUMP_MS ? PUMP_MS : (int)left);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (left <= 0)
            return -ETIMEDOUT;
    }
}

struct raw *raw_connect(const char *addr, int timeout_ms)
{
    struct sockaddr_storage sa;
    socklen_t len;
    int rc = addr_parse(addr, &sa, &len), err = 0;
    int fd = rc ? -1 : socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t n = sizeof err;
    if (!rc && connect(fd, (struct sockaddr *)&sa, len) && errno != EINPROGRESS)
        rc = -errno;
    if (!rc)
        rc = wait_fd(fd, POLLOUT, clock_mono_ms() + timeout_ms, NULL, NULL);
    if (!rc && !getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n))
        rc = -err;
    struct raw *r = rc ? NULL : raw_adopt(fd);
    if (!r) {
        if (fd >= 0)
            close(fd);
        errno = rc ? -rc : ENOMEM;
        return NULL;
    }
    r->server = false;
    return r;
}

void raw_frame_free(struct raw_frame *f)
{
    if (!f)
        return;
    if (f->msg)
        protobuf_c_message_free_unpacked(f->msg, NULL);
    free(f);
}

void raw_free(struct raw *r)
{
    if (!r)
        return;
    if (r->fd >= 0)
        close(r->fd);
    while (r->frames) {
        struct raw_frame *f = r->frames;
        LL_DELETE(r->frames, f);
        raw_frame_free(f);
    }
    bytes_release(&r->in);
    free(r);
}

void raw_hang_up(struct raw *r)
{
    struct linger l = {.l_onoff = 1, .l_linger = 0};
    setsockopt(r->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    close(r->fd);
    r->fd = -1;
    r->closed = true;
}

int raw_fd(const struct raw *r)
{
    return r->fd;
}

void raw_pump(struct raw *r, void (*fn)(void *), void *arg)
{
    r->pump = fn;
    r->arg = arg;
}

int raw_bytes(struct raw *r, const void *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t w = send(r->fd, (const char *)p + done, n - done, MSG_NOSIGNAL);
        if (w >= 0) {
            done += (size_t)w;
            continue;
        }
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
        int rc = wait_fd(r->fd, POLLOUT, clock_mono_ms() + 10000, r->pump, r->arg);
        if (rc)
            return rc;
    }
    return 0;
}

int raw_encode(uint8_t *out, size_t cap, uint16_t type, uint32_t seq_id, const ProtobufCMessage *m)
{
    size_t n = m ? protobuf_c_message_get_packed_size(m) : 0;
    if (FRAME_HEADER + n > cap)
        return -ENOSPC;
    frame_header(out, type, seq_id, n);
    if (m)
        protobuf_c_message_pack(m, out + FRAME_HEADER);
    return (int)(FRAME_HEADER + n);
}

int raw_send(struct raw *r, uint16_t type, uint32_t seq_id, const ProtobufCMessage *m)
{
    size_t cap = FRAME_HEADER + (m ? protobuf_c_message_get_packed_size(m) : 0);
    uint8_t *b = malloc(cap);
    int n = b ? raw_encode(b, cap, type, seq_id, m) : -ENOMEM;
    int rc = n < 0 ? n : raw_bytes(r, b, (size_t)n);
    free(b);
    return rc;
}

static void keep(struct raw *r, const struct frame *f)
{
    const struct frame_type *t = frame_type(f->type);
    const ProtobufCMessageDescriptor *d = !t ? NULL : r->server ? t->request : t->server;
    struct raw_frame *k = calloc(1, sizeof *k + f->payload.n);
    if (!k)
        abort();
    if (f->payload.n)
        memcpy(k + 1, f->payload.p, f->payload.n);
    k->type = f->type;
    k->seq_id = f->seq_id;
    k->payload = (uint8_t *)(k + 1);
    k->n = f->payload.n;
    k->msg = d ? protobuf_c_message_unpack(d, NULL, k->n, k->payload) : NULL;
    LL_APPEND(r->frames, k);
}

/* Reads what there is; 0, -EAGAIN or how it ended. */
static int take_in(struct raw *r)
{
    size_t had = r->in.n, size;
    struct frame f;
    uint8_t *room = r->closed ? NULL : bytes_room(&r->in, 65536);
    if (!room)
        return -ECONNRESET;
    ssize_t n = recv(r->fd, room, 65536, MSG_DONTWAIT);
    int err = errno;
    r->in.n = had + (n > 0 ? (size_t)n : 0);
    if (n < 0 && (err == EAGAIN || err == EINTR))
        return -EAGAIN;
    if (n <= 0) {
        r->closed = true;
        return -ECONNRESET;
    }
    while (frame_decode(r->in.p, r->in.n, FRAME_CAP_MAX, &f, &size) == FRAME_READY) {
        keep(r, &f);
        bytes_eat(&r->in, size);
    }
    return 0;
}

static struct raw_frame *take_out(struct raw *r, uint16_t type)
{
    struct raw_frame *f;
    LL_FOREACH (r->frames, f) {
        if (type && f->type != type)
            continue;
        LL_DELETE(r->frames, f);
        f->next = NULL;
        return f;
    }
    return NULL;
}

struct raw_frame *raw_wait(struct raw *r, uint16_t type, int timeout_ms)
{
    int64_t by = clock_mono_ms() + timeout_ms;
    for (;;) {
        struct raw_frame *f = take_out(r, type);
        if (f)
            return f;
        int rc = take_in(r);
        if (rc == -EAGAIN)
            rc = wait_fd(r->fd, POLLIN, by, r->pump, r->arg);
        if (rc) {
            errno = -rc;
            return NULL;
        }
    }
}

bool raw_closed(struct raw *r, int timeout_ms)
{
    int64_t by = clock_mono_ms() + timeout_ms;
    for (;;) {
        int rc = take_in(r);
        if (rc == -ECONNRESET)
            return true;
        if (rc == -EAGAIN && wait_fd(r->fd, POLLIN, by, r->pump, r->arg))
            return false;
    }
}

bool raw_quiet(struct raw *r, uint16_t type)
{
    const struct raw_frame *f;
    while (take_in(r) == 0)
        ;
    LL_FOREACH (r->frames, f)
        if (f->type == type)
            return false;
    return true;
}

/* The code in an answer or an error. */
static int answer(struct raw *r, uint16_t type, uint32_t seq_id, int timeout_ms, struct raw_frame **out)
{
    int64_t by = clock_mono_ms() + timeout_ms;
    for (;;) {
        struct raw_frame *f = take_out(r, type);
        if (f && f->seq_id == seq_id && f->msg) {
            *out = f;
            return 0;
        }
        raw_frame_free(f);
        f = take_out(r, IM__FRAME_TYPE__ERROR);
        int code = f && f->msg ? (int)((Im__Error *)f->msg)->code : 0;
        raw_frame_free(f);
        if (code)
            return code;
        int rc = take_in(r);
        if (rc == -EAGAIN)
            rc = wait_fd(r->fd, POLLIN, by, r->pump, r->arg);
        if (rc)
            return rc;
    }
}

int raw_register(struct raw *r, const char *login, const char *password, int timeout_ms)
{
    Im__RegisterReq m = IM__REGISTER_REQ__INIT;
    struct raw_frame *f;
    m.login = (char *)(uintptr_t)login;
    m.password = (char *)(uintptr_t)password;
    int rc = raw_send(r, IM__FRAME_TYPE__REGISTER_REQ, 1, &m.base);
    if (!rc)
        rc = answer(r, IM__FRAME_TYPE__REGISTER_RSP, 1, timeout_ms, &f);
    if (rc)
        return rc;
    rc = (int)((Im__RegisterRsp *)f->msg)->code;
    raw_frame_free(f);
    return rc;
}

int raw_login_req(struct raw *r, const Im__LoginReq *m, Im__LoginRsp **rsp, int timeout_ms)
{
    struct raw_frame *f;
    int rc = raw_send(r, IM__FRAME_TYPE__LOGIN_REQ, 2, &m->base);
    if (!rc)
        rc = answer(r, IM__FRAME_TYPE__LOGIN_RSP, 2, timeout_ms, &f);
    if (rc)
        return rc;
    rc = (int)((Im__LoginRsp *)f->msg)->code;
    if (rsp) {
        *rsp = (Im__LoginRsp *)f->msg;
        f->msg = NULL;
    }
    raw_frame_free(f);
    return rc;
}

int raw_login(struct raw *r, const char *login, const char *password, const char *device_id,
              Im__LoginRsp **rsp, int timeout_ms)
{
    Im__LoginReq m = IM__LOGIN_REQ__INIT;
    m.login = (char *)(uintptr_t)login;
    m.password = (char *)(uintptr_t)password;
    m.device_id = (char *)(uintptr_t)device_id;
    m.device_class = (char *)(uintptr_t) "test";
    m.client = (char *)(uintptr_t) "rawclient";
    return raw_login_req(r, &m, rsp, timeout_ms);
}

int raw_listen(char *addr, size_t n)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sa;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) || listen(fd, 16) ||
        getsockname(fd, (struct sockaddr *)&sa, &len)) {
        int err = errno;
        if (fd >= 0)
            close(fd);
        return -err;
    }
    snprintf(addr, n, "127.0.0.1:%u", ntohs(sa.sin_port));
    return fd;
}

struct raw *raw_accept(int listener, int timeout_ms, void (*pump)(void *), void *arg)
{
    int rc = wait_fd(listener, POLLIN, clock_mono_ms() + timeout_ms, pump, arg);
    int fd = rc ? -1 : accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (rc)
            errno = -rc;
        return NULL;
    }
    struct raw *r = raw_adopt(fd);
    if (r)
        raw_pump(r, pump, arg);
    return r;
}
