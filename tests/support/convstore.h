/* convstore.h: for tests of the reducer: cells in memory as a store would keep them, and seeded event logs.
 *
 * One thread; aborts when out of memory. */
#ifndef PARLEY_TESTS_SUPPORT_CONVSTORE_H
#define PARLEY_TESTS_SUPPORT_CONVSTORE_H

#include "common/base/rand.h"
#include "common/im/conv.h"

struct convstore {
    struct convstore_row {
        struct conv_cell cell; /* bytes are owned */
    } * rows;                  /* ascending key */
    size_t n, cap;
};

void convstore_release(struct convstore *);
/* Gives the conversation all it needs for the event, as a shell would; false: more than four rounds. */
bool convstore_plan(const struct convstore *, struct conv *, const struct conv_event *);
void convstore_save(struct convstore *, struct conv *); /* drains conv_dirty */
struct conv *convstore_load(const struct convstore *, struct id16 id,
                            struct rng *); /* all cells, in any order */
/* By the definition in conv.h and conv_store.c, from the stored bytes alone. */
void convstore_digest(const struct convstore *, uint8_t out[32]);

/* A log: two members with up to 14 devices, strangers, repeats, old and far numbers, unknown kinds, clocks that jump. */
struct convlog {
    struct rng rng;
    struct id16 a, b, stranger, conv;
    uint64_t next[3][16]; /* per user and device */
    int64_t time_ms;
    uint32_t devices;
};
void convlog_init(struct convlog *, uint64_t seed);
struct conv_event convlog_next(struct convlog *);

#endif
