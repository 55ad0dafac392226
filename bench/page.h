/* page.h: the table of row 11: conversations of PAGE_CONV rows each, made for the purpose, and pages of them at random places.
 *
 * Conversation i is md5('bench-page-' i); account i mod `people` of the file is in it. */
#ifndef PARLEY_BENCH_PAGE_H
#define PARLEY_BENCH_PAGE_H

#include "bench/people.h"

#include "common/base/rand.h"

#include <libpq-fe.h>

#define PAGE_CONV   10000
#define PAGE_ROWS   50
#define PAGE_PEOPLE 100

struct page_set {
    struct id16 *conv;
    uint64_t n; /* conversations */
};

/* Fills the table to at least `rows` rows (what is there stays) and reads the ids. Blocks; ends the process when it fails. */
void page_fill(struct page_set *, PGconn *, const struct people *, uint64_t rows);
void page_release(struct page_set *);

/* A place: `before` of conversation `i`; there are PAGE_ROWS rows below it. */
struct page_place {
    uint64_t i, before;
};
struct page_place page_random(const struct page_set *, struct rng *);

#endif
