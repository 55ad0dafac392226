/* sight.h: records of im.deliver.* and im.offline, as what they show: which message is sent to whom.
 *
 * Items without a message (replies, events, signals) show nothing. Recipients that a record names only by their handle
 * are looked up in the presence view, among those that ended last too; who is not there makes the sight nameless. */
#ifndef PARLEY_AUDITOR_SIGHT_H
#define PARLEY_AUDITOR_SIGHT_H

#include "auditor/books.h"

struct arena;
struct presence;
struct topics;

struct sight_env {
    const struct topics *topics;
    const struct presence *presence; /* NULL: handles are not known */
    struct books *books;
    struct arena *arena; /* scratch, reset by each call */
};

/* `record.topic` is T_OFFLINE or a delivery topic. 0; -EBADMSG: cannot be read; -ENOTSUP: newer than this program. */
int sight_record(const struct sight_env *, const struct record *);

#endif
