/* core.h: the router's core: im.inbound in, one record per verb out. See common/base/core.h for who calls it.
 *
 * Group parley-router, input im.inbound, outputs im.conversation, im.signal, im.user, im.vault, im.presence, im.offline,
 * delivery topics. Store: ROUTER_ACCOUNT, one row per account under the user's id. core_open.settings is a
 * struct router_settings, core_open.shared a const struct lease * (the view of all of im.lease).
 *
 * Repeating a record gives the same answers: a registration by the record that made the account is OK again, a login
 * finds the device that it made. A login's presence, offline and kick records leave after its verdict is in the
 * log (pending.h), so that nothing is pushed to a connection that does not know yet that it is logged in.
 */
#ifndef PARLEY_ROUTER_CORE_H
#define PARLEY_ROUTER_CORE_H

#include "common/base/core.h"

#include <stdbool.h>

enum { ROUTER_ACCOUNT = 1 };

struct secrets;

struct router_settings {
    int64_t cache_bytes; /* accounts in memory, per partition */
    bool one_per_class;  /* a login ends the sessions of the user's other devices of its class */
    /* Stamped on every conversation record, because they can change what becomes of it. */
    bool strangers_refused;
    int64_t recall_limit_ms; /* 0: none */
    int64_t group_cap, receipt_cap;
    bool seal;                     /* what a user says is sealed under the user's key */
    const struct secrets *secrets; /* opens those keys; NULL: nothing is sealed */
};

extern const struct core_ops router_core;

#endif
