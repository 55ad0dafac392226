/* Which devices of a user have a session, kept in the user row beside the queues that decide it: a record of a group
 * names thousands of users, and only those with a session are looked at closer. */
#include "offline/state.h"

static bool has_session(const struct queue *q)
{
    return q->login > q->ended;
}

void live_as_queue(struct offline *o, struct user *u, const struct queue *q)
{
    live_settle(o, u);
    bool live = has_session(q) && user_has(u, q->device);
    if (live ? user_set_live(u, &q->session) : user_clear_live(u, q->device))
        rows_touch_user(o, u);
}

void live_settle(struct offline *o, struct user *u)
{
    if (!u->live_unknown)
        return;
    u->live_unknown = false;
    for (uint32_t i = 0; i < u->n_devices; i++) {
        const struct queue *q = rows_queue(o, u->id, u->devices[i].no);
        if (q && has_session(q))
            user_set_live(u, &q->session);
    }
    rows_touch_user(o, u);
}
