/* hist.h: a log-linear histogram: three significant digits at every magnitude, in fixed memory.
 *
 * Values are nanoseconds by convention, 0 … about 137 s; larger ones count as the largest. Recording costs a few
 * instructions and never allocates. One thread at a time. */
#ifndef PARLEY_BENCH_HIST_H
#define PARLEY_BENCH_HIST_H

#include <stdint.h>

#define HIST_SUB   2048 /* steps within one magnitude: two values in the same step differ by less than 0.1 % */
#define HIST_MAGS  28
#define HIST_SLOTS ((HIST_MAGS + 1) * (HIST_SUB / 2))
#define HIST_TOP   ((INT64_C(2048) << (HIST_MAGS - 1)) - 1)

struct hist {
    uint64_t count, over; /* over: larger than HIST_TOP */
    int64_t min, max;
    double sum;
    uint64_t slots[HIST_SLOTS];
};

struct hist *hist_new(void); /* NULL: no memory */
void hist_free(struct hist *);
void hist_clear(struct hist *);

void hist_add(struct hist *, int64_t value); /* negative counts as 0 */
void hist_merge(struct hist *into, const struct hist *from);

/* The smallest recorded step that at least q (0 … 1) of the values do not exceed, as the step's middle, never
 * beyond max. 0 when empty. */
int64_t hist_at(const struct hist *, double q);
double hist_mean(const struct hist *);

#endif
