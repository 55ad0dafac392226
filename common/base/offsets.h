/* offsets.h: how far a partition may be committed while its effects finish in any order.
 *
 * A record is opened in ascending offset order (holes are fine), held by whoever still owes something for it,
 * and closed by the last drop. The mark is the first offset that is not yet closed: commit that. One thread;
 * no I/O; no allocation after offsets_new.
 */
#ifndef PARLEY_BASE_OFFSETS_H
#define PARLEY_BASE_OFFSETS_H

#include <stdbool.h>
#include <stdint.h>

struct offsets;
typedef uint64_t ticket; /* 0 is never a ticket */

struct offsets *offsets_new(int64_t next, uint32_t window); /* window: power of two, else NULL */
void offsets_free(struct offsets *);

bool offsets_full(const struct offsets *);           /* the window is used up: pause the partition */
uint32_t offsets_open_count(const struct offsets *); /* opened, and at or above the mark */

/* Opens a record, held once. Returns 0 when full or when `offset` does not ascend. */
ticket offsets_open(struct offsets *, int64_t offset);
void offsets_hold(struct offsets *, ticket);
void offsets_drop(struct offsets *, ticket); /* the last drop closes it */

int64_t offsets_mark(const struct offsets *); /* everything below is finished */
int64_t offsets_next(const struct offsets *); /* one past the last offset opened */

#endif
