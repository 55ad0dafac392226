/* rebuild_accounts_command.c: the router's accounts again, from im.user and im.vault, as its own recovery makes them.
 *
 * They are as of an offset of im.inbound: what came of later records is left out, as far as a record says where it came
 * from. im.vault does not, so a difference there is looked at once more. Sessions have no offset either: they come from
 * im.presence with a swap, and are not compared. */
#include "client/parleyctl/stores.h"

#include "common/base/hex.h"
#include "router/account.h"
#include "router/core.h"
#include "router/rebuild.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define SLICE 200000 /* records for each pass */

struct own {
    struct lease *lease;
    struct presence *sessions; /* for a swap */
};

static enum scan_go see(void *ctx, const struct record *rec)
{
    struct own *o = ctx;
    if (rec->topic == T_LEASE)
        (void)lease_feed(o->lease, rec->key, rec->value, rec->offset);
    else
        (void)presence_feed(o->sessions, rec->key, rec->value);
    return SCAN_ON;
}

static int view(struct stores_work *w, uint16_t topic)
{
    for (int32_t p = 0; p < topics_get(w->c->deploy.topics, topic)->parts; p++) {
        struct scan_range range = {.topic = topic, .part = p};
        if (scan_ends(w->scan, topic, p, &range.from, &range.to) ||
            (range.from < range.to && scan_read(w->scan, &range, 1, NULL, see, w->own)))
            return CTL_FAILED;
    }
    return 0;
}

static int begin(struct stores_work *w)
{
    struct own *o = w->own = calloc(1, sizeof *o);
    if (!o)
        return CTL_FAILED;
    o->lease = lease_new(topics_slots(w->c->deploy.topics));
    o->sessions = presence_new(o->lease);
    return !o->lease || !o->sessions ? CTL_FAILED : 0;
}

static void end(struct stores_work *w)
{
    struct own *o = w->own;
    if (!o)
        return;
    presence_free(o->sessions);
    lease_free(o->lease);
    free(o);
}

struct pass {
    struct stores_work *work;
    struct rebuild *rows;
};

static int feed(void *ctx, const struct record *rec)
{
    struct pass *p = ctx;
    return rebuild_feed(p->rows, rec) ? stores_too_new(p->work) : 0;
}

static int give(struct pass *p)
{
    struct store_row row = {.table = ROUTER_ACCOUNT};
    const struct own *o = p->work->own;
    int rc = 0;
    if (p->work->swap)
        rebuild_sessions(p->rows, o->sessions, o->lease);
    while (!rc && rebuild_row(p->rows, &row.key, &row.row))
        rc = stores_put(p->work, &row, 1);
    return rc;
}

static int fold(struct stores_work *w)
{
    static const uint16_t topics[] = {T_USER, T_VAULT};
    int64_t low[2], high[2], all = 0;
    int rc = 0;
    for (size_t i = 0; i < 2 && !rc; i++) {
        rc = scan_ends(w->scan, topics[i], w->part, &low[i], &high[i]) ? CTL_FAILED : 0;
        all += rc ? 0 : high[i] - low[i];
    }
    if (!rc && w->swap) { /* as late as can be */
        rc = view(w, T_LEASE);
        rc = rc ? rc : view(w, T_PRESENCE);
    }
    uint32_t slices = (uint32_t)(all / SLICE) + 1;
    for (uint32_t k = 0; k < slices && !rc; k++) {
        struct pass p = {.work = w, .rows = rebuild_new(k, slices, w->next[0])};
        rc = p.rows ? 0 : CTL_FAILED;
        for (size_t i = 0; i < 2 && !rc; i++)
            rc = stores_feed(w, topics[i], low[i], high[i], feed, &p);
        if (!rc)
            rc = give(&p);
        rebuild_free(p.rows);
    }
    return rc;
}

/* Without what has no offset. False: there is no such account. */
static bool packed(struct slice key, struct slice row, struct bytes *out)
{
    struct id16 user;
    if (id_from(key.p, key.n, &user))
        return false;
    struct account *a = account_new(user);
    bool there = account_unpack(a, row) == 0 && a->exists;
    for (size_t i = 0; there && i < a->n_devices; i++)
        a->devices[i].on = a->devices[i].has_stale = false;
    if (there)
        account_pack(a, out);
    account_free(a);
    return there;
}

static int canon(void *ctx, uint8_t table, struct slice key, struct slice row)
{
    struct bytes b = {0};
    uint8_t out[1 + ID_SIZE] = {table};
    int rc = 0;
    if (packed(key, row, &b)) {
        memcpy(out + 1, key.p, ID_SIZE);
        rc = stores_emit(ctx, out, sizeof out, 0, bytes_slice(&b));
    }
    bytes_release(&b);
    return rc;
}

static int again(struct stores_work *w, const struct keysort_entry *shadow, bool *same)
{
    struct bytes b = {0};
    struct slice key = {shadow->key + 1, ID_SIZE}, row;
    XXH128_canonical_t digest;
    int rc = rstore_row(&w->redis, RSTORE_LIVE, ROUTER_ACCOUNT, key, &row);
    if (!rc && row.n && packed(key, row, &b)) {
        XXH128_canonicalFromHash(&digest, XXH3_128bits(b.p, b.n));
        *same = !memcmp(digest.digest, shadow->digest, sizeof shadow->digest);
    }
    bytes_release(&b);
    free((void *)(uintptr_t)row.p);
    return rc;
}

static void describe(const struct keysort_entry *e, char *out, size_t n)
{
    char user[ID_HEX];
    hex_encode(user, e->key + 1, ID_SIZE);
    snprintf(out, n, "user %s, account", user);
}

static int run(struct ctl *c, int argc, char **argv)
{
    static const uint16_t inputs[] = {T_INBOUND};
    static const struct stores_kind kind = {.word = "accounts",
                                            .what = "the router's accounts",
                                            .group = GROUP_ROUTER,
                                            .inputs = inputs,
                                            .n_inputs = ARRAY_LEN(inputs),
                                            .tables = 1u << ROUTER_ACCOUNT,
                                            .compared = 1u << ROUTER_ACCOUNT,
                                            .begin = begin,
                                            .end = end,
                                            .fold = fold,
                                            .canon = canon,
                                            .again = again,
                                            .describe = describe};
    (void)argv;
    return stores_run(c, &kind, argc);
}

const struct ctl_command ctl_rebuild_accounts = {
    .name = "rebuild accounts",
    .about = "the router's accounts, again from the log",
    .help = "Examples\n"
            "  parleyctl rebuild accounts --verify          is Redis what the log says?\n"
            "  parleyctl rebuild accounts --verify --swap   … and puts that in its place\n"
            "  parleyctl rebuild accounts --json            make them only\n"
            "\n"
            "Makes accounts, devices and verifiers from im.user and im.vault into a shadow\n"
            "beside the live rows, partition by partition, while everything goes on.\n"
            "\n"
            "Options\n"
            "  --verify   compare with the live rows as of the same offset of im.inbound: a hash\n"
            "             of each side, and the first account that differs\n"
            "  --swap     the shadow replaces the live rows, with the sessions that im.presence\n"
            "             knows; routers notice at their next touch and go on from there.\n"
            "             Nobody is logged out. Asks first\n"
            "\n"
            "Who is connected is not compared. Exit code 1 when live and log differ, and were\n"
            "not swapped.\n",
    .options = stores_options,
    .take = stores_take,
    .run = run,
};
