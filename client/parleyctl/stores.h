/* stores.h: what router, fanout and offline keep in Redis, made again from the log beside the live rows, compared
 * with them at the same offsets, and put in their place. `parleyctl rebuild queues|accounts|checkpoints` are three kinds
 * of this; docs/rebuild.md tells it to operators.
 *
 * Per partition: a copy of the live rows with their mark, of one moment (rstore_copy) → the fold up to exactly that mark,
 * into the shadow → both read in the order of canonical keys → the same or the first difference → with --swap the shadow
 * becomes the live one. Memory: a fold's batch and cache, and two sorters (keysort.h). */
#ifndef PARLEY_CTL_STORES_H
#define PARLEY_CTL_STORES_H

#include "client/parleyctl/keysort.h"
#include "client/parleyctl/rstore.h"
#include "client/parleyctl/scan.h"
#include "common/base/fold.h"

#define STORES_GROUP 21 /* bytes of a key: what STORES_LOOSE speaks for */
enum stores_flag {
    STORES_LOOSE =
        1, /* everything with these first bytes is left out, on both sides: the log does not decide it */
    STORES_LEANS =
        2,           /* counts only beside the entry before it, whose key is the same but for the last byte */
    STORES_MORE = 4, /* of the live side: no difference when the log does not give it */
};

struct stores_kind;

struct stores_work {
    struct ctl *c;
    const struct stores_kind *kind;
    struct rstore redis;
    struct scan *scan;
    bool verify, swap; /* asked for */
    /* of the partition under way; per input */
    int32_t part;
    int64_t low[STORE_TOPICS], next[STORE_TOPICS], committed[STORE_TOPICS];
    bool truncated;      /* retention has taken a part of the first input */
    bool compacted;      /* records of the second one were tidied away */
    uint64_t done, rows; /* records read; rows put into the shadow, repeats too */
    void *own;           /* of the kind: settings, views */
};

/* Where canonical rows of one side go. */
struct stores_side {
    struct stores_work *work;
    struct keysort *rows;
    bool live;
};
int stores_emit(struct stores_side *, const uint8_t *key, size_t n, uint8_t flag, struct slice row);

struct stores_kind {
    const char *word, *what; /* "queues", "the queues of devices" */
    enum topic_group group;  /* whose store */
    const uint16_t *inputs;  /* as in the process: the order of the mark */
    size_t n_inputs;
    uint32_t tables, compared;          /* bit t: table t is copied; and is compared */
    bool trims;                         /* the log of the first input has a retention */
    int (*begin)(struct stores_work *); /* `own`; 0 or CTL_FAILED. May be NULL, like end */
    void (*end)(struct stores_work *);
    /* True: not comparable at this moment; try again later. May be NULL. */
    bool (*unfit)(struct stores_work *);
    /* All rows as of work->next into the shadow. 0 or CTL_FAILED, having said why. */
    int (*fold)(struct stores_work *);
    /* A row as canonical ones; ctx is a struct stores_side. */
    rstore_row_fn *canon;
    /* The live row is further than the mark in something that has no offset; look again. May be NULL. */
    int (*again)(struct stores_work *, const struct keysort_entry *shadow, bool *same);
    void (*describe)(const struct keysort_entry *, char *out, size_t n);
};

/* For fold(): each record of the partition's stretch of a topic; fn: 0, or what is returned. */
typedef int stores_record_fn(void *ctx, const struct record *);
int stores_feed(struct stores_work *, uint16_t topic, int64_t from, int64_t to, stores_record_fn *,
                void *ctx);
/* … through a core, whose rows go into the shadow; one after the other through the same core. */
struct stores_stretch {
    uint16_t topic;
    int64_t from, to;
    int64_t seen; /* comes back: fewer than to - from in a compacted topic */
};
int stores_fold(struct stores_work *, const struct core_ops *, const void *settings, void *shared,
                struct stores_stretch *, size_t n);
int stores_put(struct stores_work *, const struct store_row *, size_t n);
int stores_too_new(
    const struct stores_work *); /* says that a record is newer than this program; CTL_FAILED */

struct stores_result {
    uint64_t rows, loose; /* compared; groups left out */
    uint8_t live[16], shadow[16];
    bool equal;
    char first[400]; /* the first difference, in words */
};
/* Reads and frees nothing; says what failed. */
int stores_compare(struct stores_work *, struct keysort *live, struct keysort *shadow,
                   struct stores_result *);

/* The three commands' run, options and take. */
int stores_run(struct ctl *, const struct stores_kind *, int argc);
extern const struct option stores_options[];
int stores_take(int option, const char *arg);

#endif
