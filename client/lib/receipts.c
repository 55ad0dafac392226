#include "client/lib/receipts.h"

#include <errno.h>
#include <stdlib.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#define PAUSE_MS 1000
#define DOUBT_MS 10000 /* told so shortly ago: it may not have arrived */
#define KEPT_MAX 4096
#define NEVER    INT64_MAX

struct conv {
    struct id16 id;
    uint64_t read, delivered;           /* as it is */
    uint64_t told_read, told_delivered; /* as the server was told */
    int64_t told_at;                    /* 0: not yet */
    bool waiting;
    UT_hash_handle hh;
    struct conv *prev, *next; /* all, the one told last at the end */
    struct conv *wprev, *wnext;
};

struct receipts {
    struct conv *by_id, *all, *waiting;
};

struct receipts *receipts_new(void)
{
    return calloc(1, sizeof(struct receipts));
}

static void drop(struct receipts *r, struct conv *c)
{
    if (c->waiting)
        DL_DELETE2(r->waiting, c, wprev, wnext);
    DL_DELETE(r->all, c);
    HASH_DELETE(hh, r->by_id, c);
    free(c);
}

void receipts_free(struct receipts *r)
{
    while (r && r->all)
        drop(r, r->all);
    free(r);
}

static struct conv *get(struct receipts *r, struct id16 id)
{
    struct conv *c;
    HASH_FIND(hh, r->by_id, id.b, ID_SIZE, c);
    if (c)
        return c;
    if (HASH_COUNT(r->by_id) >= KEPT_MAX && !r->all->waiting)
        drop(r, r->all); /* at worst something is told twice */
    c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->id = id;
    DL_APPEND(r->all, c);
    HASH_ADD(hh, r->by_id, id, ID_SIZE, c);
    if (!c->hh.tbl) { /* out of memory inside the table */
        DL_DELETE(r->all, c);
        free(c);
        return NULL;
    }
    return c;
}

static void wait_for(struct receipts *r, struct conv *c)
{
    if (!c->waiting && (c->read > c->told_read || c->delivered > c->told_delivered)) {
        DL_APPEND2(r->waiting, c, wprev, wnext);
        c->waiting = true;
    }
}

int receipts_add(struct receipts *r, struct id16 conv, uint64_t read, uint64_t delivered)
{
    struct conv *c = get(r, conv);
    if (!c)
        return -ENOMEM;
    if (read > c->read)
        c->read = read;
    if (delivered > c->delivered)
        c->delivered = delivered;
    wait_for(r, c);
    return 0;
}

static int64_t due(const struct conv *c)
{
    return c->told_at ? c->told_at + PAUSE_MS : 0;
}

bool receipts_next(struct receipts *r, int64_t now, struct receipt *out)
{
    struct conv *c, *tmp;
    DL_FOREACH_SAFE2(r->waiting, c, tmp, wnext)
    {
        if (due(c) > now)
            continue;
        *out =
            (struct receipt){c->id, c->read > c->told_read ? c->read : 0,
                             c->delivered > c->told_delivered && c->delivered > c->read ? c->delivered : 0};
        c->told_read = c->read;
        c->told_delivered = c->delivered;
        c->told_at = now ? now : 1;
        DL_DELETE2(r->waiting, c, wprev, wnext);
        c->waiting = false;
        DL_DELETE(r->all, c);
        DL_APPEND(r->all, c);
        if (out->read || out->delivered)
            return true;
    }
    return false;
}

int64_t receipts_due(const struct receipts *r)
{
    int64_t at = NEVER;
    const struct conv *c;
    DL_FOREACH2(r->waiting, c, wnext)
    if (due(c) < at)
        at = due(c);
    return at;
}

void receipts_again(struct receipts *r, int64_t now)
{
    struct conv *c;
    DL_FOREACH (r->all, c) {
        if (!c->told_at || now - c->told_at > DOUBT_MS)
            continue;
        c->told_read = c->told_delivered = 0;
        c->told_at = now;
        wait_for(r, c);
    }
}
