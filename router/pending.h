/* pending.h: sends that must not leave before a login's verdict is in the log.
 *
 * A login opens a pending for its user and gives its verdict the tag. What is sent for that user through pending_send
 * from then on (presence, offline and kick records, of this and of later records) is kept and leaves, in order, when
 * the verdict is acked; logins of one user wait for each other. Without an open pending it leaves at once. Held
 * memory is bounded by the shell's batches: nothing is committed before it has left. */
#ifndef PARLEY_ROUTER_PENDING_H
#define PARLEY_ROUTER_PENDING_H

#include "common/im/codec.h"

struct pending;

struct pendings { /* zeroed: empty */
    struct pending *by_tag;
    struct pending_user *users;
    uint64_t last_tag;
};

void pendings_release(struct pendings *);

uint64_t pending_open(struct pendings *, struct id16 user); /* the tag for the verdict */
/* message NULL: a tombstone. key is at most 16 bytes; topics are keyed unless `part` says where. */
void pending_send(struct pendings *, struct fx *, struct id16 user, uint16_t topic, int32_t part,
                  struct slice key, const ProtobufCMessage *message);
void pending_sent(struct pendings *, uint64_t tag, struct fx *); /* from core_ops.sent, when it was SENT_OK */

#endif
