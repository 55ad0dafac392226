/* output.h: frames that wait to be written to a socket, and the writing of them.
 *
 * Small payloads are copied behind their headers into 4 KiB pieces, larger ones are referenced, so that what goes to many
 * is in memory once. Pieces come from a free list; an idle connection has none. One thread. */
#ifndef PARLEY_EDGE_OUTPUT_H
#define PARLEY_EDGE_OUTPUT_H

#include "common/base/buf.h"

#include <stdbool.h>

#define OUTPUT_COPY 512 /* payloads up to here are copied */

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
