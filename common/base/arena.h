/* arena.h: memory that lives as long as a batch: allocate by moving a pointer, free all of it at once.
 *
 * Everything is aligned for any type. After a reset the memory is kept for the next batch, but not more than
 * the largest of recent batches needed (a slowly falling high-water mark), so one huge batch does not stay
 * for ever. One thread.
 */
#ifndef PARLEY_BASE_ARENA_H
#define PARLEY_BASE_ARENA_H

#include "common/base/macros.h"

#include <stdbool.h>
#include <stddef.h>

struct arena;

/* chunk: bytes per request to malloc, 0: 64 KiB. All of these: NULL when there is no memory. */
struct arena *MUST_CHECK arena_new(size_t chunk);
void *MUST_CHECK arena_alloc(struct arena *, size_t n); /* not zeroed; not NULL for n == 0 */
void *MUST_CHECK arena_copy(struct arena *, const void *p, size_t n);

void arena_reset(struct arena *); /* everything allocated is gone */
void arena_free(struct arena *);

size_t arena_used(const struct arena *); /* bytes handed out since the reset */
size_t arena_held(const struct arena *); /* bytes taken from malloc */
/* Whether p points into something it handed out; walks the chunks, few by design. */
bool arena_owns(const struct arena *, const void *p);

#endif
