/* conns_int.h: between conns.c and conns_out.c. */
#ifndef PARLEY_EDGE_CONNS_INT_H
#define PARLEY_EDGE_CONNS_INT_H

#include "edge/conns.h"
#include "edge/output.h"

#define CONNS_CHUNK 256

enum {
    SOCK_USED = 1,
    SOCK_PAUSED = 2,   /* by the core */
    SOCK_BEHIND = 4,   /* its output is over the limit */
    SOCK_PARKED = 8,   /* readable, but the producer is full */
    SOCK_CLOSING = 16, /* the core is done with it */
    SOCK_DIRTY = 32,   /* in the list of sockets to look at */
    SOCK_WANTS_OUT = 64,
    SOCK_FEED = 128, /* was resumed with input in hand */
    SOCK_SLOW = 256, /* over the cap: the core is told in the hook */
    SOCK_DEAD = 512, /* writing failed, or closed by the other end */
    SOCK_SHUT = 1024 /* everything is written; waiting for the other end to close */
};

struct inbuf {
    uint32_t n, cap;
    uint8_t data[];
};

struct sock { /* 72 bytes */
    struct loop_fd watch;
    struct inbuf *in;
    struct output out;
    struct sock *next; /* in the dirty list */
    uint32_t conn;
    uint32_t closing_at; /* ticks */
    uint16_t flags;
};

struct conns {
    struct conns_setup setup;
    struct edge_core *core;
    struct loop_hook hook;
    struct sock **chunks;
    uint32_t n_chunks;
    struct sock *dirty;
    uint32_t *closing, n_closing, cap_closing; /* connections that still have output */
    uint32_t *parked, n_parked, cap_parked;
    uint32_t ticks;
    bool stalled;
    uint8_t *scratch;
    struct conns_stats stats;
};

extern struct conns *conns_the;

struct sock *conns_sock(const struct conns *, uint32_t conn);
void conns_interest(struct conns *, struct sock *);
void conns_drop_input(struct conns *, struct sock *);
void conns_read(struct conns *, struct sock *);
void conns_gone(struct conns *, struct sock *); /* closed, and the core told, in the hook */
void conns_dirty(struct conns *, struct sock *);
void conns_park(struct conns *, struct sock *);
void conns_flush_hook(struct loop_hook *);
void conns_again(struct conns *, struct sock *); /* feeds kept input after a resume */

#endif
