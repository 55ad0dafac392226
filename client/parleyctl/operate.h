/* operate.h: what only the operator may do to an account: a record of im.inbound that no edge can write. */
#ifndef PARLEY_CTL_OPERATE_H
#define PARLEY_CTL_OPERATE_H

#include "client/parleyctl/ctl.h"
#include "proto/record.pb-c.h"

/* Writes `m` (its body is set) for the account and waits until a router wrote a record of this kind to im.user
 * because of it. Returns an exit code, after having said why it is not CTL_OK. `login`: as typed. */
int operate(struct ctl *, const char *login, Im__Inbound *m, Im__UserKind done);

#endif
