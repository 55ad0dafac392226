/* lying.h: a store whose server says anything at all. The input is what the server sends. One partition is opened, read and written; every question must get exactly one answer. */
#ifndef PARLEY_FUZZ_LYING_H
#define PARLEY_FUZZ_LYING_H

#include "common/base/loop.h"
#include "common/base/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LYING_TURNS 6

struct lying {
    struct store_part *part;
    int opened, loaded, put, rows;
    enum store_rc rc;
    size_t sum; /* of what rows hold: they have to be readable */
};

/* A listening socket at `path`, which is made fit for this process. */
static inline int lying_listen(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 16))
        abort();
    return fd;
}

static inline void lying_opened(void *ctx, enum store_rc rc, struct store_part *p, const struct store_mark *m)
{
    struct lying *l = ctx;
    l->opened++;
    l->part = p;
    l->rc = rc;
    if ((rc == STORE_OK) != (p != NULL) || (rc == STORE_OK && !m))
        abort();
}

static inline void lying_row(void *ctx, const struct store_key *key, struct slice row)
{
    struct lying *l = ctx;
    const unsigned char *p = row.p;
    l->rows++;
    for (size_t i = 0; i < row.n; i++)
        l->sum += p[i];
    if (!key)
        abort();
}

static inline void lying_loaded(void *ctx, enum store_rc rc)
{
    struct lying *l = ctx;
    l->loaded++;
    l->rc = rc;
}

static inline void lying_put(void *ctx, enum store_rc rc)
{
    struct lying *l = ctx;
    l->put++;
    l->rc = rc;
}

struct lying_server {
    int listener, fd; /* fd: -1 as long as nobody came */
    struct slice parts[4];
};

/* The input: three lengths of two bytes, then what is sent to whoever connects, to the first, the second and the third
 * question. */
static inline void lying_split(struct lying_server *v, const uint8_t *data, size_t n)
{
    size_t at = n < 6 ? n : 6;
    for (size_t i = 0; i < 4; i++) {
        size_t left = n - at, want = i < 3 && n >= 6 ? (size_t)(data[2 * i] << 8 | data[2 * i + 1]) : left;
        v->parts[i] = (struct slice){data + at, want < left ? want : left};
        at += v->parts[i].n;
    }
}

static inline void lying_say(struct lying_server *v, size_t part)
{
    if (v->fd >= 0 && v->parts[part].n)
        (void)!send(v->fd, v->parts[part].p, v->parts[part].n, MSG_NOSIGNAL);
    if (v->fd >= 0 && part == 3)
        shutdown(v->fd, SHUT_WR);
}

/* Turns the loop until `*answered`, or nothing more can come. */
static inline void lying_turns(struct loop *loop, struct lying_server *v, const int *answered)
{
    for (int i = 0; i < LYING_TURNS && !*answered; i++) {
        if (v->fd < 0 && (v->fd = accept4(v->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
            lying_say(v, 0);
        if (loop_turn(loop, i < LYING_TURNS / 2 ? 0 : 1))
            abort();
    }
}

/* *l is zeroed, and lives until the store is gone: what is open then is answered once more. */
static inline void lying_ask(struct lying *l, struct loop *loop, struct store *s, int listener,
                             const uint8_t *data, size_t n)
{
    static const struct store_key keys[] = {{0, {"first", 5}}, {0, {"second", 6}}};
    static const struct store_row rows[] = {{0, false, {"first", 5}, {"x", 1}},
                                            {0, false, {"second", 6}, {NULL, 0}}};
    const int64_t committed[STORE_TOPICS] = {0};
    struct store_mark mark = {.generation = 7, .serial = 1, .present = true};
    struct store_put put = {rows, 2, &mark, false};
    struct lying_server v = {.listener = listener, .fd = -1};
    lying_split(&v, data, n);
    for (int i = 0; i < 4 && !store_up(s); i++)
        lying_turns(loop, &v, &(int){0});
    store_open(s, "fuzz", 0, 1, committed, lying_opened, l);
    lying_turns(loop, &v, &l->opened);
    lying_say(&v, 1);
    lying_turns(loop, &v, &l->opened);
    if (l->part) {
        s->ops->load(l->part, keys, 2, lying_row, lying_loaded, l);
        lying_turns(loop, &v, &l->loaded);
        lying_say(&v, 2);
        lying_turns(loop, &v, &l->loaded);
        s->ops->put(l->part, &put, lying_put, l);
        lying_turns(loop, &v, &l->put);
        lying_say(&v, 3);
        lying_turns(loop, &v, &l->put);
        s->ops->close(l->part);
    }
    if (l->opened > 1 || l->loaded > 1 || l->put > 1 || l->rows > 2)
        abort();
    if (v.fd >= 0)
        close(v.fd);
    while ((v.fd = accept(v.listener, NULL, NULL)) >= 0)
        close(v.fd);
}

#endif
