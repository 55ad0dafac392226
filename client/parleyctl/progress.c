#include "client/parleyctl/progress.h"

#include "common/base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BAR         24
#define TERMINAL_MS 100
#define LINES_MS    10000

void progress_begin(struct progress *p, const char *what, const char *unit, uint64_t first, bool off)
{
    int64_t now = clock_mono_ms();
    *p = (struct progress){.what = what,
                           .unit = unit,
                           .off = off,
                           .terminal = isatty(STDERR_FILENO) == 1,
                           .begin_ms = now,
                           .shown_ms = now,
                           .first = first};
}

static double rate(const struct progress *p, uint64_t done)
{
    int64_t ms = clock_mono_ms() - p->begin_ms;
    return done > p->first && ms > 0 ? (double)(done - p->first) * 1000 / (double)ms : 0;
}

static void time_left(char *out, size_t n, double seconds)
{
    if (seconds < 60)
        snprintf(out, n, "%.0f s", seconds);
    else if (seconds < 6000)
        snprintf(out, n, "%.0f min", seconds / 60);
    else
        snprintf(out, n, "%.1f h", seconds / 3600);
}

void progress_show(struct progress *p, uint64_t done, uint64_t all)
{
    int64_t now = clock_mono_ms();
    char bar[BAR + 1], left[32] = "?";
    if (p->off || now - p->shown_ms < (p->terminal ? TERMINAL_MS : LINES_MS))
        return;
    p->shown_ms = now;
    if (all < done)
        all = done;
    double per_s = rate(p, done), part = all ? (double)done / (double)all : 1;
    size_t full = (size_t)(part * BAR);
    memset(bar, '#', full);
    memset(bar + full, '.', BAR - full);
    bar[BAR] = '\0';
    if (per_s > 0)
        time_left(left, sizeof left, (double)(all - done) / per_s);
    if (p->terminal)
        fprintf(stderr, "\r%s [%s] %3.0f %%  %" PRIu64 " of %" PRIu64 " %s  %.0f/s  %s left\x1b[K", p->what,
                bar, 100 * part, done, all, p->unit, per_s, left);
    else
        fprintf(stderr, "%s: %3.0f %%, %" PRIu64 " of %" PRIu64 " %s, %.0f/s, %s left\n", p->what, 100 * part,
                done, all, p->unit, per_s, left);
    p->drawn = p->terminal;
}

double progress_end(struct progress *p, uint64_t done)
{
    if (p->drawn)
        fputs("\r\x1b[K", stderr);
    p->drawn = false;
    return rate(p, done);
}
