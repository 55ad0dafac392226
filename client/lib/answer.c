/* answer.c: answers to questions, as the application sees them. Everything lives in the arena, or in the message. */
#include "client/lib/client.h"
#include "common/base/clock.h"
#include "common/im/frame.h"

#include <errno.h>

static void copy_id(uint8_t out[PARLEY_ID], const ProtobufCBinaryData *d)
{
    memset(out, 0, PARLEY_ID);
    if (d->len == PARLEY_ID)
        memcpy(out, d->data, PARLEY_ID);
}

static struct parley_person person(const ProtobufCBinaryData *user, const char *login)
{
    struct parley_person v = {.login = text_or(login)};
    copy_id(v.user, user);
    return v;
}

/* `a->n` of them, zeroed; NULL: none, or no memory. */
static void *rows(struct parley *p, struct parley_answer *a, size_t n, size_t size)
{
    void *v = n ? arena_alloc(p->arena, n * size) : NULL;
    a->n = v ? n : 0;
    return v ? memset(v, 0, n * size) : NULL;
}

static void next_page(struct parley_answer *a, const ProtobufCBinaryData *next)
{
    a->next = next->data;
    a->next_n = next->len;
}

static void item(struct parley *p, struct parley_item *out, const Im__HistoryItem *m)
{
    struct parley_reaction *r = m->n_reactions ? arena_alloc(p->arena, m->n_reactions * sizeof *r) : NULL;
    *out = (struct parley_item){.edited = m->edited,
                                .recalled = m->recalled,
                                .pinned = m->pinned,
                                .read_by = m->read_by,
                                .reactions = r,
                                .reactions_n = r ? m->n_reactions : 0};
    out->message.sender_login = out->message.peer_login = out->message.text = out->message.content_type = "";
    if (m->event)
        (void)events_message(p, m->event, &out->message);
    for (size_t i = 0; i < out->reactions_n; i++) {
        r[i].by = person(&m->reactions[i]->user, m->reactions[i]->login);
        r[i].text = text_or(m->reactions[i]->text);
    }
}

static void items(struct parley *p, struct parley_answer *a, Im__HistoryItem *const *m, size_t n)
{
    struct parley_item *v = rows(p, a, n, sizeof *v);
    for (size_t i = 0; i < a->n; i++)
        item(p, &v[i], m[i]);
    a->items = v;
}

static void conversation(struct parley *p, struct parley_conversation *out, const Im__ConvInfo *m)
{
    struct parley_item *last = m->last ? arena_alloc(p->arena, sizeof *last) : NULL;
    if (last)
        item(p, last, m->last);
    *out = (struct parley_conversation){.group = m->group,
                                        .system = m->system,
                                        .dissolved = m->dissolved,
                                        .name = text_or(m->name),
                                        .peer = person(&m->peer, m->peer_login),
                                        .peer_name = text_or(m->peer_name),
                                        .head = m->head,
                                        .first_visible = m->first_visible,
                                        .last_visible = m->last_visible,
                                        .last = last,
                                        .unread = m->unread,
                                        .read = m->read,
                                        .peer_read = m->peer_read,
                                        .peer_delivered = m->peer_delivered,
                                        .pinned = m->pinned,
                                        .muted = m->muted,
                                        .remark = text_or(m->remark),
                                        .role = (enum parley_role)m->role,
                                        .flags = m->flags,
                                        .members = m->members,
                                        .notice = text_or(m->notice),
                                        .muted_until_ms = m->muted_until_ms,
                                        .pins = m->pins,
                                        .pins_n = m->n_pins,
                                        .friend_state = (enum parley_friend)m->friend_,
                                        .blocked = m->blocked,
                                        .created_ms = m->created_ms};
    copy_id(out->id, &m->conversation);
    copy_id(out->owner, &m->owner);
}

/* Announcements are queued for nobody: who was away hears of them from the list, and fetches them. */
static void missed_announcements(struct parley *p, const Im__ConvInfo *m)
{
    struct id16 conv;
    if (!m->system || m->conversation.len != ID_SIZE)
        return;
    memcpy(conv.b, m->conversation.data, ID_SIZE);
    if (inbox_known(p->inbox, conv) && p->cb.message)
        (void)inbox_news(p->inbox, conv, m->head, 0,
                         clock_mono_ms()); /* without memory: the next list says it too */
}

static void conversations(struct parley *p, struct parley_answer *a, Im__ConvInfo *const *m, size_t n)
{
    struct parley_conversation *v = rows(p, a, n, sizeof *v);
    for (size_t i = 0; i < a->n; i++) {
        conversation(p, &v[i], m[i]);
        missed_announcements(p, m[i]);
    }
    a->conversations = v;
}

static void history(struct parley *p, struct parley_answer *a, const Im__HistoryRsp *m)
{
    items(p, a, m->items, m->n_items);
    copy_id(a->conversation, &m->conversation);
    a->more_before = m->more_before;
    a->more_after = m->more_after;
    a->head = m->head;
    a->first_visible = m->first_visible;
}

static void changes(struct parley *p, struct parley_answer *a, const Im__ChangesRsp *m)
{
    struct parley_message *v = rows(p, a, m->n_events, sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < a->n; i++)
        n += events_message(p, m->events[i], &v[n]);
    a->n = n;
    a->messages = v;
    a->more = m->more;
}

static void members(struct parley *p, struct parley_answer *a, const Im__MembersRsp *m)
{
    struct parley_member *v = rows(p, a, m->n_members, sizeof *v);
    for (size_t i = 0; i < a->n; i++) {
        const Im__Member *x = m->members[i];
        v[i] = (struct parley_member){person(&x->user, x->login),
                                      text_or(x->name),
                                      (enum parley_role)x->role,
                                      x->muted_until_ms,
                                      x->joined,
                                      x->read,
                                      x->online};
    }
    a->members = v;
    a->total = m->total;
    next_page(a, &m->next);
}

static void asks(struct parley *p, struct parley_answer *a, const Im__AsksRsp *m)
{
    struct parley_applicant *v = rows(p, a, m->n_asks, sizeof *v);
    for (size_t i = 0; i < a->n; i++) {
        const Im__Ask *x = m->asks[i];
        v[i] = (struct parley_applicant){person(&x->user, x->login), text_or(x->text), x->time_ms};
    }
    a->asks = v;
}

static struct parley_user user(const Im__User *m)
{
    return (struct parley_user){person(&m->user, m->login),
                                text_or(m->name),
                                text_or(m->remark),
                                (enum parley_friend)m->friend_,
                                m->blocked,
                                m->online,
                                m->last_seen_ms};
}

static void users(struct parley *p, struct parley_answer *a, const Im__UsersRsp *m)
{
    struct parley_user *v = rows(p, a, m->n_users, sizeof *v);
    for (size_t i = 0; i < a->n; i++)
        v[i] = user(m->users[i]);
    a->users = v;
    next_page(a, &m->next);
}

static void contacts(struct parley *p, struct parley_answer *a, const Im__ContactsRsp *m)
{
    static const Im__User nobody = IM__USER__INIT;
    struct parley_contact *v = rows(p, a, m->n_contacts, sizeof *v);
    for (size_t i = 0; i < a->n; i++) {
        const Im__Contact *x = m->contacts[i];
        v[i].user = user(x->user ? x->user : &nobody);
        copy_id(v[i].conversation, &x->conversation);
        v[i].text = text_or(x->text);
        v[i].since_ms = x->since_ms;
    }
    a->contacts = v;
    next_page(a, &m->next);
}

static void devices(struct parley *p, struct parley_answer *a, const Im__DevicesRsp *m)
{
    struct parley_device *v = rows(p, a, m->n_devices, sizeof *v);
    for (size_t i = 0; i < a->n; i++) {
        const Im__Device *x = m->devices[i];
        v[i] = (struct parley_device){
            x->device, text_or(x->device_id), text_or(x->device_class), x->added_ms, x->online, x->current};
    }
    a->devices = v;
}

static void presence(struct parley *p, struct parley_answer *a, const Im__PresenceRsp *m)
{
    struct parley_presence *v = rows(p, a, m->n_users, sizeof *v);
    for (size_t i = 0; i < a->n; i++) {
        const Im__Presence *x = m->users[i];
        v[i].online = x->online;
        v[i].last_seen_ms = x->last_seen_ms;
        copy_id(v[i].user, &x->user);
    }
    a->presence = v;
}

static void token(struct parley *p, struct parley_answer *a, const Im__TokenRsp *m)
{
    a->token_expires_ms = m->expires_ms;
    if (!m->token || !*m->token)
        return;
    if (state_set(&p->state.token, m->token))
        life_error(p, PARLEY_STATE_FILE, strerror(ENOMEM));
    p->dirty = true;
    life_save(p);
}

void answer_fill(struct parley *p, struct parley_answer *a, const ProtobufCMessage *msg)
{
    const void *m = msg;
    switch (a->about) {
    case PARLEY_ASK_CONVERSATIONS: {
        const Im__ConvListRsp *r = m;
        conversations(p, a, r->conversations, r->n_conversations);
        next_page(a, &r->next);
        break;
    }
    case PARLEY_ASK_CONVERSATION: {
        const Im__ConvInfoRsp *r = m;
        conversations(p, a, &r->conversation, r->conversation != NULL);
        break;
    }
    case PARLEY_ASK_HISTORY:
        history(p, a, m);
        break;
    case PARLEY_ASK_CHANGES:
        changes(p, a, m);
        break;
    case PARLEY_ASK_SEARCH: {
        const Im__SearchRsp *r = m;
        items(p, a, r->items, r->n_items);
        next_page(a, &r->next);
        break;
    }
    case PARLEY_ASK_MEMBERS:
        members(p, a, m);
        break;
    case PARLEY_ASK_ASKS:
        asks(p, a, m);
        break;
    case PARLEY_ASK_USERS:
        users(p, a, m);
        break;
    case PARLEY_ASK_CONTACTS:
        contacts(p, a, m);
        break;
    case PARLEY_ASK_DEVICES:
        devices(p, a, m);
        break;
    case PARLEY_ASK_PRESENCE:
        presence(p, a, m);
        break;
    case PARLEY_ASK_TOKEN:
        token(p, a, m);
        break;
    case PARLEY_DO_REVOKE:
    case PARLEY_DO_PROFILE:
    case PARLEY_DO_PREFS:
        break;
    }
}
