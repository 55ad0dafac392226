/* rebuild_queues_canon.c: canonical rows.
 *
 * 'u' user                           its devices and sessions
 * 'n' user conversation              a mark: it has news
 * 'h' conversation                   its head
 * 'c' user device conversation       a cursor
 * 'q' user device 0                  a queue; flagged when it is past its cap
 * 'q' user device 1 position 0, 1    an entry, and its item */
#include "client/parleyctl/rebuild_queues.h"

#include "common/base/hex.h"
#include "common/base/reader.h"
#include "offline/marks.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static size_t key_of(uint8_t *key, char class, const void *id, uint32_t device)
{
    key[0] = (uint8_t) class;
    memcpy(key + 1, id, ID_SIZE);
    for (int i = 0; i < 4; i++)
        key[17 + i] = (uint8_t)(device >> (24 - 8 * i));
    return STORES_GROUP;
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int bad(uint8_t table)
{
    ctl_complain("a row of table %u cannot be read: of a newer version?", table);
    return CTL_FAILED;
}

static int canon_user(struct stores_side *s, struct slice key, struct slice row)
{
    uint8_t out[STORES_GROUP];
    struct id16 id;
    struct bytes b = {0};
    if (key.n != ID_SIZE || id_from(key.p, key.n, &id))
        return bad(OFFLINE_USER);
    struct user *u = user_new(id);
    int rc = user_unpack(u, row) ? bad(OFFLINE_USER) : 0;
    if (!rc && u->n_devices && !s->work->truncated) {
        u->marks.missing = false; /* have a row of their own */
        user_pack(u, &b);
        key_of(out, 'u', id.b, 0);
        rc = stores_emit(s, out, 1 + ID_SIZE, 0, bytes_slice(&b));
    }
    bytes_release(&b);
    user_free(u);
    return rc;
}

static int canon_queue(struct stores_side *s, struct slice key, struct slice row)
{
    uint8_t out[STORES_GROUP + 1] = {0};
    struct bytes b = {0};
    const uint8_t *k = key.p;
    struct id16 id;
    if (key.n != QUEUE_KEY || id_from(k, ID_SIZE, &id))
        return bad(OFFLINE_QUEUE);
    struct queue *q = queue_new(id, be32(k + ID_SIZE));
    int rc = queue_unpack(q, row) ? bad(OFFLINE_QUEUE) : 0;
    bool rest = q->rest_in_history && !s->work->truncated;
    if (!rc && !s->work->truncated) {
        bytes_be64(&b, q->login);
        bytes_be64(&b, q->ended);
        bytes_be32(&b, q->session.slot);
        bytes_be64(&b, q->session.epoch);
        bytes_be32(&b, q->session.handle);
    }
    key_of(out, 'q', k, q->device);
    if (!rc && (rest || q->login || q->ended) && !s->work->truncated)
        rc = stores_emit(s, out, sizeof out, rest ? STORES_LOOSE : 0, bytes_slice(&b));
    bytes_release(&b);
    queue_free(q);
    return rc;
}

/* The key of an entry at a position; false: it is before what the log still has. */
static bool place(const struct stores_side *s, const uint8_t *queue, uint64_t pos, uint8_t out[31])
{
    key_of(out, 'q', queue, be32(queue + ID_SIZE));
    out[21] = 1;
    for (int i = 0; i < 8; i++)
        out[22 + i] = (uint8_t)(pos >> (56 - 8 * i));
    out[30] = 0;
    return !s->work->truncated || (int64_t)(pos >> 16) - 1 >= s->work->low[0];
}

/* ---- what the log decides ----
 *
 * Of two ranges apart the higher stays, and the lower one is forgotten. What it had covered left the live queue; the log,
 * where the cursors come first, would put it back. So entries below the range that a device claims now are not compared. */
void queues_cache_release(struct queues_cache *c)
{
    for (size_t i = 0; i < CURSORS_BUCKETS; i++)
        cursors_free(c->v[i]);
    *c = (struct queues_cache){0};
}

/* The device's cursors for a conversation, of the same side. */
static int cursors_of(const struct stores_side *s, const uint8_t *queue, struct id16 conv,
                      const struct cursors **out)
{
    struct queues_cache *c = &((struct queues_own *)s->work->own)->cache;
    uint8_t key[CURSORS_KEY], bucket = cursors_bucket(conv);
    struct slice row = {0};
    struct id16 user;
    if (!c->any || c->live != s->live || memcmp(c->device, queue, QUEUE_KEY) != 0) {
        queues_cache_release(c);
        c->any = true;
        c->live = s->live;
        memcpy(c->device, queue, QUEUE_KEY);
    }
    if (!c->known[bucket]) {
        if (id_from(queue, ID_SIZE, &user))
            return bad(OFFLINE_INDEX);
        cursors_key(user, be32(queue + ID_SIZE), bucket, key);
        if (rstore_row(&s->work->redis, s->live ? RSTORE_COPY : RSTORE_SHADOW, OFFLINE_CURSORS,
                       slice_of(key, sizeof key), &row))
            return CTL_FAILED;
        c->v[bucket] = row.n ? cursors_new() : NULL;
        int rc = row.n && cursors_unpack(c->v[bucket], row) ? bad(OFFLINE_CURSORS) : 0;
        free((void *)(uintptr_t)row.p);
        if (rc)
            return rc;
        c->known[bucket] = true;
    }
    *out = c->v[bucket];
    return 0;
}

/* conv_seq: as in the index. */
static int is_sure(const struct stores_side *s, const uint8_t *queue, const uint8_t *conv_seq, bool *sure)
{
    const struct cursors *c;
    struct id16 conv;
    uint64_t seq = 0;
    if (id_from(conv_seq, ID_SIZE, &conv))
        return bad(OFFLINE_INDEX);
    for (int i = 0; i < 8; i++)
        seq = seq << 8 | conv_seq[ID_SIZE + i];
    int rc = cursors_of(s, queue, conv, &c);
    const struct range *r = rc || !c ? NULL : cursors_find(c, conv);
    *sure = !r || seq >= r->from;
    return rc;
}

static int canon_segment(struct stores_side *s, struct slice key, struct slice row)
{
    const uint8_t *k = key.p;
    struct reader r = reader_of(row);
    if (key.n != QUEUE_INDEX_KEY || reader_u8(&r) != 1)
        return bad(OFFLINE_INDEX);
    for (uint16_t n = reader_be16(&r); n; n--) {
        uint8_t out[31];
        bool sure = true;
        struct slice conv_seq = reader_take(&r, ID_SIZE + 8);
        uint64_t pos = reader_be64(&r);
        reader_be32(&r);
        int rc = r.bad ? bad(OFFLINE_INDEX) : is_sure(s, k, conv_seq.p, &sure);
        if (!rc && sure && place(s, k, pos, out))
            rc = stores_emit(s, out, 31, 0, conv_seq);
        if (rc)
            return rc;
    }
    return reader_done(&r) ? 0 : bad(OFFLINE_INDEX);
}

static int canon_item(struct stores_side *s, struct slice key, struct slice row)
{
    uint8_t out[31];
    struct reader r = reader_of(key);
    struct slice queue = reader_take(&r, QUEUE_KEY);
    uint64_t pos = reader_be64(&r);
    if (!reader_done(&r))
        return bad(OFFLINE_ITEM);
    bool here = place(s, queue.p, pos, out);
    out[30] = 1;
    return here ? stores_emit(s, out, sizeof out, STORES_LEANS, row) : 0;
}

/* Of a compacted topic only the end of a range is sure: earlier claims that it joined may be gone. */
static int canon_cursors(struct stores_side *s, struct slice key, struct slice row)
{
    struct cursors *c = cursors_new();
    const uint8_t *k = key.p;
    int rc = key.n != CURSORS_KEY || cursors_unpack(c, row) ? bad(OFFLINE_CURSORS) : 0;
    for (size_t i = 0; i < c->n && !rc; i++) {
        uint8_t out[STORES_GROUP + ID_SIZE];
        uint64_t range[2] = {s->work->compacted ? 0 : c->ranges[i].from, c->ranges[i].upto};
        key_of(out, 'c', k, be32(k + ID_SIZE));
        memcpy(out + STORES_GROUP, c->ranges[i].conv.b, ID_SIZE);
        rc = stores_emit(s, out, sizeof out, 0, (struct slice){range, sizeof range});
    }
    cursors_free(c);
    return rc;
}

/* A mark that was set before the cursor came stays when the conversation went on meanwhile: nobody can say that what
 * came since was served. So the live side may have more of them than the log gives, never fewer. */
static int canon_marks(struct stores_side *s, struct slice key, struct slice row)
{
    struct marks m = {0};
    if (key.n != ID_SIZE || marks_unpack(&m, row))
        return bad(OFFLINE_NEWS);
    int rc = 0;
    for (uint32_t i = 0; i < m.n && !rc && !s->work->truncated; i++) {
        uint8_t out[1 + 2 * ID_SIZE] = {'n'};
        uint64_t end[2] = {m.v[i].upto, m.v[i].at};
        memcpy(out + 1, key.p, ID_SIZE);
        memcpy(out + 1 + ID_SIZE, m.v[i].conv.b, ID_SIZE);
        rc = stores_emit(s, out, sizeof out, s->live ? STORES_MORE : 0, (struct slice){end, sizeof end});
    }
    marks_release(&m);
    return rc;
}

int queues_canon(void *ctx, uint8_t table, struct slice key, struct slice row)
{
    struct stores_side *s = ctx;
    uint8_t out[STORES_GROUP];
    switch (table) {
    case OFFLINE_USER:
        return canon_user(s, key, row);
    case OFFLINE_QUEUE:
        return canon_queue(s, key, row);
    case OFFLINE_INDEX:
        return canon_segment(s, key, row);
    case OFFLINE_ITEM:
        return canon_item(s, key, row);
    case OFFLINE_CURSORS:
        return canon_cursors(s, key, row);
    case OFFLINE_NEWS:
        return canon_marks(s, key, row);
    default: /* heads as they are; what came before the log's beginning is not known any more */
        if (key.n != ID_SIZE)
            return bad(table);
        key_of(out, 'h', key.p, 0);
        return s->work->truncated ? 0 : stores_emit(s, out, 1 + ID_SIZE, 0, row);
    }
}

void queues_describe(const struct keysort_entry *e, char *out, size_t n)
{
    char id[ID_HEX], conv[ID_HEX];
    uint64_t pos = 0;
    hex_encode(id, e->key + 1, ID_SIZE);
    switch (e->key[0]) {
    case 'u':
        snprintf(out, n, "user %s, devices and sessions", id);
        break;
    case 'n':
        hex_encode(conv, e->key + 1 + ID_SIZE, ID_SIZE);
        snprintf(out, n, "user %s, news in group %s", id, conv);
        break;
    case 'h':
        snprintf(out, n, "conversation %s, up to where it was missed", id);
        break;
    case 'c':
        hex_encode(conv, e->key + STORES_GROUP, ID_SIZE);
        snprintf(out, n, "user %s, device %" PRIu32 ", cursor in %s", id, be32(e->key + 17), conv);
        break;
    default:
        for (int i = 0; i < 8; i++)
            pos = pos << 8 | e->key[22 + i];
        if (e->key[21])
            snprintf(out, n, "user %s, device %" PRIu32 ", message of im.offline offset %" PRIu64, id,
                     be32(e->key + 17), (pos >> 16) - 1);
        else
            snprintf(out, n, "user %s, device %" PRIu32 ", queue", id, be32(e->key + 17));
    }
}
