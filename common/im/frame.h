/* frame.h: frames on the wire: [totalLen:4][msgType:2][seqId:4][payload], big-endian; totalLen counts all of
 * it.
 *
 * Pure functions, no allocation, any thread. */
#ifndef PARLEY_IM_FRAME_H
#define PARLEY_IM_FRAME_H

#include "common/base/core.h"
#include "proto/client.pb-c.h"

#define FRAME_HEADER    10
#define FRAME_CAP_LOGIN 4096       /* before login */
#define FRAME_CAP       65536      /* after it, by default */
#define FRAME_CAP_MAX   (1u << 20) /* at most, and always from the server */

struct frame {
    uint16_t type;
    uint32_t seq_id;
    struct slice payload; /* into the window */
};

enum frame_rc {
    FRAME_READY,     /* *out is a frame of *size bytes */
    FRAME_MORE,      /* *size bytes are needed in all, as far as is known */
    FRAME_TOO_SHORT, /* totalLen below the header: nothing after it can be trusted */
    FRAME_TOO_LARGE /* totalLen over `cap`; known from the first 4 bytes. out->seq_id is set when 10 bytes are
                       there */
};

/* Looks at the first frame in a window. */
enum frame_rc frame_decode(const void *window, size_t n, size_t cap, struct frame *out, size_t *size);
void frame_header(uint8_t out[FRAME_HEADER], uint16_t type, uint32_t seq_id, size_t payload_n);

enum {
    FRAME_BEFORE_LOGIN = 1, /* the client may send it before LOGIN_RSP */
    FRAME_AFTER_LOGIN = 2,  /* … and after */
    FRAME_PUSH = 4,         /* from the server by itself; seqId is a delivery number */
    FRAME_QUERY = 8         /* a question for the read models: goes to im.query, `answer` comes from there */
};

struct frame_type {
    uint16_t type;
    uint16_t answer; /* type of the response; 0: not answered */
    uint8_t flags;
    const char *name;
    const ProtobufCMessageDescriptor *request; /* what a client sends under this number; NULL: nothing */
    const ProtobufCMessageDescriptor *server;  /* what a server sends under this number; NULL: nothing */
};

const struct frame_type *frame_type(uint16_t type); /* NULL: unknown */
const struct frame_type *frame_type_named(const char *name);
const struct frame_type *frame_types(size_t *n); /* all, ascending */
const char *frame_name(uint16_t type);           /* "?" when unknown */

#endif
