/* conns.c: the table of sockets, reading. conns_out.c writes and closes. */
#include "edge/conns_int.h"

#include "common/im/frame.h"
#include "common/im/secrets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SCRATCH (256u << 10)

struct sock *conns_sock(const struct conns *k, uint32_t conn)
{
    if (conn / CONNS_CHUNK >= k->n_chunks || !k->chunks[conn / CONNS_CHUNK])
        return NULL;
    struct sock *s = &k->chunks[conn / CONNS_CHUNK][conn % CONNS_CHUNK];
    return s->flags & SOCK_USED ? s : NULL;
}

static struct sock *make(struct conns *k, uint32_t conn)
{
    uint32_t c = conn / CONNS_CHUNK;
    if (c >= k->n_chunks) {
        uint32_t n = c + 1 > 2 * k->n_chunks ? c + 1 : 2 * k->n_chunks;
        struct sock **chunks = realloc(k->chunks, n * sizeof *chunks);
        if (!chunks)
            return NULL;
        memset(chunks + k->n_chunks, 0, (n - k->n_chunks) * sizeof *chunks);
        k->chunks = chunks;
        k->n_chunks = n;
    }
    if (!k->chunks[c] && !(k->chunks[c] = calloc(CONNS_CHUNK, sizeof(struct sock))))
        return NULL;
    return &k->chunks[c][conn % CONNS_CHUNK];
}

/* What the loop should report for it now. */
void conns_interest(struct conns *k, struct sock *s)
{
    uint32_t events = 0;
    if (s->flags & SOCK_SHUT || !(s->flags & (SOCK_PAUSED | SOCK_CLOSING | SOCK_BEHIND | SOCK_PARKED)))
        events |= EPOLLIN;
    if (s->flags & SOCK_WANTS_OUT)
        events |= EPOLLOUT;
    (void)loop_mod(k->setup.loop, &s->watch, events);
}

/* ---- input ---- */
void conns_drop_input(struct conns *k, struct sock *s)
{
    if (s->in) {
        k->stats.buffers--;
        secret_wipe(s->in->data, s->in->n); /* perhaps a log-in that was never carried out */
    }
    free(s->in);
    s->in = NULL;
}

/* Keeps bytes that are no whole frame yet (or not wanted yet); `need`: how many the frame has. */
static bool keep(struct conns *k, struct sock *s, const uint8_t *p, size_t n, size_t need)
{
    size_t cap = need > n ? need : n;
    if (cap < 256)
        cap = 256;
    struct inbuf *b = malloc(sizeof *b + cap);
    if (!b)
        return false;
    *b = (struct inbuf){(uint32_t)n, (uint32_t)cap};
    memcpy(b->data, p, n);
    conns_drop_input(k, s);
    s->in = b;
    k->stats.buffers++;
    return true;
}

/* Feeds whole frames; what is left over is kept. False: the connection is closing or gone. */
static bool feed_frames(struct conns *k, struct sock *s, uint8_t *p, size_t n)
{
    uint32_t conn = s->conn;
    size_t at = 0, need = 0;
    bool going = !(s->flags & (SOCK_PAUSED | SOCK_CLOSING));
    k->setup.entering(k->setup.ctx);
    while (going && at < n) {
        struct frame f = {0};
        size_t size;
        enum frame_rc rc = frame_decode(p + at, n - at, edge_core_frame_cap(k->core, conn), &f, &size);
        need = size;
        if (rc == FRAME_MORE)
            break;
        if (rc != FRAME_READY) {
            edge_core_bad_frame(k->core, conn,
                                rc == FRAME_TOO_LARGE ? IM__CODE__FRAME_TOO_LARGE : IM__CODE__FRAME_TOO_SHORT,
                                f.seq_id);
            return false;
        }
        going = edge_core_frame(k->core, conn, f.type, f.seq_id, f.payload);
        at += size;
        need = 0;
        going = going && !k->stalled && !(s->flags & SOCK_BEHIND);
    }
    if (s->flags & SOCK_CLOSING)
        return false;
    if (k->stalled && at < n)
        conns_park(k, s);
    if (at == n) {
        conns_drop_input(k, s);
    } else if (s->in && p == s->in->data && need <= s->in->cap) {
        memmove(s->in->data, p + at, n - at);
        if (!edge_core_logged_in(k->core, conn))
            secret_wipe(s->in->data + (n - at), at);
        s->in->n = (uint32_t)(n - at);
    } else if (!keep(k, s, p + at, n - at, need)) {
        return false;
    }
    return true;
}

/* Before the log-in everything may be a password: nothing of what was read stays behind. */
static bool feed(struct conns *k, struct sock *s, uint8_t *p, size_t n)
{
    bool secret = !edge_core_logged_in(k->core, s->conn), kept = s->in && p == s->in->data;
    bool ok = feed_frames(k, s, p, n);
    if (secret && !kept)
        secret_wipe(p, n);
    return ok;
}

/* As much as may have to be kept when the first frame pauses the client. */
static size_t read_size(const struct conns *k, const struct sock *s)
{
    size_t n = 2 * (size_t)edge_core_frame_cap(k->core, s->conn);
    return n < SCRATCH ? n : SCRATCH;
}

/* Reads once; level-triggered, so the rest comes up again in the next turn and nobody starves. */
void conns_read(struct conns *k, struct sock *s)
{
    struct inbuf *b = s->in;
    ssize_t n;
    if (b && b->n == b->cap) { /* kept while paused: all of it may be more than one frame */
        feed(k, s, b->data, b->n);
        if (!(b = s->in) || b->n == b->cap)
            return;
    }
    if (b)
        n = read(s->watch.fd, b->data + b->n, b->cap - b->n);
    else
        n = read(s->watch.fd, k->scratch, read_size(k, s));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        conns_gone(k, s);
        return;
    }
    k->stats.bytes_in += (uint64_t)n;
    bool ok;
    if (b) {
        b->n += (uint32_t)n;
        ok = feed(k, s, b->data, b->n);
    } else {
        ok = feed(k, s, k->scratch, (size_t)n);
    }
    if (!ok && !(s->flags & SOCK_CLOSING))
        conns_gone(k, s); /* no memory */
}

void conns_again(struct conns *k, struct sock *s)
{
    if (s->in && !feed(k, s, s->in->data, s->in->n) && !(s->flags & SOCK_CLOSING))
        conns_gone(k, s);
}

/* A close() with input unread would reset the connection, and the last frames might never be seen. */
static bool discard(struct conns *k, struct sock *s)
{
    ssize_t n = read(s->watch.fd, k->scratch, SCRATCH);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void on_event(struct loop_fd *watch, uint32_t events)
{
    struct sock *s = container_of(watch, struct sock, watch);
    struct conns *k = conns_the; /* sockets carry no pointer to their table: there is one */
    if (events & EPOLLOUT) {
        s->flags &= (uint16_t)~SOCK_WANTS_OUT;
        conns_dirty(k, s);
    }
    if (s->flags & (SOCK_CLOSING | SOCK_DEAD)) {
        if (events & (EPOLLHUP | EPOLLERR) || (events & EPOLLIN && !discard(k, s)))
            conns_gone(k, s);
        return;
    }
    if (events & EPOLLIN) {
        if (k->stalled) {
            conns_park(k, s);
            return;
        }
        conns_read(k, s);
    } else if (events & (EPOLLHUP | EPOLLERR)) {
        conns_gone(k, s);
    }
}

/* ---- coming ---- */
static void refuse(int fd, uint16_t code)
{
    Im__Error m = IM__ERROR__INIT;
    uint8_t frame[FRAME_HEADER + 64];
    m.code = (Im__Code)code;
    m.retry_after_ms = 1000;
    size_t n = im__error__get_packed_size(&m);
    frame_header(frame, IM__FRAME_TYPE__ERROR, 0, n);
    im__error__pack(&m, frame + FRAME_HEADER);
    (void)!send(fd, frame, FRAME_HEADER + n, MSG_NOSIGNAL | MSG_DONTWAIT);
    close(fd);
}

void conns_add(struct conns *k, int fd, uint64_t address)
{
    uint16_t why;
    k->setup.entering(k->setup.ctx);
    uint32_t conn = edge_core_accept(k->core, address, &why);
    if (conn == EDGE_NO_CONN) {
        refuse(fd, why);
        return;
    }
    struct sock *s = make(k, conn);
    if (s)
        *s = (struct sock){.conn = conn, .flags = SOCK_USED};
    if (!s || loop_add(k->setup.loop, &s->watch, fd, EPOLLIN, on_event)) {
        if (s)
            s->flags = 0;
        edge_core_gone(k->core, conn);
        close(fd);
        return;
    }
    k->stats.open++;
}

struct conns *conns_new(const struct conns_setup *setup)
{
    struct conns *k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    k->setup = *setup;
    k->scratch = malloc(SCRATCH);
    if (!k->scratch) {
        free(k);
        return NULL;
    }
    loop_hook(setup->loop, &k->hook, conns_flush_hook);
    conns_the = k;
    return k;
}

void conns_core(struct conns *k, struct edge_core *core)
{
    k->core = core;
}

void conns_stats(const struct conns *k, struct conns_stats *out)
{
    *out = k->stats;
}
