#include "offline/rebuild.h"

#include "common/base/arena_protobuf.h"
#include "common/base/krebuild.h"
#include "common/im/codec.h"
#include "common/im/topics.h"
#include "offline/core.h"
#include "offline/cursors.h"
#include "offline/queue.h"
#include "offline/users.h"

#include <errno.h>
#include <stdlib.h>

#define UNPACK_BUDGET (1 << 20)

struct offline_rebuild {
    uint32_t slice, slices;
    bool truncated;
    struct rowcache rows; /* users and cursors: all of the slice, nothing leaves */
    struct row *next;     /* to be given */
    bool giving;
    size_t device; /* of the user at `next`: whose queue header is next */
    struct arena *arena;
    struct bytes row;
    uint8_t key[QUEUE_KEY];
};

static void free_row(struct row *r)
{
    if (row_table(r) == OFFLINE_USER)
        user_free((struct user *)r);
    else
        cursors_free((struct cursors *)r);
}

struct offline_rebuild *offline_rebuild_new(uint32_t slice, uint32_t slices, bool truncated)
{
    struct offline_rebuild *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->slice = slice;
    b->slices = slices;
    b->truncated = truncated;
    b->arena = arena_new(0);
    rowcache_init(&b->rows, SIZE_MAX, free_row);
    if (!b->arena) {
        offline_rebuild_free(b);
        return NULL;
    }
    return b;
}

void offline_rebuild_free(struct offline_rebuild *b)
{
    if (!b)
        return;
    rowcache_release(&b->rows);
    arena_free(b->arena);
    bytes_release(&b->row);
    free(b);
}

static struct user *user_of(struct offline_rebuild *b, struct id16 id, bool make)
{
    struct row *r = rowcache_get(&b->rows, OFFLINE_USER, slice_id(&id));
    if (!r && make) {
        struct user *u = user_new(id);
        rowcache_add(&b->rows, OFFLINE_USER, slice_id(&id), &u->row, sizeof *u);
        r = &u->row;
    }
    return (struct user *)r;
}

static void apply_user(struct offline_rebuild *b, const Im__UserRecord *m)
{
    bool added = m->kind == IM__USER_KIND__USER_DEVICE_ADDED,
         dropped = m->kind == IM__USER_KIND__USER_DEVICE_DROPPED;
    struct id16 id = codec_id(m->user);
    if ((!added && !dropped) || krebuild_slice(slice_id(&id), b->slices) != b->slice)
        return;
    struct user *u = user_of(b, id, true);
    u->known = true;
    if (dropped) { /* at a login, which adds another, or by itself, which is no new list: OffEnd repeats it */
        user_drop_device(u, m->device);
        return;
    }
    uint32_t list[USER_DEVICES];
    size_t n = 0;
    for (; n < u->n_devices; n++)
        list[n] = u->devices[n].no;
    if (m->device > u->newest && n < USER_DEVICES)
        list[n++] = m->device;
    user_set_devices(u, list, n, (uint64_t)m->source_offset);
}

static void apply_cursor(struct offline_rebuild *b, const Im__CursorRecord *m)
{
    struct id16 id = codec_id(m->user);
    struct range range = {.conv = codec_id(m->conversation), .from = m->from, .upto = m->upto};
    if (krebuild_slice(slice_id(&id), b->slices) != b->slice)
        return;
    const struct user *u = user_of(b, id, false);
    if (u && !user_may_have(u, m->device))
        return; /* dropped */
    uint8_t key[CURSORS_KEY];
    cursors_key(id, m->device, cursors_bucket(range.conv), key);
    struct slice k = slice_of(key, sizeof key);
    struct cursors *c = (struct cursors *)rowcache_get(&b->rows, OFFLINE_CURSORS, k);
    if (!c) {
        c = cursors_new();
        rowcache_add(&b->rows, OFFLINE_CURSORS, k, &c->row, sizeof *c);
    }
    cursors_merge(c, &range);
}

int offline_rebuild_feed(struct offline_rebuild *b, const struct record *rec)
{
    struct arena_protobuf pb;
    arena_reset(b->arena);
    ProtobufCAllocator *alloc = arena_protobuf_allocator(&pb, b->arena, UNPACK_BUDGET);
    Im__UserRecord *u;
    Im__CursorRecord *c;
    int rc = 0;
    if (rec->value.n == 0)
        return 0;
    if (rec->topic == T_USER) {
        rc = codec_user(alloc, rec->value, &u);
        if (rc == 0)
            apply_user(b, u);
    } else if (rec->topic == T_CURSOR) {
        rc = codec_cursor(alloc, rec->value, &c);
        if (rc == 0)
            apply_cursor(b, c);
    }
    return rc == -ENOTSUP ? rc : 0;
}

/* A device without anything but the mark that more is in history. */
static void truncated_queue(struct offline_rebuild *b, const struct user *u, size_t device)
{
    struct queue *q = queue_new(u->id, u->devices[device].no);
    q->rest_in_history = true;
    queue_key(q->user, q->device, b->key);
    queue_pack(q, &b->row);
    queue_free(q);
}

bool offline_rebuild_row(struct offline_rebuild *b, uint8_t *table, struct slice *key, struct slice *row)
{
    if (!b->giving) {
        b->giving = true;
        b->next = b->rows.oldest;
    }
    const struct row *r = b->next;
    if (!r)
        return false;
    bytes_clear(&b->row);
    *table = row_table(r);
    *key = row_key(r);
    bool user = *table == OFFLINE_USER, last = true;
    const struct user *u = (const struct user *)r;
    if (user && b->device > 0) {
        truncated_queue(b, u, b->device - 1);
        *table = OFFLINE_QUEUE;
        *key = slice_of(b->key, sizeof b->key);
    } else if (user) {
        user_pack(u, &b->row);
    } else {
        cursors_pack((const struct cursors *)r, &b->row);
    }
    if (user && b->truncated && b->device < u->n_devices) {
        b->device++;
        last = false;
    }
    if (last) {
        b->device = 0;
        b->next = r->newer;
    }
    *row = bytes_slice(&b->row);
    return bytes_ok(&b->row);
}
