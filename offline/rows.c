/* The core's rows: found in memory, taken from the store, put at the end of the batch. */
#include "offline/parcel.h"
#include "offline/state.h"

#include <stdlib.h>

struct user *rows_user(struct offline *o, struct id16 id)
{
    return (struct user *)rowcache_get(&o->rows, OFFLINE_USER, slice_id(&id));
}

struct head *rows_head(struct offline *o, struct id16 conv)
{
    return (struct head *)rowcache_get(&o->rows, OFFLINE_CONV, slice_id(&conv));
}

static struct queue *queue_row(struct offline *o, struct id16 user, uint32_t device)
{
    uint8_t key[QUEUE_KEY];
    queue_key(user, device, key);
    return (struct queue *)rowcache_get(&o->rows, OFFLINE_QUEUE, slice_of(key, sizeof key));
}

struct queue *rows_queue(struct offline *o, struct id16 user, uint32_t device)
{
    struct queue *q = queue_row(o, user, device);
    return q && q->n_missing == 0 ? q : NULL;
}

struct cursors *rows_cursors(struct offline *o, struct id16 user, uint32_t device, uint8_t bucket)
{
    uint8_t key[CURSORS_KEY];
    cursors_key(user, device, bucket, key);
    return (struct cursors *)rowcache_get(&o->rows, OFFLINE_CURSORS, slice_of(key, sizeof key));
}

struct item *rows_item(struct offline *o, const struct queue *q, uint64_t pos)
{
    uint8_t key[QUEUE_ITEM_KEY];
    queue_item_key(q, pos, key);
    return (struct item *)rowcache_get(&o->items, OFFLINE_ITEM, slice_of(key, sizeof key));
}

static void add_item(struct offline *o, struct slice key, struct slice payload)
{
    struct item *it = calloc(1, sizeof *it + payload.n);
    if (!it)
        abort();
    it->n = payload.n;
    if (payload.n)
        memcpy(it->payload, payload.p, payload.n);
    rowcache_add(&o->items, OFFLINE_ITEM, key, &it->row, sizeof *it + payload.n + 32);
}

static void load_user(struct offline *o, struct slice key, struct slice row)
{
    struct id16 id;
    if (id_from(key.p, key.n, &id)) {
        o->broken = true;
        return;
    }
    struct user *u = user_new(id);
    o->broken |= row.n && user_unpack(u, row);
    rowcache_add(&o->rows, OFFLINE_USER, key, &u->row, user_memory(u));
}

static void load_news(struct offline *o, struct slice key, struct slice row)
{
    struct user *u = (struct user *)rowcache_get(&o->rows, OFFLINE_USER, key);
    if (u && !u->marks.missing)
        return; /* in memory already */
    if (!u || row.n == 0 || marks_unpack(&u->marks, row)) {
        o->broken = true; /* the user row says that it exists */
        return;
    }
    rowcache_resize(&o->rows, &u->row, user_memory(u));
}

static void load_head(struct offline *o, struct slice key, struct slice row)
{
    struct head *h = head_new();
    o->broken |= row.n && head_unpack(h, row);
    rowcache_add(&o->rows, OFFLINE_CONV, key, &h->row, sizeof *h + 16);
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void load_queue(struct offline *o, struct slice key, struct slice row)
{
    struct id16 user;
    const uint8_t *k = key.p;
    if (key.n != QUEUE_KEY || id_from(k, ID_SIZE, &user)) {
        o->broken = true;
        return;
    }
    struct queue *q = queue_new(user, be32(k + ID_SIZE));
    o->broken |= row.n && queue_unpack(q, row);
    rowcache_add(&o->rows, OFFLINE_QUEUE, key, &q->row, queue_memory(q));
}

static void load_segment(struct offline *o, struct slice key, struct slice row)
{
    const uint8_t *k = key.p;
    struct row *r = NULL;
    if (key.n == QUEUE_INDEX_KEY)
        r = rowcache_get(&o->rows, OFFLINE_QUEUE, slice_of(k, QUEUE_KEY));
    if (!r || row.n == 0 || queue_unpack_segment((struct queue *)r, be32(k + QUEUE_KEY), row))
        o->broken = true; /* the header says that it exists */
}

static void load_cursors(struct offline *o, struct slice key, struct slice row)
{
    struct cursors *c = cursors_new();
    o->broken |= row.n && cursors_unpack(c, row);
    rowcache_add(&o->rows, OFFLINE_CURSORS, key, &c->row, cursors_bytes(c));
}

void rows_load(struct offline *o, uint8_t table, struct slice key, struct slice row)
{
    if (table == OFFLINE_INDEX || table == OFFLINE_NEWS) { /* parts of another row */
        (table == OFFLINE_INDEX ? load_segment : load_news)(o, key, row);
        return;
    }
    if (rowcache_get(table == OFFLINE_ITEM ? &o->items : &o->rows, table, key))
        return; /* in memory already, and newer */
    switch (table) {
    case OFFLINE_USER:
        load_user(o, key, row);
        break;
    case OFFLINE_QUEUE:
        load_queue(o, key, row);
        break;
    case OFFLINE_CURSORS:
        load_cursors(o, key, row);
        break;
    case OFFLINE_CONV:
        load_head(o, key, row);
        break;
    case OFFLINE_ITEM:
        o->broken |= row.n == 0; /* the index says that it exists */
        add_item(o, key, row);
        break;
    default:
        o->broken = true;
    }
}

static void touch(struct offline *o, struct row *r, bool *dirty)
{
    if (*dirty)
        return;
    *dirty = true;
    if (o->n_dirty == o->cap_dirty) {
        o->cap_dirty = o->cap_dirty ? o->cap_dirty * 2 : 64;
        o->dirty = realloc(o->dirty, o->cap_dirty * sizeof *o->dirty);
        if (!o->dirty)
            abort();
    }
    o->dirty[o->n_dirty++] = r;
}

void rows_touch_user(struct offline *o, struct user *u)
{
    live_settle(o, u);
    u->row_dirty = true;
    touch(o, &u->row, &u->dirty);
}
void rows_touch_marks(struct offline *o, struct user *u)
{
    if (u->marks.dirty)
        touch(o, &u->row, &u->dirty);
}
void rows_touch_head(struct offline *o, struct head *h)
{
    touch(o, &h->row, &h->dirty);
}
void rows_touch_queue(struct offline *o, struct queue *q)
{
    touch(o, &q->row, &q->dirty);
}
void rows_touch_cursors(struct offline *o, struct cursors *c)
{
    touch(o, &c->row, &c->dirty);
}

void rows_add_item(struct offline *o, const struct queue *q, uint64_t pos, struct slice payload,
                   struct fx *fx)
{
    uint8_t key[QUEUE_ITEM_KEY];
    struct slice row = parcel_close(o->settings->bodies, payload, fx);
    queue_item_key(q, pos, key);
    fx_put(fx, OFFLINE_ITEM, slice_of(key, sizeof key), row);
    if (!rows_item(o, q, pos))
        add_item(o, slice_of(key, sizeof key), row);
}

void rows_forget_item(struct offline *o, const struct queue *q, uint64_t pos)
{
    struct item *it = rows_item(o, q, pos);
    if (it)
        rowcache_drop(&o->items, &it->row);
}

/* The marks first: whether there are any is in the user row. */
static void flush_user(struct offline *o, struct user *u, struct fx *fx)
{
    struct bytes *b = &o->scratch;
    if (u->marks.dirty) {
        if (u->marks.n)
            marks_pack(&u->marks, b);
        fx_put(fx, OFFLINE_NEWS, row_key(&u->row), bytes_slice(b));
    }
    if (u->row_dirty) {
        o->broken |= !bytes_ok(b);
        bytes_clear(b);
        user_pack(u, b);
        fx_put(fx, OFFLINE_USER, row_key(&u->row), bytes_slice(b));
    }
    u->dirty = u->row_dirty = u->marks.dirty = false;
    rowcache_resize(&o->rows, &u->row, user_memory(u));
}

static void flush_head(struct offline *o, struct head *h, struct fx *fx)
{
    head_pack(h, &o->scratch);
    fx_put(fx, OFFLINE_CONV, row_key(&h->row), bytes_slice(&o->scratch));
    h->dirty = false;
}

static void flush_row(struct offline *o, struct row *r, struct fx *fx)
{
    struct bytes *b = &o->scratch;
    bytes_clear(b);
    switch (row_table(r)) {
    case OFFLINE_USER:
        flush_user(o, (struct user *)r, fx);
        break;
    case OFFLINE_CONV:
        flush_head(o, (struct head *)r, fx);
        break;
    case OFFLINE_CURSORS:
        if (((struct cursors *)r)->n)
            cursors_pack((struct cursors *)r, b);
        fx_put(fx, OFFLINE_CURSORS, row_key(r), bytes_slice(b));
        ((struct cursors *)r)->dirty = false;
        rowcache_resize(&o->rows, r, cursors_bytes((struct cursors *)r));
        break;
    default:
        queue_flush((struct queue *)r, b, fx);
        ((struct queue *)r)->dirty = false;
        rowcache_resize(&o->rows, r, queue_memory((struct queue *)r));
    }
    o->broken |= !bytes_ok(b);
}

void rows_flush(struct offline *o, struct fx *fx)
{
    for (size_t i = 0; i < o->n_dirty; i++)
        flush_row(o, o->dirty[i], fx);
    o->n_dirty = 0;
}
