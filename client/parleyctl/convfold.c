#include "client/parleyctl/convfold.h"

#include "common/base/hex.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct convfold_person {
    struct id16 id;
    char login[LOGIN_MAX + 1]; /* "": never named */
    UT_hash_handle hh;
};

/* ---- which ---- */
void convfold_id(struct convfold *f, struct ctl *c, struct id16 id)
{
    *f = (struct convfold){.c = c,
                           .id = id,
                           .part = topics_partition(c->deploy.topics, T_CONVERSATION, slice_id(&id)),
                           .until_offset = INT64_MAX,
                           .until_ms = INT64_MAX,
                           .bodies = true,
                           .last_offset = -1,
                           .last_ms = -1};
    f->conv = conv_new(id);
    f->scan = scan_new(c);
    f->content = XXH3_createState();
    if (!f->conv || !f->content)
        abort();
    XXH3_128bits_reset(f->content);
}

static bool of_two(const char *what, struct id16 *id)
{
    char a[LOGIN_MAX + 1], b[LOGIN_MAX + 1];
    const char *comma = strchr(what, ',');
    if (!comma || login_normalise(what, (size_t)(comma - what), a) ||
        login_normalise(comma + 1, strlen(comma + 1), b))
        return false;
    *id = id_direct(id_user(a), id_user(b));
    return true;
}

int convfold_init(struct convfold *f, struct ctl *c, const char *what)
{
    struct id16 id = id_system();
    *f = (struct convfold){0};
    if (strcmp(what, "system") != 0 && !of_two(what, &id) && hex_decode(id.b, ID_SIZE, what)) {
        ctl_complain("\"%s\" is no conversation: 32 hex digits, two names as anna,bert, or system", what);
        return CTL_USAGE;
    }
    convfold_id(f, c, id);
    return f->scan ? 0 : CTL_FAILED;
}

void convfold_release(struct convfold *f)
{
    struct convfold_person *p, *next;
    HASH_ITER (hh, f->people, p, next) {
        HASH_DEL(f->people, p);
        free(p);
    }
    bodykeys_free(f->keys);
    secrets_free(f->secrets);
    scan_free(f->scan);
    conv_free(f->conv);
    XXH3_freeState(f->content);
    free(f->room);
    free(f->name);
    free(f->notice);
    *f = (struct convfold){0};
}

/* ---- people ---- */
static void meet(struct convfold *f, struct id16 id, struct slice login)
{
    struct convfold_person *p;
    if (id_is_zero(id))
        return;
    HASH_FIND(hh, f->people, &id, sizeof id, p);
    if (!p) {
        p = calloc(1, sizeof *p);
        if (!p)
            abort();
        p->id = id;
        HASH_ADD(hh, f->people, id, sizeof p->id, p);
    }
    if (login.n && login.n <= LOGIN_MAX) {
        memcpy(p->login, login.p, login.n);
        p->login[login.n] = '\0';
    }
}

static void meet_all(struct convfold *f, const struct convrec *r)
{
    const uint8_t *users = r->event.users.p;
    meet(f, r->event.user, r->user_login);
    meet(f, r->event.peer, r->peer_login);
    for (size_t i = 0; i < r->event.users.n / ID_SIZE; i++) {
        struct id16 id;
        memcpy(id.b, users + i * ID_SIZE, ID_SIZE);
        meet(f, id, i < r->n_logins ? r->logins[i] : (struct slice){0});
    }
}

const char *convfold_login(const struct convfold *f, struct id16 id, char hex[ID_HEX])
{
    struct convfold_person *p;
    HASH_FIND(hh, f->people, &id, sizeof id, p);
    return p && *p->login ? p->login : id_hex(id, hex);
}

static int by_id(const struct convfold_person *a, const struct convfold_person *b)
{
    return id_cmp(a->id, b->id);
}

const struct id16 *convfold_next(const struct convfold *f, const struct id16 *after)
{
    const struct convfold_person *p = f->people;
    if (after) {
        HASH_FIND(hh, f->people, after, sizeof *after, p);
        p = p ? p->hh.next : NULL;
    }
    return p ? &p->id : NULL;
}

/* ---- bodies ---- */
static enum scan_go take_key(void *ctx, const struct record *rec)
{
    struct convfold *f = ctx;
    f->rc = bodykeys_feed(f->keys, rec->key, rec->value) == -ENOTSUP ? CTL_FAILED : 0;
    if (f->rc)
        ctl_complain("im.vault holds a record of a newer version: use a newer parleyctl");
    return f->rc ? SCAN_STOP : SCAN_ON;
}

static int read_all(struct convfold *f, uint16_t topic, scan_fn *fn)
{
    for (int32_t p = 0; p < topics_get(f->c->deploy.topics, topic)->parts; p++) {
        struct scan_range r = {.topic = topic, .part = p};
        if (scan_ends(f->scan, topic, p, &r.from, &r.to) || scan_read(f->scan, &r, 1, NULL, fn, f) || f->rc)
            return CTL_FAILED;
    }
    return 0;
}

static int load_keys(struct convfold *f)
{
    char path[4096], why[300] = "";
    ctl_path(f->c, f->c->settings.master_key, path, sizeof path);
    f->secrets = secrets_load(path, true, why, sizeof why);
    if (!f->secrets)
        ctl_say(f->c, "what is sealed stays so: %s", why);
    f->keys = bodykeys_new(f->secrets);
    if (!f->keys)
        return CTL_FAILED;
    int rc = read_all(f, T_VAULT, take_key);
    bodykeys_final(f->keys);
    return rc;
}

static enum bodykeys_rc open_body(struct convfold *f, const struct convrec *r, struct convrec_body *body)
{
    *body = r->body;
    if (!f->bodies || (!f->secrets && body->key_id))
        return body->key_id ? BODY_LOCKED : BODY_OK;
    f->room = realloc(f->room, body->sealed.n + 1);
    if (!f->room)
        abort();
    enum bodykeys_rc rc = bodykeys_open(f->keys, r, f->room, body);
    if (rc == BODY_LOCKED || rc == BODY_LATER) {
        *body = r->body;
        return BODY_LOCKED;
    }
    if (rc == BODY_OK)
        body->key_id = 0;
    return rc;
}

/* ---- the fold ---- */
static void mix(struct convfold *f, const void *p, size_t n)
{
    uint32_t length = (uint32_t)n;
    XXH3_128bits_update(f->content, &length, sizeof length);
    XXH3_128bits_update(f->content, p, n);
}

/* What it says, for the digest: not when and from where. */
static void mix_all(struct convfold *f, const struct convfold_step *s)
{
    const struct conv_event *e = &s->r->event;
    const uint64_t numbers[] = {s->out->seq, e->kind,       e->target, e->reply_to, e->role,
                                e->flags,    e->flags_mask, e->read,   e->delivered};
    if (s->out->verdict != CONV_ACCEPTED)
        return;
    mix(f, numbers, sizeof numbers);
    mix(f, e->user.b, ID_SIZE);
    mix(f, s->r->msg_id.b, ID_SIZE);
    mix(f, e->users.p, e->users.n);
    mix(f, s->body->text.p, s->body->text.n);
    mix(f, s->body->content_type.p, s->body->content_type.n);
    mix(f, s->body->data.p, s->body->data.n);
    mix(f, s->body->sealed.p, s->body->sealed.n);
}

static void keep(char **to, struct slice text)
{
    free(*to);
    *to = text.n ? strndup(text.p, text.n) : NULL;
}

static void name_it(struct convfold *f, const struct convfold_step *s)
{
    uint32_t kind = s->r->event.kind;
    if (s->out->verdict != CONV_ACCEPTED)
        return;
    if (kind == IM__CONV_KIND__CONV_GROUP_CREATE || kind == IM__CONV_KIND__CONV_GROUP_RENAME)
        keep(&f->name, s->body->text);
    else if (kind == IM__CONV_KIND__CONV_GROUP_NOTICE)
        keep(&f->notice, s->body->text);
}

/* Everything is in memory: what is not there is not. */
static void load_cells(struct convfold *f, const struct conv_event *e)
{
    struct conv_cell cells[CONV_NEEDS_MAX];
    for (size_t n; (n = conv_needs(f->conv, e, cells)) > 0;)
        for (size_t i = 0; i < n; i++)
            if (conv_load(f->conv, &cells[i]))
                abort();
}

static int apply(struct convfold *f, const struct record *rec)
{
    struct convrec r;
    struct convrec_body body;
    int rc = convrec_decode(rec->value, rec->time_ms, &r);
    if (rc == -EBADMSG)
        return 0; /* as for every reader */
    if (rc || !conv_rules_known(r.event.rules)) {
        ctl_complain("offset %" PRId64 ": a record of a newer version: use a newer parleyctl", rec->offset);
        return CTL_FAILED;
    }
    load_cells(f, &r.event);
    struct conv_outcome out = conv_apply(f->conv, &r.event);
    struct conv_cell cell;
    while (conv_dirty(f->conv, &cell, 1) > 0)
        continue;
    struct convfold_step s = {
        .rec = rec, .r = &r, .out = &out, .body = &body, .opened = open_body(f, &r, &body)};
    if (out.verdict != CONV_REFUSED)
        meet_all(f, &r);
    mix_all(f, &s);
    name_it(f, &s);
    f->records++;
    f->last_offset = rec->offset;
    f->last_ms = rec->time_ms;
    return f->fn ? ((convfold_fn *)f->fn)(f->ctx, &s) : 0;
}

static enum scan_go take(void *ctx, const struct record *rec)
{
    struct convfold *f = ctx;
    if (rec->offset > f->until_offset || rec->time_ms > f->until_ms)
        return SCAN_STOP;
    if (rec->key.n == ID_SIZE && !memcmp(rec->key.p, f->id.b, ID_SIZE))
        f->rc = apply(f, rec);
    return f->rc ? SCAN_STOP : SCAN_ON;
}

int convfold_run(struct convfold *f, convfold_fn *fn, void *ctx)
{
    struct scan_range r = {.topic = T_CONVERSATION, .part = f->part};
    f->fn = (void *)(uintptr_t)fn;
    f->ctx = ctx;
    if (f->bodies && load_keys(f))
        return CTL_FAILED;
    if (scan_ends(f->scan, T_CONVERSATION, f->part, &r.from, &r.to))
        return CTL_FAILED;
    if (f->until_offset < INT64_MAX && r.to > f->until_offset + 1)
        r.to = f->until_offset + 1;
    if (r.to <= r.from)
        return 0;
    int rc = scan_read(f->scan, &r, 1, f->c->quiet ? NULL : "the log", take, f);
    HASH_SORT(f->people, by_id);
    return f->rc ? f->rc : rc ? CTL_FAILED : 0;
}
