/* rebuild_checkpoints_command.c: fanout's cells again, from im.conversation, by fanout's own core. The same records give
 * the same bytes, so rows are compared as they are. */
#include "client/parleyctl/stores.h"

#include "common/base/hex.h"
#include "fanout/core.h"

#include <stdlib.h>
#include <string.h>

#define CACHE (64 << 20)

struct own {
    struct fanout_settings settings;
    struct fanout_views views;
    struct lease *lease;
    struct presence *presence;
};

static int begin(struct stores_work *w)
{
    struct own *o = w->own = calloc(1, sizeof *o);
    if (!o)
        return CTL_FAILED;
    o->lease = lease_new(topics_slots(w->c->deploy.topics));
    o->presence = presence_new(o->lease);
    o->settings.cache_bytes = CACHE;
    o->views = (struct fanout_views){.presence = o->presence,
                                     .lease = o->lease,
                                     .offline_parts = topics_get(w->c->deploy.topics, T_OFFLINE)->parts};
    return o->lease && o->presence ? 0 : CTL_FAILED;
}

static void end(struct stores_work *w)
{
    struct own *o = w->own;
    if (!o)
        return;
    presence_free(o->presence);
    lease_free(o->lease);
    free(o);
}

/* After a recovery from a persister that was further, the cells are ahead of the mark for a while. */
static bool ahead(struct stores_work *w)
{
    struct slice row;
    int64_t at = 0;
    if (rstore_row(&w->redis, RSTORE_COPY, F_AHEAD, fanout_ahead_key, &row))
        return true;
    for (size_t i = 0; i < row.n; i++)
        at = at << 8 | ((const uint8_t *)row.p)[i];
    free((void *)(uintptr_t)row.p);
    return at > w->next[0];
}

static int fold(struct stores_work *w)
{
    struct own *o = w->own;
    struct stores_stretch log = {.topic = T_CONVERSATION, .from = w->low[0], .to = w->next[0]};
    if (w->low[0] > 0) {
        ctl_complain("im.conversation no longer begins at 0: it must be kept for ever");
        return CTL_FAILED;
    }
    return stores_fold(w, &fanout_core, &o->settings, &o->views, &log, 1);
}

static int canon(void *ctx, uint8_t table, struct slice key, struct slice row)
{
    uint8_t out[KEYSORT_KEY] = {table};
    if (key.n + 1 > sizeof out)
        return CTL_FAILED;
    memcpy(out + 1, key.p, key.n);
    return stores_emit(ctx, out, key.n + 1, 0, row);
}

static void describe(const struct keysort_entry *e, char *out, size_t n)
{
    static const char *const kinds[] = {"header", "member", "ring", "block", "roster", "admins", "?", "pins"};
    char conv[ID_HEX], rest[2 * KEYSORT_KEY + 1] = "";
    const uint8_t *cell = e->key + 1 + ID_SIZE;
    size_t cell_n = e->key_n > 1 + ID_SIZE ? e->key_n - 1u - ID_SIZE : 0;
    hex_encode(conv, e->key + 1, ID_SIZE);
    if (cell_n > 1)
        hex_encode(rest, cell + 1, cell_n - 1);
    snprintf(out, n, "conversation %s, %s %s", conv,
             cell_n && cell[0] < ARRAY_LEN(kinds) ? kinds[cell[0]] : "cell", rest);
}

static int run(struct ctl *c, int argc, char **argv)
{
    static const uint16_t inputs[] = {T_CONVERSATION};
    static const struct stores_kind kind = {.word = "checkpoints",
                                            .what = "fanout's conversations",
                                            .group = GROUP_FANOUT,
                                            .inputs = inputs,
                                            .n_inputs = ARRAY_LEN(inputs),
                                            .tables = 1u << F_CELL | 1u << F_AHEAD,
                                            .compared = 1u << F_CELL,
                                            .begin = begin,
                                            .end = end,
                                            .unfit = ahead,
                                            .fold = fold,
                                            .canon = canon,
                                            .describe = describe};
    (void)argv;
    return stores_run(c, &kind, argc);
}

const struct ctl_command ctl_rebuild_checkpoints = {
    .name = "rebuild checkpoints",
    .about = "fanout's conversations, again from the log",
    .help = "Examples\n"
            "  parleyctl rebuild checkpoints --verify          is Redis what the log says?\n"
            "  parleyctl rebuild checkpoints --verify --swap   … and puts that in its place\n"
            "  parleyctl rebuild checkpoints --json            fold it only\n"
            "\n"
            "Folds im.conversation with fanout's own core into a shadow beside the live cells,\n"
            "partition by partition, while everything goes on.\n"
            "\n"
            "Options\n"
            "  --verify   compare with the live cells at the same offsets: a hash of each side,\n"
            "             and the first cell that differs. Redis holds a copy of one partition\n"
            "             meanwhile, and stands still while that is taken (about a second for a\n"
            "             million rows)\n"
            "  --swap     the shadow replaces the live cells; fanout notices at its next touch\n"
            "             and goes on from there: no number is given twice, nothing is pushed\n"
            "             twice. Asks first\n"
            "\n"
            "Exit code 1 when live and log differ, and were not swapped.\n",
    .options = stores_options,
    .take = stores_take,
    .run = run,
};
