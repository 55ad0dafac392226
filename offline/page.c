/* A page of a queue as a PullOfflineRsp, put together from payloads that are encoded already: every item is field 1,
 * length-delimited, and its bytes as they were queued. */
#include "common/base/metrics.h"
#include "offline/state.h"

#define VARINT_MAX 10
#define CURSOR_MAX (2 + 2 + ID_SIZE + 2 * (1 + VARINT_MAX))

METRIC_COUNTER(pages, "parley_offline_pages_total", "Pages of queued messages sent.");

enum {
    TAG_ITEM = 1 << 3 | 2,
    TAG_NEXT = 2 << 3,
    TAG_MORE = 3 << 3,
    TAG_REST = 4 << 3,
    TAG_CURSOR = 5 << 3 | 2
};
enum { TAG_CURSOR_CONV = 1 << 3 | 2, TAG_CURSOR_FROM = 2 << 3, TAG_CURSOR_UPTO = 3 << 3 };

struct picked {
    size_t n, bytes;
    uint64_t next;
    bool more;
};

/* Goes through the queue in order. With `want`: names the items that are not in memory, within the batch's budget.
 * Without: collects what is in memory, and ends the page where something is not. */
static struct picked pick(struct offline *o, const struct queue *q, const struct page_ask *ask,
                          struct want *want)
{
    uint64_t limit = ask->limit ? ask->limit : (uint64_t)o->settings->page_items;
    struct picked p = {.next = ask->after};
    limit = limit < PAGE_MAX ? limit : PAGE_MAX;
    for (size_t i = 0; i < q->n_segments; i++)
        for (size_t k = 0; k < q->segments[i]->n; k++) {
            const struct entry *e = &q->segments[i]->e[k];
            if (e->pos <= ask->after || (!id_is_zero(ask->conv) && !id_eq(e->conv, ask->conv)))
                continue;
            bool over = !want && o->page_sent + p.bytes + e->bytes > PAGES_PER_BATCH;
            if (p.n == limit || over || (p.n && p.bytes + e->bytes > (uint64_t)o->settings->page_bytes)) {
                p.more = true;
                return p;
            }
            const struct item *it = rows_item(o, q, e->pos);
            if (!it && want && o->page_bytes + e->bytes <= PAGES_PER_BATCH) {
                uint8_t key[QUEUE_ITEM_KEY];
                queue_item_key(q, e->pos, key);
                want_add(want, OFFLINE_ITEM, slice_of(key, sizeof key));
                o->page_bytes += e->bytes;
            } else if (!it) {
                p.more = true;
                return p;
            }
            o->page[p.n++] = it;
            p.bytes += e->bytes;
            p.next = e->pos;
        }
    return p;
}

size_t page_pick(struct offline *o, const struct queue *q, const struct page_ask *ask, struct want *want)
{
    size_t before = o->page_bytes;
    pick(o, q, ask, want);
    return o->page_bytes - before;
}

static uint8_t *put_varint(uint8_t *p, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *p++ = (uint8_t)(v | 0x80);
    *p++ = (uint8_t)v;
    return p;
}

static uint8_t *put_bytes(uint8_t *p, uint8_t tag, const void *bytes, size_t n)
{
    *p++ = tag;
    p = put_varint(p, n);
    memcpy(p, bytes, n);
    return p + n;
}

static uint8_t *put_number(uint8_t *p, uint8_t tag, uint64_t v)
{
    if (v == 0)
        return p;
    *p++ = tag;
    return put_varint(p, v);
}

static uint8_t *put_cursor(uint8_t *p, const struct range *r)
{
    uint8_t m[CURSOR_MAX], *end = put_bytes(m, TAG_CURSOR_CONV, r->conv.b, ID_SIZE);
    end = put_number(end, TAG_CURSOR_FROM, r->from);
    end = put_number(end, TAG_CURSOR_UPTO, r->upto);
    return put_bytes(p, TAG_CURSOR, m, (size_t)(end - m));
}

static void send_frame(struct offline *o, const struct queue *q, const struct picked *p,
                       const struct session *to, uint32_t seq_id, const struct range *cursors,
                       size_t n_cursors, struct fx *fx)
{
    size_t room = p->bytes + p->n * (1 + VARINT_MAX) + n_cursors * CURSOR_MAX + 32;
    uint8_t *start = fx_alloc(fx, room), *at = start;
    if (!start) {
        o->broken = true;
        return;
    }
    for (size_t i = 0; i < p->n; i++)
        at = put_bytes(at, TAG_ITEM, o->page[i]->payload, o->page[i]->n);
    at = put_number(at, TAG_NEXT, p->next);
    at = put_number(at, TAG_MORE, p->more);
    at = put_number(at, TAG_REST, q->rest_in_history);
    for (size_t i = 0; i < n_cursors; i++)
        at = put_cursor(at, &cursors[i]);
    struct deliver_item item = {.kind = IM__ITEM_KIND__ITEM_REPLY,
                                .frame_type = IM__FRAME_TYPE__PULL_OFFLINE_RSP,
                                .seq_id = seq_id,
                                .payload = slice_of(start, (size_t)(at - start))};
    deliver_add(o->out, fx, &item, to, 1);
    metric_add(&pages, 1);
}

void page_send(struct offline *o, const struct queue *q, const struct page_ask *ask, const struct session *to,
               uint32_t seq_id, const struct range *cursors, size_t n_cursors, struct fx *fx)
{
    struct picked p = pick(o, q, ask, NULL);
    o->page_sent += p.bytes;
    send_frame(o, q, &p, to, seq_id, cursors, n_cursors, fx);
}

size_t page_cursors(struct offline *o, const struct queue *q, const struct session *to, struct range *rest,
                    size_t max_rest, struct fx *fx)
{
    static const struct picked nothing_yet = {.more = true};
    size_t n = 0;
    for (uint8_t k = 0; k < CURSORS_BUCKETS; k++) {
        const struct cursors *c = rows_cursors(o, q->user, q->device, k);
        for (size_t i = 0; c && i < c->n; i++) {
            if (n == max_rest) {
                send_frame(o, q, &nothing_yet, to, 0, rest, n, fx);
                n = 0;
            }
            rest[n++] = c->ranges[i];
        }
    }
    return n;
}
