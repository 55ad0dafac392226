#include "common/base/rowcache.h"

#include <assert.h>

void rowcache_init(struct rowcache *c, size_t max_bytes, row_free_fn *free_row)
{
    *c = (struct rowcache){.max_bytes = max_bytes, .free_row = free_row, .turn = 2};
}

static void unlink_row(struct rowcache *c, struct row *r)
{
    *(r->newer ? &r->newer->older : &c->newest) = r->older;
    *(r->older ? &r->older->newer : &c->oldest) = r->newer;
    r->newer = r->older = NULL;
}

static void make_newest(struct rowcache *c, struct row *r)
{
    r->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = r;
    c->newest = r;
    r->turn = c->turn;
}

void rowcache_drop(struct rowcache *c, struct row *r)
{
    unlink_row(c, r);
    HASH_DEL(c->rows, r);
    c->bytes -= r->bytes;
    c->free_row(r);
}

void rowcache_release(struct rowcache *c)
{
    while (c->newest)
        rowcache_drop(c, c->newest);
}

static size_t full_key(uint8_t out[1 + ROW_KEY_MAX], uint8_t table, struct slice key)
{
    assert(key.n <= ROW_KEY_MAX);
    out[0] = table;
    memcpy(out + 1, key.p, key.n);
    return key.n + 1;
}

struct row *rowcache_get(struct rowcache *c, uint8_t table, struct slice key)
{
    uint8_t k[1 + ROW_KEY_MAX];
    size_t n = full_key(k, table, key);
    struct row *r;
    HASH_FIND(hh, c->rows, k, n, r);
    if (r && r->turn != c->turn) { /* among those of one turn the order does not matter */
        if (r != c->newest) {
            unlink_row(c, r);
            make_newest(c, r);
        }
        r->turn = c->turn;
    }
    return r;
}

void rowcache_add(struct rowcache *c, uint8_t table, struct slice key, struct row *r, size_t bytes)
{
    r->key_n = (uint8_t)full_key(r->key, table, key);
    r->bytes = bytes;
    c->bytes += bytes;
    HASH_ADD_KEYPTR(hh, c->rows, r->key, r->key_n, r);
    make_newest(c, r);
}

void rowcache_resize(struct rowcache *c, struct row *r, size_t bytes)
{
    c->bytes = c->bytes - r->bytes + bytes;
    r->bytes = bytes;
}

void rowcache_turn(struct rowcache *c)
{
    while (c->bytes > c->max_bytes && c->oldest && c->oldest->turn + 1 < c->turn)
        rowcache_drop(c, c->oldest);
    c->turn++;
}
