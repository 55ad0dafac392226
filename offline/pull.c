/* A page that the client asked for. */
#include "offline/state.h"

enum core_rc off_pull(struct offline *o, const struct offrec *r, struct fx *fx)
{
    const Im__OffPull *b = r->m->pull;
    struct session to;
    const struct user *u = rows_user(o, r->user);
    const struct queue *q = rows_queue(o, r->user, b->session->device);
    if (!u || u->marks.missing || !q)
        return CORE_STOP;
    session_from_pb(b->session, &to);
    to.user = r->user;
    if (lease_over(o->lease, to.slot, to.epoch))
        return CORE_OK;
    struct page_ask ask = {.after = b->after, .limit = b->limit, .conv = codec_id(b->conversation)};
    const struct cursors *c =
        id_is_zero(ask.conv) ? NULL : rows_cursors(o, r->user, to.device, cursors_bucket(ask.conv));
    const struct range *range = c ? cursors_find(c, ask.conv) : NULL;
    page_send(o, u, q, &ask, &(struct page_frame){&to, b->seq_id, range, range ? 1 : 0}, fx);
    return CORE_OK;
}
