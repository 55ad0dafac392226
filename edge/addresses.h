/* addresses.h: per peer address, how many connections it has, how many passwords of it are being hashed, how often it failed
 * to log in and how many accounts it made.
 *
 * An address stays while it has connections, hashes, or failures and registrations that have not run off, 40 bytes each; past `max` entries
 * strangers share the limits of one. One thread. */
#ifndef PARLEY_EDGE_ADDRESSES_H
#define PARLEY_EDGE_ADDRESSES_H

#include "edge/ratelimit.h"

struct address {
    uint64_t key;
    uint32_t conns;
    uint32_t hashing;
    bool used;
    struct ratelimit tries, registers;
};

struct addresses;
struct addresses *addresses_new(uint32_t max, uint32_t try_every_ms,
                                uint32_t register_every_ms); /* NULL: no memory */
void addresses_free(struct addresses *);
/* Made when it is not there. Valid until the next call. NULL: full of others in use. */
struct address *addresses_get(struct addresses *, uint64_t key, uint32_t now_ms);
void addresses_leave(struct addresses *, uint64_t key); /* one connection less */
uint32_t addresses_count(const struct addresses *);

#endif
