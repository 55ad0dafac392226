/* events.c: what the server tells about conversations: events with a number, and everything that has none. */
#include "client/lib/client.h"
#include "common/im/frame.h"

static bool is_me(const struct parley *p, const ProtobufCBinaryData *user)
{
    return user->len == ID_SIZE && !memcmp(user->data, p->user, ID_SIZE);
}

static void copy_id(uint8_t out[PARLEY_ID], const ProtobufCBinaryData *d)
{
    memset(out, 0, PARLEY_ID);
    if (d->len == PARLEY_ID)
        memcpy(out, d->data, PARLEY_ID);
}

struct parley_person *events_people(struct parley *p, const ProtobufCBinaryData *users, size_t n,
                                    char *const *logins, size_t n_logins)
{
    struct parley_person *v = n ? arena_alloc(p->arena, n * sizeof *v) : NULL;
    for (size_t i = 0; v && i < n; i++) {
        copy_id(v[i].user, &users[i]);
        v[i].login = i < n_logins ? text_or(logins[i]) : "";
    }
    return v;
}

bool events_message(struct parley *p, const Im__ChatPush *c, struct parley_message *m)
{
    struct id16 conv, sender;
    if (!get_id(&c->conversation, &conv) || !get_id(&c->sender, &sender) || !c->seq)
        return false;
    *m = (struct parley_message){.seq = c->seq,
                                 .kind = c->kind ? (enum parley_kind)c->kind : PARLEY_MESSAGE,
                                 .group = c->group,
                                 .sender_login = text_or(c->sender_login),
                                 .peer_login = text_or(c->peer_login),
                                 .sender_device = c->sender_device,
                                 .client_seq = c->client_seq,
                                 .time_ms = c->time_ms,
                                 .text = text_or(c->text),
                                 .content_type = text_or(c->content_type),
                                 .data = c->data.data,
                                 .data_n = c->data.len,
                                 .reply_to = c->reply_to,
                                 .target = c->target,
                                 .role = (enum parley_role)c->role,
                                 .flags = c->flags,
                                 .until_ms = c->until_ms,
                                 .own = is_me(p, &c->sender)};
    memcpy(m->conversation, conv.b, ID_SIZE);
    memcpy(m->sender, sender.b, ID_SIZE);
    copy_id(m->peer, &c->peer);
    copy_id(m->msg_id, &c->msg_id);
    m->people = events_people(p, c->users, c->n_users, c->logins, c->n_logins);
    m->people_n = m->people ? c->n_users : 0;
    for (size_t i = 0; i < c->n_users; i++)
        m->me |= is_me(p, &c->users[i]);
    return true;
}

void events_deliver(void *parley, const void *payload, size_t n, uint64_t missed, bool late)
{
    struct parley *p = parley;
    struct parley_message m;
    const Im__ChatPush *c = inward_unpack(p, &im__chat_push__descriptor, (struct slice){payload, n});
    if (!c || !events_message(p, c, &m))
        return;
    m.missed = missed;
    m.late = late;
    if (m.kind == PARLEY_MESSAGE || m.kind == PARLEY_ANNOUNCEMENT)
        p->cb.message(p->ctx, &m);
    else if (p->cb.event)
        p->cb.event(p->ctx, &m);
    if (m.kind != PARLEY_MESSAGE || m.own || p->opt.no_delivered || (m.group && !p->opt.group_delivered))
        return;
    struct id16 conv;
    memcpy(conv.b, m.conversation, ID_SIZE);
    (void)receipts_add(p->receipts, conv, 0, m.seq); /* without memory: the next one says it too */
}

/* The user came in with this event, or began it: there is nothing before it to wait for. */
static bool begins(const struct parley *p, const Im__ChatPush *c)
{
    bool me = is_me(p, &c->sender);
    for (size_t i = 0; i < c->n_users && !me; i++)
        me = is_me(p, &c->users[i]);
    switch (c->kind) {
    case IM__CONV_KIND__CONV_ANNOUNCEMENT:
        return true;
    case IM__CONV_KIND__CONV_GROUP_CREATE:
    case IM__CONV_KIND__CONV_GROUP_JOIN:
        return me;
    case IM__CONV_KIND__CONV_GROUP_INVITE:
    case IM__CONV_KIND__CONV_GROUP_APPROVE:
        return me && !is_me(p, &c->sender);
    default:
        return false;
    }
}

static unsigned flags_of(const struct parley *p, const Im__ChatPush *c)
{
    bool queued = !c->group && c->kind != IM__CONV_KIND__CONV_ANNOUNCEMENT;
    return (p->new_device || begins(p, c) ? INBOX_START : 0) | (queued ? 0 : INBOX_GROUP);
}

static void on_chat(struct parley *p, const struct frame *f, int64_t now)
{
    struct id16 conv;
    if (!p->cb.message) {
        inbox_refuse(p->inbox, f->seq_id);
        return;
    }
    const Im__ChatPush *c = inward_unpack(p, &im__chat_push__descriptor, f->payload);
    if (!c || !get_id(&c->conversation, &conv) || !c->seq) {
        inward_bad(p, "a message that cannot be read", now);
        return;
    }
    (void)inbox_message(p->inbox, conv, c->seq, f->seq_id, f->payload.p, f->payload.n, flags_of(p, c), now);
}

void events_item(struct parley *p, const Im__ChatPush *c, int64_t now)
{
    struct id16 conv;
    size_t n = protobuf_c_message_get_packed_size(&c->base);
    uint8_t *packed = arena_alloc(p->arena, n);
    if (!packed || !get_id(&c->conversation, &conv))
        return;
    protobuf_c_message_pack(&c->base, packed);
    (void)inbox_message(p->inbox, conv, c->seq, 0, packed, n, flags_of(p, c), now);
}

void events_news(struct parley *p, Im__News *const *v, size_t n, unsigned flags, int64_t now)
{
    struct id16 conv;
    for (size_t i = 0; i < n; i++) {
        if (!get_id(&v[i]->conversation, &conv))
            continue;
        bool known = inbox_known(p->inbox, conv) >= v[i]->upto;
        (void)inbox_news(p->inbox, conv, v[i]->upto, flags, now);
        if (!known && p->cb.news)
            p->cb.news(p->ctx, conv.b, v[i]->upto);
    }
}

static void on_note(struct parley *p, const Im__NotePush *m)
{
    struct parley_note n = {.kind = (enum parley_kind)m->kind,
                            .sender_login = text_or(m->sender_login),
                            .time_ms = m->time_ms,
                            .text = text_or(m->text),
                            .people = events_people(p, m->users, m->n_users, m->logins, m->n_logins)};
    n.people_n = n.people ? m->n_users : 0;
    copy_id(n.conversation, &m->conversation);
    copy_id(n.sender, &m->sender);
    if (p->cb.note)
        p->cb.note(p->ctx, &n);
}

static void on_receipt(struct parley *p, const Im__ReceiptPush *m)
{
    struct parley_receipt r = {.own = is_me(p, &m->user),
                               .group = m->group,
                               .read = m->read,
                               .delivered = m->delivered,
                               .time_ms = m->time_ms};
    copy_id(r.conversation, &m->conversation);
    copy_id(r.user, &m->user);
    if (p->cb.receipt)
        p->cb.receipt(p->ctx, &r);
}

static void on_typing(struct parley *p, const Im__TypingPush *m)
{
    struct parley_typist t = {.login = text_or(m->login), .stopped = m->stopped, .group = m->group};
    copy_id(t.conversation, &m->conversation);
    copy_id(t.user, &m->user);
    if (p->cb.typing)
        p->cb.typing(p->ctx, &t);
}

static void on_presence(struct parley *p, const Im__PresencePush *m)
{
    struct parley_presence *v = arena_alloc(p->arena, m->n_users * sizeof *v);
    for (size_t i = 0; v && i < m->n_users; i++) {
        v[i] = (struct parley_presence){.online = m->users[i]->online,
                                        .last_seen_ms = m->users[i]->last_seen_ms};
        copy_id(v[i].user, &m->users[i]->user);
    }
    if (v && m->n_users && p->cb.presence)
        p->cb.presence(p->ctx, v, m->n_users);
}

bool events_frame(struct parley *p, const struct frame *f, int64_t now)
{
    const ProtobufCMessage *m;
    const struct frame_type *t = frame_type(f->type);
    if (f->type == IM__FRAME_TYPE__CHAT_PUSH) {
        on_chat(p, f, now);
        return true;
    }
    if (f->type < IM__FRAME_TYPE__RECEIPT_PUSH || f->type > IM__FRAME_TYPE__NOTE_PUSH || !t)
        return false;
    if (f->type == IM__FRAME_TYPE__NEWS_PUSH && !p->cb.message) {
        inbox_refuse(p->inbox, f->seq_id);
        return true;
    }
    m = inward_unpack(p, t->server, f->payload);
    if (!m) {
        inward_bad(p, "a push that cannot be read", now);
        return true;
    }
    if (f->seq_id)
        inbox_event(p->inbox, f->seq_id);
    if (f->type == IM__FRAME_TYPE__RECEIPT_PUSH)
        on_receipt(p, (const Im__ReceiptPush *)m);
    else if (f->type == IM__FRAME_TYPE__TYPING_PUSH)
        on_typing(p, (const Im__TypingPush *)m);
    else if (f->type == IM__FRAME_TYPE__PRESENCE_PUSH)
        on_presence(p, (const Im__PresencePush *)m);
    else if (f->type == IM__FRAME_TYPE__NOTE_PUSH)
        on_note(p, (const Im__NotePush *)m);
    else
        events_news(p, ((const Im__NewsPush *)m)->news, ((const Im__NewsPush *)m)->n_news, 0, now);
    return true;
}
