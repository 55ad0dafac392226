#include "query/page.h"

#include <string.h>

/* Numbers that a page may span: half of them may be of something else than messages. */
#define SPAN(n) (4 * (int64_t)((n) + 1))

/* Bodies above $4 bytes are withheld: then all of them together have a bound. */
#define BODY_(x) "CASE WHEN octet_length(" x ") <= $4::int4 THEN " x " END"
#define ROW_                                                                                                 \
    "SELECT x.seq, x.sender, NULL::text, x.device, x.client_seq, x.msg_id, x.time_ms, " BODY_(               \
        "x.text") ", x.content_type, " BODY_("x.data") ", x.kind, x.target, x.reply_to, x.users, x.logins, " \
                                                       "x.role, "                                            \
                                                       "x.flags, x.until_ms, x.key_id, "                     \
                                                       "octet_length(x.text) > "                             \
                                                       "$4::int4 OR octet_length(x.data) > $4::int4 "        \
                                                       "FROM messages x WHERE x.conv = $1::bytea AND "
/* $1 conversation, $2 number, $3 how many, $4 body */
#define MESSAGES(cmp, order) \
    ROW_ "x.seq " cmp " $2::int8 AND x.kind IN (1, 7) ORDER BY x.seq " order " LIMIT $3::int8"
/* $1 conversation, $2 from which number on (NULL: so many below the last one), $3 to (or how many), $4 body */
#define DONE                                                                                                 \
    ROW_ "x.kind BETWEEN 2 AND 6 AND x.target >= coalesce($2::int8, (SELECT y.seq FROM messages y WHERE "    \
         "y.conv = $1::bytea ORDER BY y.seq DESC LIMIT 1) - $3::int8) AND x.target < CASE WHEN $2::int8 IS " \
         "NULL THEN 9223372036854775807 ELSE $3::int8 END ORDER BY x.target, x.kind, x.seq "                 \
         "LIMIT " FOLD_SCAN_SQL

static const struct db_stmt before_stmt = {
    .name = "page_before", .sql = MESSAGES("<", "DESC"), .n_params = 4};
static const struct db_stmt after_stmt = {.name = "page_after", .sql = MESSAGES(">=", "ASC"), .n_params = 4};
static const struct db_stmt done_stmt = {.name = "page_done", .sql = DONE, .n_params = 4};
static const struct db_stmt names_stmt = {
    .name = "page_names",
    .sql = "SELECT u.user_id, u.login FROM accounts u WHERE u.user_id = ANY ($1::bytea[])",
    .n_params = 1};

void page_ask(struct question *q, struct ask *a, bool later, int64_t seq, uint32_t n)
{
    ask_stmt(a, later ? &after_stmt : &before_stmt);
    ask_id(a, &q->conv);
    ask_i64(a, seq);
    ask_i64(a, (int64_t)n + 1);
    ask_i32(a, (int32_t)(HISTORY_BODIES / (n + 1)));
    ask_stmt(a, &done_stmt);
    ask_id(a, &q->conv);
    if (later) {
        ask_i64(a, seq);
        ask_i64(a, seq < INT64_MAX - SPAN(n) ? seq + SPAN(n) : INT64_MAX);
    } else if (seq < INT64_MAX) {
        ask_i64(a, seq - SPAN(n));
        ask_i64(a, seq);
    } else {
        ask_null(a);
        ask_i64(a, SPAN(n));
    }
    ask_i32(a, 4 * HISTORY_BODIES / FOLD_MOST);
}

/* Does the scan for what was done reach to the outermost message? */
static bool reached(const struct side *s, bool later, int64_t seq, uint32_t n, uint64_t head)
{
    if (s->n == 0)
        return true;
    if (later)
        return (int64_t)s->items[s->n - 1]->event->seq - seq < SPAN(n);
    int64_t end = seq < INT64_MAX ? seq : (int64_t)head;
    return (int64_t)s->items[0]->event->seq >= end - SPAN(n);
}

/* Are the rows that were read all that the reader sees there, or more than wanted? */
static bool complete(const PGresult *rows, const struct page *p, bool later, const struct side *s, uint32_t n)
{
    int all = PQntuples(rows);
    if (p->seen.n == 0)
        return false;
    if ((uint32_t)all <= n || s->n > n)
        return true;
    uint64_t last = row_u64(row_of(rows, all - 1), EV_SEQ);
    return later ? last >= p->seen.range[p->seen.n - 1].to : last < p->seen.range[0].from;
}

bool page_take(const struct question *q, const PGresult *const *res, const struct page *p, bool later,
               int64_t seq, uint32_t n, struct side *s)
{
    if (!history_fold(res[0], res[1], &p->seen, p->conv, q->arena, &s->items, &s->n))
        return false;
    if (!complete(res[0], p, later, s, n))
        return false;
    s->more = s->n > n;
    if (s->more && !later)
        s->items += s->n - n;
    s->n = s->more ? n : s->n;
    return reached(s, later, seq, n, p->head);
}

/* ---- names ---- */

/* Of a direct conversation both are known; of a group, whoever was met lately. NULL: not known. */
static const char *name_of(const struct question *q, const struct row_conv *conv, ProtobufCBinaryData user)
{
    struct id16 id;
    if (id_from(user.data, user.len, &id))
        return "";
    if (!id_is_zero(conv->peer) && (id_eq(id, conv->me) || id_eq(id, conv->peer)))
        return id_eq(id, conv->me) ? conv->my_login : conv->peer_login;
    return q->env->login(q->env->ctx, id);
}

struct wanted {
    struct id16 *id;
    size_t n, room;
};

static void want(struct wanted *w, ProtobufCBinaryData user)
{
    for (size_t i = 0; i < w->n; i++)
        if (memcmp(w->id[i].b, user.data, ID_SIZE) == 0)
            return;
    if (w->n < w->room)
        memcpy(w->id[w->n++].b, user.data, ID_SIZE);
}

static void name_one(const struct question *q, const struct row_conv *conv, ProtobufCBinaryData user,
                     char **login, struct wanted *w)
{
    const char *known = name_of(q, conv, user);
    if (known)
        *login =
            (char *)(uintptr_t)known; /* lives until something else is learnt: the answer is packed before */
    else
        want(w, user);
}

static void name_items(const struct question *q, const struct row_conv *conv, const struct side *s,
                       struct wanted *w)
{
    for (size_t i = 0; i < s->n; i++) {
        Im__HistoryItem *item = s->items[i];
        name_one(q, conv, item->event->sender, &item->event->sender_login, w);
        for (size_t k = 0; k < item->n_reactions; k++)
            name_one(q, conv, item->reactions[k]->user, &item->reactions[k]->login, w);
    }
}

static size_t people_on(const struct side *s)
{
    size_t n = s->n;
    for (size_t i = 0; i < s->n; i++)
        n += s->items[i]->n_reactions;
    return n;
}

bool page_name(struct question *q, const struct row_conv *conv, const struct side *before,
               const struct side *after)
{
    struct wanted w = {.room = people_on(before) + people_on(after)};
    w.id = query_alloc(q->arena, w.room * sizeof *w.id);
    name_items(q, conv, before, &w);
    name_items(q, conv, after, &w);
    q->names = w.id;
    q->n_names = w.n;
    return w.n == 0;
}

void page_ask_names(struct question *q, struct ask *a)
{
    ask_stmt(a, &names_stmt);
    ask_ids(a, q->names, q->n_names);
}

void page_learn(const struct question *q, const PGresult *res)
{
    for (int i = 0; i < PQntuples(res); i++) {
        struct row r = row_of(res, i);
        q->env->learn(q->env->ctx, row_id(r, 0), row_text(r, 1));
    }
}
