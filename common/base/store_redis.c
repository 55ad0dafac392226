/* store_redis.c: rows in hashes, the mark in a hash of its own: g generation, s serial, n next offsets, q quiet.
 *
 * Keys: <prefix>:{<group>:<part>}:m for the mark, …:t<table> for rows; the braces keep them on one node. Open and put
 * are scripts. A load is MULTI … HMGET mark … EXEC, so rows and mark are of one moment: rows that FLUSHALL took away
 * can never be read as "absent" without the mark being gone too.
 */
#include "common/base/crash.h"
#include "common/base/kv.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/store.h"
#include "common/base/store_redis_int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct redis {
    struct store s;
    struct loop *loop;
    struct kv *kv;
    char *prefix;
    struct redis_op *ops;
    struct redis_script open, put;
};

struct store_part {
    struct redis *store;
    char base[160];
    int64_t generation, serial; /* serial: of the last put known to be done */
};

/* A question on its way. Its answer is given by the loop, or by a job when it could not even be asked. */
struct redis_op {
    struct loop_job job;
    struct redis_op *next, **prev;
    struct redis *store;
    struct store_part *part; /* NULL: nobody wants the answer */
    void *ctx;
    store_open_fn *opened;
    store_row_fn *row;
    store_done_fn *done;
    const struct store_key *keys; /* load */
    size_t n;
    const struct store_put *put;
    bool again; /* sent as source, since the script was not there */
};

/* ---- operations ---- */
static struct redis_op *op_new(struct redis *s, struct store_part *p, void *ctx)
{
    struct redis_op *o = calloc(1, sizeof *o);
    if (!o)
        abort();
    *o = (struct redis_op){.next = s->ops, .prev = &s->ops, .store = s, .part = p, .ctx = ctx};
    if (o->next)
        o->next->prev = &o->next;
    s->ops = o;
    return o;
}

static void op_free(struct redis_op *o)
{
    *o->prev = o->next;
    if (o->next)
        o->next->prev = o->prev;
    loop_cancel(o->store->loop, &o->job);
    free(o);
}

static void op_end(struct redis_op *o, enum store_rc rc, const struct store_mark *mark)
{
    struct redis_op answer = *o;
    op_free(o);
    if (answer.opened) {
        if (rc != STORE_OK) {
            free(answer.part);
            answer.part = NULL;
        }
        answer.opened(answer.ctx, rc, answer.part, mark);
    } else if (answer.part) {
        answer.done(answer.ctx, rc);
    }
}

static void end_as_down(struct loop_job *j)
{
    op_end(container_of(j, struct redis_op, job), STORE_DOWN, NULL);
}

static void down_later(struct redis_op *o)
{
    loop_defer(o->store->loop, &o->job, end_as_down);
}

static enum store_rc rc_of(const struct kv_result *r, const char *what)
{
    if (r->status == KV_OK)
        return STORE_OK;
    if (r->status == KV_DOWN || r->error == KV_ERR_BUSY || r->error == KV_ERR_OOM) {
        if (r->reply)
            log_warn("redis refuses for now", log_str("what", what), log_str("why", r->reply->str));
        return STORE_DOWN;
    }
    log_error("redis refuses", log_str("what", what), log_str("why", r->reply->str));
    return STORE_BAD;
}

/* ---- open ---- */
static const char open_script[] =
    "local t = redis.call('TIME')\n"
    "local g = tonumber(redis.call('HGET', KEYS[1], 'g') or '0') + 1\n"
    "local now = t[1] * 1000000 + t[2]\n"
    "if g < now then g = now end\n" /* higher than any before, also after a loss of everything */
    "local text = string.format('%.0f', g)\n"
    "redis.call('HSET', KEYS[1], 'g', text)\n"
    "local m = redis.call('HMGET', KEYS[1], 's', 'n', 'q')\n"
    "return {text, m[1] or '0', m[2] or '', m[3] or ''}\n";

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

static bool read_mark(const redisReply *r, struct store_mark *m)
{
    *m = (struct store_mark){0};
    if (r->type != REDIS_REPLY_ARRAY || r->elements != 4)
        return false;
    for (size_t i = 0; i < 4; i++)
        if (r->element[i]->type != REDIS_REPLY_STRING)
            return false;
    m->generation = strtoll(r->element[0]->str, NULL, 10);
    m->serial = strtoll(r->element[1]->str, NULL, 10);
    m->present = read_list(r->element[2]->str, m->next);
    return !m->present || read_list(r->element[3]->str, m->quiet);
}

static void ask_open(struct redis_op *o);

static void on_open(void *ctx, const struct kv_result *r)
{
    struct redis_op *o = ctx;
    struct store_mark m;
    if (redis_script_missing(&o->store->open, r)) {
        ask_open(o);
        return;
    }
    enum store_rc rc = rc_of(r, "open");
    if (rc == STORE_OK && !read_mark(r->reply, &m)) {
        log_error("redis: the mark cannot be read", log_str("key", o->part->base));
        rc = STORE_BAD;
    }
    if (rc == STORE_OK) {
        o->part->generation = m.generation;
        o->part->serial = m.serial;
    }
    op_end(o, rc, &m);
}

static void ask_open(struct redis_op *o)
{
    char key[200];
    struct slice args[4];
    size_t n = redis_script_begin(&o->store->open, o->store->kv, args, "1");
    snprintf(key, sizeof key, "%s:m", o->part->base);
    args[n++] = (struct slice){key, strlen(key)};
    if (kv_send(o->store->kv, args, n, on_open, o) < 0)
        down_later(o);
}

static void redis_open(struct store *st, const char *group, int32_t part, size_t n, const int64_t *committed,
                       store_open_fn *fn, void *ctx)
{
    struct redis *s = container_of(st, struct redis, s);
    struct store_part *p = calloc(1, sizeof *p);
    (void)n;
    (void)committed;
    if (!p)
        abort();
    p->store = s;
    snprintf(p->base, sizeof p->base, "%s:{%s:%d}", s->prefix, group, part);
    struct redis_op *o = op_new(s, p, ctx);
    o->opened = fn;
    ask_open(o);
}

/* ---- load ---- */
/* The reply of EXEC: one array per table that occurs, in order of table number, then g and s. */
static enum store_rc hand_rows(const struct redis_op *o, const redisReply *r)
{
    const redisReply *rows[STORE_TABLES] = {0}, *mark;
    size_t at[STORE_TABLES] = {0}, k = 0;
    bool used[STORE_TABLES] = {0};
    if (r->type != REDIS_REPLY_ARRAY || r->elements < 2)
        return STORE_BAD;
    mark = r->element[r->elements - 1];
    if (mark->type != REDIS_REPLY_ARRAY || mark->elements != 2 || !mark->element[0]->str ||
        strtoll(mark->element[0]->str, NULL, 10) != o->part->generation)
        return STORE_FENCED;
    int64_t serial = mark->element[1]->str ? strtoll(mark->element[1]->str, NULL, 10) : 0;
    if (serial < o->part->serial)
        return STORE_FENCED; /* it came back with older data */
    for (size_t i = 0; i < o->n; i++)
        used[o->keys[i].table] = true;
    for (size_t t = 0; t < STORE_TABLES; t++)
        if (used[t] && (k >= r->elements - 1 || (rows[t] = r->element[k++])->type != REDIS_REPLY_ARRAY))
            return STORE_BAD;
    for (size_t i = 0; i < o->n; i++) {
        uint8_t t = o->keys[i].table;
        const redisReply *v = at[t] < rows[t]->elements ? rows[t]->element[at[t]++] : NULL;
        struct slice row =
            v && v->type == REDIS_REPLY_STRING ? (struct slice){v->str, (size_t)v->len} : (struct slice){0};
        o->row(o->ctx, &o->keys[i], row);
    }
    return STORE_OK;
}

static void on_load(void *ctx, const struct kv_result *r)
{
    struct redis_op *o = ctx;
    enum store_rc rc = rc_of(r, "load");
    if (rc == STORE_OK && o->part)
        rc = hand_rows(o, r->reply);
    op_end(o, rc, NULL);
}

static void redis_load(struct store_part *p, const struct store_key *keys, size_t n, store_row_fn *row,
                       store_done_fn *done, void *ctx)
{
    struct kv *kv = p->store->kv;
    struct redis_op *o = op_new(p->store, p, ctx);
    char key[200];
    *o = (struct redis_op){.next = o->next,
                           .prev = o->prev,
                           .store = p->store,
                           .part = p,
                           .ctx = ctx,
                           .row = row,
                           .done = done,
                           .keys = keys,
                           .n = n};
    struct slice *args = malloc((n + 2) * sizeof *args);
    if (!args || !kv_room(kv, STORE_TABLES + 3)) {
        free(args);
        down_later(o);
        return;
    }
    bool ok = kv_sendz(kv, NULL, NULL, "MULTI", NULL) == 0;
    for (unsigned t = 0; t < STORE_TABLES; t++) {
        size_t k = 2;
        for (size_t i = 0; i < n; i++)
            if (keys[i].table == t)
                args[k++] = keys[i].key;
        if (k == 2)
            continue;
        snprintf(key, sizeof key, "%s:t%u", p->base, t);
        args[0] = (struct slice){"HMGET", 5};
        args[1] = (struct slice){key, strlen(key)};
        ok &= kv_send(kv, args, k, NULL, NULL) == 0;
    }
    snprintf(key, sizeof key, "%s:m", p->base);
    ok &= kv_sendz(kv, NULL, NULL, "HMGET", key, "g", "s", NULL) == 0;
    if (!ok || kv_sendz(kv, on_load, o, "EXEC", NULL) < 0)
        down_later(o);
    free(args);
}

/* ---- put ---- */
/* ARGV: generation, serial, next, quiet, reset, then per row table: n of field/value arguments and they, n of fields
 * to delete and they. 0: fenced, 1: done now, 2: was done before. */
static const char put_script[] =
    "local m = redis.call('HMGET', KEYS[1], 'g', 's')\n"
    "if m[1] ~= ARGV[1] then return 0 end\n"
    "local s = m[2] or '0'\n"
    "if s == ARGV[2] then return 2 end\n"
    "if tonumber(s) + 1 ~= tonumber(ARGV[2]) then return 0 end\n"
    "local first = 2\n"
    "if ARGV[5] ~= '0' then first = 2 + tonumber(ARGV[5]) redis.call('DEL', unpack(KEYS, 2, first - 1)) end\n"
    "local a = 6\n"
    "for k = first, #KEYS do\n"
    "  for _, cmd in ipairs({'HSET', 'HDEL'}) do\n"
    "    local last = a + tonumber(ARGV[a])\n"
    "    a = a + 1\n"
    "    while a <= last do\n"
    "      local to = math.min(a + 1999, last)\n"
    "      redis.call(cmd, KEYS[k], unpack(ARGV, a, to))\n"
    "      a = to + 1\n"
    "    end\n"
    "  end\n"
    "end\n"
    "if ARGV[3] == '' then redis.call('HDEL', KEYS[1], 'n', 'q') redis.call('HSET', KEYS[1], 's', ARGV[2])\n"
    "else redis.call('HSET', KEYS[1], 's', ARGV[2], 'n', ARGV[3], 'q', ARGV[4]) end\n"
    "return 1\n";

static void write_list(char *out, size_t size, const int64_t v[STORE_TOPICS])
{
    size_t n = 0;
    for (int i = 0; i < STORE_TOPICS && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%" PRId64, i ? "," : "", v[i]);
}

static void ask_put(struct redis_op *o);

static void on_put(void *ctx, const struct kv_result *r)
{
    struct redis_op *o = ctx;
    if (o->part && redis_script_missing(&o->store->put, r)) {
        ask_put(o);
        return;
    }
    enum store_rc rc = rc_of(r, "put");
    if (rc == STORE_OK && (r->reply->type != REDIS_REPLY_INTEGER || r->reply->integer == 0))
        rc = STORE_FENCED;
    if (rc == STORE_OK && o->part)
        o->part->serial = o->put->mark->serial;
    op_end(o, rc, NULL);
}

static bool usable(const struct store_put *put)
{
    for (size_t i = 0; i < put->n; i++)
        if (put->rows[i].append || put->rows[i].table >= STORE_TABLES) {
            log_error("redis: rows that it cannot hold", log_int("table", put->rows[i].table));
            return false;
        }
    return true;
}

static void bad_later(struct loop_job *j)
{
    op_end(container_of(j, struct redis_op, job), STORE_BAD, NULL);
}

static void ask_put(struct redis_op *o)
{
    struct redis_put_args a;
    struct slice *args = redis_put_args(&a, o->part->base, o->put);
    if (!args) {
        down_later(o);
        return;
    }
    char serial[24], generation[24], next[96] = "", quiet[96] = "";
    const struct store_mark *m = o->put->mark;
    snprintf(generation, sizeof generation, "%" PRId64, m->generation);
    snprintf(serial, sizeof serial, "%" PRId64, m->serial);
    if (m->present) {
        write_list(next, sizeof next, m->next);
        write_list(quiet, sizeof quiet, m->quiet);
    }
    const char *const fixed[] = {generation, serial, next, quiet, o->put->reset ? "16" : "0"};
    redis_script_begin(&o->store->put, o->store->kv, args, a.n_keys);
    for (size_t i = 0; i < 5; i++)
        args[a.fixed_at + i] = (struct slice){fixed[i], strlen(fixed[i])};
    if (kv_send(o->store->kv, args, a.n, on_put, o) < 0)
        down_later(o);
    redis_put_args_release(&a);
}

static void redis_put(struct store_part *p, const struct store_put *put, store_done_fn *done, void *ctx)
{
    struct redis_op *o = op_new(p->store, p, ctx);
    o->done = done;
    o->put = put;
    if (usable(put))
        ask_put(o);
    else
        loop_defer(p->store->loop, &o->job, bad_later);
}

/* ---- the rest ---- */
static void redis_close(struct store_part *p)
{
    for (struct redis_op *o = p->store->ops; o; o = o->next)
        if (o->part == p)
            o->part = NULL;
    free(p);
}

static bool redis_up(const struct store *st)
{
    return kv_up(container_of((struct store *)st, struct redis, s)->kv);
}

/* After the kv, or with nothing in flight in it. */
static void redis_free(struct store *st)
{
    struct redis *s = container_of(st, struct redis, s);
    while (s->ops) {
        if (s->ops->opened)
            free(s->ops->part);
        op_free(s->ops);
    }
    free(s->prefix);
    free(s);
}

struct store *store_redis_new(struct loop *loop, struct kv *kv, const char *prefix)
{
    static const struct store_ops ops = {redis_open,  redis_load, redis_put,
                                         redis_close, redis_up,   redis_free};
    struct redis *s = calloc(1, sizeof *s);
    if (!s || !(s->prefix = strdup(prefix))) {
        free(s);
        return NULL;
    }
    s->s.ops = &ops;
    s->loop = loop;
    s->kv = kv;
    s->open.source = open_script;
    s->put.source = planted("no-fence") ? strstr(put_script, "local first") : put_script;
    return &s->s;
}
