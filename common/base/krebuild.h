/* krebuild.h: makes a partition's rows again from other topics of the same partition number (shell_decl.recover).
 *
 * The topics are read from their present beginning to their present end, in the order declared. When they are long,
 * in several passes of which each takes up a slice of the keys, so that memory is bounded by slice_records, not by
 * the log. The owner's builder is fed with all records of a pass and is asked for its rows at the end of it. What is
 * read from where afterwards is the owner's to say, in done(). Loop thread; asking for the ends of the topics blocks
 * up to two seconds a time.
 */
#ifndef PARLEY_BASE_KREBUILD_H
#define PARLEY_BASE_KREBUILD_H

#include "common/base/shell.h"

struct loop;

#define KREBUILD_TOPICS 6

struct krebuild_ends { /* arrays in the order of krebuild_decl.topics */
    int64_t low[KREBUILD_TOPICS], high[KREBUILD_TOPICS];
    int64_t committed[STORE_TOPICS]; /* of the gap, in the order of the shell's inputs */
};

struct krebuild_decl { /* borrowed while a rebuild runs */
    struct loop *loop;
    struct kconf kafka;
    const struct ktopic *ktopics; /* the deployment's table */
    const uint16_t *topics;       /* the first n_read are read, of all n the ends are asked for */
    size_t n_read, n;
    size_t n_inputs;        /* of the shell */
    uint64_t slice_records; /* records of all topics per slice; 0: a million */
    void *ctx;
    bool (*ready)(void *ctx); /* may it begin? Asked until it says yes. NULL: yes */
    /* A builder for the keys of slice `slice` of `slices`; feed: 0 or negative errno, which ends the rebuild for
     * good; row: the next row, borrowed until the next call, false when there is none. */
    void *(*begin)(void *ctx, int32_t part, uint32_t slice, uint32_t slices, const struct krebuild_ends *);
    int (*feed)(void *builder, const struct record *);
    bool (*row)(void *builder, uint8_t *table, struct slice *key, struct slice *row);
    void (*end)(void *builder);
    /* All rows are given: ends with shell_recovery_done. */
    void (*done)(void *ctx, struct shell_recovery *, const struct krebuild_ends *);
};

/* A key belongs to one slice. */
uint32_t krebuild_slice(struct slice key, uint32_t slices);

/* For shell_decl: recover, recover_room, recover_cancel. */
void krebuild_begin(const struct krebuild_decl *, struct shell_recovery *, const struct shell_gap *);
void krebuild_room(struct shell_recovery *);
void krebuild_cancel(struct shell_recovery *);

#endif
