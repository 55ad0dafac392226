#include "tests/support/samples.h"

#include "common/im/conv.h"

#include <stdlib.h>

static uint8_t trace[CODEC_TRACE] = "0123456789abcdef01234567";
static struct id16 anna, bert, conv;
static Im__Session session;
static uint32_t devices[] = {1, 2, 3};

#define BYTES(x) ((ProtobufCBinaryData){sizeof(x), (uint8_t *)&(x)})
#define TEXT(x)  ((ProtobufCBinaryData){sizeof(x) - 1, (uint8_t *)(uintptr_t)(x)})

static size_t pack(const void *message, uint8_t *out)
{
    int n = codec_pack_into(message, out, SAMPLE_MAX);
    if (n < 0)
        abort();
    return (size_t)n;
}

static void prepare(void)
{
    static struct session s;
    anna = id_user("anna");
    bert = id_user("bert");
    conv = id_direct(anna, bert);
    s = (struct session){anna, 2, 3, 400, 5, 600};
    session_to_pb(&s, &session);
}

static size_t put_inbound(Im__Inbound *r, int variant, void *body, uint8_t *out)
{
    r->version = 1;
    r->session = &session;
    r->trace = BYTES(trace);
    r->seq_id = 9;
    r->body_case = (Im__Inbound__BodyCase)(IM__INBOUND__BODY_REGISTER_ + variant);
    r->register_ = body;
    return pack(r, out);
}

/* The bodies that came later. */
static size_t inbound_more(unsigned variant, uint8_t *out)
{
    Im__Inbound r = IM__INBOUND__INIT;
    Im__InReceipt receipt = IM__IN_RECEIPT__INIT;
    Im__InSignal signal = IM__IN_SIGNAL__INIT;
    Im__InRevoke revoke = IM__IN_REVOKE__INIT;
    Im__InProfile profile = IM__IN_PROFILE__INIT;
    Im__InPrefs prefs = IM__IN_PREFS__INIT;
    Im__InAdmin admin = IM__IN_ADMIN__INIT;
    receipt.conversation = signal.conversation = prefs.conversation = BYTES(conv);
    receipt.read = 7;
    receipt.delivered = 9;
    signal.stopped = true;
    revoke.all = revoke.keep_current = true;
    profile.display_name = "Anna";
    profile.presence = IM__PRIVACY__FRIENDS;
    prefs.remark = "from school";
    prefs.pinned = true;
    prefs.mask = IM__PREFS_MARK__PREFS_PINNED | IM__PREFS_MARK__PREFS_REMARK;
    admin.on = true;
    void *const bodies[] = {&receipt, &signal, &revoke, &profile, &prefs, &admin};
    if (variant >= 12)
        return 0;
    if (variant == 11) { /* the operator's */
        im__session__init(&session);
        session.slot = UINT32_MAX;
    }
    return put_inbound(&r, (int)variant, bodies[variant - 6], out);
}

static size_t inbound(unsigned variant, uint8_t *out)
{
    Im__Inbound r = IM__INBOUND__INIT;
    Im__InRegister reg = IM__IN_REGISTER__INIT;
    Im__InLookup lookup = IM__IN_LOOKUP__INIT;
    Im__InLogin login = IM__IN_LOGIN__INIT;
    Im__InEnd end = IM__IN_END__INIT;
    Im__InChat chat = IM__IN_CHAT__INIT;
    Im__InPull pull = IM__IN_PULL__INIT;
    Im__Body body = IM__BODY__INIT;
    char *logins[] = {"", "bert"};
    struct id16 users[] = {{{1}}, {{2}}};
    if (variant >= 6 && variant < 12)
        return inbound_more(variant, out);
    reg.login = "anna";
    reg.display_name = "Anna";
    reg.verifier = TEXT("sealed");
    login.device_id = "laptop";
    login.client = "test";
    chat.conversation = BYTES(conv);
    chat.msg_id = BYTES(anna);
    chat.peer = BYTES(bert);
    chat.peer_login = "bert";
    chat.client_seq = 7;
    chat.body = &body;
    body.text = "hello";
    pull.conversation = BYTES(conv);
    if (variant == 12) { /* in a group */
        chat.peer.len = 0;
        chat.peer_login = "";
        chat.kind = IM__CONV_KIND__CONV_GROUP_ROLE;
        chat.role = IM__ROLE__ADMIN;
        chat.users = BYTES(users);
        chat.n_logins = 2;
        chat.logins = logins;
        return put_inbound(&r, 4, &chat, out);
    }
    void *const bodies[] = {&reg, &lookup, &login, &end, &chat, &pull};
    return variant < 6 ? put_inbound(&r, (int)variant, bodies[variant], out) : 0;
}

static size_t offline(unsigned variant, uint8_t *out)
{
    Im__OfflineRecord r = IM__OFFLINE_RECORD__INIT;
    Im__OffLogin login = IM__OFF_LOGIN__INIT;
    Im__OffEnd end = IM__OFF_END__INIT;
    Im__OffItem item = IM__OFF_ITEM__INIT;
    Im__OffBounce bounce = IM__OFF_BOUNCE__INIT;
    Im__OffPull pull = IM__OFF_PULL__INIT;
    Im__QueueItem q = IM__QUEUE_ITEM__INIT, *list[] = {&q, &q};
    Im__OffGroup group = IM__OFF_GROUP__INIT;
    Im__OffServed served = IM__OFF_SERVED__INIT, *all[] = {&served};
    struct id16 users[] = {anna, bert};
    group.conversation = BYTES(conv);
    group.seq = 5;
    group.users = BYTES(users);
    group.n_served = 1;
    group.served = all;
    served.index = 1;
    served.n_devices = 3;
    served.devices = devices;
    q.conversation = BYTES(conv);
    q.seq = 77;
    q.payload = TEXT("a push");
    login.session = end.session = bounce.session = pull.session = &session;
    login.n_devices = 3;
    login.devices = devices;
    item.item = &q;
    item.n_served = 2;
    item.served = devices;
    bounce.n_items = 2;
    bounce.items = list;
    r.version = 1;
    r.user = BYTES(anna);
    r.body_case = (Im__OfflineRecord__BodyCase)(IM__OFFLINE_RECORD__BODY_LOGIN + (int)variant);
    void *const bodies[] = {&login, &end, &item, &bounce, &pull, &group};
    if (variant >= 7)
        return 0;
    if (variant == 6) { /* a pointer, bounced */
        q.payload.len = 0;
        r.body_case = IM__OFFLINE_RECORD__BODY_BOUNCE;
        r.bounce = &bounce;
        return pack(&r, out);
    }
    if (variant == 5)
        r.user.len = 0;
    r.login = bodies[variant];
    return pack(&r, out);
}

static size_t user(unsigned variant, uint8_t *out)
{
    Im__UserRecord r = IM__USER_RECORD__INIT;
    if (variant >= 8)
        return 0;
    r.version = 1;
    r.presence = IM__PRIVACY__NOBODY;
    r.conversation = BYTES(conv);
    r.remark = "a colleague";
    r.admin = true;
    r.kind = (Im__UserKind)(1 + variant);
    r.user = BYTES(anna);
    r.login = "anna";
    r.device = variant ? 1 : 0;
    r.device_id = "laptop";
    return pack(&r, out);
}

static size_t deliver(unsigned variant, uint8_t *out)
{
    Im__DeliverRecord r = IM__DELIVER_RECORD__INIT;
    Im__DeliverItem a = IM__DELIVER_ITEM__INIT, b = IM__DELIVER_ITEM__INIT, *list[] = {&a, &b};
    uint32_t handles[] = {5, 6, 7};
    uint64_t logins[] = {1, 2, 3};
    struct id16 users[3] = {anna, bert, anna};
    a.kind = IM__ITEM_KIND__ITEM_MESSAGE;
    a.frame_type = 50;
    a.payload = TEXT("a push");
    a.n_handles = a.n_devices = a.n_logins = 3;
    a.handles = handles;
    a.devices = devices;
    a.logins = logins;
    a.users = BYTES(users);
    a.conversation = BYTES(conv);
    a.seq = 9;
    b.kind = IM__ITEM_KIND__ITEM_REPLY;
    b.n_handles = 1;
    b.handles = handles;
    if (variant == 1) {
        a.kind = IM__ITEM_KIND__ITEM_POINTED;
        b.kind = IM__ITEM_KIND__ITEM_SIGNAL;
        b.n_handles = 0;
        b.all = true;
    }
    r.version = 1;
    r.epoch = 400;
    r.n_items = 2;
    r.items = list;
    return variant < 2 ? pack(&r, out) : 0;
}

static size_t small(enum record_kind kind, uint8_t *out)
{
    Im__VaultRecord vault = IM__VAULT_RECORD__INIT;
    Im__PresenceRecord presence = IM__PRESENCE_RECORD__INIT;
    Im__LeaseRecord lease = IM__LEASE_RECORD__INIT;
    Im__CursorRecord cursor = IM__CURSOR_RECORD__INIT;
    Im__DlqRecord dlq = IM__DLQ_RECORD__INIT;
    Im__LookupReply lookup = IM__LOOKUP_REPLY__INIT;
    Im__LoginVerdict verdict = IM__LOGIN_VERDICT__INIT;
    Im__QueryRecord query = IM__QUERY_RECORD__INIT;
    Im__SignalRecord signal = IM__SIGNAL_RECORD__INIT;
    Im__WebhookRecord webhook = IM__WEBHOOK_RECORD__INIT;
    query.version = signal.version = webhook.version = 1;
    webhook.name = "crm";
    webhook.begin = 1;
    query.session = &session;
    query.seq_id = 9;
    query.frame_type = IM__FRAME_TYPE__HISTORY_REQ;
    query.payload = TEXT("\x18\x05");
    query.trace = BYTES(trace);
    signal.conversation = BYTES(conv);
    signal.user = BYTES(anna);
    signal.user_login = "anna";
    signal.device = 2;
    vault.version = presence.version = lease.version = cursor.version = dlq.version = 1;
    vault.user = cursor.user = lookup.user = verdict.user = BYTES(anna);
    vault.verifier = lookup.verifier = TEXT("sealed");
    presence.session = &session;
    presence.n_devices = 3;
    presence.devices = devices;
    presence.login = lookup.login = verdict.login = "anna";
    lease.kind = IM__LEASE_KIND__LEASE_CLAIM;
    lease.slot = 3;
    lease.holder = "edge-1";
    cursor.conversation = BYTES(conv);
    cursor.from = 1;
    cursor.upto = 9;
    dlq.topic = "im.inbound";
    dlq.value = TEXT("\xff\xff");
    lookup.exists = true;
    verdict.device = 2;
    switch (kind) {
    case REC_VAULT:
        return pack(&vault, out);
    case REC_PRESENCE:
        return pack(&presence, out);
    case REC_LEASE:
        return pack(&lease, out);
    case REC_CURSOR:
        return pack(&cursor, out);
    case REC_DLQ:
        return pack(&dlq, out);
    case REC_LOOKUP:
        return pack(&lookup, out);
    case REC_VERDICT:
        return pack(&verdict, out);
    case REC_QUERY:
        return pack(&query, out);
    case REC_SIGNAL:
        return pack(&signal, out);
    case REC_WEBHOOK:
        return pack(&webhook, out);
    default:
        return 0;
    }
}

size_t sample_record(enum record_kind kind, unsigned variant, uint8_t out[SAMPLE_MAX])
{
    prepare();
    switch (kind) {
    case REC_INBOUND:
        return inbound(variant, out);
    case REC_OFFLINE:
        return offline(variant, out);
    case REC_USER:
        return user(variant, out);
    case REC_DELIVER:
        return deliver(variant, out);
    default:
        return variant ? 0 : small(kind, out);
    }
}

size_t sample_convrec(unsigned variant, uint8_t out[SAMPLE_MAX])
{
    Im__ConvRecord r = IM__CONV_RECORD__INIT;
    Im__ConvSettings settings = IM__CONV_SETTINGS__INIT;
    Im__Body body = IM__BODY__INIT;
    prepare();
    settings.group_cap = 100;
    r.version = 1;
    r.rules = CONV_RULES;
    r.kind = IM__CONV_KIND__CONV_MESSAGE;
    r.conversation = BYTES(conv);
    r.user = BYTES(anna);
    r.peer = BYTES(bert);
    r.msg_id = BYTES(bert);
    r.device = 2;
    r.client_seq = 300;
    r.source_part = 1;
    r.source_offset = 12345;
    r.trace = BYTES(trace);
    r.settings = &settings;
    r.user_login = "anna";
    r.peer_login = "bert";
    r.body = &body;
    r.edge_time_us = INT64_C(1700000000000000);
    if (variant == 0) {
        body.text = "h\xc3\xa9llo";
        r.origin = &session;
    } else if (variant == 1) {
        body.content_type = "image/png";
        body.data = TEXT("\0\1\2\xff");
        body.key_id = 7;
        body.sealed = TEXT("sealed");
        r.source_part = -1;
        r.edge_time_us = -5;
        r.trace = (ProtobufCBinaryData){0, NULL};
    } else {
        return 0;
    }
    return pack(&r, out);
}
