/* marks.h: which groups have events that some device of a user did not get. The events are in history; a mark only
 * says that there are some.
 *
 * A user who is away is marked once and not per event: such a mark has no end of its own but goes up to the last
 * event that anybody missed (head.h). One that has an end is of a user who left the group, or may have: nothing after it
 * is known to be theirs. The next event that names the user takes the end away.
 * Ascending by conversation, so that the same marks are the same bytes. */
#ifndef PARLEY_OFFLINE_MARKS_H
#define PARLEY_OFFLINE_MARKS_H

#include "common/base/bytes.h"
#include "common/im/ids.h"

#define MARKS_MAX 4096

struct mark {
    struct id16 conv;
    uint64_t upto; /* 0: the conversation's */
    uint64_t at;   /* with an end: its place in im.offline */
};

struct marks {    /* all zero: none */
    bool missing; /* the user row says that there are some: not loaded yet */
    bool dirty;
    bool rest; /* there was no room for some: they are in history */
    uint32_t n, cap;
    struct mark *v;
};

void marks_release(struct marks *);
size_t marks_memory(const struct marks *);

struct mark *marks_find(const struct marks *, struct id16 conv); /* NULL: none */
struct mark *marks_add(struct marks *, struct id16 conv); /* not there yet; NULL: full, and `rest` is set */
void marks_remove(struct marks *, struct mark *);         /* the last one takes `rest` with it */

/* The first two bytes of a conversation: marks are given to clients in this order, so many at a time. */
static inline uint32_t mark_prefix(const struct mark *m)
{
    return (uint32_t)m->conv.b[0] << 8 | m->conv.b[1];
}
size_t marks_from(const struct marks *, uint32_t prefix); /* the first that has it or a higher one */

void marks_pack(const struct marks *, struct bytes *out);
int marks_unpack(struct marks *, struct slice); /* -EBADMSG, -ENOTSUP; no longer missing */

#endif
