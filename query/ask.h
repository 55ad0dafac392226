/* ask.h: one round trip to PostgreSQL, being put together: statements and their parameters, in a question's arena.
 *
 *     ask_stmt(a, &page_stmt);  ask_id(a, &q->user);  ask_i64(a, seq);
 *
 * Parameters go in the order of $1, $2 …; their types are in the SQL ($2::int8). Out of memory ends the process. */
#ifndef PARLEY_QUERY_ASK_H
#define PARLEY_QUERY_ASK_H

#include "common/base/arena.h"
#include "common/base/db.h"
#include "common/im/session.h"

#define ASK_STMTS  6
#define ASK_PARAMS 16

struct ask {
    struct arena *arena;
    struct db_call calls[ASK_STMTS];
    size_t n; /* statements */
    const char **values;
    int *lengths;
    int params; /* of the last statement */
};

void ask_start(struct ask *, struct arena *);
void ask_stmt(struct ask *, const struct db_stmt *);
void ask_id(struct ask *, const struct id16 *);
void ask_i64(struct ask *, int64_t);
void ask_null(struct ask *);
void ask_i32(struct ask *, int32_t);
void ask_bool(struct ask *, bool);
void ask_text(struct ask *, const char *);                 /* borrowed */
void ask_ids(struct ask *, const struct id16 *, size_t n); /* bytea[] */

void *query_alloc(struct arena *, size_t n); /* zeroed, never NULL */

#endif
