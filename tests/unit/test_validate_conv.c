/* What is done in conversations: each kind with the fields it needs, and with each it must not have. */
#include "tests/unit/validaterun.h"

static void group_chats(void **state)
{
    (void)state;
#define TYPE IM__FRAME_TYPE__GROUP_CHAT
    Im__GroupChat c = IM__GROUP_CHAT__INIT;
    ProtobufCBinaryData ids[101], shorter = id_of(15);
    for (size_t i = 0; i < 101; i++)
        ids[i] = id_of(16);
    c.text = "hello";
    c.conversation = id_of(16);
    bad(TYPE, &c, "client_seq");
    c.client_seq = 1;
    good(TYPE, &c);
    SET(c, conversation, id_of(0), "conversation");
    SET(c, conversation, id_of(17), "conversation");
    SET(c, text, "", "text");
    SET(c, content_type, "x/y", "content_type");
    SET(c, reply_to, 7, "");
    SET(c, reply_to, UINT64_MAX, "reply_to");
    c.mentions = ids;
    SET(c, n_mentions, 100, "");
    SET(c, n_mentions, 101, "mentions");
    c.mentions = &shorter;
    SET(c, n_mentions, 1, "mentions");
#undef TYPE
#define TYPE IM__FRAME_TYPE__SINGLE_CHAT
    Im__SingleChat s = IM__SINGLE_CHAT__INIT;
    s.client_seq = 1;
    s.to = "bert";
    s.text = "yes";
    SET(s, reply_to, 7, "");
    SET(s, reply_to, UINT64_MAX, "reply_to");
#undef TYPE
}

#define TYPE IM__FRAME_TYPE__CONV_OP

enum { IN_ANY, IN_GROUP, WITH_OTHER, NEW };
struct kind {
    Im__ConvKind kind;
    int place;
    const char *
        has; /* t: target, c: content, u: users needed, U: users may, 1: one user, r: role, f: flags, m: mask, d: duration */
    size_t text_min, text_max;
};
static const struct kind kinds[] = {
    {IM__CONV_KIND__CONV_EDIT, IN_ANY, "tc", 1, 2000},
    {IM__CONV_KIND__CONV_RECALL, IN_ANY, "t", 0, 0},
    {IM__CONV_KIND__CONV_REACT, IN_ANY, "t", 0, 32},
    {IM__CONV_KIND__CONV_PIN, IN_ANY, "t", 0, 0},
    {IM__CONV_KIND__CONV_UNPIN, IN_ANY, "t", 0, 0},
    {IM__CONV_KIND__CONV_GROUP_CREATE, NEW, "Uf", 1, 128},
    {IM__CONV_KIND__CONV_GROUP_JOIN, IN_GROUP, "", 0, 1024},
    {IM__CONV_KIND__CONV_GROUP_LEAVE, IN_GROUP, "", 0, 0},
    {IM__CONV_KIND__CONV_GROUP_INVITE, IN_GROUP, "u", 0, 0},
    {IM__CONV_KIND__CONV_GROUP_REMOVE, IN_GROUP, "u", 0, 0},
    {IM__CONV_KIND__CONV_GROUP_ROLE, IN_GROUP, "ur", 0, 0},
    {IM__CONV_KIND__CONV_GROUP_HAND_OVER, IN_GROUP, "u1", 0, 0},
    {IM__CONV_KIND__CONV_GROUP_MUTE, IN_GROUP, "ud", 0, 0},
    {IM__CONV_KIND__CONV_GROUP_UNMUTE, IN_GROUP, "u", 0, 0},
    {IM__CONV_KIND__CONV_GROUP_RENAME, IN_GROUP, "", 1, 128},
    {IM__CONV_KIND__CONV_GROUP_NOTICE, IN_GROUP, "", 0, 4096},
    {IM__CONV_KIND__CONV_GROUP_SETTINGS, IN_GROUP, "fm", 0, 0},
    {IM__CONV_KIND__CONV_GROUP_DISSOLVE, IN_GROUP, "", 0, 0},
    {IM__CONV_KIND__CONV_GROUP_APPROVE, IN_GROUP, "u", 0, 0},
    {IM__CONV_KIND__CONV_GROUP_DECLINE, IN_GROUP, "u", 0, 0},
    {IM__CONV_KIND__CONV_FRIEND_REQUEST, WITH_OTHER, "", 0, 1024},
    {IM__CONV_KIND__CONV_FRIEND_CONFIRM, WITH_OTHER, "", 0, 0},
    {IM__CONV_KIND__CONV_FRIEND_REFUSE, WITH_OTHER, "", 0, 0},
    {IM__CONV_KIND__CONV_FRIEND_REMOVE, WITH_OTHER, "", 0, 0},
    {IM__CONV_KIND__CONV_BLOCK, WITH_OTHER, "", 0, 0},
    {IM__CONV_KIND__CONV_UNBLOCK, WITH_OTHER, "", 0, 0},
};

static bool has(const struct kind *k, char what)
{
    return strchr(k->has, what) != NULL;
}

static ProtobufCBinaryData ids[101];
static char *names[101];

/* As it should be, with all that it needs. */
static Im__ConvOp op_of(const struct kind *k)
{
    Im__ConvOp c = IM__CONV_OP__INIT;
    for (size_t i = 0; i < 101; i++) {
        ids[i] = (ProtobufCBinaryData){ID_SIZE, (uint8_t *)(uintptr_t) "0123456789abcdef"};
        names[i] = "bert";
    }
    c.client_seq = 5;
    c.kind = k->kind;
    c.users = ids;
    c.logins = names;
    if (k->place == WITH_OTHER)
        c.to = "bert";
    else if (k->place != NEW)
        c.conversation = ids[0];
    if (k->text_min)
        c.text = "text";
    c.target = has(k, 't') ? 3 : 0;
    c.n_users = has(k, 'u') ? 1 : 0;
    c.role = has(k, 'r') ? IM__ROLE__ADMIN : IM__ROLE__ROLE_NONE;
    c.flags_mask = has(k, 'm') ? 5 : 0;
    return c;
}

static void places(const struct kind *k, Im__ConvOp c)
{
    ProtobufCBinaryData none = {0, NULL};
    if (k->place == IN_GROUP || k->place == NEW) {
        SET(c, to, "bert", "to");
        SET(c, to_user, ids[0], "to_user");
        SET(c, conversation, k->place == NEW ? ids[0] : none, "conversation");
    } else if (k->place == WITH_OTHER) {
        SET(c, conversation, ids[0], "conversation");
        SET(c, to, "", "to");
        SET(c, to_user, ids[0], "to");
        c.to = "";
        SET(c, to_user, ids[0], "");
        SET(c, to_user, id_of(15), "to_user");
    } else {
        SET(c, conversation, none, "conversation");
        SET(c, conversation, id_of(15), "conversation");
        SET(c, to, "bert", "conversation");
        c.conversation = none;
        SET(c, to, "bert", "");
        SET(c, to_user, ids[0], "");
    }
}

static void texts(const struct kind *k, Im__ConvOp c)
{
    static char text[8192];
    if (k->text_min)
        SET(c, text, "", "text");
    if (has(k, 'c')) {
        SET(c, data, ids[0], "content_type");
        SET(c, content_type, "x/y", "content_type");
        c.text = "";
        SET(c, content_type, "x/y", "");
        return;
    }
    memset(text, 'x', sizeof text - 1);
    text[k->text_max + 1] = 0;
    SET(c, text, text, "text");
    text[k->text_max] = 0;
    SET(c, text, text, "");
    SET(c, content_type, "x/y", "content_type");
    SET(c, data, ids[0], "data");
}

static void named(const struct kind *k, Im__ConvOp c)
{
    bool may = has(k, 'u') || has(k, 'U');
    c.n_users = 0;
    if (has(k, 'u'))
        bad(TYPE, &c, "users");
    SET(c, n_logins, 1, may ? "" : "logins");
    SET(c, n_users, 1, may ? "" : "users");
    SET(c, n_users, 2, may && !has(k, '1') ? "" : "users");
    SET(c, n_users, 100, may && !has(k, '1') ? "" : "users");
    SET(c, n_users, 101, "users");
    SET(c, n_logins, 101, "logins");
    c.n_users = 60;
    SET(c, n_logins, 41, "users"); /* too many in all */
    c.n_users = 0;
    if (!may)
        return;
    c.n_users = 1;
    ids[0].len = 15;
    bad(TYPE, &c, "users");
    ids[0].len = ID_SIZE;
    c.n_users = 0;
    c.n_logins = 1;
    names[0] = "?";
    bad(TYPE, &c, "logins");
    names[0] = "bert";
}

static void every_kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const struct kind *k = &kinds[i];
        Im__ConvOp c = op_of(k);
        good(TYPE, &c);
        SET(c, client_seq, 0, "client_seq");
        SET(c, target, 9, has(k, 't') ? "" : "target");
        SET(c, target, UINT64_MAX, "target");
        if (has(k, 't'))
            SET(c, target, 0, "target");
        SET(c, role, IM__ROLE__MEMBER, has(k, 'r') ? "" : "role");
        SET(c, role, IM__ROLE__OWNER, "role");
        if (has(k, 'r'))
            SET(c, role, IM__ROLE__ROLE_NONE, "role");
        SET(c, flags, 1, has(k, 'f') ? "" : "flags");
        SET(c, flags, has(k, 'm') ? 2 : 16, "flags"); /* outside of the mask; not known */
        SET(c, flags_mask, 16, "flags_mask");
        SET(c, flags_mask, has(k, 'm') ? 0 : 1, "flags_mask");
        SET(c, duration_s, 60, has(k, 'd') ? "" : "duration_s");
        SET(c, duration_s, UINT64_MAX, "duration_s");
        places(k, c);
        texts(k, c);
        named(k, c);
    }
}

/* A kind that nobody has a rule for does not get into the log. */
static void no_other_kinds(void **state)
{
    (void)state;
    for (int kind = -1; kind < 300; kind++) {
        size_t i = 0;
        while (i < sizeof kinds / sizeof *kinds && kinds[i].kind != (Im__ConvKind)kind)
            i++;
        if (i < sizeof kinds / sizeof *kinds)
            continue;
        Im__ConvOp c = op_of(&kinds[0]);
        c.kind = (Im__ConvKind)kind;
        bad(TYPE, &c, "kind");
    }
}
#undef TYPE

static void announcements(void **state)
{
    (void)state;
#define TYPE IM__FRAME_TYPE__ANNOUNCE
    static char text[4098];
    Im__Announce a = IM__ANNOUNCE__INIT;
    memset(text, 'x', 4097);
    a.client_seq = 1;
    bad(TYPE, &a, "text");
    SET(a, text, text, "text");
    text[4096] = 0;
    a.text = text;
    good(TYPE, &a);
    SET(a, client_seq, 0, "client_seq");
#undef TYPE
}

static void receipts_and_typing(void **state)
{
    (void)state;
#define TYPE IM__FRAME_TYPE__MSG_READ
    Im__MsgRead r = IM__MSG_READ__INIT;
    r.read = 1;
    bad(TYPE, &r, "conversation");
    r.with = "bert";
    good(TYPE, &r);
    SET(r, read, 0, "read");
    SET(r, read, UINT64_MAX, "read");
    SET(r, delivered, UINT64_MAX, "delivered");
    SET(r, delivered, 4, "");
    SET(r, conversation, id_of(16), "conversation");
    SET(r, with, "?", "with");
    r.with = "";
    SET(r, conversation, id_of(16), "");
    SET(r, conversation, id_of(15), "conversation");
#undef TYPE
#define TYPE IM__FRAME_TYPE__TYPING
    Im__Typing t = IM__TYPING__INIT;
    bad(TYPE, &t, "conversation");
    SET(t, with, "bert", "");
    SET(t, conversation, id_of(16), "");
#undef TYPE
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(group_chats),         cmocka_unit_test(every_kind),
        cmocka_unit_test(no_other_kinds),      cmocka_unit_test(announcements),
        cmocka_unit_test(receipts_and_typing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
