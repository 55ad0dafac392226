/* sim_op.c: what a client does: messages to people and to groups, and everything else that is done there. It does not
 * care whether it may: whether the answer is right is judged by sim_check_room.c. */
#include "common/im/codec.h"
#include "proto/record.pb-c.h"
#include "tests/sim/sim_client_int.h"
#include "tests/sim/sim_world.h"

struct taste {
    Im__ConvKind kind;
    unsigned weight;
};

static Im__ConvKind pick(struct sim *s, const struct taste *t, size_t n)
{
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += t[i].weight;
    uint64_t at = sim_below(s, sum);
    while (at >= t->weight)
        at -= t++->weight;
    return t->kind;
}

/* ---- what a send is about ---- */
static uint32_t some_user(struct sim_client *c)
{
    struct sim *s = c->sim;
    uint32_t u = (c->user + 1 + (uint32_t)sim_below(s, s->conf.users - 1)) % s->conf.users;
    return s->world->users[u].registered ? 1u << u : 0;
}

/* One of its own messages there, or any place that it has seen. */
static uint64_t some_target(struct sim_client *c, uint32_t talk, Im__ConvKind kind)
{
    struct sim *s = c->sim;
    uint64_t found = 0;
    bool own = kind == IM__CONV_KIND__CONV_EDIT || kind == IM__CONV_KIND__CONV_RECALL || sim_chance(s, 300);
    for (const struct sim_msg *m = c->msgs; own && m; m = m->next)
        if (m->talk == talk && m->seq && m->kind == IM__CONV_KIND__CONV_MESSAGE &&
            (!found || sim_chance(s, 400)))
            found = m->seq;
    return found ? found : c->talks[talk].top ? 1 + sim_below(s, c->talks[talk].top) : 0;
}

static bool aims(Im__ConvKind kind)
{
    return kind >= IM__CONV_KIND__CONV_EDIT && kind <= IM__CONV_KIND__CONV_UNPIN;
}

static bool names_users(Im__ConvKind kind)
{
    switch (kind) {
    case IM__CONV_KIND__CONV_GROUP_INVITE:
    case IM__CONV_KIND__CONV_GROUP_REMOVE:
    case IM__CONV_KIND__CONV_GROUP_ROLE:
    case IM__CONV_KIND__CONV_GROUP_HAND_OVER:
    case IM__CONV_KIND__CONV_GROUP_MUTE:
    case IM__CONV_KIND__CONV_GROUP_UNMUTE:
    case IM__CONV_KIND__CONV_GROUP_APPROVE:
    case IM__CONV_KIND__CONV_GROUP_DECLINE:
        return true;
    default:
        return false;
    }
}

/* False: it has nothing to do that with. */
static bool furnish(struct sim_client *c, struct sim_msg *m)
{
    struct sim *s = c->sim;
    if (aims((Im__ConvKind)m->kind) && !(m->target = some_target(c, m->talk, (Im__ConvKind)m->kind)))
        return false;
    if (names_users((Im__ConvKind)m->kind)) {
        m->users = some_user(c);
        if (m->kind == IM__CONV_KIND__CONV_GROUP_INVITE && sim_chance(s, 300))
            m->users |= some_user(c);
        if (!m->users)
            return false;
    }
    if (m->kind == IM__CONV_KIND__CONV_GROUP_ROLE)
        m->role = sim_chance(s, 700) ? IM__ROLE__ADMIN : IM__ROLE__MEMBER;
    if (m->kind == IM__CONV_KIND__CONV_GROUP_MUTE && sim_chance(s, 500))
        m->duration_s = 1 + (uint32_t)sim_below(s, 5);
    if (m->kind == IM__CONV_KIND__CONV_GROUP_SETTINGS) {
        m->flags_mask = 1 + (uint32_t)sim_below(s, 15);
        m->flags = m->flags_mask & (uint32_t)sim_below(s, 16) & (uint32_t)sim_below(s, 16);
    }
    return true;
}

static void word(struct sim_client *c, struct sim_msg *m)
{
    uint32_t n = ++c->n_sent;
    switch (m->kind) {
    case IM__CONV_KIND__CONV_MESSAGE:
        snprintf(m->text, sizeof m->text, "%s says %u", c->name, n);
        break;
    case IM__CONV_KIND__CONV_EDIT:
    case IM__CONV_KIND__CONV_GROUP_CREATE:
    case IM__CONV_KIND__CONV_GROUP_RENAME:
    case IM__CONV_KIND__CONV_REACT:
    case IM__CONV_KIND__CONV_ANNOUNCEMENT:
        snprintf(m->text, sizeof m->text, "%s: %u", c->name, n);
        break;
    default:
        break;
    }
}

static void begin(struct sim_client *c, uint32_t talk, Im__ConvKind kind)
{
    struct sim *s = c->sim;
    struct sim_msg *m = sim_alloc(s, sizeof *m);
    *m = (struct sim_msg){.talk = talk, .conv = c->talks[talk].id, .device = c->device, .kind = kind};
    if (!furnish(c, m))
        return;
    m->client_seq = ++c->next_seq;
    word(c, m);
    *c->msgs_tail = m;
    c->msgs_tail = &m->next;
    sim_trace(s, "%s sends %lu: kind %d to %s%u target %lu users %x", c->name, (unsigned long)m->client_seq,
              kind, sim_talk_is_room(talk) ? "group" : "user",
              sim_talk_is_room(talk) ? talk - SIM_ROOM0 : talk, (unsigned long)m->target, m->users);
    sim_client_send(c, c->link, m);
}

/* ---- groups ---- */
static void make_room(struct sim_client *c, uint32_t room)
{
    struct sim *s = c->sim;
    struct sim_world *w = s->world;
    struct sim_msg *m = sim_alloc(s, sizeof *m);
    *m = (struct sim_msg){.talk = SIM_ROOM0 + room,
                          .device = c->device,
                          .kind = IM__CONV_KIND__CONV_GROUP_CREATE,
                          .client_seq = ++c->next_seq};
    for (uint32_t i = 0; i < s->conf.users; i++)
        if (i != c->user && w->users[i].registered && sim_chance(s, 600))
            m->users |= 1u << i;
    if (sim_chance(s, 350))
        m->flags = (uint32_t)sim_below(s, 16);
    m->conv = w->rooms[room].id = id_group(w->users[c->user].id, c->device, m->client_seq);
    w->rooms[room].tried = true;
    for (uint32_t i = 0; i < w->n_clients; i++)
        w->clients[i].talks[SIM_ROOM0 + room].id = m->conv;
    word(c, m);
    *c->msgs_tail = m;
    c->msgs_tail = &m->next;
    sim_trace(s, "%s makes group %u by %lu, users %x flags %x", c->name, room, (unsigned long)m->client_seq,
              m->users, m->flags);
    sim_client_send(c, c->link, m);
}

static void act_in_room(struct sim_client *c, uint32_t room)
{
    static const struct taste ops[] = {
        {IM__CONV_KIND__CONV_GROUP_INVITE, 20},  {IM__CONV_KIND__CONV_GROUP_REMOVE, 12},
        {IM__CONV_KIND__CONV_GROUP_LEAVE, 8},    {IM__CONV_KIND__CONV_GROUP_JOIN, 10},
        {IM__CONV_KIND__CONV_EDIT, 8},           {IM__CONV_KIND__CONV_RECALL, 5},
        {IM__CONV_KIND__CONV_REACT, 5},          {IM__CONV_KIND__CONV_PIN, 3},
        {IM__CONV_KIND__CONV_UNPIN, 2},          {IM__CONV_KIND__CONV_GROUP_MUTE, 8},
        {IM__CONV_KIND__CONV_GROUP_UNMUTE, 5},   {IM__CONV_KIND__CONV_GROUP_ROLE, 6},
        {IM__CONV_KIND__CONV_GROUP_APPROVE, 6},  {IM__CONV_KIND__CONV_GROUP_DECLINE, 2},
        {IM__CONV_KIND__CONV_GROUP_SETTINGS, 4}, {IM__CONV_KIND__CONV_GROUP_HAND_OVER, 2},
        {IM__CONV_KIND__CONV_GROUP_RENAME, 3},   {IM__CONV_KIND__CONV_GROUP_DISSOLVE, 1},
    };
    struct sim *s = c->sim;
    uint32_t talk = SIM_ROOM0 + room;
    if (sim_chance(s, s->conf.op_share))
        begin(c, talk, pick(s, ops, ARRAY_LEN(ops)));
    else if (c->talks[talk].top || sim_chance(s, 250))
        begin(c, talk, IM__CONV_KIND__CONV_MESSAGE);
}

static void act_with_user(struct sim_client *c)
{
    static const struct taste ops[] = {
        {IM__CONV_KIND__CONV_EDIT, 20},          {IM__CONV_KIND__CONV_RECALL, 10},
        {IM__CONV_KIND__CONV_REACT, 10},         {IM__CONV_KIND__CONV_PIN, 5},
        {IM__CONV_KIND__CONV_UNPIN, 3},          {IM__CONV_KIND__CONV_BLOCK, 4},
        {IM__CONV_KIND__CONV_UNBLOCK, 8},        {IM__CONV_KIND__CONV_FRIEND_REQUEST, 6},
        {IM__CONV_KIND__CONV_FRIEND_CONFIRM, 5}, {IM__CONV_KIND__CONV_FRIEND_REFUSE, 2},
        {IM__CONV_KIND__CONV_FRIEND_REMOVE, 2},
    };
    struct sim *s = c->sim;
    uint32_t peer = (c->user + 1 + (uint32_t)sim_below(s, s->conf.users - 1)) % s->conf.users;
    Im__ConvKind kind =
        sim_chance(s, s->conf.op_share / 2) ? pick(s, ops, ARRAY_LEN(ops)) : IM__CONV_KIND__CONV_MESSAGE;
    if (sim_chance(s, 15) && kind == IM__CONV_KIND__CONV_MESSAGE)
        peer = SIM_GHOST;
    if (peer != SIM_GHOST && !s->world->users[peer].registered)
        return;
    if (kind == IM__CONV_KIND__CONV_BLOCK)
        s->world->users[peer].blocked = s->world->users[c->user].blocked = true;
    begin(c, peer, kind);
}

void sim_client_act(struct sim_client *c)
{
    struct sim *s = c->sim;
    uint32_t room = (uint32_t)sim_below(s, s->conf.rooms);
    if (sim_chance(s, s->conf.op_share / 16))
        begin(c, SIM_SYSTEM, IM__CONV_KIND__CONV_ANNOUNCEMENT);
    else if (!s->conf.rooms || !sim_chance(s, s->conf.room_share))
        act_with_user(c);
    else if (s->world->rooms[room].made)
        act_in_room(c, room);
    else if (!s->world->rooms[room].tried)
        make_room(c, room);
}

bool sim_may_refuse(const struct sim_client *c, const struct sim_msg *m, uint32_t code)
{
    if (code == IM__CODE__SESSION_REVOKED)
        return c->revoked;
    const struct sim_conf *conf = &c->sim->conf;
    if (m->kind == IM__CONV_KIND__CONV_GROUP_CREATE)
        return code == IM__CODE__GROUP_FULL && conf->group_cap < conf->users;
    if (m->kind == IM__CONV_KIND__CONV_ANNOUNCEMENT)
        return code == IM__CODE__NOT_ALLOWED && c->user != SIM_ADMIN;
    if (m->kind != IM__CONV_KIND__CONV_MESSAGE)
        return code >= IM__CODE__NOT_A_MEMBER && code <= IM__CODE__NO_SUCH_MEMBER;
    if (sim_talk_is_room(m->talk))
        return code == IM__CODE__NOT_A_MEMBER || code == IM__CODE__MUTED || code == IM__CODE__GONE;
    return (code == IM__CODE__BLOCKED && c->sim->world->users[c->user].blocked) ||
           (code == IM__CODE__NOT_FRIENDS && conf->strangers_refused);
}

void sim_client_receipt(struct sim_client *c)
{
    struct sim *s = c->sim;
    uint32_t talk = (uint32_t)sim_below(s, SIM_TALKS);
    const struct sim_talk *t = &c->talks[talk];
    Im__MsgRead m = IM__MSG_READ__INIT;
    if (talk == c->user || talk == SIM_GHOST || !t->known || t->upto < t->base)
        return;
    m.conversation = codec_bytes(slice_id(&t->id));
    m.delivered = t->upto;
    m.read = sim_chance(s, 500) ? t->upto : sim_below(s, t->upto + 1);
    sim_client_say(c, c->link, IM__FRAME_TYPE__MSG_READ, ++c->next_seq_id, &m.base);
}
