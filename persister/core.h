/* core.h: the persister's two cores: what the log says, as rows.
 *
 * persister_conv   input T_CONVERSATION: the reducer's cells, byte for byte those of fanout, and one history row per
 *                  accepted record. A record that no version can read is dropped (dead-lettered) by every reader alike;
 *                  rules or a version this binary does not know halt the partition.
 * persister_users  inputs T_USER, T_VAULT: accounts, devices, sealed verifiers. Records may repeat (a router that was
 *                  restarted sends again): the first REGISTERED of a user stays, the rest is written again as it was.
 * Neither sends anything, except dead letters. */
#ifndef PARLEY_PERSISTER_CORE_H
#define PARLEY_PERSISTER_CORE_H

#include "common/base/core.h"

struct bodykeys;

struct persister_settings {
    int64_t cache_bytes;     /* conversations kept between batches, per partition */
    struct bodykeys *bodies; /* opens what was said (bodykeys.h); NULL: it is kept as it is */
};

extern const struct core_ops persister_conv;
extern const struct core_ops persister_users;

#endif
