/* parley_conversation.h: what happens in a conversation, and what a user can do there besides sending a message.
 * Part of libparley; parley.h has the rules for threads, memory and errors.
 *
 * A conversation is direct (two people), a group, or the system's (announcements to everybody). It is named by its id,
 * 16 bytes that come with every event; a direct one also by the login name of the other person.
 *
 * Deeds are queued like messages: each function returns an id (> 0) or a negative errno, works offline, and the `sent`
 * callback tells the outcome: PARLEY_SEQUENCED (it has a number and everybody gets the event), PARLEY_NOTED (done,
 * without a number) or PARLEY_NOT_SENT with the reason. The device that did it is not sent the event itself.
 *
 *     int64_t id = parley_group_create(p, "lunch", (const char *[]){"bob", "carol"}, 2, 0);
 *     … sent(): s->id == id, PARLEY_SEQUENCED: s->conversation is the group
 *     parley_send_group(p, group, "hi"); */
#ifndef PARLEY_CONVERSATION_H
#define PARLEY_CONVERSATION_H

#include "client/lib/parley_event.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PARLEY_USERS_MAX 100 /* people in one deed, or mentioned in one message */

struct parley;

/* Anything of enum parley_kind but PARLEY_MESSAGE. -EINVAL: something needed is missing, or text is not UTF-8;
 * -EMSGSIZE; -ENOBUFS: parley_options.queue_max. The server judges the rest. */
struct parley_op {
    enum parley_kind kind;
    const uint8_t *conversation; /* its id; or, of a direct one, */
    const char *to;              /* the other's login name; or */
    const uint8_t *to_user;      /* id */
    uint64_t target;             /* seq of the message it is about */
    const char *text;            /* NUL-terminated */
    const char *content_type;    /* an edit to data */
    const void *data;
    size_t data_n;
    const char *const *logins; /* the people it is about, by login name and … */
    size_t logins_n;
    const uint8_t (*users)[PARLEY_ID]; /* … or by id; PARLEY_USERS_MAX in all */
    size_t users_n;
    enum parley_role role;
    uint32_t flags, flags_mask; /* mask: which of the flags to change; of a new group all are taken */
    uint64_t duration_s;
};
int64_t parley_do(struct parley *, const struct parley_op *);

/* ---- the same, shorter; `conv` is a conversation's id ---- */
int64_t parley_edit(struct parley *, const uint8_t *conv, uint64_t seq, const char *text);
int64_t parley_recall(struct parley *, const uint8_t *conv, uint64_t seq);
int64_t parley_react(struct parley *, const uint8_t *conv, uint64_t seq, const char *reaction);
int64_t parley_pin(struct parley *, const uint8_t *conv, uint64_t seq, bool on);
int64_t parley_announce(struct parley *, const char *text);

int64_t parley_group_create(struct parley *, const char *name, const char *const *logins, size_t n,
                            uint32_t flags);
int64_t parley_group_join(struct parley *, const uint8_t *conv, const char *text); /* text may be NULL */
int64_t parley_group_leave(struct parley *, const uint8_t *conv);
int64_t parley_group_dissolve(struct parley *, const uint8_t *conv);
int64_t parley_group_rename(struct parley *, const uint8_t *conv, const char *name);
int64_t parley_group_notice(struct parley *, const uint8_t *conv, const char *text);
int64_t parley_group_settings(struct parley *, const uint8_t *conv, uint32_t flags, uint32_t mask);
/* kind: INVITE, REMOVE, HAND_OVER, UNMUTE, APPROVE or DECLINE */
int64_t parley_group_people(struct parley *, const uint8_t *conv, enum parley_kind, const char *const *logins,
                            size_t n);
int64_t parley_group_invite(struct parley *, const uint8_t *conv, const char *login);
int64_t parley_group_remove(struct parley *, const uint8_t *conv, const char *login);
int64_t parley_group_role(struct parley *, const uint8_t *conv, const char *login, enum parley_role);
int64_t parley_group_mute(struct parley *, const uint8_t *conv, const char *login, uint64_t duration_s);

int64_t parley_friend_request(struct parley *, const char *login, const char *text); /* text may be NULL */
int64_t parley_friend_confirm(struct parley *, const char *login);
int64_t parley_friend_refuse(struct parley *, const char *login);
int64_t parley_friend_remove(struct parley *, const char *login);
int64_t parley_block(struct parley *, const char *login, bool on);

/* ---- receipts and typing: not queued, no outcome, nothing is told when they are lost ---- */

/* The user read everything up to `seq`: marks it read on all of the user's devices, and tells the others. Sent at most
 * once a second and conversation, and again after a disconnect. (`delivered` is told by the library itself as the
 * `message` callback returns, in direct conversations; in groups when parley_options.group_delivered says so.) -EINVAL, -ENOMEM. */
int parley_read(struct parley *, const uint8_t *conv, uint64_t seq);
/* Call it at every key: one goes out every three seconds at most, none while offline. `stopped`: at once. */
int parley_typing(struct parley *, const uint8_t *conv, bool stopped);

#ifdef __cplusplus
}
#endif
#endif
