/* question.c: questions of the application, packed. */
#include "client/lib/client.h"

#include <errno.h>

#define ASKS_MAX 256
#define IDS_MAX  500 /* the most that any question may name */

static void ids_of(ProtobufCBinaryData *out, const uint8_t (*v)[PARLEY_ID], size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = bytes_of(v[i], PARLEY_ID);
}

/* What the answer has to hold: the last that this device knows of the conversation, or placed anywhere. */
static Im__Wait *wait_of(const struct parley *p, const struct parley_question *q, Im__Wait *w,
                         struct id16 *conv)
{
    im__wait__init(w);
    if (q->no_wait)
        return NULL;
    if (q->conversation) {
        memcpy(conv->b, q->conversation, ID_SIZE);
        w->seq = inbox_known(p->inbox, *conv);
    } else if (!q->with || (*p->last_to && !strcasecmp(q->with, p->last_to))) {
        *conv = p->last_conv;
        w->seq = p->last_seq;
    }
    w->conversation = bytes_of(conv->b, ID_SIZE);
    return w->seq ? w : NULL;
}

struct packing {
    struct parley *p;
    const struct parley_question *q;
    uint16_t frame;
    uint8_t *body; /* NULL: no memory */
    size_t n;
};

static void pack(struct packing *k, uint16_t frame, const ProtobufCMessage *m)
{
    k->frame = frame;
    k->n = protobuf_c_message_get_packed_size(m);
    k->body = malloc(k->n + 1);
    if (k->body)
        protobuf_c_message_pack(m, k->body);
}

#define PACK(k, TYPE, m) pack(k, IM__FRAME_TYPE__##TYPE, &(m).base)
#define WHERE(m, q) \
    ((m).conversation = bytes_of((q)->conversation, PARLEY_ID), (m).with = string_of((q)->with))

static void pack_conversations(struct packing *k)
{
    const struct parley_question *q = k->q;
    Im__Wait w;
    struct id16 conv;
    if (q->about == PARLEY_ASK_CONVERSATIONS) {
        Im__ConvListReq m = IM__CONV_LIST_REQ__INIT;
        m.limit = q->limit;
        m.after = bytes_of(q->after, q->after_n);
        m.groups = q->groups;
        m.unread = q->unread;
        m.wait = wait_of(k->p, q, &w, &conv);
        PACK(k, CONV_LIST_REQ, m);
    } else {
        Im__ConvInfoReq m = IM__CONV_INFO_REQ__INIT;
        WHERE(m, q);
        m.wait = wait_of(k->p, q, &w, &conv);
        PACK(k, CONV_INFO_REQ, m);
    }
}

static void pack_history(struct packing *k)
{
    const struct parley_question *q = k->q;
    Im__Wait w;
    struct id16 conv;
    if (q->about == PARLEY_ASK_HISTORY) {
        Im__HistoryReq m = IM__HISTORY_REQ__INIT;
        WHERE(m, q);
        m.seq = q->seq;
        m.time_ms = q->time_ms;
        m.direction = (Im__Direction)q->direction;
        m.limit = q->limit;
        m.events = q->events;
        m.wait = wait_of(k->p, q, &w, &conv);
        PACK(k, HISTORY_REQ, m);
    } else if (q->about == PARLEY_ASK_CHANGES) {
        Im__ChangesReq m = IM__CHANGES_REQ__INIT;
        WHERE(m, q);
        m.target = q->seq;
        m.after = q->after_seq;
        m.limit = q->limit;
        PACK(k, CHANGES_REQ, m);
    } else {
        Im__SearchReq m = IM__SEARCH_REQ__INIT;
        WHERE(m, q);
        m.text = string_of(q->text);
        m.after = bytes_of(q->after, q->after_n);
        m.limit = q->limit;
        PACK(k, SEARCH_REQ, m);
    }
}

static void pack_members(struct packing *k)
{
    const struct parley_question *q = k->q;
    if (q->about == PARLEY_ASK_MEMBERS) {
        Im__MembersReq m = IM__MEMBERS_REQ__INIT;
        m.conversation = bytes_of(q->conversation, PARLEY_ID);
        m.after = bytes_of(q->after, q->after_n);
        m.limit = q->limit;
        PACK(k, MEMBERS_REQ, m);
    } else {
        Im__AsksReq m = IM__ASKS_REQ__INIT;
        m.conversation = bytes_of(q->conversation, PARLEY_ID);
        m.limit = q->limit;
        PACK(k, ASKS_REQ, m);
    }
}

static void pack_people(struct packing *k)
{
    const struct parley_question *q = k->q;
    ProtobufCBinaryData ids[IDS_MAX];
    char *logins[IDS_MAX];
    ids_of(ids, q->users, q->users_n);
    for (size_t i = 0; i < q->logins_n; i++)
        logins[i] = string_of(q->logins[i]);
    if (q->about == PARLEY_ASK_USERS) {
        Im__UsersReq m = IM__USERS_REQ__INIT;
        m.prefix = string_of(q->text);
        m.users = ids;
        m.n_users = q->users_n;
        m.logins = logins;
        m.n_logins = q->logins_n;
        m.limit = q->limit;
        m.after = bytes_of(q->after, q->after_n);
        PACK(k, USERS_REQ, m);
    } else if (q->about == PARLEY_ASK_PRESENCE) {
        Im__PresenceReq m = IM__PRESENCE_REQ__INIT;
        m.users = ids;
        m.n_users = q->users_n;
        m.group = bytes_of(q->conversation, PARLEY_ID);
        PACK(k, PRESENCE_REQ, m);
    } else {
        Im__ContactsReq m = IM__CONTACTS_REQ__INIT;
        m.state = (Im__FriendState)q->friend_state;
        m.blocked = q->blocked;
        m.after = bytes_of(q->after, q->after_n);
        m.limit = q->limit;
        PACK(k, CONTACTS_REQ, m);
    }
}

/* About oneself. */
static void pack_self(struct packing *k)
{
    const struct parley_question *q = k->q;
    if (q->about == PARLEY_ASK_DEVICES) {
        Im__DevicesReq m = IM__DEVICES_REQ__INIT;
        PACK(k, DEVICES_REQ, m);
    } else if (q->about == PARLEY_ASK_TOKEN) {
        Im__TokenReq m = IM__TOKEN_REQ__INIT;
        PACK(k, TOKEN_REQ, m);
    } else if (q->about == PARLEY_DO_REVOKE) {
        Im__RevokeReq m = IM__REVOKE_REQ__INIT;
        m.device = q->device;
        m.all = q->all;
        m.keep_current = q->keep_current;
        PACK(k, REVOKE_REQ, m);
    } else if (q->about == PARLEY_DO_PROFILE) {
        Im__ProfileReq m = IM__PROFILE_REQ__INIT;
        m.name = string_of(q->text);
        m.presence = (Im__Privacy)q->privacy;
        PACK(k, PROFILE_REQ, m);
    } else {
        Im__PrefsReq m = IM__PREFS_REQ__INIT;
        WHERE(m, q);
        m.pinned = q->pinned;
        m.muted = q->muted;
        m.remark = string_of(q->text);
        m.mask = q->marks;
        PACK(k, PREFS_REQ, m);
    }
}

static void (*const packers[])(struct packing *) = {
    [PARLEY_ASK_CONVERSATIONS] = pack_conversations,
    [PARLEY_ASK_CONVERSATION] = pack_conversations,
    [PARLEY_ASK_HISTORY] = pack_history,
    [PARLEY_ASK_CHANGES] = pack_history,
    [PARLEY_ASK_SEARCH] = pack_history,
    [PARLEY_ASK_MEMBERS] = pack_members,
    [PARLEY_ASK_ASKS] = pack_members,
    [PARLEY_ASK_USERS] = pack_people,
    [PARLEY_ASK_CONTACTS] = pack_people,
    [PARLEY_ASK_DEVICES] = pack_self,
    [PARLEY_ASK_PRESENCE] = pack_people,
    [PARLEY_ASK_TOKEN] = pack_self,
    [PARLEY_DO_REVOKE] = pack_self,
    [PARLEY_DO_PROFILE] = pack_self,
    [PARLEY_DO_PREFS] = pack_self,
};

int64_t parley_ask(struct parley *p, const struct parley_question *q, parley_answer_fn *fn, void *arg)
{
    struct packing k = {.p = p, .q = q};
    if (q->about < 1 || q->about >= sizeof packers / sizeof packers[0] || q->users_n > IDS_MAX ||
        q->logins_n > IDS_MAX)
        return -EINVAL;
    if (p->st == PARLEY_ENDED)
        return -ESHUTDOWN;
    if (p->n_asks >= ASKS_MAX)
        return -ENOBUFS;
    packers[q->about](&k);
    int rc = k.body ? packed_check(k.frame, false, k.body, k.n) : -ENOMEM;
    struct asked *a = rc ? NULL : ask_new(p, k.frame, q->about, k.body, k.n, q->timeout_ms);
    free(k.body);
    if (!a)
        return rc ? rc : -ENOMEM;
    a->fn = fn;
    a->arg = arg;
    a->revoke_others = q->about == PARLEY_DO_REVOKE && q->all && q->keep_current;
    a->id = ++p->last_ask;
    return a->id;
}

int parley_watch(struct parley *p, const uint8_t (*users)[PARLEY_ID], size_t n, const uint8_t *group)
{
    ProtobufCBinaryData ids[IDS_MAX];
    Im__PresenceReq m = IM__PRESENCE_REQ__INIT;
    struct packing k = {.p = p};
    if (n > IDS_MAX || (n && group))
        return -EINVAL;
    ids_of(ids, users, n);
    m.users = ids;
    m.n_users = n;
    m.group = bytes_of(group, PARLEY_ID);
    m.subscribe = true;
    PACK(&k, PRESENCE_REQ, m);
    if (!k.body)
        return -ENOMEM;
    free(p->watch.body);
    p->watch = (struct watching){.body = k.body, .n = k.n, .nobody = !n && !group};
    p->poked = true;
    return 0;
}
