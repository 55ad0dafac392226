/* names.h: logins of users met lately. A login never changes and is never given again, so what is here is right for ever;
 * when it is full, all of it is forgotten. Loop thread. */
#ifndef PARLEY_QUERY_NAMES_H
#define PARLEY_QUERY_NAMES_H

#include "common/im/ids.h"

#include <stddef.h>

struct names;

struct names *names_new(size_t max); /* about 100 bytes each */
void names_free(struct names *);
const char *names_get(const struct names *, struct id16 user); /* NULL: not known; until the next put */
void names_put(struct names *, struct id16 user, const char *login);

#endif
