/* rowcache.h: which of its store's rows a core has in memory, bounded in bytes, least recently used out first.
 *
 * The owner embeds a struct row as the first thing of what it keeps per row and tells how many bytes that is. Rows
 * leave only in rowcache_turn(), which the owner calls between batches (core_ops.end), and then only those that
 * neither this batch nor the one before touched: the next batch may have been planned on them already. So the bound
 * is max_bytes plus what two batches touch. One thread; running out of memory ends the process (uthash).
 */
#ifndef PARLEY_BASE_ROWCACHE_H
#define PARLEY_BASE_ROWCACHE_H

#include "common/base/core.h"

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#define ROW_KEY_MAX 40

struct row { /* private to rowcache, but for reading the key */
    UT_hash_handle hh;
    struct row *newer, *older;
    uint64_t turn;
    size_t bytes;
    uint8_t key_n; /* of key, table included */
    uint8_t key[1 + ROW_KEY_MAX];
};

typedef void row_free_fn(struct row *); /* frees the owner's struct */

struct rowcache {
    struct row *rows;
    struct row *newest, *oldest;
    uint64_t turn;
    size_t bytes, max_bytes;
    row_free_fn *free_row;
};

void rowcache_init(struct rowcache *, size_t max_bytes, row_free_fn *);
void rowcache_release(struct rowcache *);

/* NULL: not in memory. Finding it counts as use. */
struct row *rowcache_get(struct rowcache *, uint8_t table, struct slice key);
/* `row` is zeroed; it must not be there yet; the cache owns it from now on. `bytes` is the whole of it. */
void rowcache_add(struct rowcache *, uint8_t table, struct slice key, struct row *row, size_t bytes);
void rowcache_resize(struct rowcache *, struct row *, size_t bytes);
void rowcache_drop(struct rowcache *, struct row *); /* frees it */
void rowcache_turn(struct rowcache *);

static inline uint8_t row_table(const struct row *r)
{
    return r->key[0];
}
static inline struct slice row_key(const struct row *r)
{
    return (struct slice){r->key + 1, r->key_n - 1u};
}

#endif
