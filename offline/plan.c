/* What a record will touch: its user first, then the devices' queues and cursors, then the index and the items of a
 * page; or its user, the marks, then heads of conversations and cursors. A later round knows what the earlier one
 * loaded; three are enough. */
#include "offline/state.h"

struct planning {
    struct offline *o;
    struct want *want;
    bool more; /* something was wanted */
};

static void want_row(struct planning *p, uint8_t table, const void *key, size_t n)
{
    want_add(p->want, table, slice_of(key, n));
    p->more = true;
}

static struct queue *want_queue(struct planning *p, struct id16 user, uint32_t device)
{
    uint8_t key[QUEUE_INDEX_KEY];
    queue_key(user, device, key);
    struct queue *q = (struct queue *)rowcache_get(&p->o->rows, OFFLINE_QUEUE, slice_of(key, QUEUE_KEY));
    if (!q) {
        want_row(p, OFFLINE_QUEUE, key, QUEUE_KEY);
        return NULL;
    }
    for (size_t i = 0; i < q->n_segments; i++) {
        if (!q->segments[i]->missing)
            continue;
        queue_index_key(q, q->segments[i]->no, key);
        want_row(p, OFFLINE_INDEX, key, sizeof key);
    }
    return q->n_missing ? NULL : q;
}

/* With its queues when only they know who has a session. */
static struct user *want_user(struct planning *p, struct id16 id)
{
    struct user *u = rows_user(p->o, id);
    if (!u)
        want_row(p, OFFLINE_USER, id.b, ID_SIZE);
    for (uint32_t i = 0; u && u->live_unknown && i < u->n_devices; i++)
        want_queue(p, id, u->devices[i].no);
    return u;
}

static void want_cursors(struct planning *p, struct id16 user, uint32_t device, uint8_t bucket)
{
    uint8_t key[CURSORS_KEY];
    cursors_key(user, device, bucket, key);
    if (!rows_cursors(p->o, user, device, bucket))
        want_row(p, OFFLINE_CURSORS, key, sizeof key);
}

static void want_page(struct planning *p, const struct queue *q, const struct page_ask *ask)
{
    if (page_pick(p->o, q, ask, p->want))
        p->more = true;
}

static void want_head(struct planning *p, struct id16 conv)
{
    if (!rows_head(p->o, conv))
        want_row(p, OFFLINE_CONV, conv.b, ID_SIZE);
}

/* NULL: not in memory, or its marks are not. */
static struct user *want_marks(struct planning *p, struct id16 id)
{
    struct user *u = want_user(p, id);
    if (u && u->marks.missing) {
        want_row(p, OFFLINE_NEWS, id.b, ID_SIZE);
        return NULL;
    }
    return u;
}

/* To see whether the mark still concerns somebody. */
static void want_mark(struct planning *p, const struct user *u, const struct mark *m)
{
    if (m->upto == 0)
        want_head(p, m->conv);
    for (uint32_t i = 0; i < u->n_devices; i++)
        want_cursors(p, u->id, u->devices[i].no, cursors_bucket(m->conv));
}

/* One user who missed an event: looked at closer only when that is not known of him yet. */
static void want_missed(struct planning *p, struct id16 id, struct id16 conv, const uint32_t *served,
                        size_t n)
{
    const struct user *u = want_marks(p, id);
    const struct mark *m = u ? marks_find(&u->marks, conv) : NULL;
    if (!u || (m && m->upto == 0))
        return;
    for (uint32_t i = 0; i < u->n_devices; i++) {
        bool is_served = false;
        for (size_t k = 0; k < n; k++)
            is_served |= served[k] == u->devices[i].no;
        if (!is_served)
            want_cursors(p, id, u->devices[i].no, cursors_bucket(conv));
    }
}

static void plan_group(struct planning *p, const struct offrec *r)
{
    const Im__OffGroup *b = r->m->group;
    struct id16 conv = codec_id(b->conversation), id;
    if (b->n_handles)
        return; /* nothing of this partition */
    want_head(p, conv);
    for (size_t i = 0, k = 0; i < b->users.len / ID_SIZE; i++) {
        memcpy(id.b, b->users.data + i * ID_SIZE, ID_SIZE);
        while (k < b->n_served && b->served[k]->index < i)
            k++;
        bool some = k < b->n_served && b->served[k]->index == i;
        want_missed(p, id, conv, some ? b->served[k]->devices : NULL, some ? b->served[k]->n_devices : 0);
    }
}

static void plan_item(struct planning *p, const struct offrec *r)
{
    const Im__OffItem *b = r->m->item;
    struct id16 conv = codec_id(b->item->conversation);
    if (b->item->payload.len == 0) {
        want_head(p, conv);
        want_missed(p, r->user, conv, b->served, b->n_served);
        return;
    }
    const struct user *u = want_user(p, r->user);
    for (size_t i = 0; u && i < u->n_devices; i++) {
        bool served = false;
        for (size_t k = 0; k < b->n_served; k++)
            served |= b->served[k] == u->devices[i].no;
        if (served)
            continue;
        want_queue(p, r->user, u->devices[i].no);
        want_cursors(p, r->user, u->devices[i].no, cursors_bucket(conv));
    }
}

/* What of a page's news must be known. */
static void want_news(struct planning *p, const struct user *u, uint32_t device, const struct page_ask *ask)
{
    struct news part = news_part(u, ask);
    for (size_t i = part.from; i < part.to; i++) {
        const struct mark *m = &u->marks.v[i];
        if (m->upto == 0)
            want_head(p, m->conv);
        want_cursors(p, u->id, device, cursors_bucket(m->conv));
    }
}

static void want_marks_of_all(struct planning *p, const struct user *u)
{
    for (uint32_t i = 0; i < u->marks.n; i++)
        want_mark(p, u, &u->marks.v[i]);
}

/* Will the login drop a device? */
static bool drops(const struct user *u, const Im__OffLogin *b)
{
    for (uint32_t i = 0; i < u->n_devices; i++) {
        bool stays = false;
        for (size_t k = 0; k < b->n_devices; k++)
            stays |= b->devices[k] == u->devices[i].no;
        if (!stays)
            return true;
    }
    return false;
}

static void plan_login(struct planning *p, const struct offrec *r)
{
    const Im__OffLogin *b = r->m->login;
    const struct user *u = want_marks(p, r->user);
    for (size_t i = 0; i < b->n_devices; i++)
        want_queue(p, r->user, b->devices[i]);
    for (size_t i = 0; u && i < u->n_devices; i++) /* some may vanish: their items must be known */
        want_queue(p, r->user, u->devices[i].no);
    for (uint8_t k = 0; b->fresh && k < CURSORS_BUCKETS; k++)
        want_cursors(p, r->user, b->session->device, k);
    if (u && u->marks.n && (b->new_device || drops(u, b)))
        want_marks_of_all(p, u);
    const struct queue *q = want_queue(p, r->user, b->session->device);
    if (!u || !q || b->session->login_offset < q->login)
        return;
    want_news(p, u, b->session->device, &(struct page_ask){0});
    want_page(p, q, &(struct page_ask){0});
}

static void plan_end(struct planning *p, const struct offrec *r)
{
    const Im__OffEnd *b = r->m->end;
    want_queue(p, r->user, b->session->device);
    const struct user *u = b->dropped ? want_marks(p, r->user) : want_user(p, r->user);
    if (u && b->dropped)
        want_marks_of_all(p, u);
}

static void plan_bounce(struct planning *p, const struct offrec *r)
{
    const Im__OffBounce *b = r->m->bounce;
    bool pointed = false;
    for (size_t i = 0; i < b->n_items; i++) {
        struct id16 conv = codec_id(b->items[i]->conversation);
        want_cursors(p, r->user, b->session->device, cursors_bucket(conv));
        if (b->items[i]->payload.len)
            continue;
        pointed = true;
        want_head(p, conv);
    }
    if (pointed)
        want_marks(p, r->user);
    else
        want_user(p, r->user);
    want_queue(p, r->user, b->session->device);
}

static void plan_pull(struct planning *p, const struct offrec *r)
{
    const Im__OffPull *b = r->m->pull;
    struct page_ask ask = {.after = b->after, .limit = b->limit, .conv = codec_id(b->conversation)};
    const struct user *u = want_marks(p, r->user);
    const struct queue *q = want_queue(p, r->user, b->session->device);
    if (!id_is_zero(ask.conv))
        want_cursors(p, r->user, b->session->device, cursors_bucket(ask.conv));
    if (u)
        want_news(p, u, b->session->device, &ask);
    if (q)
        want_page(p, q, &ask);
}

static void plan_cursor(struct planning *p, const Im__CursorRecord *c)
{
    struct id16 id = codec_id(c->user), conv = codec_id(c->conversation);
    const struct user *u = want_marks(p, id);
    const struct mark *m = u ? marks_find(&u->marks, conv) : NULL;
    want_queue(p, id, c->device);
    want_cursors(p, id, c->device, cursors_bucket(conv));
    if (m)
        want_mark(p, u, m);
}

static void plan_offline(struct planning *p, const struct record *rec)
{
    struct offrec r;
    if (decode_offline(p->o, rec, &r))
        return; /* step() says what is wrong */
    switch (r.m->body_case) {
    case IM__OFFLINE_RECORD__BODY_ITEM:
        plan_item(p, &r);
        break;
    case IM__OFFLINE_RECORD__BODY_LOGIN:
        plan_login(p, &r);
        break;
    case IM__OFFLINE_RECORD__BODY_END:
        plan_end(p, &r);
        break;
    case IM__OFFLINE_RECORD__BODY_GROUP:
        plan_group(p, &r);
        break;
    case IM__OFFLINE_RECORD__BODY_BOUNCE:
        plan_bounce(p, &r);
        break;
    case IM__OFFLINE_RECORD__BODY_PULL:
        plan_pull(p, &r);
        break;
    default:
        break;
    }
}

enum core_rc plan_record(struct offline *o, const struct record *rec, struct want *want)
{
    struct planning p = {o, want, false};
    if (rec->topic == T_CURSOR) {
        Im__CursorRecord *c;
        if (rec->value.n && decode_cursor(o, rec, &c) == 0)
            plan_cursor(&p, c);
    } else {
        plan_offline(&p, rec);
    }
    return p.more ? CORE_MORE : CORE_OK;
}
