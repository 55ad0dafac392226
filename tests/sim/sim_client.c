#include "tests/sim/sim_client.h"

#include "common/im/codec.h"
#include "tests/sim/sim_client_int.h"
#include "tests/sim/sim_world.h"

#define TICK_MS   150
#define RESEND_US (2500 * MS)

/* ---- connecting ---- */
static void connect_now(void *ctx, uint64_t arg);

static void connect_later(struct sim_client *c)
{
    struct sim *s = c->sim;
    int64_t ms = s->calm ? sim_between(s, 20, 200) : sim_between(s, 1, sim_chance(s, 700) ? 200 : 3000);
    c->connect_us = s->now + ms * MS;
}

static struct sim_edge *some_edge(struct sim *s)
{
    return &s->world->edges[sim_below(s, s->conf.edges)];
}

static void connect_now(void *ctx, uint64_t arg)
{
    struct sim_client *c = ctx;
    (void)arg;
    const struct sim_user *u = &c->sim->world->users[c->user];
    c->connect_us = INT64_MAX;
    c->link = sim_link_open(c, some_edge(c->sim));
    sim_trace(c->sim, "%s connects to %s", c->name, c->link->edge->actor.name);
    if (u->registered)
        sim_client_login(c, c->link);
    else
        sim_client_register(c);
}

void sim_client_hang_up(struct sim_client *c)
{
    if (c->link)
        sim_link_hang_up(c->link);
    if (c->old)
        sim_link_hang_up(c->old);
    c->link = c->old = NULL;
    c->state = CLIENT_OFF;
    connect_later(c);
}

void sim_client_closed(struct sim_client *c, struct sim_link *l)
{
    sim_trace(c->sim, "%s: connection to %s is over", c->name, l->edge->actor.name);
    if (l == c->old)
        c->old = NULL;
    if (l != c->link)
        return;
    c->link = NULL;
    c->state = CLIENT_OFF;
    connect_later(c);
}

void sim_client_heard(struct sim_client *c)
{
    c->heard_us = c->sim->now;
}

void sim_client_relogin(struct sim_client *c)
{
    c->final = true;
    sim_client_hang_up(c);
}

void sim_client_takeover(struct sim_client *c)
{
    if (c->state != CLIENT_ON || c->old)
        return;
    c->old = c->link;
    c->old_delivery = c->delivery;
    sim_trace(c->sim, "%s logs in a second time", c->name);
    connect_now(c, 0);
}

void sim_client_forget(struct sim_client *c)
{
    for (struct sim_msg *m = c->msgs; m; m = m->next) {
        m->forgotten = true;
        m->resolved = true;
    }
    sim_trace(c->sim, "%s forgets everything", c->name);
    sim_talks_forget(c);
    c->forgot = c->fresh = true;
    c->token[0] = 0;
    sim_client_hang_up(c);
}

/* It was dropped, and is another device now. */
void sim_client_renew(struct sim_client *c)
{
    for (struct sim_msg *m = c->msgs; m; m = m->next)
        m->forgotten = m->resolved = true;
    sim_talks_forget(c);
    c->late = c->forgot = true;
    c->fresh = c->dropped = false;
    c->since = c->sim->now + 10 * SEC;
}

static uint32_t unresolved(const struct sim_client *c)
{
    uint32_t n = 0;
    for (const struct sim_msg *m = c->msgs; m; m = m->next)
        n += !m->resolved;
    return n;
}

/* ---- its clock ---- */
static void mind_sends(struct sim_client *c)
{
    struct sim *s = c->sim;
    bool stuck = false;
    for (const struct sim_msg *m = c->msgs; m; m = m->next)
        stuck |= !m->resolved && s->now - m->last_us > RESEND_US;
    if (stuck)
        sim_client_resend(c);
    else if (c->trouble_us && s->now > c->trouble_us) {
        c->trouble_us = 0;
        sim_client_resend(c);
    }
    if (!s->world->users[0].registered || s->calm || c->n_sent >= c->to_send || s->now < c->send_us ||
        unresolved(c) > 50)
        return;
    for (uint64_t n = 1 + sim_below(s, sim_chance(s, 100) ? 8 : 2); n; n--)
        sim_client_act(c);
    c->send_us = s->now + sim_between(s, 10, 1500) * MS;
}

static void tick(void *ctx, uint64_t arg)
{
    struct sim_client *c = ctx;
    struct sim *s = c->sim;
    (void)arg;
    sim_at(s, NULL, (TICK_MS + (int64_t)sim_below(s, 50)) * MS, tick, c, 0);
    if (c->state == CLIENT_OFF && s->now >= c->connect_us)
        connect_now(c, 0);
    if (c->state != CLIENT_OFF && c->state != CLIENT_ON && s->now - c->heartbeat_us > 5 * SEC) {
        sim_trace(s, "%s gives up logging in", c->name);
        sim_client_hang_up(c);
    }
    if (c->state != CLIENT_ON || (c->link->unread && !s->calm))
        return;
    if (s->now - c->heard_us > 5 * SEC) {
        sim_trace(s, "%s hears nothing any more", c->name);
        sim_client_hang_up(c);
        return;
    }
    if (s->now - c->heartbeat_us > 2 * SEC) {
        Im__Heartbeat h = IM__HEARTBEAT__INIT;
        c->heartbeat_us = s->now;
        sim_client_say(c, c->link, IM__FRAME_TYPE__HEARTBEAT, ++c->next_seq_id, &h.base);
        if (c->old) /* it would stay for ever: the server has to close it */
            sim_client_say(c, c->old, IM__FRAME_TYPE__HEARTBEAT, ++c->next_seq_id, &h.base);
    }
    mind_sends(c);
    sim_client_fill(c);
    if (!s->calm && sim_chance(s, s->conf.receipts))
        sim_client_receipt(c);
    if (!s->calm && sim_chance(s, 40))
        sim_client_late(c);
    bool dirty = c->confirmed != c->delivery;
    for (uint32_t i = 0; i < SIM_TALKS; i++)
        dirty |= c->talks[i].dirty;
    if (dirty)
        sim_client_confirm_soon(c);
}

static void begin(void *ctx, uint64_t arg)
{
    struct sim_client *c = ctx;
    (void)arg;
    c->connect_us = c->sim->now;
    tick(c, 0);
}

void sim_client_go(struct sim_client *c)
{
    c->lives = true;
    sim_at(c->sim, NULL, sim_between(c->sim, 1, 300) * MS, begin, c, 0);
}

bool sim_client_done(const struct sim_client *c, const char **why)
{
    *why = c->state != CLIENT_ON ? "is not logged in" : c->old ? "has an old connection" : NULL;
    const struct sim_link *l = c->link;
    if (!*why && (l->cut || l->closing || l->edge_done || l->edge->actor.paused_until > c->sim->now))
        *why = "has a dead connection";
    if (!*why && (l->down.n || l->up.n))
        *why = "has frames on their way";
    for (const struct sim_msg *m = c->msgs; m && !*why; m = m->next)
        if (!m->resolved)
            *why = "waits for the outcome of a send";
    for (uint32_t i = 0; i < SIM_TALKS && !*why; i++) {
        const struct sim_talk *t = &c->talks[i];
        if (i != c->user && ((sim_talk_hole(t) && (t->room || t->asked < 8)) || t->dirty))
            *why = t->dirty ? "has a cursor to tell" : t->room ? "has a hole in a group" : "has a hole";
    }
    if (!*why && (c->pulling || c->confirmed != c->delivery))
        *why = c->pulling ? "is reading its queue" : "has not confirmed";
    return !*why;
}

void sim_clients_init(struct sim *s)
{
    struct sim_world *w = s->world;
    for (uint32_t i = 0; i < s->conf.users; i++) {
        struct sim_user *u = &w->users[i];
        snprintf(u->login, sizeof u->login, "user%u", i);
        snprintf(u->password, sizeof u->password, "password%u", i);
        u->id = id_user(u->login);
    }
    for (uint32_t i = s->conf.users; i < SIM_USERS; i++)
        w->users[i].id.b[0] = (uint8_t)(1 + i);
    for (uint32_t i = 0; i < s->conf.users; i++)
        for (uint32_t k = 0; k < s->conf.devices_of[i] && w->n_clients < SIM_DEVICES; k++) {
            struct sim_client *c = &w->clients[w->n_clients];
            *c = (struct sim_client){.sim = s,
                                     .user = i,
                                     .index = w->n_clients++,
                                     .to_send = s->conf.sends,
                                     .late = k && sim_chance(s, 200),
                                     .connect_us = INT64_MAX};
            snprintf(c->name, sizeof c->name, "user%u.%u", i, k);
            snprintf(c->device_id, sizeof c->device_id, "device%u", k);
            c->msgs_tail = &c->msgs;
            sim_talks_init(c);
        }
}
