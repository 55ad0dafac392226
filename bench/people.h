/* people.h: the file of accounts that `parley-bench accounts` makes: names, ids, tokens. `load` reads it too. */
#ifndef PARLEY_BENCH_PEOPLE_H
#define PARLEY_BENCH_PEOPLE_H

#include "common/im/ids.h"

#include <jansson.h>

struct person {
    char login[LOGIN_MAX + 1];
    struct id16 id;
    const char *token; /* the file's */
};
struct people {
    json_t *file;
    struct person *v;
    size_t n;
};

/* The first n of the file. -EINVAL: not such a file, or it has fewer (told on stderr). */
int people_read(struct people *, const char *path, size_t n);
void people_release(struct people *);
int people_write(json_t *file, const char *path); /* 0600; -EIO, told */

#endif
