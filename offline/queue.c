#include "offline/queue.h"

#include "offline/core.h"

#include <stdlib.h>

static void be(uint8_t *out, uint64_t v, size_t width)
{
    for (size_t i = 0; i < width; i++)
        out[i] = (uint8_t)(v >> (8 * (width - 1 - i)));
}

void queue_key(struct id16 user, uint32_t device, uint8_t out[QUEUE_KEY])
{
    memcpy(out, user.b, ID_SIZE);
    be(out + ID_SIZE, device, 4);
}

void queue_index_key(const struct queue *q, uint32_t no, uint8_t out[QUEUE_INDEX_KEY])
{
    queue_key(q->user, q->device, out);
    be(out + QUEUE_KEY, no, 4);
}

void queue_item_key(const struct queue *q, uint64_t pos, uint8_t out[QUEUE_ITEM_KEY])
{
    queue_key(q->user, q->device, out);
    be(out + QUEUE_KEY, pos, 8);
}

struct queue *queue_new(struct id16 user, uint32_t device)
{
    struct queue *q = calloc(1, sizeof *q);
    if (!q)
        abort();
    q->user = user;
    q->device = device;
    return q;
}

void queue_free(struct queue *q)
{
    if (!q)
        return;
    for (size_t i = 0; i < q->n_segments; i++)
        free(q->segments[i]);
    free(q->segments);
    free(q);
}

size_t queue_memory(const struct queue *q)
{
    return sizeof *q + q->n_segments * (sizeof(struct segment) + sizeof(struct segment *)) + 64;
}

const struct entry *queue_find(const struct queue *q, struct id16 conv, uint64_t seq)
{
    for (size_t i = 0; i < q->n_segments; i++) {
        const struct segment *s = q->segments[i];
        for (size_t k = 0; k < s->n; k++)
            if (s->e[k].seq == seq && id_eq(s->e[k].conv, conv))
                return &s->e[k];
    }
    return NULL;
}

uint64_t queue_last(const struct queue *q)
{
    const struct segment *s = q->n_segments ? q->segments[q->n_segments - 1] : NULL;
    return s ? s->e[s->n - 1].pos : 0;
}

static void delete_segment_row(const struct queue *q, uint32_t no, struct fx *fx)
{
    uint8_t key[QUEUE_INDEX_KEY];
    queue_index_key(q, no, key);
    fx_put(fx, OFFLINE_INDEX, slice_of(key, sizeof key), (struct slice){NULL, 0});
}

static struct segment *add_segment(struct queue *q)
{
    struct segment *s = calloc(1, sizeof *s);
    q->segments = realloc(q->segments, (q->n_segments + 1) * sizeof *q->segments);
    if (!s || !q->segments)
        abort();
    s->no = q->next_segment++;
    q->segments[q->n_segments++] = s;
    q->header_dirty = true;
    return s;
}

static void append(struct queue *q, const struct entry *e)
{
    struct segment *s = q->n_segments ? q->segments[q->n_segments - 1] : NULL;
    if (!s || s->n == QUEUE_SEGMENT)
        s = add_segment(q);
    s->e[s->n++] = *e;
    s->dirty = true;
    q->n++;
    q->bytes += e->bytes;
}

/* Confirmations leave holes: when the index has twice the segments it needs, it is written anew. */
static void repack(struct queue *q, struct fx *fx)
{
    struct segment **old = q->segments;
    size_t n_old = q->n_segments;
    q->segments = NULL;
    q->n_segments = 0;
    q->n = 0;
    q->bytes = 0;
    for (size_t i = 0; i < n_old; i++) {
        for (size_t k = 0; k < old[i]->n; k++)
            append(q, &old[i]->e[k]);
        delete_segment_row(q, old[i]->no, fx);
        free(old[i]);
    }
    free(old);
    q->header_dirty = true;
}

void queue_append(struct queue *q, const struct entry *e, struct fx *fx)
{
    append(q, e);
    if (q->n_segments > 2 * (q->n / QUEUE_SEGMENT) + 8)
        repack(q, fx);
}

static size_t remove_from(struct queue *q, struct segment *s, queue_match_fn *match, queue_gone_fn *gone,
                          void *ctx, struct fx *fx)
{
    uint16_t kept = 0;
    for (uint16_t k = 0; k < s->n; k++) {
        const struct entry *e = &s->e[k];
        if (!match(ctx, e)) {
            s->e[kept++] = *e;
            continue;
        }
        uint8_t key[QUEUE_ITEM_KEY];
        queue_item_key(q, e->pos, key);
        fx_put(fx, OFFLINE_ITEM, slice_of(key, sizeof key), (struct slice){NULL, 0});
        q->n--;
        q->bytes -= e->bytes;
        if (gone)
            gone(ctx, q, e);
    }
    size_t removed = (size_t)(s->n - kept);
    s->n = kept;
    s->dirty |= removed > 0;
    return removed;
}

size_t queue_remove(struct queue *q, queue_match_fn *match, queue_gone_fn *gone, void *ctx, struct fx *fx)
{
    size_t removed = 0, kept = 0;
    for (size_t i = 0; i < q->n_segments; i++) {
        struct segment *s = q->segments[i];
        removed += remove_from(q, s, match, gone, ctx, fx);
        if (s->n) {
            q->segments[kept++] = s;
            continue;
        }
        delete_segment_row(q, s->no, fx);
        free(s);
        q->header_dirty = true;
    }
    q->n_segments = kept;
    return removed;
}

static void pack_segment(const struct segment *s, struct bytes *out)
{
    bytes_u8(out, 1);
    bytes_be16(out, s->n);
    for (size_t i = 0; i < s->n; i++) {
        bytes_put(out, s->e[i].conv.b, ID_SIZE);
        bytes_be64(out, s->e[i].seq);
        bytes_be64(out, s->e[i].pos);
        bytes_be32(out, s->e[i].bytes);
    }
}

void queue_flush(struct queue *q, struct bytes *scratch, struct fx *fx)
{
    uint8_t key[QUEUE_INDEX_KEY];
    for (size_t i = 0; i < q->n_segments; i++) {
        struct segment *s = q->segments[i];
        if (!s->dirty)
            continue;
        bytes_clear(scratch);
        pack_segment(s, scratch);
        queue_index_key(q, s->no, key);
        fx_put(fx, OFFLINE_INDEX, slice_of(key, sizeof key), bytes_slice(scratch));
        s->dirty = false;
    }
    if (q->header_dirty) {
        bytes_clear(scratch);
        queue_pack(q, scratch);
        queue_key(q->user, q->device, key);
        fx_put(fx, OFFLINE_QUEUE, slice_of(key, QUEUE_KEY), bytes_slice(scratch));
        q->header_dirty = false;
    }
}

void queue_erase(struct queue *q, struct fx *fx)
{
    uint8_t key[QUEUE_KEY];
    for (size_t i = 0; i < q->n_segments; i++)
        delete_segment_row(q, q->segments[i]->no, fx);
    queue_key(q->user, q->device, key);
    fx_put(fx, OFFLINE_QUEUE, slice_of(key, sizeof key), (struct slice){NULL, 0});
}
