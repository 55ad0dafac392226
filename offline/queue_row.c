/* The bytes of a queue's header. A change: a new version number, the old one stays readable. */
#include "offline/queue.h"

#include "common/base/reader.h"

#include <errno.h>
#include <stdlib.h>

#define HEADER_VERSION  1
#define SEGMENT_VERSION 1
#define SEGMENTS_MAX    8192

void queue_pack(const struct queue *q, struct bytes *out)
{
    bytes_u8(out, HEADER_VERSION);
    bytes_u8(out, q->rest_in_history);
    bytes_be32(out, q->session.slot);
    bytes_be64(out, q->session.epoch);
    bytes_be32(out, q->session.handle);
    bytes_be64(out, q->login);
    bytes_be64(out, q->ended);
    bytes_be32(out, q->next_segment);
    bytes_be16(out, (uint16_t)q->n_segments);
    for (size_t i = 0; i < q->n_segments; i++)
        bytes_be32(out, q->segments[i]->no);
}

static void take_segments(struct queue *q, struct reader *r)
{
    size_t n = reader_be16(r);
    if (r->bad || n > SEGMENTS_MAX || r->n != n * 4) {
        r->bad = true;
        return;
    }
    q->segments = n ? calloc(n, sizeof *q->segments) : NULL;
    for (size_t i = 0; i < n; i++) {
        struct segment *s = calloc(1, sizeof *s);
        if (!q->segments || !s)
            abort();
        s->no = reader_be32(r);
        s->missing = true;
        q->segments[q->n_segments++] = s;
    }
    q->n_missing = n;
}

int queue_unpack(struct queue *q, struct slice row)
{
    struct reader r = reader_of(row);
    uint8_t version = reader_u8(&r);
    if (!r.bad && version > HEADER_VERSION)
        return -ENOTSUP;
    if (version != HEADER_VERSION)
        return -EBADMSG;
    q->rest_in_history = reader_u8(&r);
    q->session.user = q->user;
    q->session.device = q->device;
    q->session.slot = reader_be32(&r);
    q->session.epoch = reader_be64(&r);
    q->session.handle = reader_be32(&r);
    q->login = q->session.login_offset = reader_be64(&r);
    q->ended = reader_be64(&r);
    q->next_segment = reader_be32(&r);
    take_segments(q, &r);
    return reader_done(&r) ? 0 : -EBADMSG;
}

static struct segment *find_missing(struct queue *q, uint32_t no)
{
    for (size_t i = 0; i < q->n_segments; i++)
        if (q->segments[i]->no == no && q->segments[i]->missing)
            return q->segments[i];
    return NULL;
}

int queue_unpack_segment(struct queue *q, uint32_t no, struct slice row)
{
    struct segment *s = find_missing(q, no);
    if (!s)
        return 0; /* loaded already */
    struct reader r = reader_of(row);
    uint8_t version = reader_u8(&r);
    if (!r.bad && version > SEGMENT_VERSION)
        return -ENOTSUP;
    s->n = reader_be16(&r);
    if (version != SEGMENT_VERSION || s->n == 0 || s->n > QUEUE_SEGMENT)
        return -EBADMSG;
    for (size_t i = 0; i < s->n; i++) {
        struct entry *e = &s->e[i];
        reader_copy(&r, e->conv.b, ID_SIZE);
        e->seq = reader_be64(&r);
        e->pos = reader_be64(&r);
        e->bytes = reader_be32(&r);
        q->bytes += e->bytes;
    }
    q->n += s->n;
    s->missing = false;
    q->n_missing--;
    return reader_done(&r) ? 0 : -EBADMSG;
}
