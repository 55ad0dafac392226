#include "persister/model.h"

#include "persister/rows.h"

#include <stdio.h>

#define VISIBLE_TEXT (CONV_VISIBLE * 48)

/* One record on its way into rows. */
struct turn {
    struct fx *fx;
    const struct convrec *rec;
    const struct conv_outcome *out;
    int64_t offset;
    const struct conv *conv; /* after it */
    const struct model_before *before;
};

static bool about_two(uint32_t kind)
{
    return kind >= IM__CONV_KIND__CONV_FRIEND_REQUEST && kind <= IM__CONV_KIND__CONV_UNBLOCK;
}

void model_look(const struct conv *c, const struct conv_event *ev, struct model_before *b)
{
    enum conv_type type = c ? conv_type(c) : CONV_NOTHING;
    b->dissolved = type == CONV_GROUP && conv_dissolved(c);
    b->friend[0] = b->friend[1] = 0;
    if (type != CONV_DIRECT || !about_two(ev->kind))
        return;
    struct id16 pair[2];
    size_t n = conv_pair(c, pair);
    for (size_t i = 0; i < n; i++)
        b->friend[i] = conv_friend(c, pair[i]);
}

static struct slice body_text(const struct convrec *rec)
{
    return row_text(rec->body.text); /* nothing while it is sealed, or erased */
}

/* The first record that shows: a refused one may have made the conversation before, which nobody could see. In
 * front of all numbers that may be several: the first one stays. */
static bool is_first(const struct turn *t)
{
    return t->out->seq == 1 || (t->out->verdict == CONV_NOTED && conv_head(t->conv) == 0);
}

static void write_conversation(struct turn *t, uint32_t members)
{
    uint32_t kind = t->rec->event.kind;
    struct conversation_row row = {.type = conv_type(t->conv), .members = members};
    if (row.type == CONV_GROUP) {
        row.owner = conv_owner(t->conv);
        row.flags = conv_flags(t->conv);
        if (conv_dissolved(t->conv) && !t->before->dissolved)
            row.dissolved_ms = t->out->time_ms;
    }
    bool made = is_first(t);
    row.created_ms = made ? t->out->time_ms : 0;
    row.named = made || kind == IM__CONV_KIND__CONV_GROUP_RENAME;
    row.noticed = made || kind == IM__CONV_KIND__CONV_GROUP_NOTICE;
    if (kind == IM__CONV_KIND__CONV_GROUP_CREATE || kind == IM__CONV_KIND__CONV_GROUP_RENAME)
        row.name = body_text(t->rec);
    if (kind == IM__CONV_KIND__CONV_GROUP_NOTICE)
        row.notice = body_text(t->rec);
    uint8_t key[KEY_CONV];
    conv_key(t->rec->event.conv, t->offset, key);
    fx_put(t->fx, P_CONVERSATION, (struct slice){key, sizeof key}, conversation_row_pack(t->fx, &row));
}

static void write_member(struct turn *t, struct id16 user, const struct member_row *row)
{
    uint8_t key[KEY_MEMBER];
    member_key(user, t->rec->event.conv, t->offset, key);
    fx_put(t->fx, P_MEMBER, (struct slice){key, sizeof key}, member_row_pack(t->fx, row));
}

static void write_marks(struct turn *t, struct id16 user, const struct conv_member_view *view)
{
    uint8_t key[KEY_PAIR];
    const struct marks_row row = {view->read, view->delivered};
    pair_key(user, t->rec->event.conv, key);
    fx_put(t->fx, P_MARKS, (struct slice){key, sizeof key}, marks_row_pack(t->fx, &row));
}

/* ---- two people ---- */

static void pair_rows(struct turn *t)
{
    static const char all[] = "{[1,)}";
    const struct convrec *rec = t->rec;
    struct id16 pair[2];
    size_t n = conv_pair(t->conv, pair);
    for (size_t i = 0; i < n; i++) {
        bool acts = id_eq(pair[i], rec->event.user);
        struct member_row row = {
            .peer = pair[n - 1 - i],
            .joined = 1,
            .role = IM__ROLE__MEMBER,
            .blocked = conv_blocked_by(t->conv, pair[i]),
            .login = row_login(acts ? rec->user_login : rec->peer_login),
            .peer_login = row_login(acts && n == 2 ? rec->peer_login : rec->user_login),
            .visible = {all, sizeof all - 1},
        };
        row.friend = conv_friend(t->conv, pair[i]);
        if (row.friend != t->before->friend[i]) {
            row.friend_ms = t->out->time_ms;
            row.has_text = rec->event.kind == IM__CONV_KIND__CONV_FRIEND_REQUEST;
            if (row.has_text)
                row.friend_text = body_text(rec);
        }
        write_member(t, pair[i], &row);
    }
    if (is_first(t))
        write_conversation(t, (uint32_t)n);
}

/* ---- groups ---- */

static struct slice visible_text(const struct conv *c, struct id16 user, char out[VISIBLE_TEXT])
{
    struct conv_interval v[CONV_VISIBLE];
    size_t n = conv_visible(c, user, v), at = 0;
    out[at++] = '{';
    for (size_t i = 0; i < n; i++) {
        char upto[24] = ")";
        if (v[i].to)
            (void)snprintf(upto, sizeof upto, "%llu]", (unsigned long long)v[i].to);
        int len = snprintf(out + at, VISIBLE_TEXT - at, "%s[%llu,%s", i ? "," : "",
                           (unsigned long long)v[i].from, upto);
        at += (size_t)len;
    }
    out[at++] = '}';
    return (struct slice){out, at};
}

static void group_member(struct turn *t, struct id16 user, struct slice login, bool joins)
{
    struct conv_member_view view;
    char visible[VISIBLE_TEXT];
    if (!conv_member(t->conv, user, &view))
        return;
    struct member_row row = {
        .joined = joins ? t->out->seq : 0,
        .muted_until_ms = view.muted_until_ms,
        .role = view.role,
        .login = row_login(login),
        .visible = visible_text(t->conv, user, visible),
    };
    write_member(t, user, &row);
    if (view.read || view.delivered)
        write_marks(t, user, &view);
}

static void drop_ask(struct turn *t, struct id16 user)
{
    uint8_t key[KEY_PAIR];
    pair_key(t->rec->event.conv, user, key);
    fx_put(t->fx, P_ASK, (struct slice){key, sizeof key}, (struct slice){0});
}

static void ask(struct turn *t)
{
    const struct convrec *rec = t->rec;
    const struct ask_row row = {
        .time_ms = t->out->time_ms, .login = row_login(rec->user_login), .text = body_text(rec)};
    uint8_t key[KEY_PAIR];
    pair_key(rec->event.conv, rec->event.user, key);
    fx_put(t->fx, P_ASK, (struct slice){key, sizeof key}, ask_row_pack(t->fx, &row));
}

enum { ROWS = 1, JOINS = 2, ASKED = 4 };

/* Those the outcome marks; all when it marks none. */
static void named(struct turn *t, int what)
{
    const struct conv_outcome *o = t->out;
    const struct convrec *rec = t->rec;
    const uint8_t *p = rec->event.users.p;
    bool all = (o->changed[0] | o->changed[1]) == 0;
    for (size_t i = 0; i < rec->event.users.n / ID_SIZE; i++) {
        struct id16 user;
        if (!all && !(o->changed[i / 64] >> i % 64 & 1))
            continue;
        memcpy(user.b, p + i * ID_SIZE, ID_SIZE);
        if (what & ROWS)
            group_member(t, user, i < rec->n_logins ? rec->logins[i] : (struct slice){"", 0}, what & JOINS);
        if (what & ASKED)
            drop_ask(t, user);
    }
}

static void group_rows(struct turn *t)
{
    const struct conv_event *ev = &t->rec->event;
    struct slice login = t->rec->user_login;
    switch (ev->kind) {
    case IM__CONV_KIND__CONV_GROUP_CREATE:
        group_member(t, ev->user, login, true);
        named(t, ROWS | JOINS);
        break;
    case IM__CONV_KIND__CONV_GROUP_JOIN:
        group_member(t, ev->user, login, true);
        drop_ask(t, ev->user);
        break;
    case IM__CONV_KIND__CONV_GROUP_LEAVE:
        group_member(t, ev->user, login, false);
        break;
    case IM__CONV_KIND__CONV_GROUP_INVITE:
    case IM__CONV_KIND__CONV_GROUP_APPROVE:
        named(t, ROWS | JOINS | ASKED);
        break;
    case IM__CONV_KIND__CONV_GROUP_HAND_OVER:
        group_member(t, ev->user, login, false);
        named(t, ROWS);
        break;
    case IM__CONV_KIND__CONV_GROUP_REMOVE:
        named(t, ROWS);
        break;
    case IM__CONV_KIND__CONV_GROUP_ROLE:
    case IM__CONV_KIND__CONV_GROUP_MUTE:
    case IM__CONV_KIND__CONV_GROUP_UNMUTE:
        named(t, ROWS);
        return; /* the group itself is as it was */
    default:
        break;
    }
    write_conversation(t, conv_count(t->conv));
}

static void noted(struct turn *t)
{
    const struct conv_event *ev = &t->rec->event;
    struct conv_member_view view;
    switch (ev->kind) {
    case IM__CONV_KIND__CONV_RECEIPT:
        if (conv_member(t->conv, ev->user, &view))
            write_marks(t, ev->user, &view);
        break;
    case IM__CONV_KIND__CONV_GROUP_JOIN:
        ask(t);
        break;
    case IM__CONV_KIND__CONV_GROUP_DECLINE:
        named(t, ASKED);
        break;
    default:
        break;
    }
}

void model_write(struct fx *fx, const struct convrec *rec, const struct conv_outcome *out, int64_t offset,
                 const struct conv *after, const struct model_before *before)
{
    struct turn t = {fx, rec, out, offset, after, before};
    enum conv_type type = conv_type(after);
    uint32_t kind = rec->event.kind;
    if (type == CONV_DIRECT && (is_first(&t) || about_two(kind)))
        pair_rows(&t);
    else if (type == CONV_SYSTEM && is_first(&t))
        write_conversation(&t, 0);
    else if (out->verdict == CONV_NOTED)
        noted(&t);
    else if (type == CONV_GROUP && kind >= IM__CONV_KIND__CONV_GROUP_CREATE &&
             kind <= IM__CONV_KIND__CONV_GROUP_APPROVE)
        group_rows(&t);
}
