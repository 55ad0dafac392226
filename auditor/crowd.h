/* crowd.h: who sees a number: the members of a conversation at a place in the log. Shared by the messages between two
 * changes of the membership; counted references. One thread. */
#ifndef PARLEY_AUDITOR_CROWD_H
#define PARLEY_AUDITOR_CROWD_H

#include "common/im/conv.h"

struct crowd {
    uint32_t refs, n;
    bool passing;        /* not the same for the next number: somebody sees only later ones */
    struct id16 users[]; /* ascending */
};

/* Of a direct conversation, or of a group whose roster is loaded: those who see `seq`. NULL: the system's. */
struct crowd *crowd_new(const struct conv *, uint64_t seq);
struct crowd *crowd_ref(struct crowd *);
void crowd_unref(struct crowd *);                           /* NULL is fine */
int64_t crowd_find(const struct crowd *, struct id16 user); /* index; -1: is not one of them */
static inline size_t crowd_bytes(const struct crowd *c)
{
    return sizeof *c + c->n * sizeof *c->users;
}

#endif
