/* listen.h: takes clients' connections in bursts; out of descriptors it stops listening for a while, without spinning,
 * and goes on as soon as one is free. Loop thread. */
#ifndef PARLEY_EDGE_LISTEN_H
#define PARLEY_EDGE_LISTEN_H

#include "common/base/loop.h"

#include <sys/socket.h>

struct listener {
    struct loop *loop;
    struct loop_fd watch;
    struct timer retry;
    bool open, starved;
    void (*accepted)(void *ctx, int fd,
                     uint64_t address); /* non-blocking, TCP_NODELAY and keepalive are set */
    void *ctx;
};

/* -EINVAL: not an address; -EADDRINUSE, … `accepted` and ctx are set by the caller before. */
int MUST_CHECK listener_open(struct listener *, struct loop *, const char *address);
int listener_port(const struct listener *); /* what port 0 became; -errno */
void listener_close(struct listener *);     /* fine when it is not open */
void listener_freed(struct listener *);     /* a descriptor was closed */

/* What an address is known by. IPv6 hosts choose their lower half freely: it is left out. */
uint64_t listener_number(const struct sockaddr_storage *);

#endif
