/* parley_history.h: questions, and their answers: conversations, history, search, members, contacts, presence, one's
 * own devices and settings. Part of libparley; parley.h has the rules for threads, memory and errors.
 *
 *     static void got(void *arg, const struct parley_answer *a) {
 *         for (size_t i = 0; i < a->n; i++)
 *             puts(a->items[i].message.text);
 *     }
 *     parley_ask(p, &(struct parley_question){.about = PARLEY_ASK_HISTORY, .with = "bob", .limit = 50}, got, NULL);
 *
 * A question waits until the handle is online, is asked again (also of another server) when the connection breaks or
 * the server is busy, and is answered exactly once, unless the handle is freed or the question cancelled: at the
 * latest after its time-out, with PARLEY_DISCONNECTED, or the reason the server gave last.
 *
 * What this device itself sent or was given is in the answer: the library has the server wait for it (up to two
 * seconds, then again; PARLEY_BEHIND if it stays behind until the time-out). */
#ifndef PARLEY_HISTORY_H
#define PARLEY_HISTORY_H

#include "client/lib/parley.h"

#ifdef __cplusplus
extern "C" {
#endif

/* clang-format off */
enum parley_about { /* in brackets: fields of the question; what the answer has */
    PARLEY_ASK_CONVERSATIONS = 1, /* [groups, unread]: conversations, pinned first, then the latest first */
    PARLEY_ASK_CONVERSATION,      /* [conversation | with]: conversations, one */
    PARLEY_ASK_HISTORY,           /* [conversation | with, seq or time_ms, direction, events]: items, ascending;
                                     more_before, more_after, head, first_visible */
    PARLEY_ASK_CHANGES,           /* [conversation | with, seq]: messages: that one and its edits, recall, pins and
                                     reactions; more: ask again with after_seq the last one's seq */
    PARLEY_ASK_SEARCH,            /* [text, maybe conversation | with]: items, newest first; all words are in them */
    PARLEY_ASK_MEMBERS,           /* [conversation]: members, by role, then login; total */
    PARLEY_ASK_ASKS,              /* [conversation]: asks: who asked to join */
    PARLEY_ASK_USERS,             /* [text: how the login begins | users | logins]: users */
    PARLEY_ASK_CONTACTS,          /* [friend, blocked]: contacts */
    PARLEY_ASK_DEVICES,           /* devices: one's own */
    PARLEY_ASK_PRESENCE,          /* [users (500 at most) | conversation: a group]: presence. See parley_watch() */
    PARLEY_ASK_TOKEN,             /* a new token for this device; parley_token() has it, and the state file */
    PARLEY_DO_REVOKE,             /* [device | all, keep_current]: ends sessions of one's own */
    PARLEY_DO_PROFILE,            /* [text: display name, "" as it was; privacy] */
    PARLEY_DO_PREFS,              /* [conversation | with, marks: which of pinned, muted, text: remark]: as they are to be */
};
/* clang-format on */

enum parley_direction { PARLEY_BEFORE, PARLEY_AFTER, PARLEY_AROUND };
enum parley_friend { PARLEY_NO_FRIEND, PARLEY_ASKED, PARLEY_ASKED_ME, PARLEY_FRIEND };
enum parley_mark { PARLEY_MARK_PINNED = 1, PARLEY_MARK_MUTED = 2, PARLEY_MARK_REMARK = 4 }; /* bits */
enum parley_privacy { PARLEY_PRIVACY_AS_IT_WAS, PARLEY_EVERYONE, PARLEY_FRIENDS, PARLEY_NOBODY };

struct parley_question {
    enum parley_about about;
    const uint8_t *conversation; /* its id, or */
    const char *with;            /* the login name of the other one of a direct conversation */
    uint64_t seq;    /* HISTORY: before, after or around it; 0: the end, or the beginning. CHANGES: of it */
    int64_t time_ms; /* HISTORY, instead of seq: around the first message at or after this time */
    enum parley_direction direction;
    bool events;       /* HISTORY: every event as it was, not only messages as they are now */
    uint32_t limit;    /* 0: the server's choice. At most: conversations 100, history 200, users 50 … */
    const void *after; /* the next page: the answer's `next` … */
    size_t after_n;
    uint64_t after_seq; /* … CHANGES: or the last one's seq */
    const char *text;
    const uint8_t (*users)[PARLEY_ID];
    size_t users_n;
    const char *const *logins;
    size_t logins_n;
    bool groups, unread;
    enum parley_friend friend_state; /* CONTACTS: only these; 0: asked, asked me and friends */
    bool blocked;                    /* CONTACTS: instead, whom this user blocked */
    uint32_t device;                 /* REVOKE: this one, or … */
    bool all, keep_current;      /* … every token given so far; keep: but this session, with a new token */
    enum parley_privacy privacy; /* PROFILE: who may see whether one is online */
    bool pinned, muted;
    unsigned marks;      /* PREFS: parley_mark, those that are to change; 0: all three */
    bool no_wait;        /* the answer may be a moment behind */
    uint32_t timeout_ms; /* 0: parley_options.answer_timeout_ms */
};

struct parley_reaction {
    struct parley_person by;
    const char *text;
};
struct parley_item {
    struct parley_message message; /* as it is now: text of the last edit, nothing when recalled */
    bool edited, recalled, pinned;
    uint32_t read_by; /* other members who read it; of small groups */
    const struct parley_reaction *reactions;
    size_t reactions_n;
};
struct parley_conversation {
    uint8_t id[PARLEY_ID];
    bool group, system, dissolved;
    const char *name;                     /* groups */
    struct parley_person peer;            /* direct: the other one */
    const char *peer_name;                /* display name */
    uint64_t head;                        /* the last number given */
    uint64_t first_visible, last_visible; /* last_visible 0: still a member */
    const struct parley_item *last;       /* the last message; NULL: none */
    uint32_t unread;                      /* messages; 1000: that many or more */
    uint64_t read, peer_read, peer_delivered;
    bool pinned, muted; /* marks of one's own, with `remark` */
    const char *remark;
    enum parley_role role; /* one's own */
    uint32_t flags, members;
    const char *notice;
    uint8_t owner[PARLEY_ID];
    int64_t muted_until_ms; /* may not write until then; -1: for ever; 0: may */
    const uint64_t *pins;   /* seqs of pinned messages; PARLEY_ASK_CONVERSATION only */
    size_t pins_n;
    enum parley_friend friend_state;
    bool blocked; /* by this user */
    int64_t created_ms;
};
struct parley_member {
    struct parley_person person;
    const char *name;
    enum parley_role role;
    int64_t muted_until_ms;
    uint64_t joined, read; /* seqs */
    bool online;
};
struct parley_applicant {
    struct parley_person person;
    const char *text;
    int64_t time_ms;
};
struct parley_user {
    struct parley_person person;
    const char *name, *remark;
    enum parley_friend friend_state;
    bool blocked, online;
    int64_t last_seen_ms; /* 0: not known */
};
struct parley_contact {
    struct parley_user user;
    uint8_t conversation[PARLEY_ID];
    const char *text; /* of the request */
    int64_t since_ms;
};
struct parley_device {
    uint32_t device;
    const char *device_id, *device_class;
    int64_t added_ms;
    bool online, current;
};

struct parley_answer {
    int64_t id; /* what parley_ask() returned */
    enum parley_about about;
    enum parley_code code;
    const char *detail; /* for people; "" when there is nothing to add */
    size_t n;           /* of what the answer has; 0 unless code is PARLEY_OK: */
    union {
        const struct parley_conversation *conversations;
        const struct parley_item *items;       /* HISTORY, SEARCH */
        const struct parley_message *messages; /* CHANGES */
        const struct parley_member *members;
        const struct parley_applicant *asks;
        const struct parley_user *users;
        const struct parley_contact *contacts;
        const struct parley_device *devices;
        const struct parley_presence *presence;
    };
    const void *next; /* question.after of the next page; next_n 0: that was all */
    size_t next_n;
    bool more;                       /* CHANGES */
    bool more_before, more_after;    /* HISTORY */
    uint64_t head, first_visible;    /* HISTORY */
    uint8_t conversation[PARLEY_ID]; /* HISTORY: its id, also when it was asked for by `with` */
    uint32_t total;                  /* MEMBERS */
    int64_t token_expires_ms;        /* TOKEN */
};
typedef void parley_answer_fn(void *arg, const struct parley_answer *);

/* The question's id (> 0), or -EINVAL, -EMSGSIZE, -ENOMEM; -ENOBUFS: 256 are not answered yet; -ESHUTDOWN: the handle is
 * PARLEY_ENDED. Everything it points to is copied. fn may be NULL. */
int64_t parley_ask(struct parley *, const struct parley_question *, parley_answer_fn *fn, void *arg);
void parley_cancel(struct parley *, int64_t id); /* fn will not be called (any more) */

/* Be told by the `presence` callback who of these is online, now and whenever it changes; kept up over reconnects, and
 * replaces what was watched before. By id (500 at most), or the members of a group (of up to 500). n 0 and no group:
 * nothing any more. 0, -EINVAL, -ENOMEM. */
int parley_watch(struct parley *, const uint8_t (*users)[PARLEY_ID], size_t n, const uint8_t *group);

#ifdef __cplusplus
}
#endif
#endif
