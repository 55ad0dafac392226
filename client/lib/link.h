/* link.h: one TCP connection at a time to one of several servers; non-blocking, buffered, frames in and out.
 */
#ifndef PARLEY_CLIENT_LINK_H
#define PARLEY_CLIENT_LINK_H

#include "common/base/bytes.h"

#include <netdb.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#define LINK_SERVERS 16

struct server {
    char host[256], port[8];
    char name[280]; /* as in the setting */
};

struct link {
    struct server servers[LINK_SERVERS];
    size_t n, at; /* the one used now, or last */
    struct addrinfo *addrs, *addr;
    int fd;  /* -1: none */
    bool up; /* connected */
    struct bytes in, out;
};

int link_init(struct link *, const char *servers); /* -EINVAL: not host:port[,host:port…] */
void link_release(struct link *);

/* To servers[at]. 0: under way (wait for writable), or up already; else why not. Looks the name up, which may
 * block. */
int link_connect(struct link *);
int link_connected(
    struct link *); /* fd became writable: 0 up; -EINPROGRESS: trying its next address; else failed */
void link_next(struct link *);  /* the next server in the list */
void link_close(struct link *); /* drops what is buffered */

ssize_t link_read(struct link *); /* appends to `in`; 0: closed by the other side; -EAGAIN */
int link_flush(struct link *);    /* 0: all written or the socket is full; else it is broken */
void link_frame(struct link *, uint16_t type, uint32_t seq_id,
                const ProtobufCMessage *); /* msg may be NULL: empty */
/* Of a packed payload, behind a field 1 that is a number (0: none). */
void link_packed(struct link *, uint16_t type, uint32_t seq_id, uint64_t field1, const void *body, size_t n);

#endif
