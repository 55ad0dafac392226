#include "fanout/ahead.h"

#include "fanout/core.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct decided {
    int64_t offset;
    bool present;
    uint64_t seq;
    int64_t time_ms, until_ms;
    UT_hash_handle hh;
    size_t n_users;
    struct id16 users[]; /* whom it changed */
};

#define FIXED 24 /* of a row: number, time, end */

const struct slice fanout_ahead_key = {"ahead", 5};

static void put64(uint8_t *p, uint64_t v)
{
    for (int i = 7; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
}

static uint64_t get64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

void fanout_ahead_row(int64_t ahead, uint8_t row[F_AHEAD_ROW])
{
    put64(row, (uint64_t)ahead);
}

void fanout_decided_key(int64_t offset, uint8_t key[F_DECIDED_KEY])
{
    put64(key, (uint64_t)offset);
}

size_t fanout_decided_row(uint64_t seq, int64_t time_ms, int64_t until_ms, struct slice users,
                          uint8_t row[F_DECIDED_ROW])
{
    size_t n = users.n > CONV_USERS * ID_SIZE ? 0 : users.n;
    put64(row, seq);
    put64(row + 8, (uint64_t)time_ms);
    put64(row + 16, (uint64_t)until_ms);
    if (n)
        memcpy(row + FIXED, users.p, n);
    return FIXED + n;
}

static struct decided *find(const struct ahead *a, int64_t offset)
{
    struct decided *d;
    HASH_FIND(hh, a->rows, &offset, sizeof offset, d);
    return d;
}

bool ahead_plan(struct ahead *a, int64_t offset, struct want *want)
{
    uint8_t key[F_DECIDED_KEY];
    if (!a->known) {
        want_add(want, F_AHEAD, fanout_ahead_key);
        return true;
    }
    if (offset >= a->until || find(a, offset))
        return false;
    fanout_decided_key(offset, key);
    want_add(want, F_DECIDED, (struct slice){key, sizeof key});
    return true;
}

void ahead_load(struct ahead *a, uint8_t table, struct slice key, struct slice row)
{
    if (table == F_AHEAD) {
        a->until = row.n == F_AHEAD_ROW ? (int64_t)get64(row.p) : 0;
        a->known = true;
        return;
    }
    if (table != F_DECIDED || key.n != F_DECIDED_KEY)
        return;
    size_t n = row.n > FIXED ? (row.n - FIXED) / ID_SIZE : 0;
    struct decided *d = calloc(1, sizeof *d + n * sizeof d->users[0]);
    if (!d) {
        a->known = false; /* plan asks again, and the shell gives up after its rounds */
        return;
    }
    d->offset = (int64_t)get64(key.p);
    if (row.n >= FIXED) {
        const uint8_t *p = row.p;
        d->present = true;
        d->seq = get64(p);
        d->time_ms = (int64_t)get64(p + 8);
        d->until_ms = (int64_t)get64(p + 16);
        d->n_users = n;
        memcpy(d->users, p + FIXED, n * sizeof d->users[0]);
    }
    HASH_ADD(hh, a->rows, offset, sizeof d->offset, d);
}

/* Both lists ascend. */
static void mark_changed(const struct decided *d, const struct conv_event *ev, struct conv_outcome *out)
{
    const uint8_t *users = ev->users.p;
    for (size_t i = 0, k = 0; i < ev->users.n / ID_SIZE && k < d->n_users; i++) {
        if (memcmp(users + i * ID_SIZE, d->users[k].b, ID_SIZE) != 0)
            continue;
        out->changed[i / 64] |= UINT64_C(1) << i % 64;
        k++;
    }
}

bool ahead_outcome(struct ahead *a, int64_t offset, const struct conv *conv, const struct conv_event *ev,
                   struct conv_outcome *out, struct fx *fx)
{
    uint8_t key[F_DECIDED_KEY];
    const struct decided *d = find(a, offset);
    if (!d || !d->present)
        return conv_recall(conv, ev, out);
    *out = (struct conv_outcome){
        .verdict = CONV_ACCEPTED, .seq = d->seq, .time_ms = d->time_ms, .until_ms = d->until_ms};
    mark_changed(d, ev, out);
    fanout_decided_key(offset, key);
    fx_put(fx, F_DECIDED, (struct slice){key, sizeof key}, (struct slice){0});
    return true;
}

void ahead_end(struct ahead *a)
{
    struct decided *d, *next;
    HASH_ITER (hh, a->rows, d, next) {
        HASH_DEL(a->rows, d);
        free(d);
    }
}

void ahead_release(struct ahead *a)
{
    ahead_end(a);
}
