/* conv.h: the conversation, a fold over im.conversation that is the same in every process that reads it.
 *
 * Pure: no I/O, no clock, no configuration, no look at bodies. The state is a set of cells, each stored by
 * itself; a record touches few of them. Before conv_apply() every cell that conv_needs() names must have been
 * given to conv_load(), or be known not to exist. One conversation is one `struct conv`; not thread-safe.
 *
 * Rules are versioned: a record says under which version it was written, and every version a log may hold
 * stays in the code. See docs/decisions/ before changing anything here: two readers that disagree lose
 * messages. */
#ifndef PARLEY_IM_CONV_H
#define PARLEY_IM_CONV_H

#include "common/base/core.h"
#include "common/im/ids.h"

#define CONV_RULES     1  /* what routers stamp */
#define CONV_RING      64 /* outcomes kept per sending device */
#define CONV_RINGS     8  /* devices per member that have a ring */
#define CONV_CELL_KEY  24 /* longest cell key, bytes */
#define CONV_NEEDS_MAX 8

enum conv_verdict { CONV_ACCEPTED, CONV_DUPLICATE, CONV_REFUSED };

struct conv_outcome {
    /* CONV_DUPLICATE: seq and reason are those of the first time; reason != 0: it was refused then. */
    enum conv_verdict verdict;
    uint16_t reason; /* a Code of client.proto; 0 when it has a place */
    uint64_t seq;
    int64_t time_ms; /* the conversation's time: the record's, made monotone. For a duplicate: of the first */
};

struct conv_cell {
    uint8_t key[CONV_CELL_KEY];
    size_t key_n;
    struct slice bytes; /* n == 0: removed, or absent */
};

/* What the reducer looks at of a record; borrowed pointers, see codec.h for getting it from bytes. */
struct conv_event {
    uint32_t rules;
    uint32_t kind;
    struct id16 conv, user, peer;
    uint32_t device;
    uint64_t client_seq;
    int64_t time_ms;
};

bool conv_rules_known(uint32_t rules);

struct conv *conv_new(struct id16 id);
void conv_free(struct conv *);
struct id16 conv_id(const struct conv *);
size_t conv_bytes(const struct conv *); /* memory it holds, for caches */

/* The keys of the cells that applying this event touches and that were not loaded yet; `bytes` is left empty.
 * May name more after those have been loaded (CORE_MORE); 0: ready. */
size_t conv_needs(const struct conv *, const struct conv_event *, struct conv_cell out[CONV_NEEDS_MAX]);
/* -EBADMSG: not a cell; -ENOTSUP: written by a newer format. Nothing is changed then. */
int conv_load(struct conv *, const struct conv_cell *);

/* The cells of conv_needs() must be loaded and the rules known. */
struct conv_outcome conv_apply(struct conv *, const struct conv_event *);

/* For an event that was applied before: its outcome, as for a repeat of it, as far as the cells still tell: from the
 * ring, or a refusal that is the same for ever. False: they do not. Changes nothing. The cells of conv_needs() must
 * be loaded. */
bool conv_recall(const struct conv *, const struct conv_event *, struct conv_outcome *);

/* Hands out changed cells in ascending key order and forgets that they were changed; returns how many, at
 * most `max`: call until 0. `bytes` is valid until the next call on this conv. */
size_t conv_dirty(struct conv *, struct conv_cell *out, size_t max);

uint64_t conv_head(const struct conv *); /* the last number given; 0: none */
size_t conv_members(const struct conv *, struct id16 *out, size_t max);
bool conv_may_read(const struct conv *, struct id16 user, uint64_t seq);

/* Over all loaded cells in ascending key order; two readers at the same offset agree on it. */
void conv_digest(const struct conv *, uint8_t out[32]);

#endif
