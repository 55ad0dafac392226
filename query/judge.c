#include "query/judge.h"

#include "query/people.h"

#include <stdlib.h>

#define PAIRS_MOST 10000 /* of one question */

struct pair {
    struct id16 who, whom;
};
struct telling { /* pairs `first` to `first + n` */
    struct session to;
    size_t first, n;
};

struct judge {
    struct judge_conf conf;
    struct arena *arena; /* of the question in flight */
    struct pair *pairs;
    bool *online;
    size_t n, room;
    struct telling *tellings;
    size_t n_tellings, tellings_room;
    size_t asked; /* pairs in the question in flight; 0: none is */
    size_t done;  /* tellings that are over */
};

/* $1 who asked, $2 about whom, place by place. As SQL_SHOWN, for many who ask. */
static const struct db_stmt shown_stmt = {
    .name = "presence_judge",
    .sql = "SELECT coalesce(a.who = a.whom OR (NOT coalesce(o.blocked, false) AND (u.presence < 2 OR "
           "(u.presence = 2 AND "
           "coalesce(d.friend, 0) = 3))), false) FROM unnest($1::bytea[], $2::bytea[]) WITH ORDINALITY "
           "a(who, whom, at) "
           "LEFT JOIN LATERAL (SELECT x.presence FROM accounts x WHERE x.user_id = a.whom LIMIT 1) u ON true "
           "LEFT JOIN LATERAL (SELECT x.conv, x.friend FROM memberships x WHERE x.user_id = a.who AND x.peer "
           "= a.whom LIMIT 1) d "
           "ON true LEFT JOIN LATERAL (SELECT x.blocked FROM memberships x WHERE x.user_id = a.whom AND "
           "x.conv = d.conv LIMIT 1) "
           "o ON true ORDER BY a.at",
    .n_params = 2};

struct judge *judge_new(const struct judge_conf *conf)
{
    struct judge *j = calloc(1, sizeof *j);
    if (!j)
        return NULL;
    j->conf = *conf;
    j->arena = arena_new(0);
    if (!j->arena) {
        free(j);
        return NULL;
    }
    return j;
}

void judge_free(struct judge *j)
{
    if (!j)
        return;
    arena_free(j->arena);
    free(j->pairs);
    free(j->online);
    free(j->tellings);
    free(j);
}

static void *grown(void *p, size_t n, size_t size)
{
    p = reallocarray(p, n, size);
    if (!p)
        abort();
    return p;
}

void judge_add(struct judge *j, const struct session *to, const struct id16 *users, const bool *online,
               size_t n)
{
    if (j->n + n > j->room) {
        j->room = 2 * (j->n + n);
        j->pairs = grown(j->pairs, j->room, sizeof *j->pairs);
        j->online = grown(j->online, j->room, sizeof *j->online);
    }
    if (j->n_tellings == j->tellings_room) {
        j->tellings_room = 2 * j->tellings_room + 16;
        j->tellings = grown(j->tellings, j->tellings_room, sizeof *j->tellings);
    }
    j->tellings[j->n_tellings++] = (struct telling){*to, j->n, n};
    for (size_t i = 0; i < n; i++) {
        j->pairs[j->n] = (struct pair){to->user, users[i]};
        j->online[j->n++] = online[i];
    }
}

static void tell(struct judge *j, const struct telling *t, const PGresult *shown, size_t base)
{
    struct id16 users[PEOPLE_MOST];
    bool online[PEOPLE_MOST];
    size_t n = 0;
    for (size_t i = t->first; i < t->first + t->n && n < PEOPLE_MOST; i++) {
        if (!row_bool(row_of(shown, (int)(i - base)), 0))
            continue;
        users[n] = j->pairs[i].whom;
        online[n++] = j->online[i];
    }
    if (n)
        j->conf.tell(j->conf.ctx, &t->to, users, online, n);
}

static void on_shown(void *ctx, const struct db_result *r)
{
    struct judge *j = ctx;
    size_t base = j->tellings[j->done].first, asked = j->asked;
    j->asked = 0;
    if (r->status == DB_DOWN)
        return; /* once more when there is room */
    for (; j->done < j->n_tellings && j->tellings[j->done].first < base + asked; j->done++)
        if (r->status == DB_OK && (size_t)PQntuples(r->results[0]) == asked)
            tell(j, &j->tellings[j->done], r->results[0], base);
    if (j->done == j->n_tellings)
        j->done = j->n_tellings = j->n = 0;
}

void judge_run(struct judge *j)
{
    struct ask a;
    size_t n = 0;
    if (j->asked || j->n_tellings == 0)
        return;
    size_t first = j->tellings[j->done].first;
    for (size_t i = j->done; i < j->n_tellings && (n == 0 || n + j->tellings[i].n <= PAIRS_MOST); i++)
        n += j->tellings[i].n;
    arena_reset(j->arena);
    struct id16 *who = query_alloc(j->arena, n * sizeof *who),
                *whom = query_alloc(j->arena, n * sizeof *whom);
    for (size_t i = 0; i < n; i++) {
        who[i] = j->pairs[first + i].who;
        whom[i] = j->pairs[first + i].whom;
    }
    ask_start(&a, j->arena);
    ask_stmt(&a, &shown_stmt);
    ask_ids(&a, who, n);
    ask_ids(&a, whom, n);
    if (j->conf.run(j->conf.ctx, &a, on_shown, j) == 0)
        j->asked = n;
}

bool judge_busy(const struct judge *j)
{
    return j->n_tellings > 0;
}
