/* args.h: options of the sub-commands: one table each, which is also the help text. */
#ifndef PARLEY_BENCH_ARGS_H
#define PARLEY_BENCH_ARGS_H

#include <stddef.h>

enum arg_kind {
    ARG_TEXT,   /* const char * */
    ARG_NUMBER, /* uint64_t */
    ARG_FLAG,   /* bool, no value */
    ARG_LIST    /* struct arg_list: may be given several times */
};

struct arg_list {
    const char *v[16];
    size_t n;
};

struct arg {
    const char *name; /* without the dashes */
    enum arg_kind kind;
    void *to;
    const char *help;
};

/* "--name value" or "--name=value". 0: go on; otherwise the exit status is that minus one (1: help was shown,
 * 3: wrong usage, told). */
/* A conninfo may hold a password, which arguments show to everybody: "env" stands for $PARLEY_POSTGRES. */
const char *args_postgres(const char *given);

/* Names become addresses, each the first one it has; before the clock runs. 0, or after having said why. */
int args_edges(struct arg_list *);

int args_parse(const char *about, const struct arg *, size_t n, int argc, char **argv);

#endif
