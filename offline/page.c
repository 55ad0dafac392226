/* A page of a queue as a PullOfflineRsp, put together from payloads that are encoded already: every item is field 1,
 * length-delimited, and its bytes as they were queued. */
#include "common/base/metrics.h"
#include "offline/parcel.h"
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
            if (!want && parcel_waits(o->settings->bodies, slice_of(it->payload, it->n))) {
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

struct page { /* all of a frame */
    struct picked items;
    const struct user *user; /* NULL: no news */
    struct news news;
    size_t n_news;
};

static void send_frame(struct offline *o, const struct queue *q, const struct page *g,
                       const struct page_frame *f, struct fx *fx)
{
    const struct picked *p = &g->items;
    size_t room =
        p->bytes + p->n * (1 + VARINT_MAX) + f->n_cursors * CURSOR_MAX + g->n_news * NEWS_BYTES + 32;
    uint8_t *start = fx_alloc(fx, room), *at = start;
    if (!start) {
        o->broken = true;
        return;
    }
    for (size_t i = 0; i < p->n; i++) {
        struct slice push =
            parcel_open(o->settings->bodies, slice_of(o->page[i]->payload, o->page[i]->n), fx);
        at = put_bytes(at, TAG_ITEM, push.p, push.n);
    }
    at = put_number(at, TAG_NEXT, p->next);
    at = put_number(at, TAG_MORE, p->more);
    at = put_number(at, TAG_REST, q->rest_in_history || (g->user && g->user->marks.rest));
    for (size_t i = 0; i < f->n_cursors; i++)
        at = put_cursor(at, &f->cursors[i]);
    if (g->n_news)
        at = news_put(o, g->user, q->device, &g->news, at);
    struct deliver_item item = {.kind = IM__ITEM_KIND__ITEM_REPLY,
                                .frame_type = IM__FRAME_TYPE__PULL_OFFLINE_RSP,
                                .seq_id = f->seq_id,
                                .payload = slice_of(start, (size_t)(at - start))};
    deliver_add(o->out, fx, &item, f->to, 1);
    metric_add(&pages, 1);
}

/* The items begin when the news have ended. */
static struct page compose(struct offline *o, const struct user *u, const struct queue *q,
                           const struct page_ask *ask)
{
    struct page g = {.user = u, .news = news_part(u, ask)};
    g.n_news = news_count(o, u, q->device, &g.news);
    if (g.news.more) {
        g.items = (struct picked){.next = g.news.next, .more = true};
        return g;
    }
    g.items = pick(o, q, ask, NULL);
    if (g.items.more && u->marks.n && g.items.next < NEWS_AFTER)
        g.items.next = NEWS_AFTER; /* no item fitted: the news are not all told again */
    return g;
}

void page_send(struct offline *o, const struct user *u, const struct queue *q, const struct page_ask *ask,
               const struct page_frame *f, struct fx *fx)
{
    struct page g = compose(o, u, q, ask);
    o->page_sent += g.items.bytes;
    send_frame(o, q, &g, f, fx);
}

bool page_worth(struct offline *o, const struct user *u, const struct queue *q)
{
    struct news part = news_part(u, &(struct page_ask){0});
    return q->n || q->rest_in_history || u->marks.rest || news_count(o, u, q->device, &part) || part.more;
}

size_t page_cursors(struct offline *o, const struct queue *q, const struct session *to, struct range *rest,
                    size_t max_rest, struct fx *fx)
{
    static const struct page nothing_yet = {.items = {.more = true}};
    size_t n = 0;
    for (uint8_t k = 0; k < CURSORS_BUCKETS; k++) {
        const struct cursors *c = rows_cursors(o, q->user, q->device, k);
        for (size_t i = 0; c && i < c->n; i++) {
            if (n == max_rest) {
                send_frame(o, q, &nothing_yet, &(struct page_frame){to, 0, rest, n}, fx);
                n = 0;
            }
            rest[n++] = c->ranges[i];
        }
    }
    return n;
}
