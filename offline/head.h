/* head.h: up to where a conversation has events that somebody of this partition missed. */
#ifndef PARLEY_OFFLINE_HEAD_H
#define PARLEY_OFFLINE_HEAD_H

#include "common/base/bytes.h"
#include "common/base/rowcache.h"

struct head {
    struct row row; /* of the core's cache; must be first; its key is the conversation */
    bool dirty;
    uint64_t last; /* 0: nothing yet */
    uint64_t at;   /* where im.offline said so, plus one */
};

struct head *head_new(void);                               /* freed by free() */
bool head_raise(struct head *, uint64_t seq, uint64_t at); /* true: it changed */

void head_pack(const struct head *, struct bytes *out);
int head_unpack(struct head *, struct slice); /* -EBADMSG, -ENOTSUP */

#endif
