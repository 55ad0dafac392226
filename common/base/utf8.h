/* utf8.h: is this text that every part of the system can store and show? Any thread. */
#ifndef PARLEY_BASE_UTF8_H
#define PARLEY_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Strict: no NUL (PostgreSQL refuses it, C cuts there), no surrogates, no overlong forms, nothing above
 * U+10FFFF. */
bool utf8_valid(const void *p, size_t n);

/* Bytes of the valid character at p (1–4), 0: none starts there within n bytes. NUL is not valid. */
size_t utf8_char(const void *p, size_t n);

#endif
