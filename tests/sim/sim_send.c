/* sim_send.c: a client's sends as frames, once and again. */
#include "common/im/codec.h"
#include "tests/sim/sim_client_int.h"
#include "tests/sim/sim_world.h"

struct named { /* the users of an operation, some by id, some by login */
    ProtobufCBinaryData ids[SIM_USERS];
    char *logins[SIM_USERS];
    size_t n_ids, n_logins;
};

static void name_users(struct sim_client *c, const struct sim_msg *m, struct named *out)
{
    *out = (struct named){.n_ids = 0};
    for (uint32_t i = 0; i < SIM_USERS; i++) {
        struct sim_user *u = &c->sim->world->users[i];
        if (!(m->users & 1u << i))
            continue;
        if (sim_chance(c->sim, 500))
            out->ids[out->n_ids++] = codec_bytes(slice_id(&u->id));
        else
            out->logins[out->n_logins++] = u->login;
    }
}

static void send_single(struct sim_client *c, struct sim_link *l, struct sim_msg *m, uint32_t seq_id)
{
    Im__SingleChat chat = IM__SINGLE_CHAT__INIT;
    struct sim_user *to = m->talk == SIM_GHOST ? NULL : &c->sim->world->users[m->talk];
    chat.client_seq = m->client_seq;
    if (to && sim_chance(c->sim, 200))
        chat.to_user = codec_bytes(slice_id(&to->id));
    else
        chat.to = to ? to->login : (char *)"nobody";
    chat.text = m->text;
    sim_client_say(c, l, IM__FRAME_TYPE__SINGLE_CHAT, seq_id, &chat.base);
}

static void send_group(struct sim_client *c, struct sim_link *l, struct sim_msg *m, uint32_t seq_id)
{
    Im__GroupChat chat = IM__GROUP_CHAT__INIT;
    chat.client_seq = m->client_seq;
    chat.conversation = codec_bytes(slice_id(&m->conv));
    chat.text = m->text;
    sim_client_say(c, l, IM__FRAME_TYPE__GROUP_CHAT, seq_id, &chat.base);
}

static void announce(struct sim_client *c, struct sim_link *l, struct sim_msg *m, uint32_t seq_id)
{
    Im__Announce a = IM__ANNOUNCE__INIT;
    a.client_seq = m->client_seq;
    a.text = m->text;
    sim_client_say(c, l, IM__FRAME_TYPE__ANNOUNCE, seq_id, &a.base);
}

static void send_op(struct sim_client *c, struct sim_link *l, struct sim_msg *m, uint32_t seq_id)
{
    Im__ConvOp op = IM__CONV_OP__INIT;
    struct named named;
    op.client_seq = m->client_seq;
    op.kind = (Im__ConvKind)m->kind;
    if (!sim_talk_is_room(m->talk))
        op.to = c->sim->world->users[m->talk].login;
    else if (m->kind != IM__CONV_KIND__CONV_GROUP_CREATE)
        op.conversation = codec_bytes(slice_id(&m->conv));
    name_users(c, m, &named);
    op.n_users = named.n_ids;
    op.users = named.ids;
    op.n_logins = named.n_logins;
    op.logins = named.logins;
    op.target = m->target;
    op.text = m->text;
    op.role = (Im__Role)m->role;
    op.flags = m->flags;
    op.flags_mask = m->flags_mask;
    op.duration_s = m->duration_s;
    sim_client_say(c, l, IM__FRAME_TYPE__CONV_OP, seq_id, &op.base);
}

void sim_client_send(struct sim_client *c, struct sim_link *l, struct sim_msg *m)
{
    uint32_t seq_id = SEND_SEQ + (uint32_t)(m->client_seq & 0xfffff);
    m->attempts++;
    m->last_us = c->sim->now;
    if (m->talk == SIM_SYSTEM)
        announce(c, l, m, seq_id);
    else if (m->kind != IM__CONV_KIND__CONV_MESSAGE)
        send_op(c, l, m, seq_id);
    else if (sim_talk_is_room(m->talk))
        send_group(c, l, m, seq_id);
    else
        send_single(c, l, m, seq_id);
}

void sim_client_resend(struct sim_client *c)
{
    for (struct sim_msg *m = c->msgs; m; m = m->next)
        if (!m->resolved)
            sim_client_send(c, c->link, m);
}

void sim_client_flood(struct sim_client *c)
{
    struct sim_msg *m = c->msgs;
    while (m && m->forgotten)
        m = m->next;
    if (c->state != CLIENT_ON || !m)
        return;
    uint32_t age = 0;
    for (struct sim_msg *k = m->next; k; k = k->next) /* among the last ones: the ring knows 64 */
        if (++age && sim_below(c->sim, k->refused ? 2 : 4) == 0)
            m = k;
    if (c->next_seq - m->client_seq > 40 || m->talk == SIM_GHOST)
        return;
    sim_fault(c->sim, FAULT_FLOOD);
    uint64_t n = sim_below(c->sim, 50);
    for (uint64_t i = 0; i < n; i++)
        sim_client_send(c, c->old && sim_chance(c->sim, 500) ? c->old : c->link, m);
}

void sim_client_late(struct sim_client *c)
{
    struct sim_msg *found = NULL;
    for (struct sim_msg *m = c->msgs; m; m = m->next)
        if (m->refused && !m->forgotten && sim_talk_is_room(m->talk) && c->next_seq - m->client_seq < 40 &&
            (!found || sim_chance(c->sim, 500)))
            found = m;
    if (found)
        sim_client_send(c, c->link, found);
}

/* ---- ending devices ---- */
static void revoke(struct sim_client *c, bool all, struct sim_client *other)
{
    Im__RevokeReq r = IM__REVOKE_REQ__INIT;
    r.device = all ? 0 : other->device;
    r.all = r.keep_current = all;
    for (uint32_t i = 0; i < c->sim->world->n_clients; i++) {
        struct sim_client *o = &c->sim->world->clients[i];
        if (o->user != c->user || (!all && o != other))
            continue;
        o->revoked++;
        o->dropped |= !all;
    }
    sim_trace(c->sim, "%s revokes %s", c->name, all ? "all" : other->name);
    sim_client_say(c, c->link, IM__FRAME_TYPE__REVOKE_REQ, ++c->next_seq_id, &r.base);
}

bool sim_client_revoke(struct sim_client *c)
{
    struct sim_world *w = c->sim->world;
    for (uint32_t i = 0; i < w->n_clients; i++) {
        struct sim_client *o = &w->clients[i];
        if (o == c || o->user != c->user || !o->device)
            continue;
        revoke(c, sim_chance(c->sim, 400), o);
        return true;
    }
    return false;
}
