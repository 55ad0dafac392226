/* when.h: moments as people write them. */
#ifndef PARLEY_CTL_WHEN_H
#define PARLEY_CTL_WHEN_H

#include <stdint.h>

/* "2026-05-01T12:00:00Z" (UTC; the date alone, or without seconds, will do), Unix milliseconds, or so long ago: "90s",
 * "30m", "2h", "7d". -EINVAL: none of these. */
int when_parse(const char *text, int64_t *ms);
/* 0, or CTL_USAGE after having said why. */
int when_option(const char *text, const char *option, int64_t *ms);
/* "2026-05-01T12:00:00.123Z" */
void when_text(int64_t ms, char out[32]);
/* "3.2 s", "5 min", "2.5 h", "3.0 d" */
void when_span(int64_t ms, char out[24]);

#endif
