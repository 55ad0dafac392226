/* procs.h: CPU time of processes and all their descendants, from /proc. */
#ifndef PARLEY_BENCH_PROCS_H
#define PARLEY_BENCH_PROCS_H

#include "bench/args.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define PROCS_MAX 32

struct procs {
    size_t n;
    struct procs_one {
        char name[32];
        int pid;
        int64_t before_us, used_us; /* used_us: since procs_begin, at procs_end */
    } v[PROCS_MAX];
};

/* Each "name=pid". 0 or -EINVAL (told on stderr). */
int procs_init(struct procs *, const struct arg_list *);
void procs_begin(struct procs *);
void procs_end(struct procs *);
int64_t procs_total_us(const struct procs *);
/* {"edge-1": µs per message, …, "total": …} */
json_t *procs_json(const struct procs *, uint64_t messages);

int64_t procs_self_us(void); /* this process, all its threads and the children it waited for */

#endif
