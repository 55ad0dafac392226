/* load_conn.c: a client's socket, and the frames it sends. */
#include "bench/load.h"
#include "bench/result.h"

#include "common/base/addr.h"
#include "common/im/frame.h"
#include "common/im/wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_MAX 65536
#define TRIES    10

static void parse(struct conn *c, const uint8_t *p, size_t n, size_t *used)
{
    struct frame f;
    size_t size;
    *used = 0;
    while (c->state > CONN_IDLE && c->state < CONN_CLOSED) {
        enum frame_rc rc = frame_decode(p + *used, n - *used, FRAME_CAP_MAX, &f, &size);
        if (rc == FRAME_MORE)
            return;
        if (rc != FRAME_READY) {
            load_fail(c->l, "%s: the edge sent no valid frame", c->login);
            return;
        }
        conn_on_frame(c, f.type, f.seq_id, f.payload.p, f.payload.n);
        *used += size;
    }
}

/* Whole frames are read where they lie; only an unfinished one is kept. */
static void on_bytes(struct conn *c, const uint8_t *p, size_t n)
{
    size_t used;
    if (c->in.n) {
        bytes_put(&c->in, p, n);
        parse(c, c->in.p, c->in.n, &used);
        bytes_eat(&c->in, used);
        if (!c->in.n)
            bytes_release(&c->in);
        return;
    }
    parse(c, p, n, &used);
    if (used < n && c->state != CONN_IDLE)
        bytes_put(&c->in, p + used, n - used);
}

static void connected(struct conn *c)
{
    int err = 0;
    socklen_t len = sizeof err;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
    if (err) {
        load_fail(c->l, "connecting to the edge: %s", strerror(err));
        return;
    }
    c->blocked = false;
    if (loop_mod(c->l->loop, &c->watch, EPOLLIN) < 0)
        abort();
    if (c->registered)
        conn_login(c);
    else
        conn_register(c);
}

static void flush_one(struct conn *c)
{
    c->queued = false;
    if (c->blocked || c->state == CONN_CLOSED || c->state == CONN_CONNECTING || !c->out.n)
        return;
    ssize_t k = send(c->fd, c->out.p, c->out.n, MSG_NOSIGNAL);
    if (k < 0 && errno != EAGAIN && errno != EINTR) {
        load_fail(c->l, "%s: writing: %s", c->login, strerror(errno));
        return;
    }
    if (k == (ssize_t)c->out.n) {
        bytes_clear(&c->out);
        return;
    }
    bytes_eat(&c->out, k > 0 ? (size_t)k : 0);
    c->blocked = true;
    if (loop_mod(c->l->loop, &c->watch, EPOLLIN | EPOLLOUT) < 0)
        abort();
}

static void on_event(struct loop_fd *w, uint32_t events)
{
    static uint8_t buffer[READ_MAX];
    struct conn *c = container_of(w, struct conn, watch);
    if (c->state == CONN_CONNECTING) {
        connected(c);
        return;
    }
    if (events & EPOLLOUT) {
        c->blocked = false;
        if (loop_mod(c->l->loop, &c->watch, EPOLLIN) < 0)
            abort();
        flush_one(c);
    }
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    ssize_t k = recv(c->fd, buffer, sizeof buffer, 0);
    if (k > 0)
        on_bytes(c, buffer, (size_t)k);
    else if (k == 0 || (errno != EAGAIN && errno != EINTR))
        conn_over(c, k ? strerror(errno) : "the edge closed the connection");
}

void conn_open(struct conn *c)
{
    struct sockaddr_storage to;
    socklen_t len;
    int one = 1;
    const char *edge = c->l->o.edges.v[c->index % c->l->o.edges.n];
    if (addr_parse(edge, &to, &len)) {
        load_fail(c->l, "--edge %s: not host:port", edge);
        return;
    }
    c->fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        load_fail(c->l, "socket: %s", strerror(errno));
        return;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->state = CONN_CONNECTING;
    c->blocked = true;
    if (connect(c->fd, (struct sockaddr *)&to, len) < 0 && errno != EINPROGRESS)
        load_fail(c->l, "connecting to %s: %s", edge, strerror(errno));
    else if (loop_add(c->l->loop, &c->watch, c->fd, EPOLLOUT, on_event) < 0)
        load_fail(c->l, "epoll: %s", strerror(errno));
}

void conn_close(struct conn *c)
{
    if (c->state == CONN_IDLE || c->state == CONN_CLOSED)
        return;
    loop_del(c->l->loop, &c->watch);
    close(c->fd);
    if (c->state == CONN_READY)
        c->l->n_ready--;
    c->state = CONN_CLOSED;
    bytes_clear(&c->out);
}

void conn_over(struct conn *c, const char *why)
{
    bool again = c->l->phase == LOAD_SETUP && c->state != CONN_READY && c->tries++ < TRIES;
    if (!again && c->l->phase < LOAD_OVER)
        load_fail(c->l, "%s: %s", c->login, why);
    conn_close(c);
    if (again) {
        bytes_clear(&c->in);
        c->retry_ms = 0;
        c->state = CONN_IDLE; /* opened again with the next tick */
    }
}

static void queue(struct conn *c)
{
    if (c->queued)
        return;
    c->queued = true;
    c->next_flush = c->l->flush_list;
    c->l->flush_list = c;
}

void load_flush(struct load *l)
{
    while (l->flush_list) {
        struct conn *c = l->flush_list;
        l->flush_list = c->next_flush;
        flush_one(c);
    }
}

void conn_frame(struct conn *c, uint16_t type, uint32_t seq_id, const void *payload, size_t n)
{
    uint8_t *p = bytes_room(&c->out, FRAME_HEADER + n);
    if (!p)
        abort();
    frame_header(p, type, seq_id, n);
    memcpy(p + FRAME_HEADER, payload, n);
    queue(c);
}

static void send_message(struct conn *c, uint16_t type, const ProtobufCMessage *m)
{
    uint8_t b[2048];
    if (protobuf_c_message_get_packed_size(m) > sizeof b)
        abort();
    conn_frame(c, type, 1, b, protobuf_c_message_pack(m, b));
}

void conn_register(struct conn *c)
{
    Im__RegisterReq m = IM__REGISTER_REQ__INIT;
    m.login = c->login;
    m.password = c->l->password;
    c->state = CONN_REGISTERING;
    send_message(c, IM__FRAME_TYPE__REGISTER_REQ, &m.base);
}

void conn_login(struct conn *c)
{
    Im__LoginReq m = IM__LOGIN_REQ__INIT;
    if (c->token) {
        m.token = c->token;
    } else {
        m.login = c->login;
        m.password = c->l->password;
    }
    m.device_id = (char *)(uintptr_t) "bench";
    m.device_class = (char *)(uintptr_t) "bench";
    m.client = (char *)(uintptr_t) "parley-bench";
    c->state = CONN_LOGGING_IN;
    send_message(c, IM__FRAME_TYPE__LOGIN_REQ, &m.base);
}

/* SingleChat by hand, straight into the output: client_seq = 1, to_user = 3, text = 4. */
void conn_chat(struct conn *c, int64_t intended_ns)
{
    struct load *l = c->l;
    uint32_t n = check_sent(l->check, c->conv, c->side, intended_ns);
    if (n != c->sent)
        abort();
    uint64_t client_seq = c->base + 1 + n;
    size_t size = 1 + wire_varint_size(client_seq) + 2 + 16 + 1 + wire_varint_size(l->o.size) + l->o.size;
    uint8_t *p = bytes_room(&c->out, FRAME_HEADER + size);
    if (!p)
        abort();
    frame_header(p, IM__FRAME_TYPE__SINGLE_CHAT, n + 16, size);
    p += FRAME_HEADER;
    *p++ = 1 << 3 | WIRE_VARINT;
    p = wire_put_varint(p, client_seq);
    *p++ = 3 << 3 | WIRE_BYTES;
    *p++ = 16;
    p = wire_put(p, c->peer->user, 16);
    *p++ = 4 << 3 | WIRE_BYTES;
    p = wire_put_varint(p, l->o.size);
    wire_put(p, l->text, l->o.size);
    c->sent++;
    l->sent++;
    queue(c);
}

void conn_confirm(struct conn *c)
{
    if (c->state != CONN_READY || c->delivery == c->confirmed)
        return;
    uint8_t b[128];
    Im__DeliveryAck m = IM__DELIVERY_ACK__INIT;
    Im__Cursor cursor = IM__CURSOR__INIT, *one[1] = {&cursor};
    m.upto = c->delivery;
    if (c->conv_known && c->upto) {
        cursor.conversation = (ProtobufCBinaryData){16, c->conv_id};
        cursor.from = c->from;
        cursor.upto = c->upto;
        m.cursors = one;
        m.n_cursors = 1;
    }
    c->confirmed = c->delivery;
    conn_frame(c, IM__FRAME_TYPE__DELIVERY_ACK, 0, b, im__delivery_ack__pack(&m, b));
}
