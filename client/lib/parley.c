#include "client/lib/parley.h"

#include "client/lib/client.h"
#include "common/base/clock.h"
#include "common/base/hex.h"
#include "common/base/rand.h"
#include "common/base/utf8.h"

#include <errno.h>
#include <poll.h>
#include <utlist.h>

static uint32_t or_default(uint32_t v, uint32_t dflt)
{
    return v ? v : dflt;
}

static void take_options(struct parley *p, const struct parley_options *o)
{
    p->opt = (struct parley_options){
        .backoff_min_ms = or_default(o->backoff_min_ms, 250),
        .backoff_max_ms = or_default(o->backoff_max_ms, 30000),
        .connect_timeout_ms = or_default(o->connect_timeout_ms, 5000),
        .answer_timeout_ms = or_default(o->answer_timeout_ms, 20000),
        .gap_patience_ms = or_default(o->gap_patience_ms, 20000),
        .queue_max = or_default(o->queue_max, 1000),
        .conversations_max = or_default(o->conversations_max, 10000),
        .catch_up_max = or_default(o->catch_up_max, 1000),
        .no_delivered = o->no_delivered,
        .group_delivered = o->group_delivered,
    };
    if (p->opt.backoff_max_ms < p->opt.backoff_min_ms)
        p->opt.backoff_max_ms = p->opt.backoff_min_ms;
    backoff_init(&p->backoff, p->opt.backoff_min_ms, p->opt.backoff_max_ms, rand_u64());
}

static int name_device(struct parley *p, const char *wanted)
{
    uint8_t random[8];
    char text[20] = "d-";
    if (wanted)
        return strlen(wanted) > 64 || !utf8_valid(wanted, strlen(wanted))
                   ? -EINVAL
                   : state_set(&p->state.device_id, wanted);
    if (p->state.device_id[0])
        return 0;
    rand_bytes(random, sizeof random);
    hex_encode(text + 2, random, sizeof random);
    return state_set(&p->state.device_id, text);
}

static int build(struct parley *p, const struct parley_options *o)
{
    struct inbox_conf conf = {
        .patience_ms = p->opt.gap_patience_ms,
        .talks_max = p->opt.conversations_max,
        .catch_up_max = p->opt.catch_up_max,
        .deliver = events_deliver,
        .ctx = p,
    };
    int rc = link_init(&p->link, o->servers);
    if (rc)
        return rc;
    p->link.at = (size_t)rng_below(&p->backoff.rng, p->link.n); /* so that not all begin with the first */
    p->device_class = strdup(o->device_class ? o->device_class : "terminal");
    p->client = strdup(o->client ? o->client : "libparley");
    p->inbox = inbox_new(&conf);
    p->receipts = receipts_new();
    p->arena = arena_new(0);
    if (!p->device_class || !p->client || !p->inbox || !p->receipts || !p->arena)
        return -ENOMEM;
    rc = state_open(&p->state, o->state_file, p->inbox, &p->outbox);
    if (rc)
        return rc;
    p->fresh = !p->state.token[0];
    return name_device(p, o->device_id);
}

struct parley *parley_new(const struct parley_options *o, const struct parley_callbacks *cb, void *ctx)
{
    struct parley *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    if (cb)
        p->cb = *cb;
    p->ctx = ctx;
    p->state.lock = p->link.fd = -1;
    p->connect_by = p->login_by = p->idle_by = p->beat_at = p->goaway_by = NEVER;
    p->stop_by = p->bye_by = p->save_by = NEVER;
    p->watch.at = NEVER;
    p->window = 64;
    p->heartbeat_ms = 30000;
    take_options(p, o);
    int rc = build(p, o);
    if (rc) {
        parley_free(p);
        errno = -rc;
        return NULL;
    }
    return p;
}

static void wipe(char **s)
{
    if (*s)
        explicit_bzero(*s, strlen(*s));
    free(*s);
    *s = NULL;
}

void parley_free(struct parley *p)
{
    if (!p)
        return;
    p->cb = (struct parley_callbacks){0};
    life_save(p);
    while (p->requests)
        request_free(p, p->requests);
    link_release(&p->link);
    state_release(&p->state);
    while (p->asks)
        ask_free(p, p->asks);
    free(p->watch.body);
    receipts_free(p->receipts);
    inbox_free(p->inbox);
    outbox_release(&p->outbox);
    arena_free(p->arena);
    wipe(&p->login);
    wipe(&p->password);
    free(p->device_class);
    free(p->client);
    free(p);
}

static void poke(struct parley *p)
{
    p->poked = true;
    if (p->st == PARLEY_ENDED) {
        p->st = PARLEY_OFFLINE;
        p->next_at = 0;
    }
}

/* ASCII letters alike; the rest of a login name has no case. */
static bool same_login(const char *a, const char *b)
{
    return strcasecmp(a, b) == 0;
}

int parley_login(struct parley *p, const char *login, const char *password)
{
    if (!login || !password || !*login || !*password)
        return -EINVAL;
    if (p->state.login[0] && !same_login(p->state.login, login))
        return -EEXIST;
    char *l = strdup(login), *w = strdup(password);
    if (!l || !w) {
        free(l);
        wipe(&w);
        return -ENOMEM;
    }
    wipe(&p->login);
    wipe(&p->password);
    p->login = l;
    p->password = w;
    p->want_login = true;
    poke(p);
    return 0;
}

int parley_login_token(struct parley *p, const char *token)
{
    if (token && state_set(&p->state.token, token))
        return -ENOMEM;
    if (!p->state.token[0])
        return -ENOENT;
    wipe(&p->password);
    p->want_login = true;
    poke(p);
    return 0;
}

static int ask(struct parley *p, bool registration, const char *login, const char *password,
               const char *display)
{
    if (!login || !*login)
        return -EINVAL;
    struct request *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    r->registration = registration;
    r->login = strdup(login);
    r->password = strdup(text_or(password));
    r->display_name = strdup(text_or(display));
    DL_APPEND(p->requests, r);
    if (!r->login || !r->password || !r->display_name) {
        request_free(p, r);
        return -ENOMEM;
    }
    poke(p);
    return 0;
}

int parley_register(struct parley *p, const char *login, const char *password, const char *display_name)
{
    return password && *password ? ask(p, true, login, password, display_name) : -EINVAL;
}

int parley_exists(struct parley *p, const char *login)
{
    return ask(p, false, login, NULL, NULL);
}

int parley_pull(struct parley *p)
{
    p->pull.wanted = true;
    p->pull.started = p->pull.done = false;
    p->poked = true;
    return 0;
}

int parley_stop(struct parley *p, uint32_t linger_ms)
{
    if (p->st == PARLEY_ENDED)
        return 0;
    p->stop_by = clock_mono_ms() + linger_ms;
    p->poked = true;
    return 0;
}

int parley_fd(const struct parley *p)
{
    return p->link.fd;
}

short parley_events(const struct parley *p)
{
    if (p->link.fd < 0)
        return 0;
    if (!p->link.up)
        return POLLOUT;
    return (short)(POLLIN | (p->link.out.n ? POLLOUT : 0));
}

int parley_timeout(const struct parley *p)
{
    if (p->poked || p->st == PARLEY_ENDED)
        return 0;
    int64_t a = life_due(p), b = outward_due(p), due = a < b ? a : b;
    if (due == NEVER)
        return -1;
    int64_t left = due - clock_mono_ms();
    return left < 0 ? 0 : left > 3600000 ? 3600000 : (int)left;
}

int parley_process(struct parley *p, short revents)
{
    int64_t now = clock_mono_ms();
    p->poked = false;
    if (p->link.fd >= 0 && !p->link.up && revents)
        life_connected(p, now);
    else if (p->link.up && (revents & (POLLIN | POLLHUP | POLLERR)))
        inward_burst(p, now);
    life_tick(p, now);
    outward_pump(p, now);
    return p->st == PARLEY_ENDED ? -ESHUTDOWN : 0;
}

int parley_run_once(struct parley *p, int timeout_ms)
{
    int own = parley_timeout(p);
    bool callers = timeout_ms >= 0 && (own < 0 || timeout_ms < own);
    struct pollfd f = {.fd = p->link.fd, .events = parley_events(p)};
    int n = poll(&f, 1, callers ? timeout_ms : own);
    if (n < 0 && errno != EINTR)
        return -errno;
    int rc = parley_process(p, n > 0 ? f.revents : 0);
    return !rc && n == 0 && callers ? -ETIMEDOUT : rc;
}

int parley_wait(struct parley *p, bool (*done)(void *), void *arg, int timeout_ms)
{
    int64_t by = timeout_ms < 0 ? NEVER : clock_mono_ms() + timeout_ms;
    while (!done(arg)) {
        int64_t left = by == NEVER ? -1 : by - clock_mono_ms();
        if (by != NEVER && left <= 0)
            return -ETIMEDOUT;
        int rc = parley_run_once(p, (int)left);
        if (rc && rc != -ETIMEDOUT)
            return done(arg) ? 0 : rc;
    }
    return 0;
}

enum parley_state parley_state(const struct parley *p)
{
    return p->st;
}

const char *parley_login_name(const struct parley *p)
{
    return p->state.login;
}

const uint8_t *parley_user_id(const struct parley *p)
{
    return p->user;
}

const char *parley_token(const struct parley *p)
{
    return p->state.token;
}

const char *parley_device_id(const struct parley *p)
{
    return p->state.device_id;
}

const char *parley_server(const struct parley *p)
{
    return p->st == PARLEY_OFFLINE && !p->name[0] ? "" : p->link.servers[p->link.at].name;
}

const char *parley_edge(const struct parley *p)
{
    return p->edge;
}

size_t parley_unresolved(const struct parley *p)
{
    return p->outbox.n;
}
