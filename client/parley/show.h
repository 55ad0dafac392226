/* show.h: messages as lines: for a terminal, for a pipe, as JSON. */
#ifndef PARLEY_TERMINAL_SHOW_H
#define PARLEY_TERMINAL_SHOW_H

#include "client/lib/parley.h"

#include <stdio.h>

/* What came from others, safe for a terminal: control characters (escape sequences begin with one) become U+FFFD, a
 * line break becomes `line_break`, bytes that are no UTF-8 likewise U+FFFD. Ends with a NUL; cut at `size`. */
size_t show_clean(char *out, size_t size, const char *text, const char *line_break);

void show_time(char out[16], int64_t time_ms); /* "14:03", with the day when it is not today */
void show_iso(char out[32], int64_t time_ms);  /* "2026-01-02T03:04:05.678Z" */

void show_line(FILE *, const struct parley_message *); /* "14:03 bob: text", one line */
void show_json(FILE *, const struct parley_message *); /* one object, one line */
void show_sent_json(FILE *, const struct parley_sent *);

#endif
