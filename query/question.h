/* question.h: one question of a client, and the table of verbs that answer them.
 *
 * A verb is two pure functions: ask() says what to read, take() makes the answer of what was read. Neither does I/O;
 * who is online is asked through the environment. Every statement has the user who asks among its parameters and
 * yields nothing that this user may not see: a conversation that does not exist and one that is none of the
 * user's business are the same. */
#ifndef PARLEY_QUERY_QUESTION_H
#define PARLEY_QUERY_QUESTION_H

#include "query/ask.h"
#include "query/rows.h"

#define ANSWER_BYTES   (FRAME_CAP_MAX_ - 4096)
#define FRAME_CAP_MAX_ (1u << 20)

struct question_env {     /* of the process; constant while a question lives */
    uint32_t receipt_cap; /* in groups of more members nobody is told who read what */
    struct id16 system;   /* the system conversation */
    void *ctx;            /* of the functions */
    bool (*online)(void *ctx, struct id16 user);
    bool (*device_online)(void *ctx, struct id16 user, uint32_t device);
    /* The login of a user, when it is known without asking; what was learnt is for later questions. */
    const char *(*login)(void *ctx, struct id16 user);
    void (*learn)(void *ctx, struct id16 user, const char *login);
    /* This connection wants to hear of these users, of whom `online` was just said; n 0: of nobody (any more).
     * -ENOSPC: there is no room; -EDQUOT: none of the user's. */
    int (*subscribe)(void *ctx, const struct session *, const struct id16 *users, const bool *online,
                     size_t n);
};

struct question {
    const struct question_env *env;
    const struct verb *verb;
    struct arena *arena;
    const ProtobufCMessage *req; /* its form was checked */
    struct session from;
    uint32_t seq_id;
    struct id16 conv;     /* `conversation` or `with` of the request; zero: not given */
    const Im__Wait *wait; /* NULL: not to be waited for */
    uint32_t round;       /* of asking, from 0 */
    /* a verb's own, from round to round */
    uint64_t anchor;
    bool probe;
    const struct id16 *names; /* whose logins are wanted */
    size_t n_names;
};

struct verb {
    uint16_t type;
    bool slow; /* has connections of its own, so that others need not wait behind it */
    Im__Code (*ask)(struct question *, struct ask *); /* not OK: that is the answer */
    /* Not OK: that is the answer. OK and *out NULL: ask again. */
    Im__Code (*take)(struct question *, const PGresult *const *, ProtobufCMessage **out);
};

extern const struct verb verb_conv_list, verb_conv_info, verb_history, verb_changes, verb_search,
    verb_members, verb_asks, verb_users, verb_contacts, verb_devices, verb_presence;
const struct verb *verb_of(uint16_t type); /* NULL: no question */

/* From an unpacked request; the arena must outlive it. -EBADMSG: not a question, or its fields are not what the edge
 * lets through. */
int question_init(struct question *, const struct question_env *, struct arena *, const struct session *,
                  uint16_t type, uint32_t seq_id, struct slice payload);
/* The statement that says how far the conversation to be waited for has come: one number, or nothing. */
void question_ask_head(struct question *, struct ask *);
/* The answer's number (request + 1), and an answer that says no more than a code; in the arena. */
uint16_t question_answer_type(const struct question *);
ProtobufCMessage *question_refusal(struct question *, Im__Code);

/* ---- for verbs ---- */
uint32_t limit_of(uint32_t asked, uint32_t usual, uint32_t most);
ProtobufCBinaryData bytes_of_id(const struct id16 *);
/* A page's end as an opaque string of numbers and texts, and back. */
ProtobufCBinaryData page_key(struct arena *, const int64_t *numbers, size_t n, struct slice tail);
bool page_key_parse(ProtobufCBinaryData, int64_t *numbers, size_t n, struct slice *tail);

/* The caller's view of $2 for $1: nothing when there is none. */
#define SQL_ACCESS                                                                                          \
    "access AS MATERIALIZED (SELECT m.visible, m.role, m.read, m.peer, m.peer_login, m.login, m.part FROM " \
    "memberships m WHERE m.user_id = $1::bytea AND m.conv = $2::bytea AND NOT isempty(m.visible) "          \
    "UNION ALL SELECT '{[1,)}'::int8multirange, 0::smallint, 0::int8, NULL, '', '', c.part FROM "           \
    "conversations c "                                                                                      \
    "WHERE c.conv = $2::bytea AND c.type = 3 LIMIT 1)"
/* Of `access`, as values and not as a join: so that a page is read from the index in its order, and no further. */
#define SQL_VISIBLE "(SELECT visible FROM access)"
#define SQL_SEEN(seq)                                      \
    seq " >= (SELECT lower(visible) FROM access) AND " seq \
        " < (SELECT coalesce(upper(visible), 9223372036854775807) FROM access) AND " SQL_VISIBLE " @> " seq
/* How far the partition `part` was read, for Position. */
#define SQL_POSITION(part) \
    "(SELECT k.next[1] FROM parley_marks k WHERE k.store = 'conversation' AND k.part = " part ")"
/* The numbers between which a multirange `v` has any, so that an index has both ends. */
#define SQL_WITHIN(seq, v) \
    seq " >= lower(" v ") AND " seq " < coalesce(upper(" v "), 9223372036854775807) AND " v " @> " seq

#endif
