/* rebuild_queues_command.c: the queues of devices again, from im.offline and im.cursor, by the offline worker's own core.
 *
 * The cursors come first, as in the worker's recovery: what is confirmed does not push what is not over the cap. So a
 * queue that is past its cap, here or there, holds what the order of arrivals left in it, and is left out. Where
 * retention has taken the beginning of im.offline, devices come from im.user, every queue is marked "the rest is in
 * history", and only entries that the log still has are compared. */
#include "client/parleyctl/rebuild_queues.h"

#include "offline/rebuild.h"
#include "offline/settings.h"

#include <stdlib.h>

#define SLICE 200000 /* records of im.user and im.cursor for each pass */

extern char **environ;

static int begin(struct stores_work *w)
{
    static const struct conf_spec spec = {offline_tables, OFFLINE_TABLES,
                                          sizeof(struct offline_process_settings), deploy_sections};
    struct queues_own *o = w->own = calloc(1, sizeof *o);
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
    struct queues_own *o = w->own;
    if (!o)
        return;
    presence_free(o->presence);
    lease_free(o->lease);
    conf_free(o->conf);
    bodies_release(&o->bodies);
    queues_cache_release(&o->cache);
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
    const struct queues_own *o = w->own;
    struct stores_stretch log[] = {{.topic = T_CURSOR, .from = w->low[1], .to = w->next[1]},
                                   {.topic = T_OFFLINE, .from = w->low[0], .to = w->next[0]}};
    int rc = w->truncated ? devices_and_cursors(w) : 0;
    size_t first = w->truncated ? 1 : 0;
    if (!rc)
        rc = stores_fold(w, &offline_core, &o->settings, o->lease, log + first, 2 - first);
    w->compacted = w->low[1] > 0 || log[0].seen < log[0].to - log[0].from;
    return rc;
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
                                            .canon = queues_canon,
                                            .describe = queues_describe};
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
            "Left out is what depends on the order of arrivals: queues past their cap, whose rest\n"
            "is in history, and what lies below the range that a device claims. Exit code 1 when live and "
            "log differ, and\n"
            "were not swapped.\n",
    .options = stores_options,
    .take = stores_take,
    .run = run,
};
