/* progress.h: how far long work is, on stderr: a bar with rate and time left on a terminal, else a line every ten seconds. */
#ifndef PARLEY_CTL_PROGRESS_H
#define PARLEY_CTL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *what, *unit; /* "history", "records" */
    bool off, terminal, drawn;
    int64_t begin_ms, shown_ms;
    uint64_t first; /* done when it began: no part of the rate */
};

/* first: what an earlier run did already. off: say nothing. */
void progress_begin(struct progress *, const char *what, const char *unit, uint64_t first, bool off);
/* Call as often as you like; all may grow. */
void progress_show(struct progress *, uint64_t done, uint64_t all);
/* Ends the line. Returns units a second over the whole. */
double progress_end(struct progress *, uint64_t done);

#endif
