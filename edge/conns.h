/* conns.h: the sockets of clients: bytes to frames for the core, frames to bytes from it.
 *
 * Per idle connection 72 bytes and no buffer: what is read goes through one shared buffer and is kept only while a frame
 * is incomplete or the core has paused the client. Output gathered over a turn leaves in one writev per socket, from a
 * hook. A client is not read while its own output is over `pause` bytes or the producer is full; over `cut` it is
 * cut. Loop thread. */
#ifndef PARLEY_EDGE_CONNS_H
#define PARLEY_EDGE_CONNS_H

#include "common/base/loop.h"
#include "edge/core.h"

struct conns;

struct conns_setup {
    struct loop *loop;
    uint32_t max_frame;
    uint32_t pause, cut;         /* bytes of output */
    void (*freed)(void *ctx);    /* a descriptor was closed; may be NULL */
    void (*entering)(void *ctx); /* before each call into the core: tell it the time */
    void *ctx;
};

struct conns *conns_new(const struct conns_setup *); /* NULL: no memory */
void conns_free(struct conns *);                     /* closes everything */
void conns_core(struct conns *, struct edge_core *); /* whom to feed; before the first conns_add() */

/* Takes the socket over (closes it when the core does not want it). */
void conns_add(struct conns *, int fd, uint64_t address);
/* The core's orders, see edge_out. */
void conns_write(struct conns *, uint32_t conn, uint16_t type, uint32_t seq_id, struct slice payload,
                 struct buf *);
void conns_close(struct conns *, uint32_t conn, enum edge_cut);
void conns_pause(struct conns *, uint32_t conn, bool paused);
bool conns_behind(const struct conns *,
                  uint32_t conn);               /* its socket did not take all of an earlier turn's output */
void conns_stall(struct conns *, bool stalled); /* read nobody: the producer is full */
void conns_tick(struct conns *);                /* every 250 ms or so */

struct conns_stats {
    uint64_t bytes_in, bytes_out, pending; /* pending: output not written */
    uint32_t open, buffers;                /* buffers: connections with incomplete input */
};
void conns_stats(const struct conns *, struct conns_stats *);

#endif
