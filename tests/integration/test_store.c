/* Stores and the Redis client against real servers: PARLEY_REDIS, PARLEY_POSTGRES. Names are new in every run. */
#include "common/base/clock.h"
#include "common/base/db.h"
#include "common/base/kv.h"
#include "common/base/loop.h"
#include "common/base/rand.h"
#include "common/base/store.h"
#include "common/base/store_pg.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define WAIT_MS 20000

static struct loop *loop;
static struct kv *kv;
static struct db *db;
static char prefix[32];

#define WAIT_UNTIL(cond)                                   \
    do {                                                   \
        int64_t end_ = clock_mono_ms() + WAIT_MS;          \
        while (!(cond)) {                                  \
            if (clock_mono_ms() > end_)                    \
                fail_msg("waited too long for %s", #cond); \
            assert_int_equal(loop_turn(loop, 20), 0);      \
        }                                                  \
    } while (0)

/* ---- Redis client ---- */
struct got {
    int calls;
    enum kv_status status;
    enum kv_error error;
    int type, len;
    long long integer;
    char str[64];
};

static void on_reply(void *ctx, const struct kv_result *r)
{
    struct got *g = ctx;
    g->calls++;
    g->status = r->status;
    g->error = r->error;
    if (!r->reply)
        return;
    g->type = r->reply->type;
    g->integer = r->reply->integer;
    if (r->reply->str && r->reply->len < (int)sizeof g->str) {
        memcpy(g->str, r->reply->str, r->reply->len);
        g->len = (int)r->reply->len;
    }
}

static void commands_are_answered_in_order_and_are_binary_safe(void **state)
{
    (void)state;
    struct got a = {0}, b = {0}, c = {0};
    char key[64];
    snprintf(key, sizeof key, "%s-k", prefix);
    struct slice set[] = {{"SET", 3}, {key, strlen(key)}, {"a\0b\r\n", 5}};
    assert_int_equal(kv_send(kv, set, 3, on_reply, &a), 0);
    assert_int_equal(kv_sendz(kv, on_reply, &b, "GET", key, NULL), 0);
    assert_int_equal(kv_sendz(kv, on_reply, &c, "HGET", key, "f", NULL), 0);
    WAIT_UNTIL(c.calls);
    assert_int_equal(a.status, KV_OK);
    assert_int_equal(b.len, 5);
    assert_memory_equal(b.str, "a\0b\r\n", 5);
    assert_int_equal(c.status, KV_ERROR);
    assert_int_equal(c.error, KV_ERR_OTHER);
    struct got d = {0};
    assert_int_equal(
        kv_sendz(kv, on_reply, &d, "EVALSHA", "0123456789012345678901234567890123456789", "0", NULL), 0);
    WAIT_UNTIL(d.calls);
    assert_int_equal(d.error, KV_ERR_NOSCRIPT);
}

static void many_commands_in_flight(void **state)
{
    (void)state;
    enum { N = 50000 };
    struct got *g = calloc(N, sizeof *g);
    char key[64];
    snprintf(key, sizeof key, "%s-n", prefix);
    for (int i = 0; i < N; i++)
        assert_int_equal(kv_sendz(kv, on_reply, &g[i], "INCR", key, NULL), 0);
    WAIT_UNTIL(g[N - 1].calls);
    for (int i = 0; i < N; i++) {
        assert_int_equal(g[i].calls, 1);
        assert_int_equal(g[i].integer, i + 1);
    }
    free(g);
}

static int ups, downs;
static void on_up(void *ctx)
{
    (void)ctx;
    ups++;
}
static void on_down(void *ctx, const char *why)
{
    (void)ctx;
    (void)why;
    downs++;
}

static void a_cut_connection_answers_down_and_comes_back(void **state)
{
    (void)state;
    int before = ups;
    struct got a = {0}, b = {0};
    char id[32];
    assert_int_equal(kv_sendz(kv, on_reply, &a, "CLIENT", "ID", NULL), 0);
    WAIT_UNTIL(a.calls);
    snprintf(id, sizeof id, "%lld", a.integer);
    struct kv *other = kv_new(loop, &(struct kv_conf){.url = getenv("PARLEY_REDIS")});
    WAIT_UNTIL(kv_up(other));
    assert_int_equal(kv_sendz(kv, on_reply, &b, "BLPOP", "no-such-list", "0", NULL), 0);
    assert_int_equal(kv_sendz(other, NULL, NULL, "CLIENT", "KILL", "ID", id, NULL), 0);
    WAIT_UNTIL(b.calls);
    assert_int_equal(b.status, KV_DOWN);
    assert_int_equal(kv_sendz(kv, on_reply, &a, "PING", NULL), -ENOTCONN);
    WAIT_UNTIL(kv_up(kv));
    assert_int_equal(ups, before + 1);
    assert_true(downs > 0);
    kv_free(other);
}

struct late_hook { /* registered after the client: runs behind anything it might do before a wait */
    struct loop_hook hook;
    struct got got;
    bool send;
};

static void send_once(struct loop_hook *h)
{
    struct late_hook *l = container_of(h, struct late_hook, hook);
    if (l->send)
        assert_int_equal(kv_sendz(kv, on_reply, &l->got, "PING", NULL), 0);
    l->send = false;
}

struct alarm_timer {
    struct timer timer;
    bool fired;
};

static void on_alarm(struct timer *t)
{
    container_of(t, struct alarm_timer, timer)->fired = true;
}

/* The shell steps its batches in a hook; what it asks must leave at once, not with the next event. Six of eight tries
 * are enough, for a busy machine; with the mistake it is luck: a timer of the client's own has to come in between. */
static void what_a_hook_sends_leaves_in_the_same_turn(void **state)
{
    (void)state;
    struct late_hook l = {.send = false};
    int prompt = 0;
    loop_hook(loop, &l.hook, send_once);
    for (int i = 0; i < 8; i++) {
        struct alarm_timer a = {.fired = false};
        l = (struct late_hook){.hook = l.hook, .send = true};
        timer_init(&a.timer, on_alarm);
        loop_timer_start(loop, &a.timer, 15);
        while (!l.got.calls && !a.fired)
            assert_int_equal(loop_turn(loop, -1), 0);
        prompt += !a.fired;
        loop_timer_stop(loop, &a.timer);
        WAIT_UNTIL(l.got.calls);
    }
    loop_unhook(loop, &l.hook);
    assert_in_range(prompt, 6, 8);
}

static void nobody_there_is_told(void **state)
{
    (void)state;
    int before = downs;
    struct kv *k = kv_new(loop, &(struct kv_conf){.url = "redis://127.0.0.1:1", .down = on_down});
    WAIT_UNTIL(downs > before + 1); /* it goes on trying */
    assert_false(kv_up(k));
    kv_free(k);
}

/* ---- stores ---- */
struct opened {
    int calls;
    enum store_rc rc;
    struct store_part *p;
    struct store_mark mark;
};

static void on_open(void *ctx, enum store_rc rc, struct store_part *p, const struct store_mark *m)
{
    struct opened *o = ctx;
    o->calls++;
    o->rc = rc;
    o->p = p;
    if (rc == STORE_OK)
        o->mark = *m;
}

static struct opened open_part(struct store *s, int32_t part)
{
    static const int64_t committed[2] = {0, 0};
    struct opened o = {0};
    store_open(s, prefix, part, 2, committed, on_open, &o);
    WAIT_UNTIL(o.calls);
    assert_int_equal(o.calls, 1);
    return o;
}

struct done {
    int calls;
    enum store_rc rc;
    int rows;
    char text[8][32];
};

static void on_done(void *ctx, enum store_rc rc)
{
    struct done *d = ctx;
    d->calls++;
    d->rc = rc;
}

static void on_row(void *ctx, const struct store_key *k, struct slice row)
{
    struct done *d = ctx;
    snprintf(d->text[d->rows++], 32, "%u:%.*s=%.*s", k->table, (int)k->key.n, (const char *)k->key.p,
             (int)row.n, row.n ? (const char *)row.p : "");
}

static void on_any_row(void *ctx, const struct store_key *k, struct slice row)
{
    (void)k, (void)row;
    ((struct done *)ctx)->rows++;
}

#define S(text) ((struct slice){text, sizeof text - 1})

static enum store_rc put(struct store *s, struct opened *o, const struct store_row *rows, size_t n,
                         int64_t next, bool reset)
{
    struct store_mark m = o->mark;
    struct store_put p = {.rows = rows, .n = n, .mark = &m, .reset = reset};
    struct done d = {0};
    m.serial++;
    m.present = true;
    m.next[0] = next;
    m.quiet[1] = 7;
    s->ops->put(o->p, &p, on_done, &d);
    WAIT_UNTIL(d.calls);
    if (d.rc == STORE_OK)
        o->mark = m;
    return d.rc;
}

static struct done load(struct store *s, struct opened *o, const struct store_key *keys, size_t n)
{
    struct done d = {0};
    s->ops->load(o->p, keys, n, on_row, on_done, &d);
    WAIT_UNTIL(d.calls);
    return d;
}

static bool has(const struct done *d, const char *text)
{
    for (int i = 0; i < d->rows; i++)
        if (!strcmp(d->text[i], text))
            return true;
    return false;
}

static void check_rows_and_mark(struct store *s)
{
    struct opened o = open_part(s, 1);
    assert_int_equal(o.rc, STORE_OK);
    assert_false(o.mark.present);
    struct store_row rows[] = {
        {1, false, S("a"), S("one")}, {1, false, S("b"), S("two")}, {2, false, S("a"), S("x")}};
    assert_int_equal(put(s, &o, rows, 3, 10, true), STORE_OK);
    struct store_key keys[] = {{2, S("a")}, {1, S("b")}, {1, S("nope")}, {1, S("a")}};
    struct done d = load(s, &o, keys, 4);
    assert_int_equal(d.rc, STORE_OK);
    assert_int_equal(d.rows, 4);
    assert_true(has(&d, "2:a=x") && has(&d, "1:b=two") && has(&d, "1:nope=") && has(&d, "1:a=one"));
    struct store_row more[] = {{1, false, S("a"), S("newer")}, {1, false, S("b"), {NULL, 0}}};
    assert_int_equal(put(s, &o, more, 2, 20, false), STORE_OK);
    d = load(s, &o, keys, 4);
    assert_true(has(&d, "1:a=newer") && has(&d, "1:b=") && has(&d, "2:a=x"));
    struct opened other = open_part(s, 2); /* another partition sees none of it */
    assert_false(other.mark.present);
    s->ops->close(other.p);
    s->ops->close(o.p);
    o = open_part(s, 1);
    assert_true(o.mark.present);
    assert_int_equal(o.mark.next[0], 20);
    assert_int_equal(o.mark.quiet[1], 7);
    s->ops->close(o.p);
}

static void check_fence(struct store *s)
{
    struct opened a = open_part(s, 5);
    struct store_row row = {1, false, S("k"), S("v")};
    assert_int_equal(put(s, &a, &row, 1, 1, true), STORE_OK);
    struct opened b = open_part(s, 5);
    assert_true(b.mark.generation > a.mark.generation);
    assert_int_equal(b.mark.next[0], 1);
    assert_int_equal(put(s, &a, &row, 1, 2, false), STORE_FENCED); /* the zombie wakes and writes */
    assert_int_equal(put(s, &b, &row, 1, 2, false), STORE_OK);
    b.mark.serial--; /* the answer was lost, it is put again */
    assert_int_equal(put(s, &b, &row, 1, 2, false), STORE_OK);
    b.mark.serial -= 2;
    assert_int_equal(put(s, &b, &row, 1, 2, false), STORE_FENCED);
    s->ops->close(a.p);
    s->ops->close(b.p);
}

static void check_reset(struct store *s)
{
    struct opened a = open_part(s, 6);
    struct store_row row = {1, false, S("k"), S("v")}, after = {2, false, S("l"), S("w")};
    assert_int_equal(put(s, &a, &row, 1, 1, true), STORE_OK);
    assert_int_equal(put(s, &a, &after, 1, 2, true), STORE_OK);
    struct store_key keys[] = {{1, S("k")}, {2, S("l")}};
    struct done d = load(s, &a, keys, 2);
    assert_true(has(&d, "1:k=") && has(&d, "2:l=w"));
    s->ops->close(a.p);
}

struct closing {
    struct store *store;
    struct store_part *part;
    int calls;
};

static void close_when_done(void *ctx, enum store_rc rc)
{
    struct closing *c = ctx;
    assert_int_equal(rc, STORE_OK);
    c->calls++;
    c->store->ops->close(c->part); /* as a partition that only waited for this */
}

static void nothing_with(void *ctx, const struct store_key *key, struct slice row)
{
    (void)ctx, (void)key, (void)row;
}

static void check_closed_by_an_answer(struct store *s)
{
    struct opened a = open_part(s, 8);
    struct closing c = {s, a.p, 0};
    struct store_key key = {1, S("k")};
    s->ops->load(a.p, &key, 1, nothing_with, close_when_done, &c);
    WAIT_UNTIL(c.calls);
}

static void check_large(struct store *s)
{
    enum { N = 9000 };
    struct opened a = open_part(s, 7);
    struct store_row *rows = calloc(N, sizeof *rows);
    struct store_key *keys = calloc(N, sizeof *keys);
    char(*text)[16] = calloc(N, 16);
    for (int i = 0; i < N; i++) {
        int n = snprintf(text[i], 16, "key-%d", i);
        rows[i] = (struct store_row){1, false, {text[i], (size_t)n}, {text[i], (size_t)n}};
        keys[i] = (struct store_key){1, rows[i].key};
    }
    assert_int_equal(put(s, &a, rows, N, 1, true), STORE_OK);
    struct done d = load(s, &a, keys + N - 3, 3);
    assert_true(has(&d, "1:key-8999=key-8999"));
    for (int i = 0; i < N; i++)
        rows[i].row.n = 0;
    assert_int_equal(put(s, &a, rows, N, 2, false), STORE_OK);
    d = load(s, &a, keys + N - 3, 3);
    assert_true(has(&d, "1:key-8999="));
    s->ops->close(a.p);
    free(rows);
    free(keys);
    free(text);
}

static void redis_rows_and_mark(void **state)
{
    (void)state;
    struct store *s = store_redis_new(loop, kv, "test");
    check_rows_and_mark(s);
    check_fence(s);
    check_reset(s);
    check_closed_by_an_answer(s);
    check_large(s);
    store_free(s);
}

static void redis_that_lost_everything_is_noticed(void **state)
{
    (void)state;
    struct store *s = store_redis_new(loop, kv, "test");
    struct opened a = open_part(s, 9);
    struct store_row row = {1, false, S("k"), S("v")};
    assert_int_equal(put(s, &a, &row, 1, 1, true), STORE_OK);
    char mark[128], rows[128];
    snprintf(mark, sizeof mark, "test:{%s:9}:m", prefix);
    snprintf(rows, sizeof rows, "test:{%s:9}:t1", prefix);
    assert_int_equal(kv_sendz(kv, NULL, NULL, "DEL", mark, rows, NULL), 0);
    struct store_key k = {1, S("k")};
    struct done d = load(s, &a, &k, 1);
    assert_int_equal(d.rc, STORE_FENCED); /* not "proven absent" */
    assert_int_equal(d.rows, 0);
    assert_int_equal(put(s, &a, &row, 1, 2, false), STORE_FENCED);
    struct opened b = open_part(s, 9);
    assert_false(b.mark.present);
    assert_true(b.mark.generation > a.mark.generation);
    assert_int_equal(put(s, &a, &row, 1, 2, false), STORE_FENCED);
    s->ops->close(a.p);
    s->ops->close(b.p);
    store_free(s);
}

static void redis_scripts_survive_a_flush(void **state)
{
    (void)state;
    struct store *s = store_redis_new(loop, kv, "test");
    struct opened a = open_part(s, 11);
    struct store_row row = {1, false, S("k"), S("v")};
    assert_int_equal(put(s, &a, &row, 1, 1, true), STORE_OK);
    assert_int_equal(put(s, &a, &row, 1, 2, false), STORE_OK);
    assert_int_equal(kv_sendz(kv, NULL, NULL, "SCRIPT", "FLUSH", NULL), 0);
    assert_int_equal(put(s, &a, &row, 1, 3, false), STORE_OK);
    struct opened b = open_part(s, 11);
    assert_int_equal(b.mark.next[0], 3);
    s->ops->close(a.p);
    s->ops->close(b.p);
    store_free(s);
}

static void redis_away_means_down(void **state)
{
    (void)state;
    struct kv *nobody = kv_new(loop, &(struct kv_conf){.url = "127.0.0.1:1"});
    struct store *s = store_redis_new(loop, nobody, "test");
    struct opened a = open_part(s, 1);
    assert_int_equal(a.rc, STORE_DOWN);
    assert_false(store_up(s));
    kv_free(nobody);
    store_free(s);
}

/* A load is several commands in a transaction: half of one would leave the connection inside it, and everything
 * that follows would be queued instead of done. */
static void redis_with_a_full_pipe_takes_a_load_whole_or_not_at_all(void **state)
{
    (void)state;
    enum { N = 100 };
    struct kv *narrow = kv_new(loop, &(struct kv_conf){.url = getenv("PARLEY_REDIS"), .max_kbytes = 1});
    struct store *s = store_redis_new(loop, narrow, "test");
    WAIT_UNTIL(kv_up(narrow));
    struct opened a = open_part(s, 11);
    assert_int_equal(a.rc, STORE_OK);
    struct store_key keys[N];
    struct done d = {0};
    static char text[40];
    for (int i = 0; i < N; i++)
        keys[i] = (struct store_key){(uint8_t)(1 + i % 4), {text, sizeof text}};
    s->ops->load(a.p, keys, N, on_any_row, on_done, &d);
    WAIT_UNTIL(d.calls);
    assert_true(d.rc == STORE_OK || d.rc == STORE_DOWN);
    struct store_row row = {1, false, S("k"), S("v")};
    assert_int_equal(put(s, &a, &row, 1, 1, true), STORE_OK);
    s->ops->close(a.p);
    kv_free(narrow);
    store_free(s);
}

/* A script that runs for long: Redis takes the MULTI, refuses what is in it, and so the EXEC. */
static void redis_that_is_busy_is_asked_again(void **state)
{
    (void)state;
    struct store *s = store_redis_new(loop, kv, "test");
    struct opened a = open_part(s, 12);
    struct store_row row = {1, false, S("k"), S("v")};
    struct got g = {0}, ping = {0};
    assert_int_equal(put(s, &a, &row, 1, 1, true), STORE_OK);
    struct kv *busy = kv_new(loop, &(struct kv_conf){.url = getenv("PARLEY_REDIS")});
    struct kv *killer = kv_new(loop, &(struct kv_conf){.url = getenv("PARLEY_REDIS")});
    WAIT_UNTIL(kv_up(busy) && kv_up(killer));
    assert_int_equal(kv_sendz(killer, on_reply, &g, "CONFIG", "SET", "lua-time-limit", "1", NULL), 0);
    WAIT_UNTIL(g.calls);
    assert_int_equal(kv_sendz(busy, NULL, NULL, "EVAL", "while true do end", "0", NULL), 0);
    while (ping.error != KV_ERR_BUSY) {
        ping = (struct got){0};
        assert_int_equal(kv_sendz(killer, on_reply, &ping, "PING", NULL), 0);
        WAIT_UNTIL(ping.calls);
    }
    struct store_key key = {1, S("k")};
    struct done d = load(s, &a, &key, 1);
    assert_int_equal(d.rc, STORE_DOWN);
    assert_int_equal(kv_sendz(killer, NULL, NULL, "SCRIPT", "KILL", NULL), 0);
    while (d.rc == STORE_DOWN)
        d = load(s, &a, &key, 1);
    assert_int_equal(d.rc, STORE_OK);
    assert_true(has(&d, "1:k=v"));
    assert_int_equal(kv_sendz(killer, on_reply, &g, "CONFIG", "SET", "lua-time-limit", "5000", NULL), 0);
    WAIT_UNTIL(g.calls == 2);
    s->ops->close(a.p);
    kv_free(busy);
    kv_free(killer);
    store_free(s);
}

/* As a process ends while Redis does not answer: the kv goes first and answers what is in flight. */
static void redis_store_ends_with_questions_in_flight(void **state)
{
    (void)state;
    struct kv *own = kv_new(loop, &(struct kv_conf){.url = getenv("PARLEY_REDIS")});
    struct store *s = store_redis_new(loop, own, "test");
    WAIT_UNTIL(kv_up(own));
    struct opened a = open_part(s, 13), b = {0};
    struct done d = {0};
    static const int64_t committed[2];
    struct store_key key = {1, S("k")};
    s->ops->load(a.p, &key, 1, on_row, on_done, &d);
    s->ops->close(a.p);
    store_open(s, prefix, 14, 2, committed, on_open, &b);
    kv_free(own);
    assert_int_equal(b.calls, 1);
    assert_int_equal(b.rc, STORE_DOWN);
    assert_int_equal(d.calls, 0);
    store_free(s);
}

/* ---- PostgreSQL ---- */
static char sql[8][256];
static struct store_pg_table pg_tables[2];

static PGconn *plain; /* for what is not under test */

static void run_sql(const char *text)
{
    PGresult *r = PQexec(plain, text);
    if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", text, PQerrorMessage(plain));
    PQclear(r);
}

static void make_pg_tables(void)
{
    for (unsigned t = 1; t <= 2; t++) {
        char create[256];
        snprintf(create, sizeof create,
                 "CREATE TABLE %s_t%u (part int, key bytea, row bytea, PRIMARY KEY (part, key))", prefix, t);
        run_sql(create);
        char(*q)[256] = &sql[(t - 1) * 4];
        snprintf(q[0], 256,
                 "INSERT INTO %s_t%u (part, key, row) SELECT $2, * FROM unnest($3::bytea[], $4::bytea[]) "
                 "WHERE $1 <> ''"
                 " ON CONFLICT (part, key) DO UPDATE SET row = excluded.row",
                 prefix, t);
        snprintf(q[1], 256, "DELETE FROM %s_t%u WHERE part = $2 AND key = ANY($3::bytea[]) AND $1 <> ''",
                 prefix, t);
        snprintf(q[2], 256,
                 "SELECT key, row FROM %s_t%u WHERE part = $2 AND key = ANY($3::bytea[]) AND $1 <> ''",
                 prefix, t);
        snprintf(q[3], 256, "DELETE FROM %s_t%u WHERE part = $2 AND $1 <> ''", prefix, t);
        pg_tables[t - 1] = (struct store_pg_table){.table = (uint8_t)t,
                                                   .name = t == 1 ? "t1" : "t2",
                                                   .upsert = q[0],
                                                   .remove = q[1],
                                                   .load = q[2],
                                                   .clear = q[3],
                                                   .n_columns = 2};
    }
}

static void postgres_rows_and_mark(void **state)
{
    (void)state;
    make_pg_tables();
    struct store *s = store_pg_new(loop, db, pg_tables, 2);
    check_rows_and_mark(s);
    check_fence(s);
    check_reset(s);
    check_closed_by_an_answer(s);
    check_large(s);
    store_free(s);
}

struct ran {
    int calls;
    enum db_status status;
    char sqlstate[6];
};

static void on_ran(void *ctx, const struct db_result *r)
{
    struct ran *x = ctx;
    x->calls++;
    x->status = r->status;
    memcpy(x->sqlstate, r->sqlstate, sizeof x->sqlstate);
}

static int db_downs;
static void on_db_down(void *ctx, const char *why)
{
    (void)ctx;
    (void)why;
    db_downs++;
}

static void postgres_cut_connection_comes_back(void **state)
{
    (void)state;
    static const struct db_stmt stmt = {.name = "suicide",
                                        .sql = "SELECT pg_terminate_backend(pg_backend_pid())"};
    struct db_call call = {.stmt = &stmt};
    struct ran r = {0};
    int before = db_downs;
    assert_int_equal(db_run(db, &call, 1, on_ran, &r), 0);
    WAIT_UNTIL(r.calls);
    assert_int_not_equal(r.status, DB_OK);
    WAIT_UNTIL(db_downs > before && db_up(db));
    static const struct db_stmt one = {.name = "one", .sql = "SELECT 1"};
    call.stmt = &one;
    r = (struct ran){0};
    assert_int_equal(db_run(db, &call, 1, on_ran, &r), 0);
    WAIT_UNTIL(r.calls);
    assert_int_equal(r.status, DB_OK);
}

static int setup(void **state)
{
    (void)state;
    const char *redis = getenv("PARLEY_REDIS"), *pg = getenv("PARLEY_POSTGRES");
    if (!redis || !pg) {
        print_error(
            "PARLEY_REDIS or PARLEY_POSTGRES is not set: run the integration tests with tools/servers\n");
        return -1;
    }
    snprintf(prefix, sizeof prefix, "t%08x", (unsigned)rand_u64());
    if (loop_new(&loop))
        return -1;
    kv = kv_new(loop, &(struct kv_conf){.url = redis, .up = on_up, .down = on_down});
    db = db_new(loop, &(struct db_conf){.conninfo = pg, .down = on_db_down});
    int64_t end = clock_mono_ms() + WAIT_MS;
    while (!(kv_up(kv) && db_up(db)) && clock_mono_ms() < end)
        if (loop_turn(loop, 20))
            return -1;
    /* What a deployment gets from schema/sql. */
    plain = PQconnectdb(pg);
    PGresult *r = PQexec(plain, store_pg_schema);
    int rc = PQresultStatus(r) == PGRES_COMMAND_OK ? 0 : -1;
    if (rc)
        print_error("%s\n", PQerrorMessage(plain));
    PQclear(r);
    return rc;
}

static int teardown(void **state)
{
    (void)state;
    kv_free(kv);
    db_free(db);
    PQfinish(plain);
    loop_free(loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_answered_in_order_and_are_binary_safe),
        cmocka_unit_test(many_commands_in_flight),
        cmocka_unit_test(a_cut_connection_answers_down_and_comes_back),
        cmocka_unit_test(what_a_hook_sends_leaves_in_the_same_turn),
        cmocka_unit_test(nobody_there_is_told),
        cmocka_unit_test(redis_rows_and_mark),
        cmocka_unit_test(redis_that_lost_everything_is_noticed),
        cmocka_unit_test(redis_scripts_survive_a_flush),
        cmocka_unit_test(redis_away_means_down),
        cmocka_unit_test(redis_with_a_full_pipe_takes_a_load_whole_or_not_at_all),
        cmocka_unit_test(redis_that_is_busy_is_asked_again),
        cmocka_unit_test(redis_store_ends_with_questions_in_flight),
        cmocka_unit_test(postgres_rows_and_mark),
        cmocka_unit_test(postgres_cut_connection_comes_back),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
