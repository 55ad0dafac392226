/* users.h: the row of a user: which devices there are. Derived from OffLogin records and, at a rebuild, im.user. */
#ifndef PARLEY_OFFLINE_USERS_H
#define PARLEY_OFFLINE_USERS_H

#include "common/base/bytes.h"
#include "common/base/rowcache.h"
#include "common/im/ids.h"

#define USER_DEVICES 64

struct user {
    struct row row; /* of the core's cache; must be first */
    struct id16 id;
    bool dirty;
    bool known;          /* somebody logged in, or the account is in im.user */
    uint64_t devices_at; /* offset in im.inbound as of which `devices` is true */
    uint32_t newest;     /* highest device number ever seen: a lower one that is not listed was dropped */
    size_t n_devices;
    uint32_t devices[USER_DEVICES];
};

struct user *user_new(struct id16);
void user_free(struct user *);
bool user_has(const struct user *, uint32_t device);
/* The device is listed, or so new that its login was not seen yet. */
bool user_may_have(const struct user *, uint32_t device);
void user_set_devices(struct user *, const uint32_t *devices, size_t n, uint64_t at);

void user_pack(const struct user *, struct bytes *out);
int user_unpack(struct user *, struct slice); /* -EBADMSG, -ENOTSUP */

#endif
