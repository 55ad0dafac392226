#include "query/subs.h"

#include <errno.h>
#include <stdlib.h>
#define uthash_fatal(msg) abort()
#include <uthash.h>
#include <utlist.h>

struct link { /* a subscriber and a subject */
    struct subscriber *who;
    struct subject *whom;
    struct link *next, *prev; /* of the subject */
    bool online;              /* as the subscriber heard last */
};

struct subject {
    struct id16 user;
    struct link *links;
    int64_t told_ms; /* when subscribers last heard of it */
    bool touched;
    struct subject *next, *prev; /* of those touched */
    UT_hash_handle hh;
};

struct holder { /* a user with subscriptions, over all connections */
    struct id16 user;
    uint32_t n_links, n_subscribers;
    UT_hash_handle hh;
};

struct subscriber {
    uint8_t key[KEY_PRESENCE];
    struct session session;
    int64_t ends_ms;
    size_t n;
    struct holder *holder;
    struct link *links;                       /* array */
    struct subscriber *next, *prev;           /* all, the oldest first */
    struct subscriber *next_news, *prev_news; /* with something to be told */
    UT_hash_handle hh;
};

struct subs {
    struct subs_env env;
    uint32_t max_links, user_links, n_links;
    struct holder *holders;
    struct subscriber *by_key, *oldest;
    struct subject *subjects, *touched;
};

struct subs *subs_new(const struct subs_env *env, uint32_t max_links, uint32_t user_links)
{
    struct subs *s = calloc(1, sizeof *s);
    if (s) {
        s->env = *env;
        s->max_links = max_links;
        s->user_links = user_links;
    }
    return s;
}

static void touch(struct subs *s, struct subject *j)
{
    if (j->touched)
        return;
    j->touched = true;
    DL_APPEND(s->touched, j);
}

static void unlink_one(struct subs *s, struct link *l)
{
    struct subject *j = l->whom;
    DL_DELETE(j->links, l);
    s->n_links--;
    if (j->links)
        return;
    if (j->touched)
        DL_DELETE(s->touched, j);
    HASH_DEL(s->subjects, j);
    free(j);
}

static struct holder *hold(struct subs *s, struct id16 user)
{
    struct holder *h;
    HASH_FIND(hh, s->holders, &user, ID_SIZE, h);
    if (!h) {
        h = calloc(1, sizeof *h);
        if (!h)
            return NULL;
        h->user = user;
        HASH_ADD(hh, s->holders, user, ID_SIZE, h);
    }
    h->n_subscribers++;
    return h;
}

static void release(struct subs *s, struct holder *h)
{
    if (!h || --h->n_subscribers)
        return;
    HASH_DEL(s->holders, h);
    free(h);
}

static void forget(struct subs *s, struct subscriber *b)
{
    for (size_t i = 0; i < b->n; i++)
        unlink_one(s, &b->links[i]);
    b->holder->n_links -= (uint32_t)b->n;
    release(s, b->holder);
    HASH_DEL(s->by_key, b);
    DL_DELETE(s->oldest, b);
    free(b->links);
    free(b);
}

void subs_free(struct subs *s)
{
    while (s && s->oldest)
        forget(s, s->oldest);
    free(s);
}

static struct subscriber *find(struct subs *s, const struct session *session)
{
    uint8_t key[KEY_PRESENCE];
    struct subscriber *b;
    key_presence(session, key);
    HASH_FIND(hh, s->by_key, key, KEY_PRESENCE, b);
    return b;
}

void subs_drop(struct subs *s, const struct session *session)
{
    struct subscriber *b = find(s, session);
    if (b)
        forget(s, b);
}

void subs_keep(struct subs *s, bool (*keep)(void *ctx, struct id16 user), void *ctx)
{
    struct subscriber *b, *next;
    DL_FOREACH_SAFE(s->oldest, b, next)
    {
        if (!keep(ctx, b->session.user))
            forget(s, b);
    }
}

static struct subject *subject_of(struct subs *s, const struct id16 *user)
{
    struct subject *j;
    HASH_FIND(hh, s->subjects, user->b, ID_SIZE, j);
    if (j)
        return j;
    j = calloc(1, sizeof *j);
    if (!j)
        return NULL;
    j->user = *user;
    j->told_ms = INT64_MIN / 2;
    HASH_ADD(hh, s->subjects, user, ID_SIZE, j);
    return j;
}

int subs_set(struct subs *s, const struct session *session, const struct id16 *users, const bool *online,
             size_t n, int64_t now_ms)
{
    subs_drop(s, session);
    if (n == 0)
        return 0;
    if (n > s->max_links - s->n_links)
        return -ENOSPC;
    struct holder *h = hold(s, session->user);
    bool too_many = h && (h->n_links > s->user_links || n > s->user_links - h->n_links);
    struct subscriber *b = h && !too_many ? calloc(1, sizeof *b) : NULL;
    struct link *links = b ? calloc(n, sizeof *links) : NULL;
    if (!links) {
        free(b);
        release(s, h);
        return too_many ? -EDQUOT : -ENOSPC;
    }
    b->session = *session;
    b->holder = h;
    b->links = links;
    b->ends_ms = now_ms + SUBS_TTL_MS;
    key_presence(session, b->key);
    HASH_ADD(hh, s->by_key, key, KEY_PRESENCE, b);
    DL_APPEND(s->oldest, b);
    for (size_t i = 0; i < n; i++) {
        struct subject *j = subject_of(s, &users[i]);
        if (!j)
            break;
        struct link *l = &links[b->n++];
        *l = (struct link){.who = b, .whom = j, .online = online[i]};
        DL_APPEND(j->links, l);
        s->n_links++;
        h->n_links++;
    }
    return 0;
}

void subs_touch(struct subs *s, struct id16 user)
{
    struct subject *j;
    HASH_FIND(hh, s->subjects, user.b, ID_SIZE, j);
    if (j)
        touch(s, j);
}

void subs_touch_all(struct subs *s)
{
    struct subject *j, *next;
    HASH_ITER (hh, s->subjects, j, next)
        touch(s, j);
}

/* ---- telling ---- */

static bool changed(const struct subject *j, bool online)
{
    const struct link *l;
    DL_FOREACH (j->links, l)
        if (l->online != online)
            return true;
    return false;
}

/* All that is due for one subscriber in one push. */
static void tell(struct subs *s, struct subscriber *b, int64_t now_ms)
{
    struct id16 users[SUBS_TELL_MAX];
    bool states[SUBS_TELL_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->n && n < SUBS_TELL_MAX; i++) {
        struct subject *j = b->links[i].whom;
        if (j->told_ms != now_ms || !j->touched)
            continue;
        bool online = s->env.online(s->env.ctx, j->user);
        if (b->links[i].online == online)
            continue;
        users[n] = j->user;
        b->links[i].online = states[n++] = online;
    }
    if (n)
        s->env.tell(s->env.ctx, &b->session, users, states, n);
}

static void gather(struct subject *j, bool online, struct subscriber **waiting)
{
    struct link *l;
    DL_FOREACH (j->links, l)
        if (l->online != online && !l->who->prev_news)
            DL_APPEND2(*waiting, l->who, prev_news, next_news);
}

void subs_tick(struct subs *s, int64_t now_ms)
{
    struct subject *j, *next;
    struct subscriber *waiting = NULL;
    while (s->oldest && s->oldest->ends_ms <= now_ms)
        forget(s, s->oldest);
    DL_FOREACH (s->touched, j) {
        bool online = s->env.online(s->env.ctx, j->user);
        if (now_ms - j->told_ms < SUBS_QUIET_MS || !changed(j, online))
            continue;
        j->told_ms = now_ms;
        gather(j, online, &waiting);
    }
    while (waiting) {
        struct subscriber *b = waiting;
        DL_DELETE2(waiting, b, prev_news, next_news);
        b->prev_news = b->next_news = NULL;
        if (s->env.alive(s->env.ctx, &b->session))
            tell(s, b, now_ms);
        else
            forget(s, b);
    }
    DL_FOREACH_SAFE(s->touched, j, next)
    {
        if (changed(j, s->env.online(s->env.ctx, j->user)))
            continue; /* told within the last second: once more when that is over */
        j->touched = false;
        DL_DELETE(s->touched, j);
    }
}

bool subs_busy(const struct subs *s)
{
    return s->touched || s->oldest;
}

uint32_t subs_links(const struct subs *s)
{
    return s->n_links;
}
