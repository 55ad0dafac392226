/* verbs.h: inside the router's core: its state, and one function per kind of im.inbound record, each in its file.
 *
 * A verb gets a decoded record whose account row is in memory (a->exists says whether there is an account). CORE_OK,
 * or CORE_POISON when the record makes no sense at all; a refusal that the client should hear is an answer, not an
 * error. */
#ifndef PARLEY_ROUTER_VERBS_H
#define PARLEY_ROUTER_VERBS_H

#include "common/base/arena.h"
#include "common/base/rowcache.h"
#include "common/im/codec.h"
#include "common/im/deliver.h"
#include "common/im/lease.h"
#include "common/im/topics.h"
#include "router/account.h"
#include "router/core.h"
#include "router/pending.h"

struct router {
    int32_t part;
    int64_t quiet; /* below: sends are dropped by the shell and not reported */
    const struct router_settings *settings;
    const struct lease *lease;
    struct rowcache accounts;
    struct arena *arena; /* for unpacking one record */
    struct deliver *out;
    struct pendings pendings;
    struct bytes scratch;
    bool broken; /* a row could not be read: stop */
};

struct inbound { /* one record, decoded */
    const struct record *rec;
    const Im__Inbound *m;
    struct session from; /* user is the record's key */
    struct account *account;
    struct slice trace;
    bool by_operator; /* from parleyctl: no edge, no user, no answer */
};

typedef enum core_rc router_verb(struct router *, const struct inbound *, struct fx *);
router_verb route_register, route_lookup, route_login, route_end, route_chat, route_pull, route_receipt,
    route_signal, route_revoke, route_profile, route_prefs, route_admin, route_erase, route_rekey;

/* The session may still do something: its account and device exist, and it was not revoked. One that was replaced may:
 * its frames were acked. */
bool router_may_act(const struct inbound *);

void router_put(struct router *, struct account *, struct fx *); /* the row as it is now */
/* A client message as the answer to the frame. */
void router_reply(struct router *, const struct inbound *, struct fx *, Im__FrameType,
                  const ProtobufCMessage *);
/* An item of any kind to one session; nothing when its epoch is over. */
void router_tell(struct router *, struct fx *, const struct session *to, const struct deliver_item *);

#endif
