/* parley_code.h: what can go wrong, by number. Part of parley.h. */
#ifndef PARLEY_CODE_H
#define PARLEY_CODE_H

#ifdef __cplusplus
extern "C" {
#endif

/* The server's codes (docs/errors.md has cause and fix of each), and from 900 on the library's own. By the hundreds:
 * 1xx the frame, 2xx who, 3xx not now, 4xx the conversation said no, 5xx the server. */
/* clang-format off */
enum parley_code {
    PARLEY_OK = 0,
    PARLEY_FRAME_TOO_SHORT = 100, PARLEY_FRAME_TOO_LARGE, PARLEY_UNKNOWN_TYPE, PARLEY_BAD_PROTOBUF, PARLEY_BAD_TEXT,
    PARLEY_BAD_FIELD, PARLEY_WRONG_STATE,
    PARLEY_NOT_LOGGED_IN = 200, PARLEY_BAD_CREDENTIALS, PARLEY_BAD_TOKEN, PARLEY_TOKEN_EXPIRED,
    PARLEY_ACCOUNT_EXISTS, PARLEY_UNKNOWN_USER, PARLEY_SESSION_REPLACED, PARLEY_SESSION_REVOKED,
    PARLEY_LOGIN_TIMEOUT, PARLEY_IDLE_TIMEOUT, PARLEY_TOO_MANY_DEVICES,
    PARLEY_TOO_MANY_REQUESTS = 300, PARLEY_TOO_MANY_UNRESOLVED, PARLEY_BUSY, PARLEY_SLOW_READER,
    PARLEY_TOO_MANY_CONNECTIONS,
    PARLEY_BEHIND,             /* an answer would not yet hold what was waited for */
    PARLEY_STALE = 400, PARLEY_NOT_A_MEMBER, PARLEY_REFUSED,
    PARLEY_BLOCKED,            /* one of the two blocked the other */
    PARLEY_NOT_FRIENDS,        /* strangers may not write here */
    PARLEY_MUTED,              /* this user may not write, or only admins may */
    PARLEY_NOT_ALLOWED,        /* needs a higher role, or the admin right */
    PARLEY_GROUP_FULL,         /* members, or open requests to join */
    PARLEY_TOO_OLD,            /* the message is too far back, or the time for a recall is over */
    PARLEY_NO_CHANGE,          /* it is so already */
    PARLEY_GONE,               /* the message was recalled, or the group dissolved */
    PARLEY_NO_SUCH_MESSAGE,    /* not there, not visible to this user, or not a message */
    PARLEY_OWNER_STAYS,        /* the owner hands the group over, or dissolves it, first */
    PARLEY_NO_SUCH_MEMBER,     /* whom it is about is no member, or did not ask to join */
    PARLEY_INTERNAL = 500, PARLEY_SHUTTING_DOWN,
    PARLEY_UNREACHABLE = 900,  /* no server could be connected to */
    PARLEY_DISCONNECTED = 901, /* the connection broke, or no answer came; of a registration: outcome unknown */
    PARLEY_PROTOCOL = 902,     /* the server said something that makes no sense */
    PARLEY_STATE_FILE = 903,   /* the state file cannot be read or written */
    PARLEY_STOPPED = 904,      /* parley_stop() was called */
};
/* clang-format on */
const char *parley_code_name(enum parley_code); /* "UNKNOWN_USER"; never NULL */
const char *parley_code_text(enum parley_code); /* a sentence for people; never NULL */

#ifdef __cplusplus
}
#endif
#endif
