/* link.h: client sockets of one loop: connecting, frames in, frames out once a turn. For the commands whose clients are
 * simpler than those of `load`.
 *
 * Link i goes to edge i mod n and comes from 127.0.0.(1 + i / 4000) when that is loopback, so that neither ports nor an
 * edge's limit per address run out. Loop thread only. */
#ifndef PARLEY_BENCH_LINK_H
#define PARLEY_BENCH_LINK_H

#include "bench/args.h"

#include "common/base/bytes.h"
#include "common/base/loop.h"

#include <protobuf-c/protobuf-c.h>

struct link;
struct links {
    struct loop *loop;
    struct arg_list edges;
    void (*up)(struct link *); /* connected */
    void (*frame)(struct link *, uint16_t type, uint32_t seq_id, struct slice payload);
    void (*over)(struct link *, const char *why); /* not by link_close(); it is closed when this is called */
    struct link *flush_list;                      /* private from here on */
    struct loop_hook hook;
};

struct link {
    struct loop_fd watch;
    struct links *set;
    struct link *next_flush;
    uint32_t index;
    int fd;
    bool open, connecting, blocked, queued;
    struct bytes in, out;
};

void links_init(struct links *); /* the caller has set the fields above */
int MUST_CHECK link_open(struct link *, struct links *, uint32_t index); /* -errno, told on stderr */
void link_close(struct link *); /* fine when it is not open; keeps nothing */
void link_frame(struct link *, uint16_t type, uint32_t seq_id, const void *payload, size_t n);
void link_send(struct link *, uint16_t type, uint32_t seq_id, const ProtobufCMessage *); /* up to 64 KiB */
/* LOGIN_REQ by token, as the device "bench". */
void link_login(struct link *, uint32_t seq_id, const char *token);

#endif
