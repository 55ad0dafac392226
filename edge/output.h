/* output.h: frames that wait to be written to a socket, and the writing of them.
 *
 * What goes to many is in memory once and referenced; small frames that gather on one socket are copied together into 4 KiB
 * pieces. Pieces come from free lists; an idle connection has none. One thread. */
#ifndef PARLEY_EDGE_OUTPUT_H
#define PARLEY_EDGE_OUTPUT_H

#include "common/base/buf.h"

#include <stdbool.h>

#define OUTPUT_COPY 512 /* payloads up to here are copied behind others */

struct piece;
struct output { /* in the connection; all zero: nothing waits */
    struct piece *head, *tail;
    uint32_t bytes;
};

/* owner NULL: payload is copied whatever its size. False: no memory, the stream is broken, close it. */
bool MUST_CHECK output_frame(struct output *, uint16_t type, uint32_t seq_id, struct slice payload,
                             struct buf *owner);
/* Writes what the socket takes, in one writev as a rule. Bytes written; -EAGAIN; other errors: the socket is dead. */
int output_flush(struct output *, int fd);
void output_clear(struct output *);
void output_trim(void); /* gives free pieces back to malloc; at exit */

#endif
