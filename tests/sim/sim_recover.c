/* sim_recover.c: how rows come back after Redis lost them, as each process's own recovery has it.
 *
 * router: accounts from im.user and im.vault, sessions from im.presence. fanout: the persister's cells, its mark and
 * what it numbered, then the log. offline: devices and cursors, then im.offline from its beginning. */
#include "common/im/presence.h"
#include "fanout/restore.h"
#include "offline/rebuild.h"
#include "persister/rows.h"
#include "router/core.h"
#include "router/rebuild.h"
#include "tests/sim/sim_proc.h"
#include "tests/sim/sim_world.h"

void sim_recover_router(struct sim_shell *p, struct sim_recovery *r)
{
    struct sim *s = p->sim;
    struct rebuild *b = rebuild_new(0, 1, p->committed[0]);
    struct presence *all = presence_new(p->proc->view.lease);
    struct slice key, row;
    static const uint16_t topics[] = {T_USER, T_VAULT};
    for (size_t t = 0; t < 2; t++)
        for (int64_t i = 0; i < sim_log_end(s, topics[t], p->part); i++)
            rebuild_feed(b, &s->log->part[topics[t]][p->part].v[i]);
    for (int32_t k = 0; k < s->log->parts[T_PRESENCE]; k++)
        for (int64_t i = 0; i < sim_log_end(s, T_PRESENCE, k); i++)
            presence_feed(all, s->log->part[T_PRESENCE][k].v[i].key, s->log->part[T_PRESENCE][k].v[i].value);
    rebuild_sessions(b, all, p->proc->view.lease);
    while (rebuild_row(b, &key, &row))
        sim_rows_put(s, &r->rows, ROUTER_ACCOUNT, key, row);
    memcpy(r->next, p->committed, sizeof r->next);
    memcpy(r->quiet, p->committed, sizeof r->quiet);
    rebuild_free(b);
    presence_free(all);
}

static void decided(struct sim *s, const struct sim_spart *pg, int64_t from, struct sim_rows *rows)
{
    for (size_t i = 0; i < pg->n_appended; i++) {
        struct message_row m;
        struct message_texts t;
        uint8_t key[F_DECIDED_KEY], row[F_DECIDED_ROW];
        if (message_row_parse(pg->appended[i], &m, &t) || m.conv_offset < from)
            continue;
        fanout_decided_key(m.conv_offset, key);
        size_t n = fanout_decided_row(m.seq, m.time_ms, m.until_ms, t.users, row);
        sim_rows_put(s, rows, F_DECIDED, (struct slice){key, sizeof key}, (struct slice){row, n});
    }
}

void sim_recover_fanout(struct sim_shell *p, struct sim_recovery *r)
{
    struct sim *s = p->sim;
    const struct sim_stores *stores = &s->world->stores;
    const struct sim_spart *pg = &stores->part[STORE_CONV][p->part];
    uint8_t row[F_AHEAD_ROW];
    if (stores->down_until[1] > s->now) {
        r->again = true;
        return;
    }
    int64_t mark = pg->now.mark.present ? pg->now.mark.next[0] : -1;
    struct restore_plan plan = restore_plan(mark, p->committed[0]);
    r->next[0] = plan.next;
    r->quiet[0] = plan.quiet;
    if (mark < 0)
        return;
    for (uint32_t i = 0; i < pg->now.rows.n; i++) {
        const struct sim_row *c = &pg->now.rows.v[i];
        if (c->table == P_CELL && c->row.n)
            sim_rows_put(s, &r->rows, F_CELL, c->key, c->row);
    }
    if (plan.ahead)
        decided(s, pg, p->committed[0], &r->rows);
    fanout_ahead_row(plan.ahead, row);
    sim_rows_put(s, &r->rows, F_AHEAD, fanout_ahead_key, (struct slice){row, sizeof row});
}

void sim_recover_offline(struct sim_shell *p, struct sim_recovery *r)
{
    struct sim *s = p->sim;
    struct offline_rebuild *b = offline_rebuild_new(0, 1, false);
    struct slice key, row;
    uint8_t table;
    static const uint16_t topics[] = {T_USER, T_CURSOR};
    for (size_t t = 0; t < 2; t++)
        for (int64_t i = 0; i < sim_log_end(s, topics[t], p->part); i++)
            offline_rebuild_feed(b, &s->log->part[topics[t]][p->part].v[i]);
    while (offline_rebuild_row(b, &table, &key, &row))
        sim_rows_put(s, &r->rows, table, key, row);
    r->next[1] = sim_log_end(s, T_CURSOR, p->part);
    memcpy(r->quiet, p->committed, sizeof r->quiet);
    offline_rebuild_free(b);
}
