/* kv.c: a plain non-blocking hiredis context: append, write before each wait, read when there is something.
 * A connection counts as up once it has answered PING, so a server that still loads its data is not up. */
#include "common/base/kv.h"
#include "common/base/backoff.h"
#include "common/base/kv_url.h"
#include "common/base/loop.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>

#define WATCH_MS       250
#define READ_CHUNK     16384 /* what redisBufferRead reads at most */
#define READS_PER_TURN 64
#define ARGS_MAX_STACK 16

enum kv_state { KV_S_DOWN, KV_S_CONNECTING, KV_S_GREETING, KV_S_UP };

struct pending {
    kv_fn *fn;
    void *ctx;
};

struct kv {
    struct loop *loop;
    struct kv_conf conf;
    struct kv_url at;
    redisContext *c;
    struct loop_fd fd;
    struct loop_job
        flush; /* a job, not a hook: who sends from a later hook must not wait for the next event */
    struct timer retry, watch;
    struct backoff backoff;
    enum kv_state state;
    struct pending *ring;
    size_t cap, head, n; /* cap: a power of two */
    size_t greetings;    /* AUTH, SELECT, PING still unanswered */
    int64_t progress_ms; /* when the oldest in flight became the oldest */
    size_t granted;      /* commands that kv_room() promised to take, whatever their size */
    bool full;
    int depth;  /* inside how many of our own callbacks */
    bool freed; /* then the memory goes when the outermost returns */
    struct kv_stats stats;
};

/* ---- commands in flight ---- */
static bool push(struct kv *k, kv_fn *fn, void *ctx)
{
    if (k->n == k->cap) {
        size_t cap = k->cap ? k->cap * 2 : 256;
        struct pending *ring = malloc(cap * sizeof *ring);
        if (!ring)
            return false;
        for (size_t i = 0; i < k->n; i++)
            ring[i] = k->ring[(k->head + i) & (k->cap - 1)];
        free(k->ring);
        k->ring = ring;
        k->cap = cap;
        k->head = 0;
    }
    if (!k->n)
        k->progress_ms = loop_now_ms(k->loop);
    k->ring[(k->head + k->n++) & (k->cap - 1)] = (struct pending){fn, ctx};
    return true;
}

static struct pending pop(struct kv *k)
{
    struct pending p = k->ring[k->head];
    k->head = (k->head + 1) & (k->cap - 1);
    k->n--;
    k->progress_ms = loop_now_ms(k->loop);
    return p;
}

/* ---- breaking ---- */
static void disconnect(struct kv *k)
{
    loop_del(k->loop, &k->fd);
    if (k->c)
        redisFree(k->c);
    k->c = NULL;
    k->state = KV_S_DOWN;
    k->greetings = k->granted = 0;
}

static void destroy(struct kv *k)
{
    free(k->ring);
    kv_url_release(&k->at);
    free(k);
}

static void enter(struct kv *k)
{
    k->depth++;
}

static void leave(struct kv *k)
{
    if (!--k->depth && k->freed)
        destroy(k);
}

static void answer_all_down(struct kv *k)
{
    const struct kv_result down = {.status = KV_DOWN};
    while (k->n) {
        struct pending p = pop(k);
        if (p.fn)
            p.fn(p.ctx, &down);
    }
}

static void break_off(struct kv *k, const char *reason)
{
    char why[160];
    snprintf(why, sizeof why, "%s",
             reason && *reason ? reason : "connection lost"); /* it may lie in the context */
    disconnect(k);
    k->stats.reconnects++;
    answer_all_down(k);
    if (k->freed)
        return;
    k->full = false;
    loop_timer_stop(k->loop, &k->watch);
    loop_timer_start(k->loop, &k->retry, backoff_next_ms(&k->backoff));
    if (k->conf.down)
        k->conf.down(k->conf.ctx, why);
}

/* ---- replies ---- */
static enum kv_error error_of(const char *text)
{
    /* EXECABORT: something inside the transaction was refused, for one of the other reasons */
    static const struct {
        const char *prefix;
        enum kv_error e;
    } known[] = {{"NOSCRIPT", KV_ERR_NOSCRIPT}, {"LOADING", KV_ERR_BUSY},    {"BUSY", KV_ERR_BUSY},
                 {"TRYAGAIN", KV_ERR_BUSY},     {"MASTERDOWN", KV_ERR_BUSY}, {"READONLY", KV_ERR_BUSY},
                 {"MISCONF", KV_ERR_BUSY},      {"OOM", KV_ERR_OOM},         {"EXECABORT", KV_ERR_BUSY}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (!strncmp(text, known[i].prefix, strlen(known[i].prefix)))
            return known[i].e;
    return KV_ERR_OTHER;
}

/* AUTH, SELECT, PING: all must be fine before anybody hears of the connection. */
static void greeted(struct kv *k, const redisReply *r)
{
    if (r->type == REDIS_REPLY_ERROR) {
        break_off(k, r->str);
        return;
    }
    if (--k->greetings)
        return;
    k->state = KV_S_UP;
    backoff_reset(&k->backoff);
    if (k->conf.up)
        k->conf.up(k->conf.ctx);
}

static void answer(struct kv *k, const redisReply *r)
{
    struct pending p = pop(k);
    if (k->state == KV_S_GREETING) {
        greeted(k, r);
        return;
    }
    struct kv_result res = {.reply = r};
    if (r->type == REDIS_REPLY_ERROR) {
        res.status = KV_ERROR;
        res.error = error_of(r->str);
        k->stats.errors++;
    }
    if (p.fn)
        p.fn(p.ctx, &res);
}

static bool bytes_left(const struct kv *k)
{
    return sdslen(k->c->obuf) <= k->conf.max_kbytes * 1024ull;
}

/* false: this connection is over */
static bool parse_replies(struct kv *k)
{
    const redisContext *c = k->c;
    while (k->c == c) {
        void *r = NULL;
        if (redisReaderGetReply(k->c->reader, &r) != REDIS_OK) {
            break_off(k, k->c->reader->errstr);
            return false;
        }
        if (!r)
            return true;
        if (!k->n) {
            freeReplyObject(r);
            break_off(k, "a reply that nobody asked for");
            return false;
        }
        answer(k, r);
        freeReplyObject(r);
    }
    return false;
}

static void read_some(struct kv *k)
{
    for (int i = 0; i < READS_PER_TURN; i++) {
        size_t before = k->c->reader->len;
        if (redisBufferRead(k->c) != REDIS_OK) {
            break_off(k, k->c->errstr);
            return;
        }
        size_t got = k->c->reader->len - before;
        if (!parse_replies(k))
            return;
        if (got < READ_CHUNK)
            break;
    }
    if (k->full && k->state == KV_S_UP && k->n <= k->conf.max_pipeline / 2 && bytes_left(k)) {
        k->full = false;
        if (k->conf.writable)
            k->conf.writable(k->conf.ctx);
    }
}

/* ---- writing ---- */
static void write_some(struct kv *k)
{
    int done = 0;
    if (redisBufferWrite(k->c, &done) != REDIS_OK) {
        break_off(k, k->c->errstr);
        return;
    }
    if (loop_mod(k->loop, &k->fd, EPOLLIN | (done ? 0 : EPOLLOUT)) < 0)
        break_off(k, "epoll");
}

static void flush_job(struct loop_job *j)
{
    struct kv *k = container_of(j, struct kv, flush);
    if (!k->c || k->state < KV_S_GREETING || !sdslen(k->c->obuf))
        return;
    enter(k);
    write_some(k);
    leave(k);
}

/* ---- connecting ---- */
static bool greet(struct kv *k)
{
    k->state = KV_S_GREETING;
    bool ok = true;
    if (k->at.password) {
        ok = redisAppendCommand(k->c, "AUTH %s", k->at.password) == REDIS_OK && push(k, NULL, NULL);
        k->greetings++;
    }
    if (ok && k->at.db) {
        ok = redisAppendCommand(k->c, "SELECT %d", k->at.db) == REDIS_OK && push(k, NULL, NULL);
        k->greetings++;
    }
    k->greetings++;
    return ok && redisAppendCommand(k->c, "PING") == REDIS_OK && push(k, NULL, NULL);
}

static void connected(struct kv *k)
{
    int err = 0;
    socklen_t n = sizeof err;
    getsockopt(k->c->fd, SOL_SOCKET, SO_ERROR, &err, &n);
    if (err || !greet(k))
        break_off(k, err ? strerror(err) : "out of memory");
    else if (loop_mod(k->loop, &k->fd, EPOLLIN) < 0)
        break_off(k, "epoll");
}

static void on_fd(struct loop_fd *f, uint32_t events)
{
    struct kv *k = container_of(f, struct kv, fd);
    enter(k);
    if (k->state == KV_S_CONNECTING)
        connected(k);
    else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        read_some(k);
    if (!k->freed && k->c && sdslen(k->c->obuf))
        loop_defer(k->loop, &k->flush, flush_job);
    leave(k);
}

static bool connect_now(struct kv *k)
{
    k->c = k->at.path ? redisConnectUnixNonBlock(k->at.path) : redisConnectNonBlock(k->at.host, k->at.port);
    if (!k->c)
        return false;
    if (k->c->err || loop_add(k->loop, &k->fd, k->c->fd, EPOLLOUT | EPOLLIN, on_fd) < 0)
        return false;
    k->state = KV_S_CONNECTING;
    k->progress_ms = loop_now_ms(k->loop);
    loop_timer_start(k->loop, &k->watch, WATCH_MS);
    return true;
}

static void on_retry(struct timer *t)
{
    struct kv *k = container_of(t, struct kv, retry);
    enter(k);
    if (!connect_now(k))
        break_off(k, k->c && k->c->err ? k->c->errstr : "cannot connect");
    leave(k);
}

static void on_watch(struct timer *t)
{
    struct kv *k = container_of(t, struct kv, watch);
    loop_timer_start(k->loop, t, WATCH_MS);
    bool waits = k->n || k->state == KV_S_CONNECTING;
    enter(k);
    if (waits && loop_now_ms(k->loop) - k->progress_ms > k->conf.timeout_ms)
        break_off(k, "no answer in time");
    leave(k);
}

/* ---- for the owner ---- */
struct kv *kv_new(struct loop *loop, const struct kv_conf *conf)
{
    struct kv *k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    k->loop = loop;
    k->conf = *conf;
    k->conf.timeout_ms = conf->timeout_ms ? conf->timeout_ms : 5000;
    k->conf.max_pipeline = conf->max_pipeline ? conf->max_pipeline : 65536;
    k->conf.max_kbytes = conf->max_kbytes ? conf->max_kbytes : 65536;
    if (!kv_url_parse(&k->at, conf->url)) {
        kv_url_release(&k->at);
        free(k);
        return NULL;
    }
    k->conf.url = NULL;
    timer_init(&k->retry, on_retry);
    timer_init(&k->watch, on_watch);
    backoff_init(&k->backoff, 20, 2000, rand_u64());
    loop_timer_start(loop, &k->retry, 1);
    return k;
}

void kv_free(struct kv *k)
{
    if (!k)
        return;
    enter(k);
    k->freed = true;
    disconnect(k);
    loop_cancel(k->loop, &k->flush);
    loop_timer_stop(k->loop, &k->retry);
    loop_timer_stop(k->loop, &k->watch);
    answer_all_down(k);
    leave(k);
}

bool kv_up(const struct kv *k)
{
    return k->state == KV_S_UP;
}

bool kv_room(struct kv *k, size_t commands)
{
    bool room = k->state == KV_S_UP && k->n + commands <= k->conf.max_pipeline && bytes_left(k);
    k->granted = room ? commands : 0;
    return room;
}

int kv_send(struct kv *k, const struct slice *args, size_t n, kv_fn *fn, void *ctx)
{
    const char *argv_stack[ARGS_MAX_STACK], **argv = argv_stack;
    size_t len_stack[ARGS_MAX_STACK], *len = len_stack;
    if (k->state != KV_S_UP)
        return -ENOTCONN;
    bool granted = k->granted > 0;
    k->granted -= granted;
    if (k->n >= k->conf.max_pipeline || !(granted || bytes_left(k))) {
        k->full = true;
        return -EAGAIN;
    }
    if (n > ARGS_MAX_STACK) {
        argv = malloc(n * (sizeof *argv + sizeof *len));
        if (!argv)
            return -ENOMEM;
        len = (size_t *)(argv + n);
    }
    for (size_t i = 0; i < n; i++) {
        argv[i] = args[i].p ? args[i].p : "";
        len[i] = args[i].n;
    }
    int rc = push(k, fn, ctx) ? 0 : -ENOMEM;
    if (!rc && redisAppendCommandArgv(k->c, (int)n, argv, len) != REDIS_OK) {
        k->n--;
        rc = -ENOMEM;
    }
    if (argv != argv_stack)
        free(argv);
    k->stats.sent += !rc;
    loop_defer(k->loop, &k->flush, flush_job);
    return rc;
}

int kv_sendz(struct kv *k, kv_fn *fn, void *ctx, ...)
{
    struct slice args[ARGS_MAX_STACK];
    size_t n = 0;
    va_list ap;
    va_start(ap, ctx);
    for (const char *s; n < ARGS_MAX_STACK && (s = va_arg(ap, const char *));)
        args[n++] = (struct slice){s, strlen(s)};
    va_end(ap);
    return n == ARGS_MAX_STACK ? -E2BIG : kv_send(k, args, n, fn, ctx);
}

void kv_stats(const struct kv *k, struct kv_stats *out)
{
    *out = k->stats;
    out->in_flight = k->n;
}
