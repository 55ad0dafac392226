/* sim_check_store.c: what is in the stores: cells that must be the same, and what should be gone. */
#include "common/base/reader.h"
#include "offline/core.h"
#include "offline/marks.h"
#include "persister/rows.h"
#include "tests/sim/sim_check_int.h"

/* ---- cells ---- */
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

static void check_cells(struct sim *s, int32_t part)
{
    const struct sim_rows *f = &s->world->stores.part[STORE_FANOUT][part].now.rows;
    const struct sim_rows *p = &s->world->stores.part[STORE_CONV][part].now.rows;
    same_cells(s, f, F_CELL, p, P_CELL, "a cell of fanout's is not the persister's");
    same_cells(s, p, P_CELL, f, F_CELL, "a cell of the persister's is not fanout's");
}

void sim_check_cells(struct sim *s)
{
    for (int32_t i = 0; i < SIM_PARTS; i++)
        check_cells(s, i);
}

/* Now and then, whatever is going on: where both have come equally far. */
void sim_check_cells_now(struct sim *s)
{
    for (int32_t i = 0; i < SIM_PARTS; i++) {
        const struct sim_state *f = &s->world->stores.part[STORE_FANOUT][i].now;
        const struct sim_state *p = &s->world->stores.part[STORE_CONV][i].now;
        struct slice ahead = sim_rows_get(&f->rows, F_AHEAD, fanout_ahead_key);
        struct reader r = reader_of(ahead);
        bool past = ahead.n && (int64_t)reader_be64(&r) > f->mark.next[0];
        if (f->mark.present && p->mark.present && f->mark.next[0] == p->mark.next[0] && !past)
            check_cells(s, i);
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
void sim_check_queues(struct sim *s)
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

static bool plain(const struct sim *s, const uint8_t *user)
{
    for (uint32_t i = 0; i < s->world->n_clients; i++) {
        const struct sim_client *c = &s->world->clients[i];
        if (!memcmp(user, s->world->users[c->user].id.b, ID_SIZE) && (c->late || c->forgot || c->revoked))
            return false;
    }
    return true;
}

/* Every device has what it was told of, and told so. */
void sim_check_marks(struct sim *s)
{
    for (int32_t i = 0; i < SIM_PARTS; i++) {
        const struct sim_rows *rows = &s->world->stores.part[STORE_OFFLINE][i].now.rows;
        for (uint32_t n = 0; n < rows->n; n++) {
            struct marks m = {0};
            if (rows->v[n].table != OFFLINE_NEWS || !rows->v[n].row.n)
                continue;
            if (marks_unpack(&m, rows->v[n].row))
                sim_fail(s, "bad row", "marks that cannot be read");
            else if (m.n && plain(s, rows->v[n].key.p))
                sim_fail(s, "left behind", "a user has %u groups marked as news, and everything of them",
                         m.n);
            marks_release(&m);
        }
    }
}

/* Every device that is connected is present once, and nobody else is. */
void sim_check_presence(struct sim *s, const struct sim_proc *p)
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
