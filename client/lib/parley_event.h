/* parley_event.h: what the callbacks of parley.h are given. All of it is valid until the callback returns. */
#ifndef PARLEY_EVENT_H
#define PARLEY_EVENT_H

#include "client/lib/parley_code.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PARLEY_ID 16 /* bytes in a user, conversation or message id */

/* clang-format off */
/* What an event is, and what can be done. In brackets: what it needs beside the conversation. */
enum parley_kind {
    PARLEY_MESSAGE = 1,         /* parley_send() */
    PARLEY_EDIT = 2,            /* [target, text or data] by its author */
    PARLEY_RECALL = 3,          /* [target] by its author for some time, or a group's admin */
    PARLEY_REACT = 4,           /* [target, text] one per user and message; "" takes it back */
    PARLEY_PIN = 5,             /* [target] direct: both; groups: admins */
    PARLEY_UNPIN = 6,           /* [target] */
    PARLEY_ANNOUNCEMENT = 7,    /* [text, no conversation] to everybody; needs the admin right */
    PARLEY_GROUP_CREATE = 20,   /* [text: name; people: first members; flags; no conversation] */
    PARLEY_GROUP_JOIN = 21,     /* [text: a word to the admins] NOTED when they have to approve it */
    PARLEY_GROUP_LEAVE = 22,    /* the owner only when alone */
    PARLEY_GROUP_INVITE = 23,   /* [people] */
    PARLEY_GROUP_REMOVE = 24,   /* [people] of a lower role */
    PARLEY_GROUP_ROLE = 25,     /* [people, role ADMIN or MEMBER] by the owner */
    PARLEY_GROUP_HAND_OVER = 26, /* [one person] the new owner */
    PARLEY_GROUP_MUTE = 27,     /* [people, duration_s] of a lower role; 0: for ever */
    PARLEY_GROUP_UNMUTE = 28,   /* [people] */
    PARLEY_GROUP_RENAME = 29,   /* [text] 1 to 128 bytes */
    PARLEY_GROUP_NOTICE = 30,   /* [text] up to 4096 bytes; "" removes it */
    PARLEY_GROUP_SETTINGS = 31, /* [flags, flags_mask] */
    PARLEY_GROUP_DISSOLVE = 32, /* by the owner */
    PARLEY_GROUP_APPROVE = 33,  /* [people] who asked to join; by admins */
    PARLEY_GROUP_DECLINE = 34,  /* [people] likewise; NOTED */
    PARLEY_FRIEND_REQUEST = 40, /* [text: a word with it] `to` names the other, here and below */
    PARLEY_FRIEND_CONFIRM = 41,
    PARLEY_FRIEND_REFUSE = 42,
    PARLEY_FRIEND_REMOVE = 43, /* also takes a request back */
    PARLEY_BLOCK = 44,         /* NOTED; the other is not told */
    PARLEY_UNBLOCK = 45,       /* likewise */
};
/* clang-format on */
const char *parley_kind_name(enum parley_kind); /* "GROUP_CREATE"; "?" when unknown */

enum parley_role { PARLEY_ROLE_NONE, PARLEY_ROLE_MEMBER, PARLEY_ROLE_ADMIN, PARLEY_ROLE_OWNER };

/* Settings of a group, bits. */
enum parley_flag {
    PARLEY_GROUP_APPROVAL = 1, /* admins approve who joins, only they invite */
    PARLEY_GROUP_HISTORY = 2,  /* new members see what was before them */
    PARLEY_GROUP_QUIET = 4,    /* only admins write */
    PARLEY_GROUP_PRIVATE = 8,  /* nobody joins uninvited, strangers learn nothing of it */
};

struct parley_person {
    uint8_t user[PARLEY_ID];
    const char *login; /* "" when not known */
};

/* An event that has a number. Fields that its kind does not need are 0, "" or NULL. */
struct parley_message {
    uint8_t conversation[PARLEY_ID];
    uint64_t seq; /* place in the conversation, from 1 */
    enum parley_kind kind;
    bool group; /* else direct, or an announcement */
    uint8_t sender[PARLEY_ID];
    const char *sender_login;
    uint8_t peer[PARLEY_ID]; /* direct conversations: the one who is not the sender */
    const char *peer_login;
    uint32_t sender_device;
    uint64_t client_seq;
    uint8_t msg_id[PARLEY_ID];
    int64_t time_ms; /* Unix time, the conversation's */
    const char *text; /* NUL-terminated; "" when there is data. Or what the kind says: a name, a reaction … */
    const char *content_type;
    const uint8_t *data;
    size_t data_n;
    uint64_t reply_to;                  /* seq of the message it answers; 0: none */
    uint64_t target;                    /* seq of the message it edits, recalls, pins, or reacts to */
    const struct parley_person *people; /* whom it changed (INVITE: who is new), or whom a message mentions */
    size_t people_n;
    bool me; /* this user is among them */
    enum parley_role role;
    uint32_t flags;   /* of the group, after the event */
    int64_t until_ms; /* GROUP_MUTE: Unix time; 0: for ever */
    bool own;         /* sent by this user: from another device, or from this one before it lost its memory */
    uint64_t missed;  /* so many right before this one could not be had now (only history has them) */
    bool late;        /* fills in such a place, after later ones */
};

enum parley_stage {
    PARLEY_ACCEPTED = 1,  /* durable */
    PARLEY_SEQUENCED = 2, /* has its place */
    PARLEY_NOT_SENT = 3,
    PARLEY_NOTED = 4, /* done; it takes no place */
};
struct parley_sent {
    uint64_t id; /* what parley_send() or parley_do() returned; kept over restarts with a state file */
    enum parley_kind kind;
    enum parley_stage stage;
    enum parley_code code; /* PARLEY_NOT_SENT: why */
    const char *detail;    /* likewise, for people; "" when there is nothing to add */
    const char *to;        /* "" when it was not addressed to a login name */
    uint64_t client_seq;
    uint8_t msg_id[PARLEY_ID], conversation[PARLEY_ID]; /* zero when not known (yet) */
    uint64_t seq;                                       /* PARLEY_SEQUENCED */
    int64_t time_ms;                                    /* PARLEY_SEQUENCED */
};

struct parley_presence {
    uint8_t user[PARLEY_ID];
    bool online;
    int64_t last_seen_ms; /* 0: not known, or not for this user to see */
};

/* Something happened that takes no number: GROUP_JOIN (somebody asks to join; told to the admins), GROUP_DECLINE (to
 * the admins and who asked), BLOCK and UNBLOCK (to this user's other devices). */
struct parley_note {
    uint8_t conversation[PARLEY_ID];
    enum parley_kind kind;
    uint8_t sender[PARLEY_ID];
    const char *sender_login;
    int64_t time_ms;
    const char *text;
    const struct parley_person *people;
    size_t people_n;
};
struct parley_receipt {
    uint8_t conversation[PARLEY_ID];
    uint8_t user[PARLEY_ID]; /* whose */
    bool own;                /* another device of this user: what is unread here changes */
    bool group;
    uint64_t read, delivered; /* everything up to there; 0: not changed */
    int64_t time_ms;
};
struct parley_typist {
    uint8_t conversation[PARLEY_ID];
    uint8_t user[PARLEY_ID];
    const char *login;
    bool stopped; /* else: typing; forget it by yourself after some six seconds */
    bool group;
};

#ifdef __cplusplus
}
#endif
#endif
