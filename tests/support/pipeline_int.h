/* pipeline_int.h: what the files of pipeline.h share. */
#ifndef PARLEY_SUPPORT_PIPELINE_INT_H
#define PARLEY_SUPPORT_PIPELINE_INT_H

#include "tests/support/pipeline.h"

#include <libpq-fe.h>
#include <limits.h>

/* cmocka.h wants these first */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct pl_proc {
    pid_t pid; /* 0: does not run */
    int http, listen;
    int status;      /* of the last end */
    bool wanted;     /* its end would be a surprise */
    const char *env; /* borrowed: of every start */
    char address[32];
    char log[PATH_MAX + 64];
};

struct pl {
    struct pl *next;
    char prefix[32], schema[64];
    char folder[PATH_MAX], config[PATH_MAX + 16];
    char bins[PATH_MAX], tree[PATH_MAX];
    int n[PL_KINDS];
    struct pl_proc procs[PL_KINDS][PL_EACH_MAX];
    bool supervised, topics;
    int deaths;
    PGconn *pg;
    char *text; /* what the last call handed out */
};

extern const char *const pl_kind_names[PL_KINDS];

const char *pl_keep(struct pl *, char *text); /* takes it; returns it */
char *pl_read_file(const char *path);         /* "" when it is not there */
char *pl_read_fd(int fd);                     /* to its end; closes it */
void pl_environment(const struct pl *);       /* in a child: of the deployment */
bool pl_port_free(const char *address);
void pl_kill_quietly(struct pl_proc *);
void pl_clean_servers(struct pl *); /* topics, schema, keys: as far as the servers answer */
void pl_remove_folder(const struct pl *);

#endif
