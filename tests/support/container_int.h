/* container_int.h: what the files of container.h share: the structs; HTTP requests, one at a time, on the engine's unix
 * socket; labels; the reaper. */
#ifndef PARLEY_SUPPORT_CONTAINER_INT_H
#define PARLEY_SUPPORT_CONTAINER_INT_H

#include "tests/support/container.h"

#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

struct container_bytes {
    char *p; /* NUL after n; may be NULL */
    size_t n;
};

struct container_engine {
    void *curl;
    char socket[108];
    char error[600];
};

#define CONTAINER_PORTS_MAX 8

struct container_run {
    struct container_engine engine;
    char project[64], label[120], owner[256];
    int pipe;
    pid_t reaper;
    struct container *all;
};

struct container {
    struct container *next;
    struct container_run *run;
    char id[80], name[64];
    char since[48]; /* of its last start, as the engine's logs want it */
    struct container_port ports[CONTAINER_PORTS_MAX + 1];
};

int64_t container_now_ms(void);                                          /* monotonic */
int container_post(struct container *, const char *what, long limit_ms); /* POST /containers/ID/what */
int container_state(struct container *, json_t **answer);                /* what the engine knows of it */

struct container_request {
    const char *method, *path; /* path with its query, escaped */
    const void *body;          /* sent as type, application/json when NULL */
    size_t body_n;
    const char *type;
    long limit_ms;               /* 0: one minute */
    struct container_bytes *out; /* the answer's body, for free(); NULL: not wanted */
};

int engine_open(struct container_engine *);
void engine_close(struct container_engine *);
/* Notes the words and returns rc. */
int engine_fail(struct container_engine *, int rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int engine_call(struct container_engine *, const struct container_request *);
/* The same with JSON both ways: takes body (NULL: none); *answer is for json_decref(), may be NULL. */
int engine_json(struct container_engine *, const char *method, const char *path, json_t *body,
                json_t **answer);
/* Turns a log or exec stream into its text, in place. */
void engine_unframe(struct container_bytes *);

/* ---- labels: who owns what ---- */
void engine_owner(char *text, size_t n); /* this process: boot/pid namespace/pid/start */
/* Removes by force what has the label "name=value", with volumes. Count, or negative. */
int engine_remove_labelled(struct container_engine *, const char *label);
/* Removes what has the label name with an owner that is gone. */
int engine_remove_leavings(struct container_engine *, const char *name);

/* A forked process that removes what has the label when this one dies or closes the pipe without a byte; *pipe is to be
 * kept. */
int engine_reaper(struct container_engine *, const char *label, int *pipe);

#endif
