/* macros.h: the few compiler words the rest of the tree uses. */
#ifndef PARLEY_BASE_MACROS_H
#define PARLEY_BASE_MACROS_H

#include <stddef.h>

#define MUST_CHECK             __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

#define ARRAY_LEN(a)           (sizeof(a) / sizeof *(a))

/* From a pointer to an embedded member to the struct that holds it; the member's type is checked. */
#define container_of(ptr, type, member) \
    ((type *)((char *)(1 ? (ptr) : &((type *)0)->member) - offsetof(type, member)))

#endif
