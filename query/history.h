/* history.h: what history, changes and search share: messages as they are now, and packing them within a frame. */
#ifndef PARLEY_QUERY_HISTORY_H
#define PARLEY_QUERY_HISTORY_H

#include "query/question.h"

/* Bodies that one answer may hold; what is beyond is cut in PostgreSQL already. */
#define HISTORY_BODIES     900000
#define HISTORY_BODIES_SQL "900000"

/* LATERALs for a message `p` and a reader's intervals `v`: its last edit that the reader sees (e), whether it was
 * recalled at all (r), whether it is pinned (n). One probe of an index each. `subject`: the number that they are about. */
#define SQL_RECALL(conv, subject)                                                                           \
    "LEFT JOIN LATERAL (SELECT true AS yes FROM messages x WHERE x.conv = " conv " AND x.target = " subject \
    " AND x.kind = 3 LIMIT 1) r ON true "
#define SQL_EDIT(conv, subject, v)                                                                         \
    "LEFT JOIN LATERAL (SELECT x.seq, x.text, x.content_type, x.data FROM messages x WHERE x.conv = " conv \
    " AND x.target = " subject " AND x.kind = 2 AND " v " @> x.seq ORDER BY x.seq DESC LIMIT 1) "          \
    "e ON true "
#define SQL_PIN_(conv, subject, v, kind)                                                                  \
    "(SELECT x.seq FROM messages x WHERE x.conv = " conv " AND x.target = " subject " AND x.kind = " kind \
    " AND " v " @> x.seq ORDER BY x.seq DESC LIMIT 1)"
#define SQL_PINNED(conv, subject, v)                                                      \
    "LEFT JOIN LATERAL (SELECT " SQL_PIN_(conv, subject, v, "5") " > coalesce(" SQL_PIN_( \
        conv, subject, v, "6") ", 0) AS yes) n ON true "
/* Columns of such a message: EVENT_COLUMNS with the body as it is now, then edited, recalled, pinned. */
#define SQL_NOW(p)                                                                                           \
    p ".seq, " p ".sender, u.login, " p ".device, " p ".client_seq, " p ".msg_id, " p ".time_ms, "           \
      "CASE WHEN r.yes THEN NULL WHEN e.seq IS NULL THEN " p ".text ELSE e.text END AS text, "               \
      "CASE WHEN r.yes THEN NULL WHEN e.seq IS NULL THEN " p                                                 \
      ".content_type ELSE e.content_type END AS content_type, "                                              \
      "CASE WHEN r.yes THEN NULL WHEN e.seq IS NULL THEN " p ".data ELSE e.data END AS data, " p ".kind, " p \
      ".target, " p ".reply_to, " p ".users, " p ".logins, " p ".role, " p ".flags, " p ".until_ms, " p      \
      ".key_id, "                                                                                            \
      "e.seq IS NOT NULL AS edited, coalesce(r.yes, false) AS recalled, coalesce(n.yes, false) AS pinned"
enum { NOW_EDITED = EV_COLUMNS, NOW_RECALLED, NOW_PINNED, NOW_COLUMNS };

Im__HistoryItem *history_item(struct row, int first, const struct row_conv *, struct arena *);

/* Reactions: rows (seq of the message, sender, login, text), the messages in any order, each one's in order. */
void history_reactions(Im__HistoryItem **items, size_t n, const PGresult *, struct arena *);
/* How many of the others have read each; readers: READER_BYTES each, the user and, big endian, how far. */
#define READER_BYTES (ID_SIZE + 8)
void history_read_by(Im__HistoryItem **items, size_t n, ProtobufCBinaryData readers);

/* Which numbers of a conversation a reader may see: an int8multirange in binary form. Not one range when torn. */
struct seen {
    size_t n;
    struct seen_range {
        uint64_t from, to; /* from <= seq < to */
    } * range;
};
struct seen seen_of(ProtobufCBinaryData multirange, struct arena *);
bool seen_has(const struct seen *, uint64_t seq);

/* A page of messages as they were sent, and what was done to them: one scan of an index instead of probes for each
 * message. Both with EVENT_COLUMNS (no logins) and whether the row's body is too large, and withheld. What the reader may
 * not see is left out here; a recall counts for all. Ascending items as they are now. False: too large, or more than
 * FOLD_MOST were done; then it is to be probed. */
#define FOLD_MOST     1000
#define FOLD_SCAN_SQL "1001"
enum { FOLD_TOO_LARGE = EV_COLUMNS, FOLD_COLUMNS };
bool history_fold(const PGresult *page, const PGresult *marks, const struct seen *, const struct row_conv *,
                  struct arena *, Im__HistoryItem ***items, size_t *n);

/* How many of `n` items fit into `room` bytes, counted from the first (step 1) or from the last (-1); at least one. */
size_t history_fit(Im__HistoryItem **items, size_t n, int step, size_t room);

#endif
