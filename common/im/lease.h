/* lease.h: who holds which slot: a view of im.lease.
 *
 * Fed with records in any order and any number of times; the view depends only on which ones. One thread. */
#ifndef PARLEY_IM_LEASE_H
#define PARLEY_IM_LEASE_H

#include "common/base/core.h"

#define LEASE_TEXT_MAX 128 /* holder and address, longer is cut */

struct lease_slot {
    int64_t claim;               /* offset of the last CLAIM, which is its epoch; -1: none */
    int64_t ended;               /* the highest epoch that EXPIRE or RELEASE named; -1: none */
    int64_t want;                /* offset of the last WANT; -1: none */
    bool released;               /* how `ended` ended */
    char holder[LEASE_TEXT_MAX]; /* of the last CLAIM */
    char address[LEASE_TEXT_MAX];
};

struct lease;
struct lease *lease_new(uint32_t slots);
void lease_free(struct lease *);

/* 0; -EBADMSG, -ENOTSUP as codec.h; -ERANGE: a slot that does not exist. An empty value is ignored. */
int lease_feed(struct lease *, struct slice key, struct slice value, int64_t offset);

uint32_t lease_slots(const struct lease *);
const struct lease_slot *lease_get(const struct lease *, uint32_t slot); /* NULL: no such slot */
/* The slot is claimed under this epoch: its sessions are alive. */
bool lease_live(const struct lease *, uint32_t slot, uint64_t epoch);
/* The epoch is over for certain. A view that has not seen the claim yet does not make it so: neither live nor over. */
bool lease_over(const struct lease *, uint32_t slot, uint64_t epoch);
/* The slot's claim that has not ended. */
bool lease_claimed(const struct lease *, uint32_t slot, uint64_t *epoch);
uint64_t lease_version(const struct lease *); /* changes whenever the view does */

#endif
