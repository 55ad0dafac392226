#include "edge/output.h"

#include "common/base/crash.h"
#include "common/im/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIECE 4096
#define SMALL 64 /* a reference, or a header before one */
#define IOVS  64

struct piece {
    struct piece *next;
    struct buf *owner;   /* NULL: the bytes are in `own` */
    const uint8_t *from; /* first byte not written */
    uint32_t n;
    uint16_t room; /* still free at the end of `own` */
    bool small;
    uint8_t own[];
};

#define PIECE_ROOM (PIECE - sizeof(struct piece))
_Static_assert(sizeof(struct piece) + FRAME_HEADER <= SMALL, "a header fits into a small piece");

/* What is done with is kept for the next turn: a push to thousands allocates nothing. By size: whole, small. */
static struct {
    struct piece *free;
    uint32_t n;
    const uint32_t keep;
} pools[2] = {{NULL, 0, 4096}, {NULL, 0, 32768}};

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

static struct piece *take(struct output *o, bool small)
{
    struct piece *p = pools[small].free;
    if (p) {
        pools[small].free = p->next;
        pools[small].n--;
    } else if (!(p = malloc(small ? SMALL : PIECE))) {
        return NULL;
    }
    *p = (struct piece){.from = p->own, .room = small ? 0 : PIECE_ROOM, .small = small};
    return add(o, p);
}

static void drop(struct piece *p)
{
    bool small = p->small;
    buf_unref(p->owner);
    if (pools[small].n >= pools[small].keep) {
        free(p);
        return;
    }
    p->next = pools[small].free;
    pools[small].free = p;
    pools[small].n++;
}

static bool copy(struct output *o, const void *bytes, size_t n)
{
    const uint8_t *from = bytes;
    while (n) {
        struct piece *p = o->tail;
        if ((!p || !p->room) && !(p = take(o, false)))
            return false;
        uint32_t part = n < p->room ? (uint32_t)n : p->room;
        memcpy(p->own + (PIECE_ROOM - p->room), from, part);
        p->room = (uint16_t)(p->room - part);
        p->n += part;
        o->bytes += part;
        from += part;
        n -= part;
    }
    return true;
}

/* Header and reference, 128 bytes for the two whatever the payload's size. */
static bool refer(struct output *o, uint16_t type, uint32_t seq_id, struct slice payload, struct buf *owner)
{
    struct piece *head = take(o, true), *body = head ? take(o, true) : NULL;
    if (!body)
        return false;
    frame_header(head->own, type, seq_id, payload.n);
    head->n = FRAME_HEADER;
    body->owner = buf_ref(owner);
    body->from = payload.p;
    body->n = (uint32_t)payload.n;
    o->bytes += FRAME_HEADER + (uint32_t)payload.n;
    return true;
}

bool output_frame(struct output *o, uint16_t type, uint32_t seq_id, struct slice payload, struct buf *owner)
{
    uint8_t head[FRAME_HEADER];
    /* The first of a turn is most often the only one: a reference, and no whole piece for it. Further small ones are copied
     * together: that is cheaper than two more entries for the kernel. */
    if (owner && payload.n && (!o->head || payload.n > OUTPUT_COPY))
        return refer(o, type, seq_id, payload, owner);
    frame_header(head, type, seq_id, payload.n);
    return copy(o, head, sizeof head) && copy(o, payload.p, payload.n);
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
    size_t half = o->head && o->bytes > 12 ? (o->head->n < 12 ? o->head->n : 12) : 0;
    ssize_t n = half ? send(fd, o->head->from, half, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
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
            return errno == EAGAIN ? (total ? total : -EAGAIN) : -errno;
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
    for (int i = 0; i < 2; i++) {
        while (pools[i].free) {
            struct piece *p = pools[i].free;
            pools[i].free = p->next;
            free(p);
        }
        pools[i].n = 0;
    }
}
