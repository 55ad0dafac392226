#include "client/parleyctl/rstore.h"

#include "common/base/kv_url.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_S 30
#define EACH   500 /* rows of a command */

static int complain(const struct rstore *r, const redisReply *a)
{
    ctl_complain("Redis: %s", a && a->type == REDIS_REPLY_ERROR ? a->str : r->redis->errstr);
    return CTL_FAILED;
}

redisReply *rstore_ask(struct rstore *r, int argc, const char **argv, const size_t *lens)
{
    redisReply *a = redisCommandArgv(r->redis, argc, argv, lens);
    if (a && a->type != REDIS_REPLY_ERROR)
        return a;
    complain(r, a);
    if (a)
        freeReplyObject(a);
    return NULL;
}

static bool login(struct rstore *r, const struct kv_url *u)
{
    char db[16];
    snprintf(db, sizeof db, "%d", u->db);
    redisReply *a = u->password ? rstore_ask(r, 2, (const char *[]){"AUTH", u->password}, NULL) : NULL;
    bool ok = !u->password || a;
    if (a)
        freeReplyObject(a);
    a = ok && u->db ? rstore_ask(r, 2, (const char *[]){"SELECT", db}, NULL) : NULL;
    ok &= !u->db || a;
    if (a)
        freeReplyObject(a);
    return ok;
}

int rstore_open(struct ctl *c, struct rstore *r)
{
    struct kv_url u = {0};
    struct timeval wait = {WAIT_S, 0};
    bool ok = kv_url_parse(&u, c->settings.deploy.redis);
    r->ctl = c;
    if (ok)
        r->redis = u.path ? redisConnectUnixWithTimeout(u.path, wait)
                          : redisConnectWithTimeout(u.host, u.port, wait);
    ok &= r->redis && !r->redis->err;
    if (!ok)
        ctl_complain("Redis does not answer: %s\n  Is it running? redis.url, or PARLEY_REDIS, says where.",
                     r->redis ? r->redis->errstr : "no memory");
    else
        redisSetTimeout(r->redis, wait);
    ok = ok && login(r, &u);
    kv_url_release(&u);
    if (!ok)
        rstore_close(r);
    return ok ? CTL_OK : CTL_FAILED;
}

void rstore_close(struct rstore *r)
{
    if (r->redis)
        redisFree(r->redis);
    r->redis = NULL;
}

void rstore_choose(struct rstore *r, const char *group, int32_t part)
{
    static const char *const side[RSTORE_SIDES] = {"", ".copy", ".shadow"};
    for (size_t i = 0; i < RSTORE_SIDES; i++)
        snprintf(r->base[i], sizeof r->base[i], "%sparley%s:{%s:%" PRId32 "}", r->ctl->settings.deploy.prefix,
                 side[i], group, part);
}

void rstore_table(const struct rstore *r, enum rstore_side side, unsigned table, char key[240])
{
    snprintf(key, 240, "%s:t%u", r->base[side], table);
}

void rstore_mark_key(const struct rstore *r, enum rstore_side side, char key[240])
{
    snprintf(key, 240, "%s:m", r->base[side]);
}

/* ---- marks ---- */
static bool read_list(const char *text, int64_t out[STORE_TOPICS])
{
    size_t i = 0;
    for (; *text && i < STORE_TOPICS; i++) {
        char *end;
        out[i] = strtoll(text, &end, 10);
        if (end == text)
            return false;
        text = *end == ',' ? end + 1 : end;
    }
    return i > 0;
}

void rstore_mark_of(const redisReply *a, struct store_mark *m)
{
    const char *text[4] = {0};
    *m = (struct store_mark){0};
    for (size_t i = 0; a->type == REDIS_REPLY_ARRAY && i < 4 && i < a->elements; i++)
        text[i] = a->element[i]->str;
    m->generation = text[0] ? strtoll(text[0], NULL, 10) : 0;
    m->serial = text[1] ? strtoll(text[1], NULL, 10) : 0;
    m->present = text[2] && read_list(text[2], m->next);
    if (text[3])
        read_list(text[3], m->quiet);
}

int rstore_mark(struct rstore *r, enum rstore_side side, struct store_mark *m)
{
    char key[240];
    rstore_mark_key(r, side, key);
    redisReply *a = rstore_ask(r, 6, (const char *[]){"HMGET", key, "g", "s", "n", "q"}, NULL);
    if (!a)
        return CTL_FAILED;
    rstore_mark_of(a, m);
    freeReplyObject(a);
    return 0;
}

int rstore_copy(struct rstore *r, uint32_t tables, struct store_mark *m)
{
    char from[240], to[240];
    int rc = rstore_drop(r, RSTORE_COPY), n = 2;
    if (rc)
        return rc;
    rstore_mark_key(r, RSTORE_LIVE, from);
    redisAppendCommand(r->redis, "MULTI");
    redisAppendCommand(r->redis, "HMGET %s g s n q", from);
    for (unsigned t = 0; t < STORE_TABLES; t++) {
        if (!(tables & 1u << t))
            continue;
        rstore_table(r, RSTORE_LIVE, t, from);
        rstore_table(r, RSTORE_COPY, t, to);
        redisAppendCommand(r->redis, "COPY %s %s REPLACE", from, to);
        n++;
    }
    redisAppendCommand(r->redis, "EXEC");
    redisReply *a = NULL;
    for (int i = 0; i <= n && !rc; i++) {
        if (a)
            freeReplyObject(a);
        a = NULL;
        if (redisGetReply(r->redis, (void **)&a) || a->type == REDIS_REPLY_ERROR)
            rc = complain(r, a);
    }
    if (!rc && (a->type != REDIS_REPLY_ARRAY || a->elements == 0))
        rc = complain(r, a);
    if (!rc)
        rstore_mark_of(a->element[0], m);
    if (a)
        freeReplyObject(a);
    return rc;
}

int rstore_drop(struct rstore *r, enum rstore_side side)
{
    char keys[STORE_TABLES + 1][240];
    const char *argv[STORE_TABLES + 2] = {"UNLINK"};
    if (side == RSTORE_LIVE)
        return CTL_FAILED;
    for (unsigned t = 0; t < STORE_TABLES; t++)
        rstore_table(r, side, t, keys[t]);
    rstore_mark_key(r, side, keys[STORE_TABLES]);
    for (unsigned t = 0; t <= STORE_TABLES; t++)
        argv[t + 1] = keys[t];
    redisReply *a = rstore_ask(r, STORE_TABLES + 2, argv, NULL);
    if (a)
        freeReplyObject(a);
    return a ? 0 : CTL_FAILED;
}

/* ---- rows ---- */
struct args {
    const char *v[2 * EACH + 2];
    size_t n[2 * EACH + 2];
    int count;
};

static void add(struct args *a, struct slice s)
{
    a->v[a->count] = s.n ? s.p : "";
    a->n[a->count++] = s.n;
}

static void begin(struct args *a, const char *verb, const char *key)
{
    a->count = 0;
    add(a, (struct slice){verb, strlen(verb)});
    add(a, (struct slice){key, strlen(key)});
}

static int load_some(struct rstore *r, const struct store_key *keys, size_t n, store_row_fn *row,
                     void *row_ctx)
{
    struct args a;
    char key[240];
    rstore_table(r, RSTORE_SHADOW, keys[0].table, key);
    begin(&a, "HMGET", key);
    for (size_t i = 0; i < n; i++)
        add(&a, keys[i].key);
    redisReply *got = rstore_ask(r, a.count, a.v, a.n);
    if (!got)
        return CTL_FAILED;
    for (size_t i = 0; i < n && i < got->elements; i++) {
        const redisReply *v = got->element[i];
        bool there = v->type == REDIS_REPLY_STRING;
        row(row_ctx, &keys[i], there ? (struct slice){v->str, (size_t)v->len} : (struct slice){0});
    }
    freeReplyObject(got);
    return 0;
}

/* Runs of keys of one table, so many at a time. */
int rstore_load(void *ctx, const struct store_key *keys, size_t n, store_row_fn *row, void *row_ctx)
{
    for (size_t i = 0, k; i < n; i = k) {
        for (k = i; k < n && k - i < EACH && keys[k].table == keys[i].table;)
            k++;
        int rc = load_some(ctx, keys + i, k - i, row, row_ctx);
        if (rc)
            return rc;
    }
    return 0;
}

int rstore_put(void *ctx, const struct store_row *rows, size_t n)
{
    struct rstore *r = ctx;
    size_t asked = 0;
    int rc = 0;
    for (size_t i = 0, k; i < n; i = k) {
        struct args a;
        char key[240];
        bool gone = rows[i].row.n == 0;
        rstore_table(r, RSTORE_SHADOW, rows[i].table, key);
        begin(&a, gone ? "HDEL" : "HSET", key);
        for (k = i; k < n && k - i < EACH && rows[k].table == rows[i].table && (rows[k].row.n == 0) == gone;
             k++) {
            add(&a, rows[k].key);
            if (!gone)
                add(&a, rows[k].row);
        }
        redisAppendCommandArgv(r->redis, a.count, a.v, a.n);
        asked++;
    }
    for (; asked; asked--) {
        redisReply *a = NULL;
        if (redisGetReply(r->redis, (void **)&a) || a->type == REDIS_REPLY_ERROR)
            rc = rc ? rc : complain(r, a);
        if (a)
            freeReplyObject(a);
        else
            break;
    }
    return rc;
}

int rstore_scan(struct rstore *r, enum rstore_side side, uint8_t table, rstore_row_fn *fn, void *ctx)
{
    char key[240], cursor[32] = "0";
    int rc = 0;
    rstore_table(r, side, table, key);
    do {
        redisReply *a = rstore_ask(r, 5, (const char *[]){"HSCAN", key, cursor, "COUNT", "1000"}, NULL);
        if (!a)
            return CTL_FAILED;
        snprintf(cursor, sizeof cursor, "%s", a->element[0]->str);
        const redisReply *rows = a->element[1];
        for (size_t i = 0; i + 1 < rows->elements && !rc; i += 2)
            rc = fn(ctx, table, (struct slice){rows->element[i]->str, (size_t)rows->element[i]->len},
                    (struct slice){rows->element[i + 1]->str, (size_t)rows->element[i + 1]->len});
        freeReplyObject(a);
    } while (!rc && strcmp(cursor, "0") != 0);
    return rc;
}

int rstore_row(struct rstore *r, enum rstore_side side, uint8_t table, struct slice k, struct slice *row)
{
    char key[240];
    rstore_table(r, side, table, key);
    redisReply *a =
        rstore_ask(r, 3, (const char *[]){"HGET", key, k.p}, (const size_t[]){4, strlen(key), k.n});
    *row = (struct slice){0};
    if (!a)
        return CTL_FAILED;
    void *copy = a->type == REDIS_REPLY_STRING ? malloc((size_t)a->len + 1) : NULL;
    if (copy) {
        memcpy(copy, a->str, (size_t)a->len);
        *row = (struct slice){copy, (size_t)a->len};
    }
    freeReplyObject(a);
    return 0;
}
