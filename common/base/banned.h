/* banned.h: functions that Parley does not use, because a safer one does the same.
 *
 * The Makefile includes this file first in every one of our sources (not in generated ones), so a use fails the
 * build with the function's name in the message. The headers that declare them come first, or the macros would
 * spoil the declarations. */
#ifndef PARLEY_BASE_BANNED_H
#define PARLEY_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define PARLEY_BANNED(func) sorry_##func##_is_a_banned_function

/* No bound, or a bound that does not do what one thinks: snprintf, memcpy with a known length. */
#undef strcpy
#define strcpy(d, s) PARLEY_BANNED(strcpy)
#undef stpcpy
#define stpcpy(d, s) PARLEY_BANNED(stpcpy)
#undef strcat
#define strcat(d, s) PARLEY_BANNED(strcat)
#undef strncpy
#define strncpy(d, s, n) PARLEY_BANNED(strncpy)
#undef strncat
#define strncat(d, s, n) PARLEY_BANNED(strncat)
#undef sprintf
#define sprintf(...) PARLEY_BANNED(sprintf)
#undef vsprintf
#define vsprintf(...) PARLEY_BANNED(vsprintf)
#undef gets
#define gets(s) PARLEY_BANNED(gets)
#undef alloca
#define alloca(n) PARLEY_BANNED(alloca)

/* One hidden buffer for all callers: strtok_r, gmtime_r, localtime_r, strftime. */
#undef strtok
#define strtok(s, d) PARLEY_BANNED(strtok)
#undef gmtime
#define gmtime(t) PARLEY_BANNED(gmtime)
#undef localtime
#define localtime(t) PARLEY_BANNED(localtime)
#undef ctime
#define ctime(t) PARLEY_BANNED(ctime)
#undef asctime
#define asctime(t) PARLEY_BANNED(asctime)

/* Cannot tell an error from a number: strtol, strtoull with errno and the end pointer. */
#undef atoi
#define atoi(s) PARLEY_BANNED(atoi)
#undef atol
#define atol(s) PARLEY_BANNED(atol)
#undef atoll
#define atoll(s) PARLEY_BANNED(atoll)

#endif
