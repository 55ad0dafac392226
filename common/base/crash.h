/* crash.h: places where a test may kill the process, as kill -9 would, and defects that a test may switch on.
 *
 * crash_at("router:produced") marks a place. In a build with -DPARLEY_CRASH_POINTS (make CRASH_POINTS=1) the
 * environment variable CRASH_AT=router:produced:3 makes the third passing fatal; the last line on stderr is then
 * "crash point router:produced:3". PAUSE_AT=fanout:putting:3 stops the whole process there instead, as SIGSTOP does:
 * on SIGCONT it goes on from that very place, with what it had decided before it slept. planted("ack-early") is true there when PARLEY_PLANT=ack-early is set: the
 * code does the wrong thing on purpose, so that the fault tests can be seen to notice (tests/planted).
 * Without the variables a mark does nothing and nothing is planted; in every other build both are no code at
 * all. Any thread.
 */
#ifndef PARLEY_BASE_CRASH_H
#define PARLEY_BASE_CRASH_H

#include <stdbool.h>

#ifdef PARLEY_CRASH_POINTS
void crash_at(const char *point);
bool planted(const char *defect);
#else
#define crash_at(point) ((void)sizeof(point))
#define planted(defect) ((void)sizeof(defect), false)
#endif

#endif
