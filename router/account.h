/* account.h: what the router knows of one account: a row of its store, and its memory.
 *
 * The row is derived: everything in it comes again from im.user, im.vault and im.presence (rebuild.h). Plain values
 * but for the verifier and the devices; one owner, one thread. Changing the row's bytes: give account_pack a new
 * version number, keep reading the old one, add a case to tests/unit/test_router_account.c.
 */
#ifndef PARLEY_ROUTER_ACCOUNT_H
#define PARLEY_ROUTER_ACCOUNT_H

#include "common/base/bytes.h"
#include "common/base/rowcache.h"
#include "common/im/bodykeys.h"
#include "common/im/session.h"
#include "common/im/validate.h"

#define ACCOUNT_DEVICES     16    /* of one account; a further one drops the oldest that is not connected */
#define ACCOUNT_DEVICES_TOP 128   /* that a row may hold, while a drop is not carried out yet */
#define ACCOUNT_SEEN_MS     60000 /* USER_SEEN no more often */

struct account_device {
    uint32_t number;
    char id[DEVICE_ID_MAX + 1];
    char class[DEVICE_CLASS_MAX + 1];
    int64_t added_at; /* offset in im.inbound of the login that made it */
    bool on; /* `session` is set: it logged in and did not end. Its edge may still be gone: see lease.h */
    struct session session;
    /* Found at a rebuild: an earlier session that `session` replaced without anybody having been told yet. */
    bool has_stale;
    struct session stale;
};

struct account_key { /* number in im.vault: its place + 1 */
    int64_t since;   /* seals what comes from this offset of im.inbound on */
    uint8_t sealed[BODY_KEY_SEALED];
    bool open;
    uint8_t key[BODY_KEY]; /* when open */
};

struct account {
    struct row row; /* of the core's cache; must be first */
    struct id16 user;
    bool exists; /* was registered; a row without is the memory of an absence, or half of a rebuild */
    char login[LOGIN_MAX + 1];
    int32_t registered_part; /* where in im.inbound: a repeat of that very record is no second registration */
    int64_t registered_at;
    uint64_t generation; /* of tokens */
    int64_t revoked_at;  /* sessions of logins below this offset are over; 0: none were revoked … */
    uint64_t kept_login; /* … but the one of this login; 0: that one too */
    bool erased;         /* of it only the name is left, which is never given again */
    bool admin;          /* may announce */
    int64_t seen_ms;     /* time of the last USER_SEEN; 0: none yet */
    uint32_t next_device;
    uint8_t *verifier; /* sealed */
    size_t verifier_n;
    struct account_key *keys;
    size_t n_keys;
    struct account_device *devices; /* ascending by number */
    size_t n_devices;
};

struct account *account_new(struct id16 user);
void account_free(struct account *); /* not for one that a rowcache owns */
size_t account_bytes(const struct account *);

static inline bool account_there(const struct account *a)
{
    return a->exists && !a->erased;
}

void account_set_verifier(struct account *, struct slice);
void account_add_key(struct account *, struct slice sealed, int64_t since); /* sealed.n is BODY_KEY_SEALED */
void account_clear_keys(struct account *);
/* As a record of im.vault, which borrows from the account; keys and list have CODEC_BODY_KEYS. */
void account_vault(const struct account *, Im__VaultRecord *, Im__BodyKey *keys, Im__BodyKey **list);
/* As of this offset of im.inbound: no devices, no keys, no sessions. */
void account_erase(struct account *, int64_t offset);
struct account_device *account_device(struct account *, uint32_t number);                     /* NULL: none */
struct account_device *account_device_by_id(struct account *, const char *id);                /* NULL: none */
struct account_device *account_device_at(struct account *, const struct session *connection); /* NULL: none */
/* With this number, or the one that exists already. */
struct account_device *account_add_device(struct account *, uint32_t number, const char *id,
                                          const char *class, int64_t added_at);
void account_drop_device(struct account *, uint32_t number);

void account_pack(const struct account *, struct bytes *out);
/* Fills a new account's fields. -EBADMSG: not such a row; -ENOTSUP: a newer version; it is then half filled. */
int account_unpack(struct account *, struct slice);

#endif
