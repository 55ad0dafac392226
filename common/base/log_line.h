/* log_line.h: a log line as text or JSON. Only for log.c and its test. Any thread. */
#ifndef PARLEY_BASE_LOG_LINE_H
#define PARLEY_BASE_LOG_LINE_H

#include "common/base/log.h"

struct log_line {
    const struct log_options *how;
    int64_t wall_ms;
    enum log_level level;
    const char *msg;
    uint32_t repeated; /* above 0: says so, instead of fields */
    const struct log_field *fields;
    size_t n;
};

/* Writes the line, its newline included, and returns its length. A field that does not fit is left out and
 * the line says "truncated"; long values are cut. */
size_t log_line_format(char out[LOG_LINE], const struct log_line *);

#endif
