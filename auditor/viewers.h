/* viewers.h: who sees a number: the members of a conversation at a place in the log. Shared by the messages between two
 * changes of the membership; counted references. One thread. */
#ifndef PARLEY_AUDITOR_VIEWERS_H
#define PARLEY_AUDITOR_VIEWERS_H

#include "common/im/conv.h"

struct viewers {
    uint32_t refs, n;
    bool passing;        /* not the same for the next number: somebody sees only later ones */
    struct id16 users[]; /* ascending */
};

/* Of a direct conversation, or of a group whose roster is loaded: those who see `seq`. NULL: the system's. */
struct viewers *viewers_new(const struct conv *, uint64_t seq);
struct viewers *viewers_ref(struct viewers *);
void viewers_unref(struct viewers *);                           /* NULL is fine */
int64_t viewers_find(const struct viewers *, struct id16 user); /* index; -1: is not one of them */
static inline size_t viewers_bytes(const struct viewers *c)
{
    return sizeof *c + c->n * sizeof *c->users;
}

#endif
