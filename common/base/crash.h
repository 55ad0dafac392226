/* crash.h: places where a test may kill the process, as kill -9 would.
 *
 * crash_at("router:produced") marks a place. In a build with -DPARLEY_CRASH_POINTS (make CRASH_POINTS=1) the
 * environment variable CRASH_AT=router:produced:3 makes the third passing fatal; without it, and in every
 * other build, a mark does nothing (in other builds it is no code at all). Any thread.
 */
#ifndef PARLEY_BASE_CRASH_H
#define PARLEY_BASE_CRASH_H

#ifdef PARLEY_CRASH_POINTS
void crash_at(const char *point);
#else
#define crash_at(point) ((void)sizeof(point))
#endif

#endif
