/* users.h: the row of a user: which devices there are, and which of them have a session. Derived from OffLogin and
 * OffEnd records and bounces and, at a rebuild, im.user. The marks are a row of their own, in memory with the user. */
#ifndef PARLEY_OFFLINE_USERS_H
#define PARLEY_OFFLINE_USERS_H

#include "common/base/bytes.h"
#include "common/base/rowcache.h"
#include "common/im/session.h"
#include "offline/marks.h"

#define USER_DEVICES 64

struct udevice {
    uint32_t no;
    uint64_t since; /* where im.offline has its first login, plus one: it begins there; 0: not known */
};

struct user {
    struct row row; /* of the core's cache; must be first */
    struct id16 id;
    bool dirty;        /* on the core's list of rows to put */
    bool row_dirty;    /* this row; the marks have their own */
    bool known;        /* somebody logged in, or the account is in im.user */
    bool live_unknown; /* a row of version 1: only the queues know who is live */
    uint32_t newest;   /* highest device number ever seen: a lower one that is not listed was dropped */
    struct marks marks;
    uint32_t n_live, n_devices;
    struct session
        *live; /* logged in and neither ended nor bounced; their edges' leases are another matter */
    struct udevice *devices;
    uint64_t devices_at; /* offset in im.inbound as of which `devices` is true */
};

struct user *user_new(struct id16);
void user_free(struct user *);
size_t user_memory(const struct user *);
bool user_has(const struct user *, uint32_t device);
/* The device is listed, or so new that its login was not seen yet. */
bool user_may_have(const struct user *, uint32_t device);
void user_set_devices(struct user *, const uint32_t *devices, size_t n, uint64_t at);
void user_drop_device(struct user *, uint32_t device);
struct udevice *user_device(const struct user *, uint32_t device); /* NULL: not listed */

/* True: something changed. */
bool user_set_live(struct user *, const struct session *);
bool user_clear_live(struct user *, uint32_t device);

void user_pack(const struct user *, struct bytes *out);
int user_unpack(struct user *, struct slice); /* -EBADMSG, -ENOTSUP */

#endif
