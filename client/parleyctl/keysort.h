/* keysort.h: digests of rows in the order of their keys, in bounded memory: past a bound they go to a temporary file in
 * sorted runs, which are merged when read. For comparing two stores row by row. */
#ifndef PARLEY_CTL_KEYSORT_H
#define PARLEY_CTL_KEYSORT_H

#include "common/base/core.h"

#define KEYSORT_KEY 46 /* bytes, at most */

struct keysort_entry {
    uint8_t key[KEYSORT_KEY]; /* zero after its end */
    uint8_t key_n, flag;      /* flag: the owner's */
    uint8_t digest[16];
};

struct keysort;
/* held: entries in memory, 64 bytes each; 0: 400,000. NULL: no memory. */
struct keysort *keysort_new(size_t held);
void keysort_free(struct keysort *);

/* 0, -E2BIG: key too long, or a negative errno of the temporary file. */
int keysort_add(struct keysort *, struct slice key, uint8_t flag, struct slice row);
/* From the lowest key on; no add after the first next. The same key and digest twice is one entry. False: no more, or
 * *err, which is not touched otherwise, is set. */
bool keysort_next(struct keysort *, struct keysort_entry *, int *err);

int keysort_cmp(const struct keysort_entry *, const struct keysort_entry *); /* of keys */

#endif
