#include "tests/sim/sim_describe.h"

#include "common/im/session.h"
#include "common/im/topics.h"
#include "proto/record.pb-c.h"
#include "tests/sim/sim_world.h"

#include <stdarg.h>

static char line[400];
static size_t used;

static void add(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void add(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line + used, sizeof line - used, fmt, ap);
    va_end(ap);
    used = n < 0 || used + (size_t)n >= sizeof line ? sizeof line - 1 : used + (size_t)n;
}

const char *sim_topic_name(uint16_t topic)
{
    static const char *const names[] = {"inbound",  "conversation", "user",    "vault",  "query", "signal",
                                        "presence", "lease",        "offline", "cursor", "dlq"};
    return topic < ARRAY_LEN(names) ? names[topic] : "deliver";
}

static const char *user_name(const struct sim *s, ProtobufCBinaryData id)
{
    for (uint32_t i = 0; i < s->conf.users; i++)
        if (id.len == ID_SIZE && !memcmp(s->world->users[i].id.b, id.data, ID_SIZE))
            return s->world->users[i].login;
    return id.len ? "?" : "-";
}

static const char *conv_name(const struct sim *s, ProtobufCBinaryData conv, ProtobufCBinaryData peer)
{
    static const char *const groups[SIM_ROOMS] = {"group0", "group1"};
    for (uint32_t i = 0; i < SIM_ROOMS; i++)
        if (conv.len == ID_SIZE && !memcmp(s->world->rooms[i].id.b, conv.data, ID_SIZE))
            return groups[i];
    return user_name(s, peer);
}

static void session(const struct sim *s, const Im__Session *x)
{
    if (x)
        add(" %s.%u@%u/%lu#%u login %lu", user_name(s, x->user), x->device, x->slot, (unsigned long)x->epoch,
            x->handle, (unsigned long)x->login_offset);
}

static void inbound(const struct sim *s, struct slice v)
{
    static const char *const kinds[] = {[10] = "register", "lookup", "login",  "end",     "chat",  "pull",
                                        "receipt",         "signal", "revoke", "profile", "prefs", "admin"};
    Im__Inbound *m = im__inbound__unpack(NULL, v.n, v.p);
    if (!m)
        return;
    add(" %s", kinds[m->body_case]);
    session(s, m->session);
    if (m->body_case == IM__INBOUND__BODY_CHAT)
        add(" kind %d number %lu to %s", m->chat->kind, (unsigned long)m->chat->client_seq,
            user_name(s, m->chat->peer));
    im__inbound__free_unpacked(m, NULL);
}

static void group(const struct sim *s, const Im__OffGroup *g)
{
    for (size_t i = 0; i < g->users.len / ID_SIZE; i++) {
        add(" %s", user_name(s, (ProtobufCBinaryData){ID_SIZE, g->users.data + i * ID_SIZE}));
        for (size_t k = 0; k < g->n_served; k++)
            for (size_t d = 0; g->served[k]->index == i && d < g->served[k]->n_devices; d++)
                add("-%u", g->served[k]->devices[d]);
    }
}

static void offline(const struct sim *s, struct slice v)
{
    Im__OfflineRecord *m = im__offline_record__unpack(NULL, v.n, v.p);
    if (!m)
        return;
    switch (m->body_case) {
    case IM__OFFLINE_RECORD__BODY_LOGIN:
        add(" login");
        session(s, m->login->session);
        for (size_t i = 0; i < m->login->n_devices; i++)
            add("%s%u", i ? "," : " devices ", m->login->devices[i]);
        break;
    case IM__OFFLINE_RECORD__BODY_END:
        add(" end");
        session(s, m->end->session);
        break;
    case IM__OFFLINE_RECORD__BODY_ITEM:
        add(" item %lu for %s, served", (unsigned long)m->item->item->seq, user_name(s, m->user));
        for (size_t i = 0; i < m->item->n_served; i++)
            add(" %u", m->item->served[i]);
        break;
    case IM__OFFLINE_RECORD__BODY_BOUNCE:
        add(" bounce");
        session(s, m->bounce->session);
        for (size_t i = 0; i < m->bounce->n_items; i++)
            add(" [%s%lu]", m->bounce->items[i]->payload.len ? "" : "*",
                (unsigned long)m->bounce->items[i]->seq);
        break;
    case IM__OFFLINE_RECORD__BODY_PULL:
        add(" pull");
        session(s, m->pull->session);
        break;
    case IM__OFFLINE_RECORD__BODY_GROUP:
        add(" group %lu%s for", (unsigned long)m->group->seq, m->group->left ? ", who left," : "");
        group(s, m->group);
        break;
    default:
        break;
    }
    im__offline_record__free_unpacked(m, NULL);
}

static void deliver(const struct sim *s, struct slice v)
{
    static const char *const kinds[] = {"?",     "message", "event",   "reply", "lookup",
                                        "login", "kick",    "pointed", "signal"};
    Im__DeliverRecord *m = im__deliver_record__unpack(NULL, v.n, v.p);
    if (!m)
        return;
    add(" epoch %lu:", (unsigned long)m->epoch);
    for (size_t i = 0; i < m->n_items; i++) {
        const Im__DeliverItem *it = m->items[i];
        add(" %s", kinds[it->kind % 9]);
        if (it->seq)
            add(" %lu", (unsigned long)it->seq);
        for (size_t k = 0; k < it->n_handles; k++) {
            ProtobufCBinaryData who = {it->users.len >= (k + 1) * ID_SIZE ? ID_SIZE : 0,
                                       it->users.data + k * ID_SIZE};
            add(" %s#%u", user_name(s, who), it->handles[k]);
        }
        add(";");
    }
    im__deliver_record__free_unpacked(m, NULL);
}

static void conversation(const struct sim *s, struct slice v)
{
    Im__ConvRecord *m = im__conv_record__unpack(NULL, v.n, v.p);
    if (!m)
        return;
    add(" %s.%u kind %d to %s number %lu", user_name(s, m->user), m->device, m->kind,
        conv_name(s, m->conversation, m->peer), (unsigned long)m->client_seq);
    im__conv_record__free_unpacked(m, NULL);
}

static void presence(const struct sim *s, struct slice key, struct slice v)
{
    Im__PresenceRecord *m = v.n ? im__presence_record__unpack(NULL, v.n, v.p) : NULL;
    uint32_t slot, handle;
    uint64_t epoch;
    if (!m) {
        if (key_presence_parse(key, &slot, &epoch, &handle) == 0)
            add(" gone @%u/%lu#%u", slot, (unsigned long)epoch, handle);
        return;
    }
    session(s, m->session);
    im__presence_record__free_unpacked(m, NULL);
}

static void lease(struct slice v)
{
    static const char *const kinds[] = {"?", "WANT", "CLAIM", "EXPIRE", "RELEASE"};
    Im__LeaseRecord *m = im__lease_record__unpack(NULL, v.n, v.p);
    if (!m)
        return;
    add(" %s slot %u epoch %lu by %s", kinds[m->kind % 5], m->slot, (unsigned long)m->epoch, m->holder);
    im__lease_record__free_unpacked(m, NULL);
}

static void cursor(const struct sim *s, struct slice v)
{
    Im__CursorRecord *m = im__cursor_record__unpack(NULL, v.n, v.p);
    if (!m)
        return;
    add(" %s.%u %s %lu-%lu", user_name(s, m->user), m->device,
        conv_name(s, m->conversation, (ProtobufCBinaryData){0}), (unsigned long)m->from,
        (unsigned long)m->upto);
    im__cursor_record__free_unpacked(m, NULL);
}

const char *sim_describe(const struct sim *s, const struct record *r)
{
    used = 0;
    add("%s/%d %ld", sim_topic_name(r->topic), r->topic >= T_DELIVER0 ? r->topic - T_DELIVER0 : r->part,
        (long)r->offset);
    if (r->topic == T_INBOUND)
        inbound(s, r->value);
    else if (r->topic == T_OFFLINE)
        offline(s, r->value);
    else if (r->topic == T_CONVERSATION)
        conversation(s, r->value);
    else if (r->topic == T_PRESENCE)
        presence(s, r->key, r->value);
    else if (r->topic == T_LEASE)
        lease(r->value);
    else if (r->topic == T_CURSOR)
        cursor(s, r->value);
    else if (r->topic >= T_DELIVER0)
        deliver(s, r->value);
    return line;
}
