#include "tests/sim/sim_check.h"

#include "offline/core.h"
#include "proto/client.pb-c.h"
#include "tests/sim/sim_check_int.h"

/* ---- history, as read from the persister's rows ---- */
static struct history *history_of(struct check *k, struct id16 conv)
{
    for (size_t i = 0; i < k->n; i++)
        if (id_eq(k->h[i].conv, conv))
            return &k->h[i];
    return NULL;
}

static void read_row(struct check *k, struct slice packed)
{
    struct place p;
    struct message_texts t;
    if (message_row_parse(packed, &p.row, &t)) {
        sim_fail(k->s, "bad row", "a history row cannot be read");
        return;
    }
    p.text = sim_text_hash(t.text.p, t.text.n);
    p.users = sim_copy(k->s, t.users);
    struct history *h = history_of(k, p.row.conv);
    if (!h || p.row.seq < 1 || p.row.seq > 100000) {
        sim_fail(k->s, "leak", "history has a conversation that nobody has");
        return;
    }
    if (p.row.seq > h->n) {
        struct place *v = sim_alloc(k->s, p.row.seq * sizeof *v);
        if (h->n)
            memcpy(v, h->v, h->n * sizeof *v);
        h->v = v;
        h->n = p.row.seq;
    }
    if (h->v[p.row.seq - 1].row.seq)
        sim_fail(k->s, "duplicate", "history has place %lu twice", (unsigned long)p.row.seq);
    h->v[p.row.seq - 1] = p;
}

static void read_history(struct check *k)
{
    struct sim *s = k->s;
    struct sim_world *w = s->world;
    for (uint32_t a = 0; a < s->conf.users; a++)
        for (uint32_t b = a + 1; b <= SIM_USERS; b++) {
            if (b >= s->conf.users && b != SIM_GHOST)
                continue;
            struct id16 peer = b == SIM_GHOST ? id_user("nobody") : w->users[b].id;
            k->h[k->n++] = (struct history){.conv = id_direct(w->users[a].id, peer)};
        }
    k->h[k->n++] = (struct history){.conv = id_system()};
    for (uint32_t i = 0; i < SIM_ROOMS; i++)
        if (w->rooms[i].tried)
            k->h[k->n++] = (struct history){.conv = w->rooms[i].id, .room = true};
    for (int32_t i = 0; i < SIM_PARTS; i++)
        for (size_t n = 0; n < w->stores.part[STORE_CONV][i].n_appended; n++)
            read_row(k, w->stores.part[STORE_CONV][i].appended[n]);
    for (size_t i = 0; i < k->n; i++)
        if (k->h[i].room)
            sim_room_model(k, &k->h[i]);
}

/* ---- what was promised to senders ---- */
/* Without having been told: by a client that has forgotten it or was revoked, or was told first that there is nobody. */
static bool may_be_refused(const struct sim_client *c, const struct sim_msg *m)
{
    const struct sim_conf *conf = &c->sim->conf;
    bool always_in = (m->kind == IM__CONV_KIND__CONV_GROUP_CREATE && conf->group_cap >= conf->users) ||
                     (m->kind == IM__CONV_KIND__CONV_MESSAGE && !sim_talk_is_room(m->talk) &&
                      !c->sim->world->users[c->user].blocked && !conf->strangers_refused);
    return c->revoked || ((m->forgotten || m->talk == SIM_GHOST) && !always_in);
}

static void check_send(struct check *k, const struct sim_client *c, const struct sim_msg *m)
{
    struct history *h = history_of(k, m->conv);
    uint64_t at = 0;
    for (uint64_t i = 0; h && i < h->n; i++) {
        const struct place *p = &h->v[i];
        if (!id_eq(p->row.sender, k->s->world->users[c->user].id) || p->row.device != m->device ||
            p->row.client_seq != m->client_seq)
            continue;
        if (at)
            sim_fail(k->s, "duplicate", "%s's send %lu is at places %lu and %lu", c->name,
                     (unsigned long)m->client_seq, (unsigned long)at, (unsigned long)p->row.seq);
        at = p->row.seq;
        if (p->text != sim_text_hash(m->text, strlen(m->text)))
            sim_fail(k->s, "divergent", "%s's send %lu has another text in history", c->name,
                     (unsigned long)m->client_seq);
    }
    if (m->acked && !at && !m->refused && !m->noted && !may_be_refused(c, m))
        sim_fail(k->s, "lost", "%s's send %lu was acked and is not in history", c->name,
                 (unsigned long)m->client_seq);
    if (m->refused && at)
        sim_fail(k->s, "rejected-but-seen", "%s's send %lu was refused and is at place %lu", c->name,
                 (unsigned long)m->client_seq, (unsigned long)at);
    if (m->seq && m->seq != at)
        sim_fail(k->s, "divergent", "%s's send %lu was told place %lu and is at %lu", c->name,
                 (unsigned long)m->client_seq, (unsigned long)m->seq, (unsigned long)at);
}

/* ---- what devices saw ---- */
/* Did this device leave the group after that place? That it did is told to everybody but itself, and with it that there
 * was something before; who forgets what they did never asks. */
static bool left_later(const struct history *h, const struct sim_client *c, uint64_t seq)
{
    for (uint64_t i = seq; i < h->n; i++)
        if (h->v[i].row.kind == IM__CONV_KIND__CONV_GROUP_LEAVE && h->v[i].row.device == c->device &&
            id_eq(h->v[i].row.sender, c->sim->world->users[c->user].id))
            return true;
    return false;
}

static void check_place(struct check *k, const struct sim_client *c, const struct sim_talk *t,
                        const struct history *h, const struct place *p)
{
    struct sim *s = k->s;
    const struct sim_seen *seen = p->row.seq < t->cap ? &t->seen[p->row.seq] : NULL;
    bool own = id_eq(p->row.sender, s->world->users[c->user].id) && p->row.device == c->device;
    uint32_t talk = (uint32_t)(t - c->talks);
    bool may = !t->room || sim_room_sees(h, p->row.seq, c->user);
    if (seen && seen->have) {
        if (!id_eq(seen->sender, p->row.sender) || seen->device != p->row.device ||
            seen->client_seq != p->row.client_seq || (seen->text != p->text && !seen->blank) ||
            seen->kind != p->row.kind || seen->target != p->row.target)
            sim_fail(s, "divergent", "%s has another message at place %lu than history", c->name,
                     (unsigned long)p->row.seq);
        if (!may)
            sim_fail(s, "leak", "%s was shown place %lu of a group when it was no member", c->name,
                     (unsigned long)p->row.seq);
        return;
    }
    if (talk == SIM_SYSTEM || !may || (seen && seen->nothing && h->opened) ||
        (c->forgot && t->room && left_later(h, c, p->row.seq)))
        return;
    if (p->row.seq < c->cap_before[talk] && c->before[talk][p->row.seq].have)
        return;
    int64_t at =
        (s->log->part[T_CONVERSATION][p->row.conv_part].v[p->row.conv_offset].time_ms - 1700000000000) * MS;
    if (!c->since || at < c->since || c->rest_in_history || own)
        return;
    const char *with = t->room ? "a group" : talk == SIM_GHOST ? "nobody" : s->world->users[talk].login;
    sim_fail(s, "lost", "%s was never shown place %lu of its talk with %s (record %d/%ld)%s", c->name,
             (unsigned long)p->row.seq, with, p->row.conv_part, (long)p->row.conv_offset,
             seen && seen->nothing ? ", history said that it was not for it" : "");
}

static void check_client(struct check *k, const struct sim_client *c)
{
    for (uint32_t i = 0; i < SIM_ALL; i++) {
        const struct sim_talk *t = &c->talks[i];
        const struct history *h = i == c->user ? NULL : history_of(k, t->id);
        uint64_t n = h ? h->n : 0;
        if (t->receipt > n || (t->receipt && t->room && !h->n_times[c->user]))
            sim_fail(k->s, "leak", "%s was told of a receipt up to %lu", c->name, (unsigned long)t->receipt);
        for (uint64_t seq = n + 1; seq < t->cap; seq++)
            if (t->seen[seq].have)
                sim_fail(k->s, "divergent", "%s was shown place %lu, history has %lu", c->name,
                         (unsigned long)seq, (unsigned long)n);
        for (uint64_t seq = 1; seq <= n; seq++)
            check_place(k, c, t, h, &h->v[seq - 1]);
    }
}

static struct check *begin(struct sim *s)
{
    struct check *k = sim_alloc(s, sizeof *k);
    k->s = s;
    read_history(k);
    for (size_t i = 0; i < k->n; i++)
        for (uint64_t n = 0; n < k->h[i].n; n++)
            if (!k->h[i].v[n].row.seq)
                sim_fail(s, "gap", "history has no place %lu of %lu", (unsigned long)n + 1,
                         (unsigned long)k->h[i].n);
    return k;
}

void sim_check_live(struct sim *s)
{
    struct check *k = begin(s);
    for (uint32_t i = 0; i < s->world->n_clients; i++)
        check_client(k, &s->world->clients[i]);
}

void sim_check(struct sim *s)
{
    struct check *k = begin(s);
    for (uint32_t i = 0; i < s->world->n_clients; i++) {
        const struct sim_client *c = &s->world->clients[i];
        for (const struct sim_msg *m = c->msgs; m; m = m->next)
            check_send(k, c, m);
        check_client(k, c);
    }
    sim_check_rooms(k);
    sim_check_cells(s);
    sim_check_queues(s);
    sim_check_marks(s);
    for (uint32_t i = 0; i < s->conf.workers; i++) {
        sim_check_presence(s, &s->world->procs[PROC_FANOUT][i]);
        sim_check_presence(s, &s->world->procs[PROC_ROUTER][i]);
    }
    if (sim_log_end(s, T_DLQ, 0))
        sim_fail(s, "poison", "something is in im.dlq");
}
