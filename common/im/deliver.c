#include "common/im/deliver.h"

#include "common/base/bytes.h"
#include "common/im/topics.h"
#include "common/im/wire.h"

#include <stdlib.h>

struct gathered {
    struct bytes value; /* version, epoch, then items as they are encoded in a DeliverRecord */
    uint64_t epoch;
    size_t items, handles;
    bool busy; /* listed as such */
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
        d->slot[i].busy = false;
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

/* Who exactly the recipients are; only of few: at most CODEC_DETAILED_MAX. */
static void name(Im__DeliverItem *pb, struct details *x, const struct session *const *to, size_t n)
{
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

/* What every record begins with. */
static void begin(struct deliver *d, struct gathered *g, uint32_t slot, uint64_t epoch)
{
    uint8_t head[32], *p = wire_put_varint(wire_put_varint(head, 1 << 3 | WIRE_VARINT), CODEC_VERSION);
    if (!g->busy)
        d->busy[d->n_busy++] = slot;
    g->busy = true;
    g->epoch = epoch;
    if (epoch)
        p = wire_put_varint(wire_put_varint(p, 2 << 3 | WIRE_VARINT), epoch);
    bytes_put(&g->value, head, (size_t)(p - head));
}

/* Appends one item; `to` has at most CODEC_HANDLES_MAX. */
static void append(struct deliver *d, struct fx *fx, Im__DeliverItem *pb, const struct deliver_slot *to)
{
    struct details x;
    struct gathered *g = &d->slot[to->slot];
    pb->n_handles = to->n;
    pb->handles = (uint32_t *)(uintptr_t)to->handles;
    pb->users = (ProtobufCBinaryData){0, NULL};
    pb->n_devices = pb->n_logins = 0;
    if (to->n && to->n <= CODEC_DETAILED_MAX)
        name(pb, &x, to->who, to->n);
    size_t size = im__deliver_item__get_packed_size(pb);
    if (g->items && (g->epoch != to->epoch || g->items >= DELIVER_ITEMS ||
                     g->handles + to->n > CODEC_HANDLES_MAX || g->value.n + size + 16 > DELIVER_BYTES))
        emit(g, to->slot, fx);
    if (g->items == 0)
        begin(d, g, to->slot, to->epoch);
    uint8_t head[16], *p = wire_put_varint(wire_put_varint(head, 3 << 3 | WIRE_BYTES), size);
    bytes_put(&g->value, head, (size_t)(p - head));
    im__deliver_item__pack(pb, must(bytes_room(&g->value, size)));
    g->items++;
    g->handles += to->n;
}

/* In equal parts: none of them is so small that its recipients would have to be named. */
static void append_split(struct deliver *d, struct fx *fx, Im__DeliverItem *pb, const struct deliver_slot *to)
{
    size_t parts = (to->n + CODEC_HANDLES_MAX - 1) / CODEC_HANDLES_MAX;
    struct deliver_slot part = *to;
    for (size_t i = 0, at = 0; i < parts; i++, at += part.n) {
        part.n = (to->n - at) / (parts - i);
        part.handles = to->handles + at;
        append(d, fx, pb, &part);
    }
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

static void room_for(struct deliver *d, size_t n)
{
    if (n <= d->cap)
        return;
    d->cap = n + 64;
    d->order = must(realloc(d->order, d->cap * sizeof *d->order));
    d->handles = must(realloc(d->handles, d->cap * sizeof *d->handles));
}

/* d->order: `n` recipients, some of whom may have slots that do not exist. */
static void append_each(struct deliver *d, struct fx *fx, const struct deliver_item *item, size_t n)
{
    Im__DeliverItem pb;
    size_t k = 0;
    bool sorted = true;
    fill(&pb, item);
    for (size_t i = 0; i < n; i++) {
        if (d->order[i]->slot >= d->slots)
            continue;
        sorted = sorted && (k == 0 || by_edge(d->order[k - 1], d->order[i]) <= 0);
        d->order[k++] = d->order[i];
    }
    if (!sorted)
        qsort(d->order, k, sizeof *d->order, by_edge_q);
    for (size_t i = 0; i < k; i++)
        d->handles[i] = d->order[i]->handle;
    for (size_t at = 0, end; at < k; at = end) {
        const struct session *first = d->order[at];
        for (end = at + 1; end < k && by_edge(first, d->order[end]) == 0;)
            end++;
        append_split(d, fx, &pb,
                     &(struct deliver_slot){.slot = first->slot,
                                            .epoch = first->epoch,
                                            .n = end - at,
                                            .handles = d->handles + at,
                                            .who = d->order + at});
    }
}

void deliver_add(struct deliver *d, struct fx *fx, const struct deliver_item *item, const struct session *to,
                 size_t n)
{
    room_for(d, n);
    for (size_t i = 0; i < n; i++)
        d->order[i] = &to[i];
    append_each(d, fx, item, n);
}

void deliver_each(struct deliver *d, struct fx *fx, const struct deliver_item *item,
                  const struct session *const *to, size_t n)
{
    room_for(d, n);
    if (n)
        memcpy(d->order, to, n * sizeof *to);
    append_each(d, fx, item, n);
}

void deliver_many(struct deliver *d, struct fx *fx, const struct deliver_item *item,
                  const struct deliver_slot *to)
{
    Im__DeliverItem pb;
    if (to->slot >= d->slots || to->n == 0)
        return;
    fill(&pb, item);
    append_split(d, fx, &pb, to);
}

void deliver_all(struct deliver *d, struct fx *fx, const struct deliver_item *item, uint32_t slot,
                 uint64_t epoch)
{
    Im__DeliverItem pb;
    if (slot >= d->slots)
        return;
    fill(&pb, item);
    pb.all = true;
    append(d, fx, &pb, &(struct deliver_slot){.slot = slot, .epoch = epoch});
}

void deliver_flush(struct deliver *d, struct fx *fx)
{
    for (size_t i = 0; i < d->n_busy; i++) {
        emit(&d->slot[d->busy[i]], d->busy[i], fx);
        d->slot[d->busy[i]].busy = false;
    }
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
