/* What a client is told of conversations whose events it did not get: which, and up to where. */
#include "common/base/metrics.h"
#include "common/im/wire.h"
#include "offline/state.h"

METRIC_COUNTER(told_at_once, "parley_offline_news_total",
               "Sessions told at once that a conversation has news.");

enum { TAG_NEWS = 7 << 3 | 2, TAG_NEWS_CONV = 1 << 3 | 2, TAG_NEWS_UPTO = 2 << 3 };

struct news news_part(const struct user *u, const struct page_ask *ask)
{
    const struct marks *m = &u->marks;
    struct news p = {0};
    if (!id_is_zero(ask->conv)) {
        const struct mark *only = marks_find(m, ask->conv);
        p.from = only ? (size_t)(only - m->v) : 0;
        p.to = p.from + (only != NULL);
        return p;
    }
    if (ask->after > NEWS_AFTER)
        return p;
    p.from = marks_from(m, (uint32_t)ask->after);
    p.to = p.from + NEWS_PAGE < m->n ? p.from + NEWS_PAGE : m->n;
    while (p.to > p.from && p.to < m->n && mark_prefix(&m->v[p.to]) == mark_prefix(&m->v[p.to - 1]))
        p.to++;
    p.more = p.to < m->n;
    p.next = p.more ? mark_prefix(&m->v[p.to - 1]) + 1u : 0;
    return p;
}

static bool concerns(struct offline *o, const struct user *u, uint32_t device, const struct mark *m,
                     uint64_t *upto, bool *unknown)
{
    const struct udevice *d = user_device(u, device);
    return mark_concerns(o, u, d ? d : &(struct udevice){.no = device}, m, upto, unknown);
}

size_t news_count(struct offline *o, const struct user *u, uint32_t device, struct news *p)
{
    size_t n = 0;
    for (size_t i = p->from; i < p->to; i++) {
        uint64_t upto;
        bool unknown;
        n += concerns(o, u, device, &u->marks.v[i], &upto, &unknown);
        if (unknown) { /* it came with this batch: the next page looks there */
            p->to = i;
            p->more = true;
            p->next = mark_prefix(&u->marks.v[i]);
        }
    }
    return n;
}

uint8_t *news_put(struct offline *o, const struct user *u, uint32_t device, const struct news *p,
                  uint8_t *out)
{
    for (size_t i = p->from; i < p->to; i++) {
        uint64_t upto;
        bool unknown;
        if (!concerns(o, u, device, &u->marks.v[i], &upto, &unknown))
            continue;
        uint8_t m[NEWS_BYTES], *end = m;
        *end++ = TAG_NEWS_CONV;
        *end++ = ID_SIZE;
        end = wire_put(end, u->marks.v[i].conv.b, ID_SIZE);
        *end++ = TAG_NEWS_UPTO;
        end = wire_put_varint(end, upto);
        *out++ = TAG_NEWS;
        *out++ = (uint8_t)(end - m);
        out = wire_put(out, m, (size_t)(end - m));
    }
    return out;
}

void news_push(struct offline *o, const struct missed *e, const struct session *to, size_t n, struct fx *fx)
{
    if (n == 0)
        return;
    Im__NewsPush push = IM__NEWS_PUSH__INIT;
    Im__News news = IM__NEWS__INIT, *list = &news;
    news.conversation = codec_bytes(slice_id(&e->conv));
    news.upto = e->seq;
    push.n_news = 1;
    push.news = &list;
    struct deliver_item item = {.kind = IM__ITEM_KIND__ITEM_EVENT,
                                .frame_type = IM__FRAME_TYPE__NEWS_PUSH,
                                .payload = codec_pack(fx, &push.base),
                                .conv = e->conv,
                                .trace = e->trace};
    deliver_add(o->out, fx, &item, to, n);
    metric_add(&told_at_once, (int64_t)n);
}
