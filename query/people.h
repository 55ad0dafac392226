/* people.h: what one user may know of another: shared by members, users, contacts, presence. */
#ifndef PARLEY_QUERY_PEOPLE_H
#define PARLEY_QUERY_PEOPLE_H

#include "query/question.h"

/* Joins for `subject` (an id) and its account `u`: the direct conversation as the one who asks ($1) sees it (d), as
 * the subject does (o). */
#define SQL_BETWEEN(subject)                                                     \
    "LEFT JOIN memberships d ON d.user_id = $1::bytea AND d.peer = " subject " " \
    "LEFT JOIN memberships o ON o.user_id = " subject " AND o.conv = d.conv AND d.peer <> $1::bytea "
/* May the one who asks see whether the subject is online? Not who was blocked by the subject. */
#define SQL_SHOWN(subject)                                                                \
    "(" subject " = $1::bytea OR (NOT coalesce(o.blocked, false) AND (u.presence < 2 OR " \
    "(u.presence = 2 AND coalesce(d.friend, 0) = 3))))"

/* Columns: id, login, display name, friend, blocked by the one who asks, shown, seen_ms, remark. */
#define SQL_PERSON(subject)                                                \
    "u.user_id, u.login, u.display_name, d.friend, d.blocked, " SQL_SHOWN( \
        subject) ", u.seen_ms, "                                           \
                 "(SELECT p.remark FROM prefs p WHERE p.user_id = $1::bytea AND p.conv = d.conv)"
enum { P_USER, P_LOGIN, P_NAME, P_FRIEND, P_BLOCKED, P_SHOWN, P_SEEN, P_REMARK, P_COLUMNS };

#define PEOPLE_MOST 500 /* whose presence one connection may ask for */

Im__User *person(struct question *, struct row);
int64_t seen_minutes(int64_t ms); /* last seen is told to the minute */

#endif
