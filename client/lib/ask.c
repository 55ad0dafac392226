/* ask.c: questions on their way: a few at a time, again after a disconnect or when the server is busy, in time. */
#include "client/lib/client.h"
#include "common/base/clock.h"
#include "common/im/frame.h"

#include <errno.h>
#include <utlist.h>

#define AT_ONCE  6      /* the server allows 8, and history for the inbox is asked for beside these */
#define AGAIN_MS 10000  /* no answer: whoever was to answer may have changed */
#define PAUSE_MS 1000   /* when the server names none */
#define SOON_MS  300    /* the read model is behind */
#define RENEW_MS 240000 /* of the five minutes that a presence is watched */

struct asked *ask_new(struct parley *p, uint16_t frame, enum parley_about about, const void *body, size_t n,
                      uint32_t timeout_ms)
{
    struct asked *a = malloc(sizeof *a + n);
    if (!a)
        return NULL;
    *a = (struct asked){.frame = frame,
                        .about = about,
                        .deadline = clock_mono_ms() + (timeout_ms ? timeout_ms : p->opt.answer_timeout_ms),
                        .n = n};
    if (n)
        memcpy(a->body, body, n);
    DL_APPEND(p->asks, a);
    p->n_asks++;
    p->poked = true;
    return a;
}

void ask_free(struct parley *p, struct asked *a)
{
    DL_DELETE(p->asks, a);
    p->n_asks--;
    free(a);
}

static struct asked *by_frame(struct parley *p, uint32_t seq_id)
{
    struct asked *a;
    DL_FOREACH (p->asks, a)
        if (seq_id && a->seq_id == seq_id)
            return a;
    return NULL;
}

/* The last word; nothing of `a` is there after it. */
static void tell(struct parley *p, struct asked *a, enum parley_code code, const char *detail,
                 const ProtobufCMessage *m)
{
    struct parley_answer r = {.id = a->id, .about = a->about, .code = code, .detail = text_or(detail)};
    parley_answer_fn *fn = a->fn;
    void *arg = a->arg;
    bool watch = a->watch, renew = a->revoke_others && !code;
    ask_free(p, a); /* before the callback, which may ask again */
    if (watch && code)
        p->watch.at = p->watch.nobody ? NEVER : clock_mono_ms() + AGAIN_MS;
    if (renew)
        (void)ask_new(p, IM__FRAME_TYPE__TOKEN_REQ, PARLEY_ASK_TOKEN, NULL, 0, 0);
    if (m)
        answer_fill(p, &r, m);
    if (watch && !code && r.n && p->cb.presence)
        p->cb.presence(p->ctx, r.presence, r.n);
    if (fn)
        fn(arg, &r);
}

static bool passes(enum parley_code code)
{
    return code == PARLEY_BEHIND || code == PARLEY_BUSY || code == PARLEY_TOO_MANY_REQUESTS ||
           code == PARLEY_INTERNAL || code == PARLEY_SHUTTING_DOWN || code == PARLEY_NOT_LOGGED_IN;
}

static void later(struct asked *a, enum parley_code why, uint32_t retry_ms, int64_t now)
{
    a->why = why;
    a->seq_id = 0;
    a->at = now + (retry_ms ? retry_ms : why == PARLEY_BEHIND ? SOON_MS : PAUSE_MS);
}

bool ask_error(struct parley *p, uint32_t seq_id, enum parley_code code, const char *text, uint32_t retry_ms,
               int64_t now)
{
    struct asked *a = by_frame(p, seq_id);
    if (a && passes(code))
        later(a, code, retry_ms, now);
    else if (a)
        tell(p, a, code, text, NULL);
    return a != NULL;
}

void ask_answer(struct parley *p, const struct frame *f, int64_t now)
{
    struct asked *a = by_frame(p, f->seq_id);
    const struct frame_type *t = a ? frame_type(a->frame) : NULL;
    if (!t || t->answer != f->type)
        return; /* of a question that was cancelled, or asked once more */
    t = frame_type(f->type);
    const ProtobufCMessage *m = t && t->server ? inward_unpack(p, t->server, f->payload) : NULL;
    if (!m) {
        inward_bad(p, "an answer that cannot be read", now);
        return;
    }
    /* Every answer begins with its code. */
    enum parley_code code = (enum parley_code)((const Im__RevokeRsp *)(const void *)m)->code;
    if (passes(code))
        later(a, code, 0, now);
    else
        tell(p, a, code, "", code ? NULL : m);
}

/* A new subscription takes the place of the one before, and so may a question about presence. */
static void send_watch(struct parley *p, int64_t now)
{
    if (!p->watch.body || now < p->watch.at)
        return;
    struct asked *a =
        ask_new(p, IM__FRAME_TYPE__PRESENCE_REQ, PARLEY_ASK_PRESENCE, p->watch.body, p->watch.n, 0);
    p->watch.at = p->watch.nobody ? NEVER : now + RENEW_MS;
    if (a)
        a->watch = true;
}

void ask_send(struct parley *p, int64_t now)
{
    struct asked *a;
    size_t out = 0;
    send_watch(p, now);
    DL_FOREACH (p->asks, a)
        out += a->seq_id && now < a->at;
    DL_FOREACH (p->asks, a) {
        if (out >= AT_ONCE)
            return;
        if (now < a->at)
            continue;
        a->seq_id = outward_id(p);
        a->at = now + AGAIN_MS;
        out++;
        link_packed(&p->link, a->frame, a->seq_id, 0, a->body, a->n);
        if (a->about == PARLEY_ASK_PRESENCE && !a->watch && p->watch.body && !p->watch.nobody)
            p->watch.at = now + PAUSE_MS;
    }
}

int64_t ask_due(const struct parley *p)
{
    int64_t due = p->watch.body ? p->watch.at : NEVER;
    size_t out = 0;
    for (const struct asked *a = p->asks; a; a = a->next)
        out += a->seq_id != 0;
    for (const struct asked *a = p->asks; a; a = a->next)
        if ((a->seq_id || out < AT_ONCE) && a->at < due)
            due = a->at;
    return due;
}

void ask_tick(struct parley *p, int64_t now)
{
    struct asked *a, *tmp;
    for (a = p->asks; a; a = tmp) {
        tmp = a->next;
        if (now < a->deadline)
            continue;
        tell(p, a, a->why ? a->why : PARLEY_DISCONNECTED, "no answer came in time", NULL);
        tmp = p->asks; /* the callback may have changed the list */
    }
}

void ask_disconnected(struct parley *p)
{
    struct asked *a, *tmp;
    DL_FOREACH_SAFE(p->asks, a, tmp)
    {
        a->seq_id = 0;
        a->at = 0;
        if (a->watch)
            ask_free(p, a);
    }
    if (p->watch.body)
        p->watch.at = p->watch.nobody ? NEVER : 0;
}

void ask_end(struct parley *p, enum parley_code why, const char *detail)
{
    for (size_t n = p->n_asks; n && p->asks; n--) /* not those that the callbacks ask */
        tell(p, p->asks, why, detail, NULL);
}

void parley_cancel(struct parley *p, int64_t id)
{
    struct asked *a;
    DL_FOREACH (p->asks, a)
        if (id && a->id == id) {
            a->fn = NULL;
            return;
        }
}
