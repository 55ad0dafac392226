/* validate.h: a client's request, from bytes to checked fields.
 *
 * Checks each field by itself: UTF-8 without NUL, lengths, ranges, ids of 16 bytes, exactly one of
 * alternatives. What needs knowledge of accounts or sessions is not checked here. Pure, any thread. */
#ifndef PARLEY_IM_VALIDATE_H
#define PARLEY_IM_VALIDATE_H

#include "common/im/frame.h"

#define PASSWORD_MIN     8
#define PASSWORD_MAX     256
#define DISPLAY_NAME_MAX 128
#define REMARK_MAX       128
#define DEVICE_ID_MAX    64
#define DEVICE_CLASS_MAX 32
#define CLIENT_MAX       64
#define TOKEN_MAX        512
#define CONTENT_TYPE_MAX 128
#define BODY_MAX         (FRAME_CAP_MAX - 32768) /* fits into a frame from the server, also within a page */
#define CURSORS_MAX      64
#define PULL_MAX         1000
#define NAMED_MAX        100 /* users named by one request */
#define GROUP_NAME_MAX   128
#define NOTICE_MAX       4096 /* also an announcement */
#define WORD_MAX         1024 /* that goes with a request to join, or to be friends */
#define REACTION_MAX     32
#define MUTE_MAX_S       3155760000u /* a hundred years */
#define PAGE_MARK_MAX    256         /* `next` and `after` of pages: bytes that only the server reads */
#define SEARCH_MAX       256
#define PRESENCE_MAX     500
#define GROUP_FLAGS      15u

struct validity {
    Im__Code code;     /* OK: good */
    const char *field; /* static; "" when it is not about one field */
};

/* Unpacks with the caller's allocator (arena with a budget) and checks. *out is NULL unless the code is OK.
 * UNKNOWN_TYPE: not a request, or reserved. State (before or after login) is the caller's to check. */
struct validity validate_decode(uint16_t type, struct slice payload, ProtobufCAllocator *,
                                ProtobufCMessage **out);
/* Only the fields. */
struct validity validate_request(uint16_t type, const ProtobufCMessage *);

bool validate_utf8(const void *p,
                   size_t n); /* strict: no overlong forms, surrogates, NUL, nothing over U+10FFFF */

#endif
