/* rebuild_queues_command.c: the queues of devices again, from im.offline and im.cursor, by the offline worker's own core.
 *
 * The cursors come first, as in the worker's recovery: what is confirmed does not push what is not over the cap. So a
 * queue that is past its cap, here or there, holds what the order of arrivals left in it, and is left out. Where
 * retention has taken the beginning of im.offline, devices come from im.user, every queue is marked "the rest is in
 * history", and only entries that the log still has are compared. */
#include "client/parleyctl/bodies.h"
#include "client/parleyctl/stores.h"

#include "common/base/hex.h"
#include "common/base/reader.h"
#include "common/im/presence.h"
#include "offline/rebuild.h"
#include "offline/settings.h"
#include "offline/state.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SLICE 200000 /* records of im.user and im.cursor for each pass */

extern char **environ;

struct own {
    struct conf *conf;
    struct offline_settings settings;
    struct lease *lease;
    struct presence *presence;
    struct bodies bodies; /* what is queued is sealed again under the keys that it was sealed with */
};

static int begin(struct stores_work *w)
{
    static const struct conf_spec spec = {offline_tables, OFFLINE_TABLES,
                                          sizeof(struct offline_process_settings), deploy_sections};
    struct own *o = w->own = calloc(1, sizeof *o);
    if (!o || conf_load(&o->conf, &spec, w->c->config, environ, stderr))
        return CTL_FAILED;
    o->settings = ((const struct offline_process_settings *)conf_settings(o->conf))->core;
    o->lease = lease_new(topics_slots(w->c->deploy.topics));
    o->presence = presence_new(o->lease);
    o->settings.presence = o->presence;
    o->settings.parts = topics_get(w->c->deploy.topics, T_OFFLINE)->parts;
    if (!o->lease || !o->presence || bodies_load(&o->bodies, w->c))
        return CTL_FAILED;
    o->settings.bodies = o->bodies.keys;
    return 0;
}

static void end(struct stores_work *w)
{
    struct own *o = w->own;
    if (!o)
        return;
    presence_free(o->presence);
    lease_free(o->lease);
    conf_free(o->conf);
    bodies_release(&o->bodies);
    free(o);
}

/* ---- what retention has taken ---- */
struct slice_work {
    struct stores_work *work;
    struct offline_rebuild *rows;
};

static int feed(void *ctx, const struct record *rec)
{
    struct slice_work *s = ctx;
    return offline_rebuild_feed(s->rows, rec) ? stores_too_new(s->work) : 0;
}

static int give(struct slice_work *s)
{
    struct store_row row;
    int rc = 0;
    while (!rc && offline_rebuild_row(s->rows, &row.table, &row.key, &row.row)) {
        row.append = false;
        rc = stores_put(s->work, &row, 1);
    }
    return rc;
}

static int devices_and_cursors(struct stores_work *w)
{
    int64_t low, high;
    int rc = scan_ends(w->scan, T_USER, w->part, &low, &high) ? CTL_FAILED : 0;
    uint32_t slices = rc ? 0 : (uint32_t)((high - low + w->next[1] - w->low[1]) / SLICE) + 1;
    for (uint32_t i = 0; i < slices && !rc; i++) {
        struct slice_work s = {.work = w, .rows = offline_rebuild_new(i, slices, true)};
        rc = s.rows ? stores_feed(w, T_USER, low, high, feed, &s) : CTL_FAILED;
        if (!rc)
            rc = stores_feed(w, T_CURSOR, w->low[1], w->next[1], feed, &s);
        if (!rc)
            rc = give(&s);
        offline_rebuild_free(s.rows);
    }
    return rc;
}

static int fold(struct stores_work *w)
{
    const struct own *o = w->own;
    struct stores_stretch log[] = {{.topic = T_CURSOR, .from = w->low[1], .to = w->next[1]},
                                   {.topic = T_OFFLINE, .from = w->low[0], .to = w->next[0]}};
    int rc = w->truncated ? devices_and_cursors(w) : 0;
    size_t first = w->truncated ? 1 : 0;
    if (!rc)
        rc = stores_fold(w, &offline_core, &o->settings, o->lease, log + first, 2 - first);
    w->compacted = w->low[1] > 0 || log[0].seen < log[0].to - log[0].from;
    return rc;
}

/* ---- canonical rows ----
 * 'u' user                           its devices and sessions
 * 'n' user                           its marks
 * 'h' conversation                   its head
 * 'c' user device conversation       a cursor
 * 'q' user device 0                  a queue; flagged when it is past its cap
 * 'q' user device 1 position 0, 1    an entry, and its item */
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

static int canon_segment(struct stores_side *s, struct slice key, struct slice row)
{
    const uint8_t *k = key.p;
    struct reader r = reader_of(row);
    if (key.n != QUEUE_INDEX_KEY || reader_u8(&r) != 1)
        return bad(OFFLINE_INDEX);
    for (uint16_t n = reader_be16(&r); n; n--) {
        uint8_t out[31];
        struct slice conv_seq = reader_take(&r, ID_SIZE + 8);
        uint64_t pos = reader_be64(&r);
        reader_be32(&r);
        int rc = r.bad                   ? bad(OFFLINE_INDEX)
                 : place(s, k, pos, out) ? stores_emit(s, out, 31, 0, conv_seq)
                                         : 0;
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

static int canon(void *ctx, uint8_t table, struct slice key, struct slice row)
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
    default: /* heads and marks as they are; what came before the log's beginning is not known any more */
        if (key.n != ID_SIZE)
            return bad(table);
        key_of(out, table == OFFLINE_CONV ? 'h' : 'n', key.p, 0);
        return s->work->truncated ? 0 : stores_emit(s, out, 1 + ID_SIZE, 0, row);
    }
}

static void describe(const struct keysort_entry *e, char *out, size_t n)
{
    char id[ID_HEX], conv[ID_HEX];
    uint64_t pos = 0;
    hex_encode(id, e->key + 1, ID_SIZE);
    switch (e->key[0]) {
    case 'u':
        snprintf(out, n, "user %s, devices and sessions", id);
        break;
    case 'n':
        snprintf(out, n, "user %s, groups with news", id);
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

static int run(struct ctl *c, int argc, char **argv)
{
    static const uint16_t inputs[] = {T_OFFLINE, T_CURSOR};
    static const uint32_t all = 1u << OFFLINE_USER | 1u << OFFLINE_QUEUE | 1u << OFFLINE_INDEX |
                                1u << OFFLINE_ITEM | 1u << OFFLINE_CURSORS | 1u << OFFLINE_CONV |
                                1u << OFFLINE_NEWS;
    static const struct stores_kind kind = {.word = "queues",
                                            .what = "the queues of all devices",
                                            .group = GROUP_OFFLINE,
                                            .inputs = inputs,
                                            .n_inputs = ARRAY_LEN(inputs),
                                            .tables = all,
                                            .compared = all,
                                            .trims = true,
                                            .begin = begin,
                                            .end = end,
                                            .fold = fold,
                                            .canon = canon,
                                            .describe = describe};
    (void)argv;
    return stores_run(c, &kind, argc);
}

const struct ctl_command ctl_rebuild_queues = {
    .name = "rebuild queues",
    .about = "what devices have not got yet, again from the log",
    .help = "Examples\n"
            "  parleyctl rebuild queues --verify          is Redis what the log says? Changes nothing\n"
            "  parleyctl rebuild queues --verify --swap   … and puts what the log says in its place\n"
            "  parleyctl rebuild queues --json            fold it only: does the log go through?\n"
            "\n"
            "Folds im.offline and im.cursor with the offline worker's own core into a shadow\n"
            "beside the live rows, partition by partition, while everything goes on.\n"
            "\n"
            "Options\n"
            "  --verify   compare with the live rows at the same offsets: a hash of each side,\n"
            "             and the first row that differs. Redis holds a copy of one partition\n"
            "             meanwhile, and stands still while that is taken (about a second for a\n"
            "             million rows)\n"
            "  --swap     the shadow replaces the live rows; workers notice at their next touch\n"
            "             and go on from there. Nothing is lost, nothing shown twice. Asks first\n"
            "\n"
            "Queues past their cap are left out: what they hold depends on the order of\n"
            "arrivals, and the rest is in history. Exit code 1 when live and log differ, and\n"
            "were not swapped.\n",
    .options = stores_options,
    .take = stores_take,
    .run = run,
};
