#include "common/base/crash.h"

#ifdef PARLEY_CRASH_POINTS

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All read the environment each time: such builds need not be fast. */

static bool reached(const char *want, const char *point, _Atomic unsigned long *passed)
{
    const char *colon = want ? strrchr(want, ':') : NULL;
    if (!colon || (size_t)(colon - want) != strlen(point) || memcmp(want, point, strlen(point)) != 0)
        return false;
    return atomic_fetch_add(passed, 1) + 1 == strtoul(colon + 1, NULL, 10);
}

void crash_at(const char *point)
{
    static _Atomic unsigned long passed, passed_too;
    const char *crash = getenv("CRASH_AT"), *pause = getenv("PAUSE_AT");
    if (reached(pause, point, &passed_too)) {
        fprintf(stderr, "\npause point %s\n", pause);
        raise(SIGSTOP);
    }
    if (reached(crash, point, &passed)) {
        fprintf(stderr, "\ncrash point %s\n", crash);
        raise(SIGKILL);
    }
}

bool planted(const char *defect)
{
    const char *want = getenv("PARLEY_PLANT");
    return want && strcmp(want, defect) == 0;
}

#else
typedef int crash_points_are_off; /* a translation unit must not be empty */
#endif
