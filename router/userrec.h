/* userrec.h: records of im.user: what became of an account, for ever. Each names the record of im.inbound that it came
 * from; a repeat of that one writes the same again. */
#ifndef PARLEY_ROUTER_USERREC_H
#define PARLEY_ROUTER_USERREC_H

#include "router/verbs.h"

/* With version, kind, user, source, time, trace. Borrows from the record and its account. */
Im__UserRecord userrec_of(const struct inbound *, Im__UserKind);
/* After the account's record in im.vault, when that is on its way. */
void userrec_send(struct router *, const struct inbound *, const Im__UserRecord *, struct fx *);
/* DEVICE_ADDED or DEVICE_DROPPED */
void userrec_device(struct router *, const struct inbound *, Im__UserKind, const struct account_device *,
                    struct fx *);
/* USER_SEEN when nobody is connected with the account any more, at most once in ACCOUNT_SEEN_MS. True: it was written,
 * the row changed. */
bool userrec_seen(struct router *, const struct inbound *, struct fx *);

#endif
