/* clock.h: the system's clocks, uncached. Inside a loop prefer loop_now_ms(), which costs nothing. Any
 * thread. */
#ifndef PARLEY_BASE_CLOCK_H
#define PARLEY_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_read_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static inline int64_t clock_mono_us(void) /* never jumps; the origin means nothing */
{
    return clock_read_us(CLOCK_MONOTONIC);
}

static inline int64_t clock_mono_ms(void)
{
    return clock_mono_us() / 1000;
}

static inline int64_t clock_wall_us(void) /* as clock_wall_ms() */
{
    return clock_read_us(CLOCK_REALTIME);
}

static inline int64_t clock_wall_ms(void) /* since 1970; may jump: for people, never for deadlines */
{
    return clock_read_us(CLOCK_REALTIME) / 1000;
}

#endif
