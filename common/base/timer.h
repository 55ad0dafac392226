/* timer.h: a hierarchical timer wheel; the timers live in their owners' structs (24 bytes each).
 *
 * Eight levels of 256 slots; a slot of level n spans 8^n ms. A timer goes straight to the slot where it will
 * fire and is never moved again, so start and stop are O(1) and a hundred thousand idle timers cost nothing.
 * The price: a timer never fires early, but up to 1/32 of its length late (exact below 256 ms).
 *
 * One thread. The wheel has no clock of its own: whoever owns it says what time it is (loop.h does).
 * Longest timer: 6 days; anything longer is shortened to that.
 */
#ifndef PARLEY_BASE_TIMER_H
#define PARLEY_BASE_TIMER_H

#include "common/base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer;
typedef void timer_fn(struct timer *);

struct timer { /* private but for the size; embed it and use container_of() in the callback */
    struct timer *next, **prev;
    timer_fn *fn;
};

struct timer_wheel;

struct timer_wheel *timer_wheel_new(int64_t now_ms); /* NULL: out of memory */
void timer_wheel_free(struct timer_wheel *);         /* timers still running are forgotten, not fired */

static inline void timer_init(struct timer *t, timer_fn *fn)
{
    *t = (struct timer){.fn = fn};
}

static inline bool timer_running(const struct timer *t)
{
    return t->prev != NULL;
}

/* Fires once, `after_ms` (at least 1) after the wheel's present time. A running timer is started anew. */
void timer_start(struct timer_wheel *, struct timer *, int64_t after_ms);

/* Fine on a timer that is not running. Owners stop their timers before they free themselves; a callback may
 * stop or start any timer, also one that is due in the same call, which then does not fire. */
void timer_stop(struct timer_wheel *, struct timer *);

/* Moves the time forward and fires what is due, in order of slots. Timers started by callbacks fire in a
 * later call. Returns how many fired. A time before the wheel's present is ignored. */
size_t timer_wheel_advance(struct timer_wheel *, int64_t now_ms);

/* When advance() has something to do next; INT64_MAX when no timer runs. */
int64_t timer_wheel_next(const struct timer_wheel *);

#endif
