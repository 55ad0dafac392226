/* show.h: text from others made safe and fitted; messages as lines and as JSON. show_rows.h has the rest. */
#ifndef PARLEY_TERMINAL_SHOW_H
#define PARLEY_TERMINAL_SHOW_H

#include "client/lib/parley_history.h"

#include <jansson.h>
#include <stdio.h>

/* What came from others, safe for a terminal: control characters (escape sequences begin with one) become U+FFFD, a
 * line break becomes `line_break`, bytes that are no UTF-8 likewise U+FFFD. Ends with a NUL; cut at `size`. */
size_t show_clean(char *out, size_t size, const char *text, const char *line_break);
int show_width(const char *text); /* columns; what is no character counts one */
/* Clean, and exactly `cols` columns: cut with "…", or filled with blanks. cols < 0: cut to -cols, not filled. */
void show_column(char *out, size_t size, const char *text, int cols);

/* Breaks clean text into lines of `cols` columns, between words where it can. The first begins at column `at`, later
 * ones after `indent` blanks. */
void show_wrap(char *out, size_t size, const char *text, int at, int indent, int cols);

void show_time(char out[16], int64_t time_ms); /* "14:03", with the day when it is not today */
void show_iso(char out[32], int64_t time_ms);  /* "2026-01-02T03:04:05.678Z" */

void show_line(FILE *, const struct parley_message *); /* "14:03 bob: text", one line */
void show_json(FILE *, const struct parley_message *); /* one object, one line */
void show_sent_json(FILE *, const struct parley_sent *);
json_t *show_message_json(const struct parley_message *);
json_t *show_hex_json(const void *, size_t n);
json_t *show_text_json(const char *); /* "" instead of what is no UTF-8 */
void show_put_json(FILE *, json_t *); /* a line; stolen */

/* What happened, for people: "bob invited carol and dave", "bob: hello" without a time; one line unless `line_break`
 * says otherwise. Clean. */
void show_event(char *out, size_t n, const struct parley_message *, const char *line_break);
void show_note(char *out, size_t n, const struct parley_note *);

#endif
