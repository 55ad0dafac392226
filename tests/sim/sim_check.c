#include "tests/sim/sim_check.h"

#include "offline/core.h"
#include "persister/rows.h"
#include "tests/sim/sim_world.h"

#include <stdarg.h>

/* ---- history, as read from the persister's rows ---- */
struct place {
    struct message_row row;
    uint32_t text;
};
struct history { /* one conversation */
    struct id16 conv;
    uint32_t a, b; /* users */
    struct place *v;
    uint64_t n;
};
#define CONVS (SIM_USERS * (SIM_USERS + 1))

struct check {
    struct sim *s;
    struct history h[CONVS];
    size_t n;
};

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
            k->h[k->n++] = (struct history){.conv = id_direct(w->users[a].id, peer), .a = a, .b = b};
        }
    for (int32_t i = 0; i < SIM_PARTS; i++)
        for (size_t n = 0; n < w->stores.part[STORE_CONV][i].n_appended; n++)
            read_row(k, w->stores.part[STORE_CONV][i].appended[n]);
}

/* ---- what was promised to senders ---- */
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
    if (m->acked && !at)
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
static void check_place(struct check *k, const struct sim_client *c, const struct sim_talk *t,
                        const struct place *p)
{
    struct sim *s = k->s;
    const struct sim_seen *seen = p->row.seq < t->cap ? &t->seen[p->row.seq] : NULL;
    bool own = id_eq(p->row.sender, s->world->users[c->user].id) && p->row.device == c->device;
    if (seen && seen->have) {
        if (!id_eq(seen->sender, p->row.sender) || seen->device != p->row.device ||
            seen->client_seq != p->row.client_seq || seen->text != p->text)
            sim_fail(s, "divergent", "%s has another message at place %lu than history", c->name,
                     (unsigned long)p->row.seq);
        return;
    }
    uint32_t talk = (uint32_t)(t - c->talks);
    if (p->row.seq < c->cap_before[talk] && c->before[talk][p->row.seq].have)
        return;
    int64_t at =
        (s->log->part[T_CONVERSATION][p->row.conv_part].v[p->row.conv_offset].time_ms - 1700000000000) * MS;
    if (!c->since || at < c->since || c->rest_in_history || own)
        return;
    sim_fail(s, "lost", "%s was never shown place %lu of its talk with %s (record %d/%ld)", c->name,
             (unsigned long)p->row.seq,
             t - c->talks == SIM_GHOST ? "nobody" : s->world->users[t - c->talks].login, p->row.conv_part,
             (long)p->row.conv_offset);
}

static void check_client(struct check *k, const struct sim_client *c)
{
    for (uint32_t i = 0; i <= SIM_USERS; i++) {
        const struct sim_talk *t = &c->talks[i];
        const struct history *h = i == c->user ? NULL : history_of(k, t->id);
        uint64_t n = h ? h->n : 0;
        for (uint64_t seq = n + 1; seq < t->cap; seq++)
            if (t->seen[seq].have)
                sim_fail(k->s, "divergent", "%s was shown place %lu, history has %lu", c->name,
                         (unsigned long)seq, (unsigned long)n);
        for (uint64_t seq = 1; seq <= n; seq++)
            check_place(k, c, t, &h->v[seq - 1]);
    }
}

/* ---- stores and slots ---- */
static void same_cells(struct sim *s, const struct sim_rows *a, uint8_t table_a, const struct sim_rows *b,
                       uint8_t table_b, const char *what)
{
    for (uint32_t i = 0; i < a->n; i++) {
        const struct sim_row *r = &a->v[i];
        if (r->table != table_a || !r->row.n)
            continue;
        struct slice other = sim_rows_get(b, table_b, r->key);
        if (other.n != r->row.n || memcmp(other.p, r->row.p, other.n) != 0)
            sim_fail(s, "divergent", "%s", what);
    }
}

static void check_cells(struct sim *s)
{
    for (int32_t i = 0; i < SIM_PARTS; i++) {
        const struct sim_rows *f = &s->world->stores.part[STORE_FANOUT][i].now.rows;
        const struct sim_rows *p = &s->world->stores.part[STORE_CONV][i].now.rows;
        same_cells(s, f, F_CELL, p, P_CELL, "a cell of fanout's is not the persister's");
        same_cells(s, p, P_CELL, f, F_CELL, "a cell of the persister's is not fanout's");
    }
}

/* ---- what should be gone ---- */
static const struct sim_client *client_of(const struct sim *s, struct slice key)
{
    const uint8_t *k = key.p;
    uint32_t device = (uint32_t)k[16] << 24 | (uint32_t)k[17] << 16 | (uint32_t)k[18] << 8 | k[19];
    for (uint32_t i = 0; i < s->world->n_clients; i++) {
        const struct sim_client *c = &s->world->clients[i];
        if (c->device == device && !memcmp(k, s->world->users[c->user].id.b, ID_SIZE))
            return c;
    }
    return NULL;
}

/* Every queued message was confirmed by now. */
static void check_queues(struct sim *s)
{
    for (int32_t i = 0; i < SIM_PARTS; i++) {
        const struct sim_rows *rows = &s->world->stores.part[STORE_OFFLINE][i].now.rows;
        for (uint32_t n = 0; n < rows->n; n++) {
            if (rows->v[n].table != OFFLINE_ITEM || !rows->v[n].row.n)
                continue;
            const struct sim_client *c = client_of(s, rows->v[n].key);
            /* A send to nobody may be taken on trust once and be refused the next time: its place stays a hole. */
            if (!c || (!c->late && !c->forgot && !c->rest_in_history && !sim_talk_hole(&c->talks[SIM_GHOST])))
                sim_fail(s, "left behind", "%s has everything and still has a queue", c ? c->name : "nobody");
        }
    }
}

/* Every device that is connected is present once, and nobody else is. */
static void check_presence(struct sim *s, const struct sim_proc *p)
{
    size_t all = 0;
    for (uint32_t u = 0; u < s->conf.users; u++) {
        const struct session *live[PRESENCE_LIVE_MAX];
        size_t n = presence_sessions(p->view.presence, s->world->users[u].id, live), on = 0;
        for (uint32_t i = 0; i < s->world->n_clients; i++)
            on += s->world->clients[i].user == u && s->world->clients[i].state == CLIENT_ON;
        all += on;
        if (n != on)
            sim_fail(s, "left behind", "%s has %zu devices connected, and %zu are present to %s",
                     s->world->users[u].login, on, n, p->actor.name);
    }
    if (s->conf.patient && presence_count(p->view.presence) != all)
        sim_fail(s, "left behind", "%zu sessions are present to %s, %zu devices are connected",
                 presence_count(p->view.presence), p->actor.name, all);
}

void sim_check_live(struct sim *s)
{
    struct check *k = sim_alloc(s, sizeof *k);
    k->s = s;
    read_history(k);
    for (uint32_t i = 0; i < s->world->n_clients; i++)
        check_client(k, &s->world->clients[i]);
}

void sim_check(struct sim *s)
{
    struct check *k = sim_alloc(s, sizeof *k);
    k->s = s;
    read_history(k);
    for (size_t i = 0; i < k->n; i++)
        for (uint64_t n = 0; n < k->h[i].n; n++)
            if (!k->h[i].v[n].row.seq)
                sim_fail(s, "gap", "history has no place %lu of %lu", (unsigned long)n + 1,
                         (unsigned long)k->h[i].n);
    for (uint32_t i = 0; i < s->world->n_clients; i++) {
        const struct sim_client *c = &s->world->clients[i];
        for (const struct sim_msg *m = c->msgs; m; m = m->next)
            check_send(k, c, m);
        check_client(k, c);
    }
    check_cells(s);
    check_queues(s);
    for (uint32_t i = 0; i < s->conf.workers; i++) {
        check_presence(s, &s->world->procs[PROC_FANOUT][i]);
        check_presence(s, &s->world->procs[PROC_ROUTER][i]);
    }
    if (sim_log_end(s, T_DLQ, 0))
        sim_fail(s, "poison", "something is in im.dlq");
}

/* ---- quiet ---- */
static const char *process_busy(const struct sim *s, const struct sim_proc *p)
{
    if (!p->actor.alive || !p->ready || p->actor.paused_until > s->now)
        return "is not running";
    if (p->view.lease && !sim_view_current(&p->view))
        return "has not seen all of its views";
    return p->producer.in_flight ? "has sends in flight" : NULL;
}

static bool processes_quiet(const struct sim *s, char *why, size_t n)
{
    const struct sim_world *w = s->world;
    for (size_t g = 0; g < SIM_GROUPS; g++)
        for (int32_t i = 0; i < w->groups[g].parts; i++) {
            const struct sim_proc *p = w->groups[g].part[i].owner;
            const struct sim_shell *sh = p ? p->shells[g == SGROUP_USERS][i] : NULL;
            if (!sh || !sim_group_owns(&w->groups[g], i, p) || !sim_shell_idle(sh)) {
                snprintf(why, n, "%s/%d is not idle", w->groups[g].name, i);
                return false;
            }
        }
    for (int k = 0; k < SIM_KINDS; k++)
        for (uint32_t i = 0; i < s->conf.workers; i++) {
            const char *busy = process_busy(s, &w->procs[k][i]);
            if (busy) {
                snprintf(why, n, "%s %s", w->procs[k][i].actor.name, busy);
                return false;
            }
        }
    return true;
}

bool sim_quiet(struct sim *s, char *why, size_t n)
{
    struct sim_world *w = s->world;
    const char *what;
    for (size_t i = 0; i < SIM_GROUPS; i++)
        if (sim_group_lag(&w->groups[i])) {
            snprintf(why, n, "%s lags by %ld", w->groups[i].name, (long)sim_group_lag(&w->groups[i]));
            return false;
        }
    for (uint32_t i = 0; i < SIM_SLOTS; i++)
        if (w->slots[i].committed != sim_log_end(s, topic_of_slot(i), 0)) {
            snprintf(why, n, "slot %u waits unread: %ld of %ld", i, (long)w->slots[i].committed,
                     (long)sim_log_end(s, topic_of_slot(i), 0));
            return false;
        }
    for (uint32_t i = 0; i < w->n_clients; i++)
        if (w->clients[i].lives && !sim_client_done(&w->clients[i], &what)) {
            snprintf(why, n, "%s %s", w->clients[i].name, what);
            return false;
        }
    return processes_quiet(s, why, n);
}
