/* receipts.h: up to where conversations are read and delivered, and what of it the server has to be told.
 *
 * At most one a second and conversation. Nobody answers a receipt: what was told shortly before a connection broke is
 * told again. No I/O and no clock. */
#ifndef PARLEY_CLIENT_RECEIPTS_H
#define PARLEY_CLIENT_RECEIPTS_H

#include "common/im/ids.h"

struct receipts;

struct receipt {
    struct id16 conv;
    uint64_t read, delivered; /* 0: nothing new */
};

struct receipts *receipts_new(void);
void receipts_free(struct receipts *);
/* 0: unchanged. What is not above the last value changes nothing. -ENOMEM. */
int receipts_add(struct receipts *, struct id16 conv, uint64_t read, uint64_t delivered);
bool receipts_next(struct receipts *, int64_t now, struct receipt *); /* one to be told now */
int64_t receipts_due(const struct receipts *);                        /* INT64_MAX: never */
/* The connection broke, or the server was busy: what was told lately is told again, a second from now. */
void receipts_again(struct receipts *, int64_t now);

#endif
