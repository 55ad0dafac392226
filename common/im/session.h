/* session.h: a session, and the keys of the records that are about one.
 *
 * A session is (user, device, slot, epoch, offset of its LOGIN in im.inbound); its connection is (slot,
 * epoch, handle). Plain values, copied freely; keys are big-endian so that they sort. Pure functions, any
 * thread. */
#ifndef PARLEY_IM_SESSION_H
#define PARLEY_IM_SESSION_H

#include "common/base/core.h"
#include "common/im/ids.h"
#include "proto/record.pb-c.h"

#define KEY_PRESENCE 16 /* slot:4 epoch:8 handle:4 */
#define KEY_CURSOR   36 /* user:16 device:4 conversation:16 */
#define KEY_LEASE    5  /* slot:4 what:1 */

struct session {
    struct id16 user; /* all zero before login */
    uint32_t device;
    uint32_t slot;
    uint64_t epoch;
    uint32_t handle;
    uint64_t login_offset; /* 0 before login */
};

static inline bool id_is_zero(struct id16 a)
{
    static const struct id16 zero;
    return id_eq(a, zero);
}
/* The same connection; says nothing of who is logged in on it. */
static inline bool session_same_connection(const struct session *a, const struct session *b)
{
    return a->slot == b->slot && a->epoch == b->epoch && a->handle == b->handle;
}
static inline bool session_eq(const struct session *a, const struct session *b)
{
    return session_same_connection(a, b) && a->device == b->device && a->login_offset == b->login_offset &&
           id_eq(a->user, b->user);
}

/* `out` borrows the bytes of *s. The user field stays empty for a zero user. */
void session_to_pb(const struct session *s, Im__Session *out);
/* -EBADMSG: absent, or the user is neither empty nor 16 bytes. A decoder of codec.h has checked this already.
 */
int session_from_pb(const Im__Session *, struct session *out);

void key_presence(const struct session *, uint8_t out[KEY_PRESENCE]);
int key_presence_parse(struct slice key, uint32_t *slot, uint64_t *epoch, uint32_t *handle); /* -EBADMSG */
void key_cursor(struct id16 user, uint32_t device, struct id16 conv, uint8_t out[KEY_CURSOR]);
int key_cursor_parse(struct slice key, struct id16 *user, uint32_t *device, struct id16 *conv); /* -EBADMSG */
/* WANT, CLAIM and EXPIRE/RELEASE of a slot have keys of their own: were they one key, compaction would let
 * somebody's late WANT remove the CLAIM that is still true. */
void key_lease(uint32_t slot, Im__LeaseKind kind, uint8_t out[KEY_LEASE]);
int key_lease_parse(struct slice key, uint32_t *slot); /* -EBADMSG */

static inline struct slice slice_of(const void *p, size_t n)
{
    return (struct slice){p, n};
}
static inline struct slice slice_id(const struct id16 *id)
{
    return (struct slice){id->b, ID_SIZE};
}

#endif
