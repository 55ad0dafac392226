#include "proto/record.pb-c.h"
#include "tests/support/conv2log.h"

#include <stdlib.h>
#include <string.h>

struct seen {
    uint64_t number;
    struct conv_outcome o;
};

struct mdevice {
    bool ringed, floored;
    uint64_t used, dropped, evicted;
    size_t n;
    struct seen seen[CONV_RING + 1];
};

struct muser {
    bool ever, asked; /* ever: something of them is kept */
    uint32_t role;
    uint64_t read, delivered;
    int64_t muted; /* -1: for ever */
    size_t n;
    struct conv_interval visible[C2_EVENTS];
    struct mdevice devices[C2_DEVICES + 1];
};

struct mplace { /* a number */
    uint32_t kind, rules;
    int who;
    int64_t time_ms;
    bool recalled, pinned;
};

struct conv2model {
    struct id16 ids[C2_USERS], conv;
    enum conv_type type, is; /* to be; CONV_NOTHING as long as it is not */
    struct muser users[C2_USERS];
    struct mplace places[C2_EVENTS + 1];
    uint64_t head, clock, first2; /* first2: the first number by rules 2 */
    int64_t time_ms;
    uint32_t flags;
    bool dissolved;
    int asked_by; /* friendship: -1 none, -2 friends, else who asked */
    bool blocked[C2_USERS];
    int a, b; /* direct */
};

static int who(const struct conv2model *m, const void *id)
{
    for (int i = 0; i < C2_USERS; i++)
        if (memcmp(m->ids[i].b, id, ID_SIZE) == 0)
            return i;
    return -1;
}

struct conv2model *conv2model_new(const struct conv2log *l)
{
    struct conv2model *m = calloc(1, sizeof *m);
    if (!m)
        abort();
    memcpy(m->ids, l->users, sizeof m->ids);
    m->conv = l->conv;
    m->type = l->type;
    m->asked_by = -1;
    m->a = 3;
    m->b = id_eq(l->conv, id_direct(l->users[3], l->users[3])) ? 3 : 5;
    return m;
}

void conv2model_free(struct conv2model *m)
{
    free(m);
}

/* ---- duplicates ---- */

static struct mdevice *idlest(struct muser *u, bool floors, size_t *n)
{
    struct mdevice *found = NULL;
    *n = 0;
    for (struct mdevice *d = u->devices; d <= u->devices + C2_DEVICES; d++) {
        if (!(floors ? d->floored : d->ringed))
            continue;
        ++*n;
        if (!found || (floors ? d->dropped < found->dropped : d->used < found->used))
            found = d;
    }
    return found;
}

static void remember(struct conv2model *m, struct muser *u, struct mdevice *d, uint64_t number,
                     struct conv_outcome o)
{
    size_t n;
    if (!d->ringed) {
        if (!d->floored)
            d->evicted = 0;
        d->floored = false;
        struct mdevice *idle = idlest(u, false, &n);
        if (n == CONV_RINGS) {
            for (size_t i = 0; i < idle->n; i++)
                if (idle->seen[i].number > idle->evicted)
                    idle->evicted = idle->seen[i].number;
            idle->n = 0;
            idle->ringed = false;
            idle->floored = true;
            idle->dropped = ++m->clock;
        }
        d->ringed = true;
    }
    d->used = ++m->clock;
    d->seen[d->n++] = (struct seen){number, o};
    if (d->n <= CONV_RING)
        return;
    size_t low = 0;
    for (size_t i = 1; i < d->n; i++)
        if (d->seen[i].number < d->seen[low].number)
            low = i;
    d->evicted = d->seen[low].number;
    d->seen[low] = d->seen[--d->n];
}

static bool known(const struct mdevice *d, uint64_t number, struct conv_outcome *o)
{
    for (size_t i = 0; d->ringed && i < d->n; i++)
        if (d->seen[i].number == number) {
            *o = (struct conv_outcome){.verdict = CONV_DUPLICATE,
                                       .reason = d->seen[i].o.reason,
                                       .seq = d->seen[i].o.seq,
                                       .time_ms = d->seen[i].o.time_ms};
            return true;
        }
    if ((d->ringed || d->floored) && number <= d->evicted) {
        o->reason = IM__CODE__STALE;
        return true;
    }
    return false;
}

/* ---- who may see and speak ---- */

static bool sees(const struct muser *u, uint64_t seq)
{
    for (size_t i = u->n > CONV_VISIBLE ? u->n - CONV_VISIBLE : 0; i < u->n; i++)
        if (seq >= u->visible[i].from && (u->visible[i].to == 0 || seq <= u->visible[i].to))
            return true;
    return false;
}

static size_t members(const struct conv2model *m)
{
    size_t n = 0;
    for (int i = 0; i < C2_USERS; i++)
        n += m->users[i].role > 0;
    return n;
}

static void enter(struct conv2model *m, int i, uint64_t n)
{
    struct muser *u = &m->users[i];
    bool all = m->flags & IM__GROUP_FLAG__GROUP_HISTORY;
    if (all)
        u->n = 0;
    u->visible[u->n++] = (struct conv_interval){all ? 1 : n, 0};
    u->role = IM__ROLE__MEMBER;
    u->ever = true;
    u->asked = false;
}

static void quit(struct conv2model *m, int i)
{
    m->users[i].role = 0;
    m->users[i].visible[m->users[i].n - 1].to = m->head + 1;
}

static uint16_t silenced(const struct conv2model *m, const struct muser *u, int64_t now)
{
    if (m->type == CONV_DIRECT)
        return m->blocked[m->a] || m->blocked[m->b] ? IM__CODE__BLOCKED : 0;
    if (u->muted == -1 || u->muted > now)
        return IM__CODE__MUTED;
    return m->flags & IM__GROUP_FLAG__GROUP_QUIET && u->role == IM__ROLE__MEMBER ? IM__CODE__MUTED : 0;
}

static uint16_t message(const struct conv2model *m, const struct conv_event *e, int i, int64_t now)
{
    const struct muser *u = &m->users[i];
    if (silenced(m, u, now))
        return silenced(m, u, now);
    if (m->type == CONV_DIRECT && e->settings.strangers_refused && m->a != m->b && m->asked_by != -2)
        return IM__CODE__NOT_FRIENDS;
    if (e->reply_to && (e->reply_to > m->head || !sees(u, e->reply_to)))
        return IM__CODE__NO_SUCH_MESSAGE;
    return 0;
}

static uint16_t pins(struct conv2model *m, const struct conv_event *e, bool may)
{
    bool on = e->kind == IM__CONV_KIND__CONV_PIN;
    size_t n = 0;
    if (!may)
        return IM__CODE__NOT_ALLOWED;
    if (m->places[e->target].pinned == on)
        return IM__CODE__NO_CHANGE;
    for (uint64_t s = 1; s <= m->head; s++)
        n += m->places[s].pinned;
    if (on && n == 100)
        return IM__CODE__REFUSED;
    m->places[e->target].pinned = on;
    return 0;
}

static uint16_t target(struct conv2model *m, const struct conv_event *e, int i, int64_t now)
{
    const struct muser *u = &m->users[i];
    bool leads = u->role >= IM__ROLE__ADMIN;
    uint16_t quiet = silenced(m, u, now);
    if (e->target < 1 || e->target > m->head || !sees(u, e->target))
        return IM__CODE__NO_SUCH_MESSAGE;
    struct mplace *p = &m->places[e->target];
    if (e->kind == IM__CONV_KIND__CONV_UNPIN)
        return quiet ? quiet : pins(m, e, leads || m->type == CONV_DIRECT);
    if (!m->first2 || e->target < m->first2 || (m->head - 1) / 16 - (e->target - 1) / 16 > 64)
        return IM__CODE__TOO_OLD;
    if (p->kind != IM__CONV_KIND__CONV_MESSAGE)
        return IM__CODE__NO_SUCH_MESSAGE;
    if (p->recalled)
        return IM__CODE__GONE;
    if (e->kind == IM__CONV_KIND__CONV_RECALL) {
        if (!leads && p->who != i)
            return IM__CODE__NOT_ALLOWED;
        if (!leads && e->settings.recall_limit_s &&
            now - p->time_ms > 1000 * (int64_t)e->settings.recall_limit_s)
            return IM__CODE__TOO_OLD;
        p->recalled = true;
        return 0;
    }
    if (quiet)
        return quiet;
    if (e->kind == IM__CONV_KIND__CONV_PIN)
        return pins(m, e, leads || m->type == CONV_DIRECT);
    return e->kind == IM__CONV_KIND__CONV_EDIT && p->who != i ? IM__CODE__NOT_ALLOWED : 0;
}

static uint16_t receipt(struct conv2model *m, const struct conv_event *e, struct muser *u,
                        struct conv_outcome *o)
{
    if (!u->n)
        return IM__CODE__NOT_A_MEMBER;
    uint64_t to = u->visible[u->n - 1].to, last = to ? to : m->head;
    uint64_t read = e->read > last ? last : e->read, got = e->delivered > last ? last : e->delivered;
    got = got < read ? read : got;
    if (read > u->read)
        u->read = o->read = read;
    if (got > u->delivered)
        u->delivered = o->delivered = got;
    return o->read || o->delivered ? CONV_NOTED : IM__CODE__NO_CHANGE;
}

/* ---- two people ---- */

static uint16_t friends(struct conv2model *m, uint32_t kind, int me)
{
    int other = m->a == me ? m->b : m->a;
    bool theirs = m->asked_by == other, was;
    if (m->a == m->b)
        return IM__CODE__REFUSED;
    switch (kind) {
    case IM__CONV_KIND__CONV_FRIEND_REQUEST:
        if (m->asked_by == -2 || m->asked_by == me)
            return IM__CODE__NO_CHANGE;
        if (m->blocked[me] || m->blocked[other])
            return IM__CODE__BLOCKED;
        m->asked_by = theirs ? -2 : me;
        return 0;
    case IM__CONV_KIND__CONV_FRIEND_CONFIRM:
    case IM__CONV_KIND__CONV_FRIEND_REFUSE:
        if (!theirs)
            return IM__CODE__NO_CHANGE;
        m->asked_by = kind == IM__CONV_KIND__CONV_FRIEND_CONFIRM ? -2 : -1;
        return 0;
    case IM__CONV_KIND__CONV_FRIEND_REMOVE:
        if (m->asked_by != -2 && m->asked_by != me)
            return IM__CODE__NO_CHANGE;
        m->asked_by = -1;
        return 0;
    default:
        was = m->blocked[me];
        m->blocked[me] = kind == IM__CONV_KIND__CONV_BLOCK;
        if (was == m->blocked[me])
            return IM__CODE__NO_CHANGE;
        if (m->blocked[me])
            m->asked_by = -1;
        return CONV_NOTED;
    }
}

/* ---- groups ---- */

struct named {
    int who[C2_USERS];
    size_t n;
};

static struct named named(const struct conv2model *m, const struct conv_event *e)
{
    struct named l = {.n = e->users.n / ID_SIZE};
    for (size_t i = 0; i < l.n; i++)
        l.who[i] = who(m, (const uint8_t *)e->users.p + i * ID_SIZE);
    return l;
}

static uint16_t bring(struct conv2model *m, const struct conv_event *e, bool asked, struct conv_outcome *o)
{
    struct named l = named(m, e);
    uint64_t bits = 0;
    size_t more = 0;
    for (size_t k = 0; k < l.n; k++)
        if (asked ? m->users[l.who[k]].asked : m->users[l.who[k]].role == 0) {
            bits |= UINT64_C(1) << k;
            more++;
        }
    if (!more)
        return asked ? IM__CODE__NO_SUCH_MEMBER : IM__CODE__NO_CHANGE;
    if (e->kind != IM__CONV_KIND__CONV_GROUP_DECLINE && members(m) + more > e->settings.group_cap)
        return IM__CODE__GROUP_FULL;
    o->changed[0] = bits;
    for (size_t k = 0; k < l.n; k++) {
        if (!(bits >> k & 1))
            continue;
        if (e->kind == IM__CONV_KIND__CONV_GROUP_DECLINE)
            m->users[l.who[k]].asked = false;
        else
            enter(m, l.who[k], m->head + 1);
    }
    return e->kind == IM__CONV_KIND__CONV_GROUP_DECLINE ? CONV_NOTED : 0;
}

static uint16_t on_each(struct conv2model *m, const struct conv_event *e, int me, int64_t now,
                        struct conv_outcome *o)
{
    struct named l = named(m, e);
    bool roles = e->kind == IM__CONV_KIND__CONV_GROUP_ROLE, on = e->kind == IM__CONV_KIND__CONV_GROUP_MUTE;
    int64_t until = !on                          ? 0
                    : e->duration_s == 0         ? -1
                    : e->duration_s > 1000000000 ? INT64_MAX
                                                 : now + 1000 * (int64_t)e->duration_s;
    for (size_t k = 0; k < l.n; k++)
        if (!m->users[l.who[k]].role)
            return IM__CODE__NO_SUCH_MEMBER;
    for (size_t k = 0; k < l.n; k++)
        if (m->users[l.who[k]].role >= (roles ? (uint32_t)IM__ROLE__OWNER : m->users[me].role))
            return IM__CODE__NOT_ALLOWED;
    for (size_t k = 0; k < l.n; k++) {
        struct muser *u = &m->users[l.who[k]];
        bool muted = u->muted == -1 || u->muted > now;
        if (roles                                         ? u->role == e->role
            : e->kind == IM__CONV_KIND__CONV_GROUP_REMOVE ? false
            : on                                          ? u->muted == until
                                                          : !muted)
            continue;
        o->changed[0] |= UINT64_C(1) << k;
        if (roles)
            u->role = e->role;
        else if (e->kind == IM__CONV_KIND__CONV_GROUP_REMOVE)
            quit(m, l.who[k]);
        else
            u->muted = until;
    }
    o->until_ms = until > 0 ? until : 0;
    return o->changed[0] ? 0 : IM__CODE__NO_CHANGE;
}

static uint16_t hand_over(struct conv2model *m, const struct conv_event *e, int me, struct conv_outcome *o)
{
    struct named l = named(m, e);
    if (l.n != 1)
        return IM__CODE__REFUSED;
    if (!m->users[l.who[0]].role)
        return IM__CODE__NO_SUCH_MEMBER;
    if (l.who[0] == me)
        return IM__CODE__NO_CHANGE;
    m->users[me].role = IM__ROLE__ADMIN;
    m->users[l.who[0]].role = IM__ROLE__OWNER;
    o->changed[0] = 1;
    return 0;
}

static uint16_t join(struct conv2model *m, const struct conv_event *e, int i)
{
    struct muser *u = &m->users[i];
    if (u->role)
        return IM__CODE__NO_CHANGE;
    if (m->dissolved || m->flags & IM__GROUP_FLAG__GROUP_PRIVATE)
        return IM__CODE__NOT_A_MEMBER;
    if (m->flags & IM__GROUP_FLAG__GROUP_APPROVAL) {
        if (u->asked)
            return IM__CODE__NO_CHANGE;
        u->asked = u->ever = true;
        return CONV_NOTED;
    }
    if (members(m) >= e->settings.group_cap)
        return IM__CODE__GROUP_FULL;
    enter(m, i, m->head + 1);
    return 0;
}

static uint16_t leave(struct conv2model *m, int i)
{
    if (m->users[i].role == IM__ROLE__OWNER && members(m) > 1)
        return IM__CODE__OWNER_STAYS;
    quit(m, i);
    m->dissolved = members(m) == 0;
    return 0;
}

static uint16_t settings(struct conv2model *m, const struct conv_event *e)
{
    uint32_t was = m->flags;
    for (uint32_t bit = 1; bit <= 8; bit *= 2)
        if (e->flags_mask & bit)
            m->flags = e->flags & bit ? m->flags | bit : m->flags & ~bit;
    return was == m->flags ? IM__CODE__NO_CHANGE : 0;
}

static uint16_t group(struct conv2model *m, const struct conv_event *e, int i, int64_t now,
                      struct conv_outcome *o)
{
    struct muser *u = &m->users[i];
    uint32_t role = u->role, k = e->kind;
    if (k == IM__CONV_KIND__CONV_GROUP_JOIN)
        return join(m, e, i);
    if (!role)
        return IM__CODE__NOT_A_MEMBER;
    if (m->dissolved)
        return IM__CODE__GONE;
    bool list = (k >= IM__CONV_KIND__CONV_GROUP_INVITE && k <= IM__CONV_KIND__CONV_GROUP_UNMUTE) ||
                k == IM__CONV_KIND__CONV_GROUP_APPROVE || k == IM__CONV_KIND__CONV_GROUP_DECLINE;
    if (list && e->users.n == 0)
        return IM__CODE__REFUSED;
    bool admins_only = k != IM__CONV_KIND__CONV_GROUP_LEAVE && k != IM__CONV_KIND__CONV_GROUP_INVITE &&
                       k > IM__CONV_KIND__CONV_GROUP_JOIN && k <= IM__CONV_KIND__CONV_GROUP_DECLINE;
    bool owner_only = k == IM__CONV_KIND__CONV_GROUP_ROLE || k == IM__CONV_KIND__CONV_GROUP_HAND_OVER ||
                      k == IM__CONV_KIND__CONV_GROUP_DISSOLVE;
    bool closed = m->flags & (IM__GROUP_FLAG__GROUP_APPROVAL | IM__GROUP_FLAG__GROUP_PRIVATE);
    if (k == IM__CONV_KIND__CONV_GROUP_INVITE && closed)
        admins_only = true;
    if ((admins_only && role < IM__ROLE__ADMIN) || (owner_only && role < IM__ROLE__OWNER))
        return IM__CODE__NOT_ALLOWED;
    switch (k) {
    case IM__CONV_KIND__CONV_GROUP_LEAVE:
        return leave(m, i);
    case IM__CONV_KIND__CONV_GROUP_INVITE:
        return bring(m, e, false, o);
    case IM__CONV_KIND__CONV_GROUP_APPROVE:
    case IM__CONV_KIND__CONV_GROUP_DECLINE:
        return bring(m, e, true, o);
    case IM__CONV_KIND__CONV_GROUP_ROLE:
        if (e->role != IM__ROLE__ADMIN && e->role != IM__ROLE__MEMBER)
            return IM__CODE__REFUSED;
        return on_each(m, e, i, now, o);
    case IM__CONV_KIND__CONV_GROUP_REMOVE:
    case IM__CONV_KIND__CONV_GROUP_MUTE:
    case IM__CONV_KIND__CONV_GROUP_UNMUTE:
        return on_each(m, e, i, now, o);
    case IM__CONV_KIND__CONV_GROUP_HAND_OVER:
        return hand_over(m, e, i, o);
    case IM__CONV_KIND__CONV_GROUP_RENAME:
    case IM__CONV_KIND__CONV_GROUP_NOTICE:
        return 0;
    case IM__CONV_KIND__CONV_GROUP_SETTINGS:
        return settings(m, e);
    case IM__CONV_KIND__CONV_GROUP_DISSOLVE:
        m->dissolved = true;
        return 0;
    }
    return IM__CODE__REFUSED;
}

/* ---- together ---- */

static uint16_t judge(struct conv2model *m, const struct conv_event *e, int i, int64_t now,
                      struct conv_outcome *o)
{
    bool talk = e->kind == IM__CONV_KIND__CONV_MESSAGE,
         aims = e->kind >= IM__CONV_KIND__CONV_EDIT && e->kind <= IM__CONV_KIND__CONV_UNPIN;
    if (e->rules == 1)
        return talk ? 0 : IM__CODE__REFUSED;
    if (m->type == CONV_SYSTEM)
        return e->kind == IM__CONV_KIND__CONV_ANNOUNCEMENT && e->settings.admin ? 0 : IM__CODE__NOT_ALLOWED;
    if (e->kind == IM__CONV_KIND__CONV_RECEIPT)
        return receipt(m, e, &m->users[i], o);
    if (m->type == CONV_GROUP && m->users[i].role && !m->dissolved && (talk || aims))
        return talk ? message(m, e, i, now) : target(m, e, i, now);
    if (m->type == CONV_GROUP)
        return group(m, e, i, now, o);
    if (talk || aims)
        return talk ? message(m, e, i, now) : target(m, e, i, now);
    if (e->kind >= IM__CONV_KIND__CONV_FRIEND_REQUEST && e->kind <= IM__CONV_KIND__CONV_UNBLOCK)
        return friends(m, e->kind, i);
    return IM__CODE__REFUSED;
}

static uint16_t create(struct conv2model *m, const struct conv_event *e, int i)
{
    if (m->type == CONV_SYSTEM) {
        if (e->kind == IM__CONV_KIND__CONV_GROUP_CREATE)
            return IM__CODE__NOT_A_MEMBER;
        if (e->kind != IM__CONV_KIND__CONV_ANNOUNCEMENT || !e->settings.admin)
            return IM__CODE__NOT_ALLOWED;
    } else if (m->type == CONV_DIRECT) {
        int peer = who(m, e->peer.b);
        bool two = (i == m->a && peer == m->b) || (i == m->b && peer == m->a);
        if (!two || (e->kind == IM__CONV_KIND__CONV_GROUP_CREATE && e->rules > 1))
            return IM__CODE__NOT_A_MEMBER;
        if (e->kind == IM__CONV_KIND__CONV_RECEIPT && e->rules > 1)
            return IM__CODE__NO_CHANGE;
        m->users[m->a] = m->users[m->b] = (struct muser){.ever = true, .n = 1, .visible = {{1, 0}}};
    } else {
        struct named l = named(m, e);
        if (e->kind != IM__CONV_KIND__CONV_GROUP_CREATE || i != 3 || e->device != 1 || e->client_seq != 1)
            return IM__CODE__NOT_A_MEMBER;
        m->flags = e->flags & 15;
        enter(m, i, 1);
        m->users[i].role = IM__ROLE__OWNER;
        for (size_t k = 0; k < l.n; k++)
            if (l.who[k] != i)
                enter(m, l.who[k], 1);
    }
    m->is = m->type;
    return 0;
}

static uint16_t admit(const struct conv2model *m, const struct conv_event *e, int i)
{
    static const struct id16 none;
    int peer = who(m, e->peer.b);
    if (m->type == CONV_DIRECT) {
        bool right = peer == (i == m->a ? m->b : m->a) || (e->rules > 1 && id_eq(e->peer, none));
        return (i == m->a || i == m->b) && right ? 0 : IM__CODE__NOT_A_MEMBER;
    }
    if (m->users[i].ever || e->client_seq)
        return 0;
    if (m->type == CONV_SYSTEM)
        return e->kind == IM__CONV_KIND__CONV_ANNOUNCEMENT && e->settings.admin ? 0 : IM__CODE__NOT_ALLOWED;
    return IM__CODE__NOT_A_MEMBER;
}

struct conv_outcome conv2model_apply(struct conv2model *m, const struct conv_event *e)
{
    struct conv_outcome o = {.verdict = CONV_REFUSED,
                             .time_ms = e->time_ms > m->time_ms ? e->time_ms : m->time_ms};
    int i = who(m, e->user.b);
    bool made = m->is == CONV_NOTHING;
    o.reason = !id_eq(e->conv, m->conv) ? IM__CODE__NOT_A_MEMBER : made ? create(m, e, i) : admit(m, e, i);
    if (o.reason)
        return o;
    struct muser *u = &m->users[i];
    if (e->client_seq && known(&u->devices[e->device], e->client_seq, &o)) {
        if (o.reason == IM__CODE__STALE && m->is == CONV_GROUP && !u->n && !u->asked)
            o.reason = IM__CODE__NOT_A_MEMBER; /* as if there were no group */
        return o;
    }
    uint16_t reason = made && e->kind == IM__CONV_KIND__CONV_GROUP_CREATE ? 0 : judge(m, e, i, o.time_ms, &o);
    o.verdict = reason == 0 ? CONV_ACCEPTED : reason == CONV_NOTED ? CONV_NOTED : CONV_REFUSED;
    o.reason = o.verdict == CONV_REFUSED ? reason : 0;
    if (o.verdict == CONV_ACCEPTED) {
        o.seq = ++m->head;
        m->time_ms = o.time_ms;
        m->places[o.seq] = (struct mplace){.kind = e->kind, .who = i, .time_ms = o.time_ms};
        if (e->rules > 1 && !m->first2)
            m->first2 = o.seq;
    }
    if (e->client_seq) {
        u->ever = true;
        remember(m, u, &u->devices[e->device], e->client_seq, o);
    }
    return o;
}

/* ---- looking ---- */

static const char *member_differs(const struct conv2model *m, const struct conv *c, int i)
{
    const struct muser *u = &m->users[i];
    struct conv_member_view v;
    struct conv_interval visible[CONV_VISIBLE];
    if (conv_member(c, m->ids[i], &v) != u->ever)
        return "who is known";
    if (!u->ever)
        return NULL;
    if (m->type == CONV_GROUP && v.role != u->role)
        return "role";
    if (v.read != u->read || v.delivered != u->delivered)
        return "receipts";
    if (v.muted_until_ms != u->muted)
        return "mute";
    size_t n = u->n > CONV_VISIBLE ? CONV_VISIBLE : u->n;
    if (conv_visible(c, m->ids[i], visible) != n)
        return "number of intervals";
    for (size_t k = 0; k < n; k++)
        if (visible[k].from != u->visible[u->n - n + k].from || visible[k].to != u->visible[u->n - n + k].to)
            return "intervals";
    for (uint64_t seq = 1; m->type != CONV_SYSTEM && seq <= m->head; seq += 1 + seq / 8)
        if (conv_may_read(c, m->ids[i], seq) != sees(u, seq))
            return "what may be read";
    return NULL;
}

static const char *group_differs(const struct conv2model *m, const struct conv *c)
{
    struct id16 admins[CONV_ADMINS];
    size_t n_admins = conv_admins(c, admins), seats = 0, leaders = 0;
    if (conv_flags(c) != m->flags || conv_dissolved(c) != m->dissolved || conv_count(c) != members(m))
        return "flags, end or count";
    for (unsigned b = 0; b < CONV_BUCKETS; b++) {
        const struct conv_seat *s;
        size_t n = conv_roster(c, b, &s);
        for (size_t k = 0; k < n; k++, seats++) {
            const struct muser *u = &m->users[who(m, s[k].user.b)];
            if (!u->role || s[k].from != u->visible[u->n - 1].from)
                return "roster";
        }
    }
    for (int i = 0; i < C2_USERS; i++) {
        bool found = false;
        for (size_t k = 0; k < n_admins; k++)
            found |= id_eq(admins[k], m->ids[i]);
        if (found != (m->users[i].role >= IM__ROLE__ADMIN))
            return "admins";
        if (m->users[i].role == IM__ROLE__OWNER && !id_eq(conv_owner(c), m->ids[i]))
            return "owner";
        leaders += m->users[i].role >= IM__ROLE__ADMIN;
    }
    return seats != members(m) || n_admins != leaders ? "size of roster or admins" : NULL;
}

static const char *pair_differs(const struct conv2model *m, const struct conv *c)
{
    for (int k = 0; k < 2; k++) {
        int i = k ? m->a : m->b, other = k ? m->b : m->a;
        uint32_t want = m->asked_by == -2                    ? IM__FRIEND_STATE__FRIEND
                        : m->asked_by == i                   ? IM__FRIEND_STATE__ASKED
                        : m->asked_by == other && i != other ? IM__FRIEND_STATE__ASKED_ME
                                                             : IM__FRIEND_STATE__NO_FRIEND;
        if (conv_friend(c, m->ids[i]) != want || conv_blocked_by(c, m->ids[i]) != m->blocked[i])
            return "friend or block";
    }
    return NULL;
}

const char *conv2model_differs(const struct conv2model *m, const struct conv *c)
{
    if (conv_head(c) != m->head || conv_type(c) != m->is)
        return "head or type";
    const char *what = m->is == CONV_GROUP    ? group_differs(m, c)
                       : m->is == CONV_DIRECT ? pair_differs(m, c)
                                              : NULL;
    for (int i = 0; !what && i < C2_USERS; i++)
        what = member_differs(m, c, i);
    return what;
}
