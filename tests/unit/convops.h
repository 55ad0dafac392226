/* convops.h: records of groups, friends, receipts and what is done to messages, for tests; beside convlog.h. Include
 * it once per test. */
#ifndef PARLEY_TESTS_CONVOPS_H
#define PARLEY_TESTS_CONVOPS_H

#include "tests/unit/convlog.h"

#define OPS_NAMED 8

struct op { /* zero: the default */
    Im__ConvKind kind;
    const char *from, *to; /* to: in their direct conversation, else in `conv` */
    struct id16 conv;
    const char *users[OPS_NAMED]; /* any order */
    uint64_t client_seq;
    const char *text;
    uint64_t target, reply_to;
    uint32_t role, flags, flags_mask;
    uint64_t duration_s, read, delivered;
    uint32_t cap; /* of the group; 0: 100 */
    bool admin;
};

static int ops_order(const void *a, const void *b)
{
    struct id16 x = uid(*(const char *const *)a), y = uid(*(const char *const *)b);
    return memcmp(x.b, y.b, ID_SIZE);
}

static inline size_t ops_users(const struct op *o, const char *names[OPS_NAMED], uint8_t *ids)
{
    size_t n = 0;
    while (n < OPS_NAMED && o->users[n]) {
        names[n] = o->users[n];
        n++;
    }
    qsort(names, n, sizeof *names, ops_order);
    for (size_t i = 0; i < n; i++) {
        struct id16 id = uid(names[i]);
        memcpy(ids + i * ID_SIZE, id.b, ID_SIZE);
    }
    return n;
}

static inline struct record op_record(struct arena *arena, int64_t offset, const struct op *o)
{
    Im__ConvRecord r = IM__CONV_RECORD__INIT;
    Im__ConvSettings settings = IM__CONV_SETTINGS__INIT;
    Im__Body body = IM__BODY__INIT;
    const char *names[OPS_NAMED];
    uint8_t ids[OPS_NAMED * ID_SIZE];
    size_t n = ops_users(o, names, ids);
    struct id16 user = uid(o->from), peer = uid(o->to ? o->to : "");
    struct id16 conv = o->to ? id_direct(user, peer) : o->conv, msg = id_message(user, 1, o->client_seq);
    r.version = 1;
    r.rules = CONV_RULES;
    r.kind = o->kind;
    r.conversation = (ProtobufCBinaryData){ID_SIZE, conv.b};
    r.user = (ProtobufCBinaryData){ID_SIZE, user.b};
    r.user_login = (char *)(uintptr_t)o->from;
    if (o->to && o->kind != IM__CONV_KIND__CONV_RECEIPT) {
        r.peer = (ProtobufCBinaryData){ID_SIZE, peer.b};
        r.peer_login = (char *)(uintptr_t)o->to;
    }
    r.device = 1;
    r.client_seq = o->client_seq;
    r.msg_id = (ProtobufCBinaryData){ID_SIZE, msg.b};
    r.source_offset = offset;
    settings.group_cap = o->cap ? o->cap : 100;
    settings.receipt_cap = 100;
    settings.admin = o->admin;
    r.settings = &settings;
    body.text = (char *)(uintptr_t)(o->text ? o->text : "");
    if (o->kind != IM__CONV_KIND__CONV_RECEIPT)
        r.body = &body;
    r.users = (ProtobufCBinaryData){n * ID_SIZE, ids};
    r.n_logins = n;
    r.logins = (char **)(uintptr_t)names;
    r.target = o->target;
    r.reply_to = o->reply_to;
    r.role = o->role;
    r.flags = o->flags;
    r.flags_mask = o->flags_mask;
    r.duration_s = o->duration_s;
    r.read = o->read;
    r.delivered = o->delivered;
    size_t size = im__conv_record__get_packed_size(&r);
    uint8_t *p = arena_alloc(arena, size + ID_SIZE);
    if (!p)
        abort();
    im__conv_record__pack(&r, p);
    memcpy(p + size, conv.b, ID_SIZE);
    return (struct record){.topic = T_CONVERSATION,
                           .offset = offset,
                           .time_ms = 1000 + offset,
                           .key = {p + size, ID_SIZE},
                           .value = {p, size}};
}

/* Two groups and the direct conversations of eight people, everything that can be done in them, most of it as likely
 * refused as not. The caller frees it. */
static inline struct record *random_ops(struct arena *arena, struct rng *rng, size_t n, uint64_t first)
{
    static const char *const who[] = {"anna", "bert", "carl", "dora", "emil", "fritz", "gerd", "hans"};
    static const char *const texts[] = {"hello", "", "größer", "你好，世界",
                                        "a \"quoted\" \\ {word}, or 'two'"};
    static const Im__ConvKind kinds[] = {1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  21, 23, 2,
                                         3,  4,  5,  6,  21, 21, 22, 23, 23, 24, 25, 26, 27, 28, 29,
                                         30, 31, 33, 34, 40, 40, 41, 42, 43, 44, 45, 60, 60, 60, 60};
    struct record *log = calloc(n, sizeof *log);
    struct id16 groups[2] = {id_group(uid(who[0]), 1, first + 1), id_group(uid(who[1]), 1, first + 1)};
    uint64_t next[8];
    for (size_t i = 0; i < 8; i++)
        next[i] = first;
    for (size_t i = 0; i < n; i++) {
        size_t from = i < 2 ? i : rng_below(rng, 8);
        uint32_t kind = i < 2 ? 20 : kinds[rng_below(rng, sizeof kinds / sizeof *kinds)];
        bool two = kind >= 40 && kind < 60, group = !two && kind >= 20 && kind < 40;
        struct op o = {.kind = kind, .from = who[from], .text = texts[rng_below(rng, 5)]};
        if (two || (!group && rng_below(rng, 3) == 0))
            o.to = who[rng_below(rng, 8)];
        o.conv = groups[i < 2 ? i : rng_below(rng, 2)];
        if (kind != 60)
            o.client_seq = ++next[from];
        if (kind >= 2 && kind <= 6)
            o.target = 1 + rng_below(rng, 40);
        if (kind == 1 && rng_below(rng, 10) == 0)
            o.reply_to = 1;
        if (group && kind != 21 && kind != 22 && kind != 29 && kind != 30 && kind != 31)
            for (size_t k = 0, at = rng_below(rng, 8); k < 1 + rng_below(rng, kind == 26 ? 1 : 3); k++)
                o.users[k] = who[(at + k) % 8];
        o.role = kind == 25 ? 1 + (uint32_t)rng_below(rng, 2) : 0;
        o.duration_s = kind == 27 ? rng_below(rng, 2) * 60 : 0;
        if (kind == 31 || kind == 20) {
            o.flags_mask = 1U << rng_below(rng, 3);
            o.flags = rng_below(rng, 2) ? o.flags_mask : 0;
        }
        if (kind == 60) {
            o.read = rng_below(rng, 30);
            o.delivered = rng_below(rng, 60);
        }
        log[i] = op_record(arena, (int64_t)i, &o);
    }
    return log;
}

#endif
