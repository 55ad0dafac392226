/* cursors.h: what a connection's client said it has without a gap, until that is written to im.cursor.
 *
 * Ranges of one conversation are merged: overlapping or adjacent ones to their union, of disjoint ones the higher stays
 * (offline merges with what it has). Exists only while something is unwritten. One thread. */
#ifndef PARLEY_EDGE_CURSORS_H
#define PARLEY_EDGE_CURSORS_H

#include "common/im/ids.h"

#define EDGE_CURSORS_MAX 256

struct edge_range {
    struct id16 conv;
    uint64_t from, upto;
};

struct edge_cursors {
    uint32_t n, cap;
    struct edge_range *v;
};

/* Frees what it holds; all zero again. */
void edge_cursors_release(struct edge_cursors *);
bool edge_cursors_have(const struct edge_cursors *, struct id16 conv);
/* 0; -ENOSPC: EDGE_CURSORS_MAX conversations are unwritten, write them first; -ENOMEM. */
int edge_cursors_add(struct edge_cursors *, const struct edge_range *);
void edge_range_merge(struct edge_range *into, const struct edge_range *);

#endif
