/* A login: the user's devices, the device's session, and its first page. An end of either. */
#include "common/base/crash.h"
#include "offline/state.h"

static bool any(void *ctx, const struct entry *e)
{
    (void)ctx;
    (void)e;
    return true;
}

static void item_gone(void *ctx, const struct queue *q, const struct entry *e)
{
    rows_forget_item(ctx, q, e->pos);
}

/* A device was dropped: nothing of it stays. */
static void vanish(struct offline *o, struct user *u, uint32_t device, struct fx *fx)
{
    struct id16 user = u->id;
    struct queue *q = rows_queue(o, user, device);
    if (user_clear_live(u, device))
        rows_touch_user(o, u);
    if (!q)
        return; /* came and went in one batch: some rows stay behind that nobody asks for again */
    queue_remove(q, any, item_gone, o, fx);
    queue_erase(q, fx);
    q->login = q->ended = 0;
    q->session = (struct session){0};
    q->rest_in_history = q->header_dirty = false;
    for (uint8_t k = 0; k < CURSORS_BUCKETS; k++) {
        uint8_t key[CURSORS_KEY];
        cursors_key(user, device, k, key);
        struct cursors *c = rows_cursors(o, user, device, k);
        if (c) {
            c->n = 0;
            rows_touch_cursors(o, c);
        } else {
            fx_put(fx, OFFLINE_CURSORS, slice_of(key, sizeof key), (struct slice){NULL, 0});
        }
    }
}

/* True: one that was there is gone. */
static bool set_devices(struct offline *o, struct user *u, const Im__OffLogin *b, struct fx *fx)
{
    uint32_t old[USER_DEVICES];
    size_t n_old = u->n_devices;
    bool gone = false;
    if (u->known && b->session->login_offset < u->devices_at)
        return false;
    for (size_t i = 0; i < n_old; i++)
        old[i] = u->devices[i].no;
    live_settle(o, u);
    user_set_devices(u, b->devices, b->n_devices, b->session->login_offset);
    rows_touch_user(o, u);
    for (size_t i = 0; i < n_old; i++)
        if (!user_has(u, old[i])) {
            vanish(o, u, old[i], fx);
            gone = true;
        }
    return gone;
}

static void first_page(struct offline *o, const struct user *u, struct queue *q, const Im__OffLogin *b,
                       struct fx *fx)
{
    struct range rest[CURSORS_MAX_ROW];
    size_t n = b->fresh ? page_cursors(o, q, &q->session, rest, CURSORS_MAX_ROW, fx) : 0;
    if (b->fresh || page_worth(o, u, q))
        page_send(o, u, q, &(struct page_ask){0}, &(struct page_frame){&q->session, 0, rest, n}, fx);
    crash_at("offline:page");
    if (planted("queue-early")) { /* without waiting for the device to confirm */
        queue_remove(q, any, item_gone, o, fx);
        rows_touch_queue(o, q);
    }
}

/* There is something only in a rebuild, which knows all devices from the start. */
static void begin_here(struct offline *o, struct user *u, struct queue *q, uint64_t at, struct fx *fx)
{
    queue_remove(q, any, item_gone, o, fx);
    q->rest_in_history = false;
    user_device(u, q->device)->since = at;
    rows_touch_user(o, u);
}

enum core_rc off_login(struct offline *o, const struct offrec *r, struct fx *fx)
{
    const Im__OffLogin *b = r->m->login;
    struct user *u = rows_user(o, r->user);
    struct queue *q = rows_queue(o, r->user, b->session->device);
    if (!u || u->marks.missing || !q)
        return CORE_STOP;
    bool changed = set_devices(o, u, b, fx);
    if (user_has(u, b->session->device) && b->new_device && q->login == 0 &&
        q->ended < b->session->login_offset) {
        begin_here(o, u, q, offrec_at(r), fx);
        changed = true;
    }
    if (changed)
        marks_prune(o, u);
    if (!user_has(u, b->session->device))
        return CORE_OK; /* dropped since */
    if (b->session->login_offset < q->login)
        return CORE_OK; /* a later login is known */
    session_from_pb(b->session, &q->session);
    q->session.user = r->user;
    q->login = q->session.login_offset;
    q->header_dirty = true;
    rows_touch_queue(o, q);
    live_as_queue(o, u, q);
    if (queue_live(o, q))
        first_page(o, u, q, b, fx);
    return CORE_OK;
}

/* The device is no more, and its session with it. */
static enum core_rc drop_device(struct offline *o, struct user *u, uint32_t device, struct fx *fx)
{
    if (u->marks.missing)
        return CORE_STOP;
    bool there = user_has(u, device);
    vanish(o, u, device, fx);
    user_drop_device(u, device);
    rows_touch_user(o, u);
    if (there)
        marks_prune(o, u);
    return CORE_OK;
}

enum core_rc off_end(struct offline *o, const struct offrec *r, struct fx *fx)
{
    const Im__Session *s = r->m->end->session;
    struct user *u = rows_user(o, r->user);
    struct queue *q = rows_queue(o, r->user, s->device);
    if (!u || !q)
        return CORE_STOP;
    if (s->device == 0 || !user_may_have(u, s->device))
        return CORE_OK;
    if (r->m->end->dropped)
        return drop_device(o, u, s->device, fx);
    queue_over(o, q, s->login_offset);
    live_as_queue(o, u, q);
    return CORE_OK;
}
