/* Events that are in history: who missed them is marked, once, and told at once where there is a session. */
#include "common/base/crash.h"
#include "common/base/metrics.h"
#include "offline/state.h"

#include <stdlib.h>

METRIC_COUNTER(marked, "parley_offline_marked_total", "Conversations marked as having news for a user.");
METRIC_COUNTER(unmarked, "parley_offline_unmarked_total",
               "Marks that went because all devices have everything.");
METRIC_COUNTER(marks_full, "parley_offline_marks_full_total",
               "Marks that found no room; the user is told that the rest is in history.");

/* What the device claims of the conversation; NULL: nothing that is in memory. */
static const struct range *claim_of(struct offline *o, struct id16 user, uint32_t device, struct id16 conv)
{
    const struct cursors *c = rows_cursors(o, user, device, cursors_bucket(conv));
    return c ? cursors_find(c, conv) : NULL;
}

static bool covered(struct offline *o, struct id16 user, uint32_t device, struct id16 conv, uint64_t upto)
{
    const struct range *r = claim_of(o, user, device, conv);
    return r && r->upto >= upto; /* where the device began does not matter: it chose that */
}

/* This very event. A claim of later ones says nothing of it: im.cursor may be read before what went another way. */
static bool claimed(struct offline *o, struct id16 user, uint32_t device, struct id16 conv, uint64_t seq)
{
    const struct range *r = claim_of(o, user, device, conv);
    return r && r->from <= seq && seq <= r->upto;
}

bool mark_concerns(struct offline *o, const struct user *u, const struct udevice *d, const struct mark *m,
                   uint64_t *upto, bool *unknown)
{
    const struct head *h = m->upto ? NULL : rows_head(o, m->conv);
    *unknown = !m->upto && !h;
    if (*unknown)
        return false;
    *upto = h ? h->last : m->upto;
    return (h ? h->at : m->at) > d->since && !covered(o, u->id, d->no, m->conv, *upto);
}

/* No device wants it any more. What is not in memory is not known to be covered. */
static bool done_with(struct offline *o, const struct user *u, const struct mark *m)
{
    bool unknown = false;
    uint64_t upto;
    for (uint32_t i = 0; i < u->n_devices; i++)
        if (mark_concerns(o, u, &u->devices[i], m, &upto, &unknown) || unknown)
            return false;
    return u->n_devices > 0;
}

static void drop_mark(struct offline *o, struct user *u, struct mark *m)
{
    marks_remove(&u->marks, m);
    metric_add(&unmarked, 1);
    rows_touch_marks(o, u);
    if (u->marks.n == 0)
        rows_touch_user(o, u);
}

/* upto 0: goes with the conversation. */
static void set_mark(struct offline *o, struct user *u, struct id16 conv, uint64_t upto, uint64_t at)
{
    struct mark *m = marks_find(&u->marks, conv);
    bool first = u->marks.n == 0;
    if (!m && !(m = marks_add(&u->marks, conv))) {
        metric_add(&marks_full, 1);
    } else {
        m->upto = upto;
        m->at = upto ? at : 0;
        u->marks.dirty = true;
        metric_add(&marked, 1);
    }
    rows_touch_marks(o, u);
    if (first)
        rows_touch_user(o, u);
}

void marks_cover(struct offline *o, struct user *u, struct id16 conv)
{
    struct mark *m = marks_find(&u->marks, conv);
    if (m && (planted("news-early") || done_with(o, u, m)))
        drop_mark(o, u, m);
}

void marks_prune(struct offline *o, struct user *u)
{
    for (uint32_t i = u->marks.n; i-- > 0;)
        if (done_with(o, u, &u->marks.v[i]))
            drop_mark(o, u, &u->marks.v[i]);
}

static bool is_served(const uint32_t *served, size_t n, uint32_t device)
{
    for (size_t i = 0; i < n; i++)
        if (served[i] == device)
            return true;
    return false;
}

struct listed { /* one user of a record */
    struct user *u;
    const uint32_t *served;
    size_t n_served;
};

static void mark_listed(struct offline *o, const struct listed *l, const struct head *h,
                        const struct missed *e)
{
    struct user *u = l->u;
    struct mark *m = marks_find(&u->marks, e->conv);
    if (m && m->upto == 0) { /* nearly always */
        if (e->left && e->seq == h->last)
            set_mark(o, u, e->conv, e->seq, h->at);
        return;
    }
    if (m && e->seq <= m->upto)
        return;
    bool missed = m != NULL;
    for (uint32_t i = 0; i < u->n_devices && !missed; i++)
        missed = h->at > u->devices[i].since && !is_served(l->served, l->n_served, u->devices[i].no) &&
                 !covered(o, u->id, u->devices[i].no, e->conv, e->seq);
    if (missed)
        set_mark(o, u, e->conv, e->left ? e->seq : 0, h->at);
}

/* Adds the user's sessions that were not served to o->told, at `n`. */
static size_t who_is_live(struct offline *o, const struct listed *l, const struct missed *e, size_t n)
{
    for (uint32_t i = 0; i < l->u->n_live; i++) {
        const struct session *s = &l->u->live[i];
        if (is_served(l->served, l->n_served, s->device) || lease_over(o->lease, s->slot, s->epoch) ||
            claimed(o, s->user, s->device, e->conv, e->seq))
            continue;
        if (n == o->cap_told) {
            o->cap_told = o->cap_told ? o->cap_told * 2 : 64;
            o->told = realloc(o->told, o->cap_told * sizeof *o->told);
            if (!o->told)
                abort();
        }
        o->told[n++] = *s;
    }
    return n;
}

static struct head *head_at(struct offline *o, const struct missed *e)
{
    struct head *h = rows_head(o, e->conv);
    if (h && head_raise(h, e->seq, e->at))
        rows_touch_head(o, h);
    return h;
}

/* False: a row is not in memory. */
static bool take_listed(struct offline *o, const struct listed *l, const struct head *h,
                        const struct missed *e, size_t *told)
{
    if (!l->u || l->u->marks.missing)
        return false;
    live_settle(o, l->u);
    mark_listed(o, l, h, e);
    if (l->u->n_live)
        *told = who_is_live(o, l, e, *told);
    return true;
}

enum core_rc mark_missed(struct offline *o, struct user *u, const struct missed *e, const uint32_t *served,
                         size_t n_served, struct fx *fx)
{
    struct head *h = head_at(o, e);
    struct listed l = {u, served, n_served};
    size_t told = 0;
    if (!h || !take_listed(o, &l, h, e, &told))
        return CORE_STOP;
    news_push(o, e, o->told, told, fx);
    return CORE_OK;
}

enum core_rc mark_bounced(struct offline *o, struct user *u, struct queue *q, const struct missed *e,
                          struct fx *fx)
{
    const struct head *h = head_at(o, e);
    if (!h || u->marks.missing)
        return CORE_STOP;
    if (claimed(o, u->id, q->device, e->conv, e->seq))
        return CORE_OK;
    const struct mark *m = marks_find(&u->marks, e->conv);
    /* Nobody would keep a mark for a device whose login comes later, nor for one that claims later events already: the
     * session after the one that was to have this may be ahead of it. */
    if (!user_has(u, q->device) || covered(o, u->id, q->device, e->conv, e->seq)) {
        q->header_dirty |= !q->rest_in_history;
        q->rest_in_history = true;
        rows_touch_queue(o, q);
    } else if (!m || (m->upto ? m->upto < e->seq : e->seq == h->last)) {
        set_mark(o, u, e->conv, e->seq, e->at); /* who left since sees no more; who did not is named again */
    }
    if (queue_live(o, q))
        news_push(o, e, &q->session, 1, fx);
    return CORE_OK;
}

enum core_rc off_group(struct offline *o, const struct offrec *r, struct fx *fx)
{
    const Im__OffGroup *b = r->m->group;
    if (b->n_handles)
        return off_nameless(o, r, fx);
    struct missed e = {codec_id(b->conversation), b->seq, offrec_at(r), b->left, r->trace};
    const struct head *h = head_at(o, &e);
    size_t n = b->users.len / ID_SIZE, told = 0, k = 0;
    if (!h)
        return CORE_STOP;
    for (size_t i = 0; i < n; i++) {
        struct id16 id;
        memcpy(id.b, b->users.data + i * ID_SIZE, ID_SIZE);
        struct listed l = {.u = rows_user(o, id)};
        while (k < b->n_served && b->served[k]->index < i) /* ascending; else somebody is told twice */
            k++;
        if (k < b->n_served && b->served[k]->index == i) {
            l.served = b->served[k]->devices;
            l.n_served = b->served[k]->n_devices;
        }
        if (!take_listed(o, &l, h, &e, &told))
            return CORE_STOP;
    }
    news_push(o, &e, o->told, told, fx);
    crash_at("offline:group");
    return CORE_OK;
}
