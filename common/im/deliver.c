#include "common/im/deliver.h"

#include "common/base/bytes.h"
#include "common/im/topics.h"
#include "common/im/wire.h"

#include <stdlib.h>

struct gathered {
    struct bytes value; /* version, epoch, then items as they are encoded in a DeliverRecord */
    uint64_t epoch;
    size_t items, handles;
};

struct deliver {
    uint32_t slots;
    struct gathered *slot; /* by slot */
    uint32_t *busy;        /* slots with something gathered, in the order in which they got it */
    size_t n_busy;
    const struct session **order; /* scratch */
    uint32_t *handles;            /* scratch */
    size_t cap;                   /* of both */
};

static void *must(void *p)
{
    if (!p)
        abort(); /* an effect that is left out would be a lie */
    return p;
}

struct deliver *deliver_new(uint32_t slots)
{
    struct deliver *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->slots = slots;
    d->slot = calloc(slots ? slots : 1, sizeof *d->slot);
    d->busy = calloc(slots ? slots : 1, sizeof *d->busy);
    if (!d->slot || !d->busy) {
        deliver_free(d);
        return NULL;
    }
    return d;
}

void deliver_free(struct deliver *d)
{
    if (!d)
        return;
    for (uint32_t i = 0; d->slot && i < d->slots; i++)
        bytes_release(&d->slot[i].value);
    free(d->slot);
    free(d->busy);
    free(d->order);
    free(d->handles);
    free(d);
}

void deliver_clear(struct deliver *d)
{
    for (uint32_t i = 0; i < d->slots; i++) {
        bytes_clear(&d->slot[i].value);
        d->slot[i].items = d->slot[i].handles = 0;
    }
    d->n_busy = 0;
}

static void emit(struct gathered *g, uint32_t slot, struct fx *fx)
{
    if (g->items == 0)
        return;
    must(bytes_ok(&g->value) ? g : NULL);
    fx_send_at(fx, topic_of_slot(slot), 0, (struct slice){NULL, 0}, bytes_slice(&g->value), 0);
    bytes_clear(&g->value);
    g->items = g->handles = 0;
}

static void fill(Im__DeliverItem *pb, const struct deliver_item *item)
{
    im__deliver_item__init(pb);
    pb->kind = item->kind;
    pb->frame_type = (uint32_t)item->frame_type;
    pb->seq_id = item->seq_id;
    pb->payload = codec_bytes(item->payload);
    if (!id_is_zero(item->conv))
        pb->conversation = (ProtobufCBinaryData){ID_SIZE, (uint8_t *)(uintptr_t)item->conv.b};
    pb->seq = item->seq;
    pb->trace = codec_bytes(item->trace);
}

struct details {
    uint8_t users[CODEC_DETAILED_MAX][ID_SIZE];
    uint32_t devices[CODEC_DETAILED_MAX];
    uint64_t logins[CODEC_DETAILED_MAX];
};

/* Who exactly the recipients are; only of few. */
static void name(Im__DeliverItem *pb, struct details *x, const struct session *const *to, size_t n)
{
    if (n > CODEC_DETAILED_MAX)
        return;
    for (size_t i = 0; i < n; i++) {
        memcpy(x->users[i], to[i]->user.b, ID_SIZE);
        x->devices[i] = to[i]->device;
        x->logins[i] = to[i]->login_offset;
    }
    pb->users = (ProtobufCBinaryData){n * ID_SIZE, x->users[0]};
    pb->n_devices = pb->n_logins = n;
    pb->devices = x->devices;
    pb->logins = x->logins;
}

/* Appends one item for recipients of one slot and epoch, at most CODEC_HANDLES_MAX. */
static void append(struct deliver *d, struct fx *fx, Im__DeliverItem *pb, const struct session *const *to,
                   size_t n)
{
    struct details x;
    uint32_t slot = to[0]->slot;
    struct gathered *g = &d->slot[slot];
    for (size_t i = 0; i < n; i++)
        d->handles[i] = to[i]->handle;
    pb->n_handles = n;
    pb->handles = d->handles;
    pb->users = (ProtobufCBinaryData){0, NULL};
    pb->n_devices = pb->n_logins = 0;
    name(pb, &x, to, n);
    size_t size = im__deliver_item__get_packed_size(pb);
    if (g->items && (g->epoch != to[0]->epoch || g->items >= DELIVER_ITEMS ||
                     g->handles + n > CODEC_HANDLES_MAX || g->value.n + size + 16 > DELIVER_BYTES))
        emit(g, slot, fx);
    uint8_t head[32], *p = head;
    if (g->items == 0) {
        bool listed = false;
        for (size_t i = 0; i < d->n_busy && !listed; i++)
            listed = d->busy[i] == slot;
        if (!listed)
            d->busy[d->n_busy++] = slot;
        g->epoch = to[0]->epoch;
        p = wire_put_varint(wire_put_varint(p, 1 << 3 | WIRE_VARINT), CODEC_VERSION);
        if (g->epoch)
            p = wire_put_varint(wire_put_varint(p, 2 << 3 | WIRE_VARINT), g->epoch);
    }
    p = wire_put_varint(wire_put_varint(p, 3 << 3 | WIRE_BYTES), size);
    bytes_put(&g->value, head, (size_t)(p - head));
    im__deliver_item__pack(pb, must(bytes_room(&g->value, size)));
    g->items++;
    g->handles += n;
}

static int by_edge(const struct session *a, const struct session *b)
{
    if (a->slot != b->slot)
        return a->slot < b->slot ? -1 : 1;
    return a->epoch == b->epoch ? 0 : a->epoch < b->epoch ? -1 : 1;
}

static int by_edge_q(const void *a, const void *b)
{
    return by_edge(*(const struct session *const *)a, *(const struct session *const *)b);
}

static size_t sort_recipients(struct deliver *d, const struct session *to, size_t n)
{
    if (n > d->cap) {
        d->cap = n + 64;
        d->order = must(realloc(d->order, d->cap * sizeof *d->order));
        d->handles = must(realloc(d->handles, d->cap * sizeof *d->handles));
    }
    size_t k = 0;
    bool sorted = true;
    for (size_t i = 0; i < n; i++) {
        if (to[i].slot >= d->slots)
            continue;
        sorted = sorted && (k == 0 || by_edge(d->order[k - 1], &to[i]) <= 0);
        d->order[k++] = &to[i];
    }
    if (!sorted)
        qsort(d->order, k, sizeof *d->order, by_edge_q);
    return k;
}

void deliver_add(struct deliver *d, struct fx *fx, const struct deliver_item *item, const struct session *to,
                 size_t n)
{
    Im__DeliverItem pb;
    fill(&pb, item);
    n = sort_recipients(d, to, n);
    for (size_t at = 0, end; at < n; at = end) {
        for (end = at + 1; end < n && end - at < CODEC_HANDLES_MAX; end++)
            if (by_edge(d->order[at], d->order[end]) != 0)
                break;
        append(d, fx, &pb, d->order + at, end - at);
    }
}

void deliver_flush(struct deliver *d, struct fx *fx)
{
    for (size_t i = 0; i < d->n_busy; i++)
        emit(&d->slot[d->busy[i]], d->busy[i], fx);
    d->n_busy = 0;
}

void deliver_now(struct fx *fx, const struct deliver_item *item, const struct session *to, uint64_t tag)
{
    Im__DeliverRecord r = IM__DELIVER_RECORD__INIT;
    Im__DeliverItem pb, *list = &pb;
    struct details x;
    uint32_t handle = to->handle;
    fill(&pb, item);
    name(&pb, &x, &to, 1);
    pb.n_handles = 1;
    pb.handles = &handle;
    r.version = CODEC_VERSION;
    r.epoch = to->epoch;
    r.n_items = 1;
    r.items = &list;
    codec_send_at(fx, topic_of_slot(to->slot), 0, (struct slice){NULL, 0}, &r.base, tag);
}
