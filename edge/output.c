#include "edge/output.h"

#include "common/base/crash.h"
#include "common/im/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIECE     4096
#define IOVS      64
#define KEEP_FREE 4096 /* free pieces that are kept */

struct piece {
    struct piece *next;
    struct buf *owner;   /* NULL: the bytes are in `own` */
    const uint8_t *from; /* first byte not written */
    uint32_t n, room;    /* room: still free at the end of `own` */
    uint8_t own[];
};

#define PIECE_ROOM (PIECE - sizeof(struct piece))

static struct piece *free_pieces;
static uint32_t n_free;

static struct piece *add(struct output *o, struct piece *p)
{
    p->next = NULL;
    if (o->tail)
        o->tail->next = p;
    else
        o->head = p;
    o->tail = p;
    return p;
}

static struct piece *own_piece(struct output *o)
{
    struct piece *p = free_pieces;
    if (p) {
        free_pieces = p->next;
        n_free--;
    } else if (!(p = malloc(PIECE))) {
        return NULL;
    }
    *p = (struct piece){.from = p->own, .room = PIECE_ROOM};
    return add(o, p);
}

static void drop(struct piece *p)
{
    if (p->owner || n_free >= KEEP_FREE) {
        buf_unref(p->owner);
        free(p);
        return;
    }
    p->next = free_pieces;
    free_pieces = p;
    n_free++;
}

static bool copy(struct output *o, const void *bytes, size_t n)
{
    const uint8_t *from = bytes;
    while (n) {
        struct piece *p = o->tail;
        if ((!p || p->owner || !p->room) && !(p = own_piece(o)))
            return false;
        uint32_t take = n < p->room ? (uint32_t)n : p->room;
        memcpy(p->own + (PIECE_ROOM - p->room), from, take);
        p->room -= take;
        p->n += take;
        o->bytes += take;
        from += take;
        n -= take;
    }
    return true;
}

bool output_frame(struct output *o, uint16_t type, uint32_t seq_id, struct slice payload, struct buf *owner)
{
    uint8_t head[FRAME_HEADER];
    frame_header(head, type, seq_id, payload.n);
    if (!copy(o, head, sizeof head))
        return false;
    if (!owner || payload.n <= OUTPUT_COPY)
        return copy(o, payload.p, payload.n);
    struct piece *p = malloc(sizeof *p);
    if (!p)
        return false;
    *p = (struct piece){.owner = buf_ref(owner), .from = payload.p, .n = (uint32_t)payload.n};
    add(o, p);
    o->bytes += (uint32_t)payload.n;
    return true;
}

static void wrote(struct output *o, size_t n)
{
    o->bytes -= (uint32_t)n;
    while (o->head && n >= o->head->n) {
        struct piece *p = o->head;
        n -= p->n;
        o->head = p->next;
        if (!o->head)
            o->tail = NULL;
        drop(p);
    }
    if (n) {
        o->head->from += n;
        o->head->n -= (uint32_t)n;
    }
}

#ifdef PARLEY_CRASH_POINTS
/* Leaves half a frame on the wire, so that a test can die there. */
static void half_frame(struct output *o, int fd)
{
    ssize_t n = o->head && o->head->n > 12 ? send(fd, o->head->from, 12, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
    if (n > 0)
        wrote(o, (size_t)n);
    crash_at("edge:midframe");
}
#else
#define half_frame(o, fd) ((void)0)
#endif

int output_flush(struct output *o, int fd)
{
    int total = 0;
    crash_at("edge:write");
    half_frame(o, fd);
    while (o->head) {
        struct iovec iov[IOVS];
        struct msghdr msg = {.msg_iov = iov};
        size_t want = 0;
        for (struct piece *p = o->head; p && msg.msg_iovlen < IOVS; p = p->next) {
            iov[msg.msg_iovlen++] = (struct iovec){(void *)(uintptr_t)p->from, p->n};
            want += p->n;
        }
        ssize_t n = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT); /* a writev that raises no SIGPIPE */
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return errno == EWOULDBLOCK || errno == EAGAIN ? (total ? total : -EAGAIN) : -errno;
        }
        wrote(o, (size_t)n);
        total += (int)n;
        if ((size_t)n < want)
            break;
    }
    crash_at("edge:acked");
    return total;
}

void output_clear(struct output *o)
{
    while (o->head) {
        struct piece *p = o->head;
        o->head = p->next;
        drop(p);
    }
    *o = (struct output){0};
}

void output_trim(void)
{
    while (free_pieces) {
        struct piece *p = free_pieces;
        free_pieces = p->next;
        free(p);
    }
    n_free = 0;
}
