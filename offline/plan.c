/* What a record will touch: its user first, then the devices' queues and cursors, then the index and the items of a
 * page. A later round knows what the earlier one loaded; three are enough. */
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

static struct user *want_user(struct planning *p, struct id16 id)
{
    struct user *u = rows_user(p->o, id);
    if (!u)
        want_row(p, OFFLINE_USER, id.b, ID_SIZE);
    return u;
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

static void plan_item(struct planning *p, const struct offrec *r)
{
    const Im__OffItem *b = r->m->item;
    const struct user *u = want_user(p, r->user);
    for (size_t i = 0; u && i < u->n_devices; i++) {
        bool served = false;
        for (size_t k = 0; k < b->n_served; k++)
            served |= b->served[k] == u->devices[i];
        if (served)
            continue;
        want_queue(p, r->user, u->devices[i]);
        want_cursors(p, r->user, u->devices[i], cursors_bucket(codec_id(b->item->conversation)));
    }
}

static void plan_login(struct planning *p, const struct offrec *r)
{
    const Im__OffLogin *b = r->m->login;
    const struct user *u = want_user(p, r->user);
    for (size_t i = 0; i < b->n_devices; i++)
        want_queue(p, r->user, b->devices[i]);
    for (size_t i = 0; u && i < u->n_devices; i++) /* some may vanish: their items must be known */
        want_queue(p, r->user, u->devices[i]);
    for (uint8_t k = 0; b->fresh && k < CURSORS_BUCKETS; k++)
        want_cursors(p, r->user, b->session->device, k);
    const struct queue *q = want_queue(p, r->user, b->session->device);
    if (q && b->session->login_offset >= q->login)
        want_page(p, q, &(struct page_ask){0});
}

static void plan_bounce(struct planning *p, const struct offrec *r)
{
    const Im__OffBounce *b = r->m->bounce;
    want_user(p, r->user);
    want_queue(p, r->user, b->session->device);
    for (size_t i = 0; i < b->n_items; i++)
        want_cursors(p, r->user, b->session->device, cursors_bucket(codec_id(b->items[i]->conversation)));
}

static void plan_pull(struct planning *p, const struct offrec *r)
{
    const Im__OffPull *b = r->m->pull;
    struct page_ask ask = {.after = b->after, .limit = b->limit, .conv = codec_id(b->conversation)};
    const struct queue *q = want_queue(p, r->user, b->session->device);
    if (!id_is_zero(ask.conv))
        want_cursors(p, r->user, b->session->device, cursors_bucket(ask.conv));
    if (q)
        want_page(p, q, &ask);
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
        want_user(p, r.user);
        want_queue(p, r.user, r.m->end->session->device);
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
        if (rec->value.n && decode_cursor(o, rec, &c) == 0) {
            struct id16 user = codec_id(c->user);
            want_user(&p, user);
            want_queue(&p, user, c->device);
            want_cursors(&p, user, c->device, cursors_bucket(codec_id(c->conversation)));
        }
    } else {
        plan_offline(&p, rec);
    }
    return p.more ? CORE_MORE : CORE_OK;
}
