/* A login: the user's devices, the device's session, and its first page. */
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
static void vanish(struct offline *o, struct id16 user, uint32_t device, struct fx *fx)
{
    struct queue *q = rows_queue(o, user, device);
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

static void set_devices(struct offline *o, struct user *u, const Im__OffLogin *b, struct fx *fx)
{
    uint32_t old[USER_DEVICES];
    size_t n_old = u->n_devices;
    if (u->known && b->session->login_offset < u->devices_at)
        return;
    memcpy(old, u->devices, sizeof old);
    user_set_devices(u, b->devices, b->n_devices, b->session->login_offset);
    rows_touch_user(o, u);
    for (size_t i = 0; i < n_old; i++)
        if (!user_has(u, old[i]))
            vanish(o, u->id, old[i], fx);
}

static void first_page(struct offline *o, const struct queue *q, const Im__OffLogin *b, struct fx *fx)
{
    struct range rest[CURSORS_MAX_ROW];
    size_t n = b->fresh ? page_cursors(o, q, &q->session, rest, CURSORS_MAX_ROW, fx) : 0;
    if (q->n || q->rest_in_history || b->fresh)
        page_send(o, q, &(struct page_ask){0}, &q->session, 0, rest, n, fx);
    crash_at("offline:page");
}

enum core_rc off_login(struct offline *o, const struct offrec *r, struct fx *fx)
{
    const Im__OffLogin *b = r->m->login;
    struct user *u = rows_user(o, r->user);
    struct queue *q = rows_queue(o, r->user, b->session->device);
    if (!u || !q)
        return CORE_STOP;
    set_devices(o, u, b, fx);
    if (!user_has(u, b->session->device))
        return CORE_OK; /* dropped since */
    if (b->session->login_offset < q->login)
        return CORE_OK; /* a later login is known */
    if (b->new_device && q->login == 0 && q->ended < b->session->login_offset) {
        /* It begins here. There is something only in a rebuild, which knows all devices from the start. */
        queue_remove(q, any, item_gone, o, fx);
        q->rest_in_history = false;
    }
    session_from_pb(b->session, &q->session);
    q->session.user = r->user;
    q->login = q->session.login_offset;
    q->header_dirty = true;
    rows_touch_queue(o, q);
    if (queue_live(o, q))
        first_page(o, q, b, fx);
    return CORE_OK;
}
