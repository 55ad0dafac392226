#include "client/parley/show_rows.h"

#include "client/parley/options.h"

#include <inttypes.h>
#include <string.h>

const char *row_role(enum parley_role r)
{
    static const char *const names[] = {"none", "member", "admin", "owner"};
    return r < 4 ? names[r] : "?";
}

static const char *friend_of(enum parley_friend f)
{
    static const char *const names[] = {"", "asked", "asks you", "friend"};
    return f < 4 ? names[f] : "?";
}

static void name_of(char *out, size_t n, const struct parley_conversation *c, int cols)
{
    char name[400];
    if (c->system)
        snprintf(name, sizeof name, "+system");
    else
        snprintf(name, sizeof name, "%s%.300s", c->group ? "+" : "", c->group ? c->name : c->peer.login);
    show_column(out, n, name, cols);
}

/* "+lunch               3 new  14:03        bob: hello there …" */
void row_conversation(char out[ROW], const struct parley_conversation *c)
{
    char name[200], unread[16] = "", when[16] = "", last[400] = "", text[3000] = "";
    name_of(name, sizeof name, c, 22);
    if (c->unread)
        snprintf(unread, sizeof unread, c->unread >= 1000 ? "999+ new" : "%u new", (unsigned)c->unread);
    if (c->last) {
        show_time(when, c->last->message.time_ms);
        if (c->last->recalled)
            snprintf(text, sizeof text, "%.60s took a message back", c->last->message.sender_login);
        else
            show_event(text, sizeof text, &c->last->message, " ");
    } else if (*c->remark) {
        snprintf(text, sizeof text, "%.200s", c->remark);
    }
    show_column(last, sizeof last, text, -32);
    snprintf(out, ROW, "%s %8s %-12s %s%s%s", name, unread, when, c->pinned ? "^" : "", c->muted ? "~" : "",
             last);
}

json_t *row_conversation_json(const struct parley_conversation *c)
{
    json_t *j = json_pack(
        "{so ss so so sI sI sI sI sI sI sb sb so ss si si so so sb sb sI sI ss}", "conversation",
        show_hex_json(c->id, PARLEY_ID), "type",
        c->group    ? "group"
        : c->system ? "system"
                    : "direct",
        "name", show_text_json(c->group ? c->name : c->peer_name), "with", show_text_json(c->peer.login),
        "unread", (json_int_t)c->unread, "head", (json_int_t)c->head, "read", (json_int_t)c->read,
        "peer_read", (json_int_t)c->peer_read, "peer_delivered", (json_int_t)c->peer_delivered,
        "first_visible", (json_int_t)c->first_visible, "pinned", (int)c->pinned, "muted", (int)c->muted,
        "remark", show_text_json(c->remark), "role", row_role(c->role), "flags", (int)c->flags, "members",
        (int)c->members, "notice", show_text_json(c->notice), "owner", show_hex_json(c->owner, PARLEY_ID),
        "dissolved", (int)c->dissolved, "blocked", (int)c->blocked, "muted_until_ms",
        (json_int_t)c->muted_until_ms, "created_ms", (json_int_t)c->created_ms, "friend",
        friend_of(c->friend_state));
    if (!j)
        return NULL;
    json_object_set_new(j, "last_visible", json_integer((json_int_t)c->last_visible));
    if (c->last)
        json_object_set_new(j, "last", row_item_json(c->last));
    if (c->pins_n) {
        json_t *pins = json_array();
        for (size_t i = 0; i < c->pins_n; i++)
            json_array_append_new(pins, json_integer((json_int_t)c->pins[i]));
        json_object_set_new(j, "pins", pins);
    }
    return j;
}

static void reactions_text(char *out, size_t n, const struct parley_item *m)
{
    char text[120], who[200];
    size_t used = 0;
    *out = '\0';
    for (size_t i = 0; i < m->reactions_n && used < n; i++) {
        if (i == 8) {
            (void)snprintf(out + used, n - used, " and %zu more", m->reactions_n - i);
            break;
        }
        show_column(text, sizeof text, m->reactions[i].text, -16);
        show_column(who, sizeof who, m->reactions[i].by.login, -20);
        used += (size_t)snprintf(out + used, n - used, "%s%s %s", i ? ", " : " [", text, who);
    }
    if (used && used < n)
        snprintf(out + strlen(out), n - strlen(out), "]");
}

void row_item(char *out, size_t n, const struct parley_item *m, const char *where, const char *line_break)
{
    char when[16], reactions[2000], who[400], read[40] = "";
    show_time(when, m->message.time_ms);
    size_t used = (size_t)snprintf(out, n, "%s%s%s ", where, *where ? " " : "", when);
    if (m->recalled) {
        show_clean(who, sizeof who, m->message.sender_login, "?");
        snprintf(out + used, n - used, "%s took this back", who);
        return;
    }
    show_event(out + used, n - used, &m->message, line_break);
    used += strlen(out + used);
    reactions_text(reactions, sizeof reactions, m);
    if (m->read_by)
        snprintf(read, sizeof read, " (read by %u)", (unsigned)m->read_by);
    snprintf(out + used, n - used, "%s%s%s%s", m->edited ? " (changed)" : "", m->pinned ? " (pinned)" : "",
             reactions, read);
}

json_t *row_item_json(const struct parley_item *m)
{
    json_t *j = show_message_json(&m->message), *reactions = json_array();
    for (size_t i = 0; i < m->reactions_n; i++)
        json_array_append_new(reactions,
                              json_pack("{so so}", "login", show_text_json(m->reactions[i].by.login), "text",
                                        show_text_json(m->reactions[i].text)));
    if (!j) {
        json_decref(reactions);
        return NULL;
    }
    json_object_set_new(j, "edited", json_boolean(m->edited));
    json_object_set_new(j, "recalled", json_boolean(m->recalled));
    json_object_set_new(j, "pinned", json_boolean(m->pinned));
    json_object_set_new(j, "read_by", json_integer(m->read_by));
    json_object_set_new(j, "reactions", reactions);
    return j;
}

static void seen_text(char out[40], bool online, int64_t last_ms)
{
    char when[16];
    show_time(when, last_ms);
    if (online)
        snprintf(out, 40, "online");
    else if (last_ms)
        snprintf(out, 40, "seen %s", when);
    else
        snprintf(out, 40, "offline");
}

void row_member(char out[ROW], const struct parley_member *m)
{
    char login[200], name[200], until[16] = "";
    show_column(login, sizeof login, m->person.login, 24);
    show_column(name, sizeof name, m->name, -16);
    if (m->muted_until_ms > 0)
        show_time(until, m->muted_until_ms);
    snprintf(out, ROW, "%s %-7s %-7s %s%s%s", login, row_role(m->role), m->online ? "online" : "", name,
             m->muted_until_ms ? " (muted) " : "", until);
}

json_t *row_member_json(const struct parley_member *m)
{
    return json_pack("{so so so ss sI sI sI sb}", "user", show_hex_json(m->person.user, PARLEY_ID), "login",
                     show_text_json(m->person.login), "name", show_text_json(m->name), "role",
                     row_role(m->role), "muted_until_ms", (json_int_t)m->muted_until_ms, "joined",
                     (json_int_t)m->joined, "read", (json_int_t)m->read, "online", (int)m->online);
}

void row_applicant(char out[ROW], const struct parley_applicant *m)
{
    char login[200], text[400], when[16];
    show_time(when, m->time_ms);
    show_column(login, sizeof login, m->person.login, 24);
    show_column(text, sizeof text, m->text, -40);
    snprintf(out, ROW, "%s %-12s %s", login, when, text);
}

json_t *row_applicant_json(const struct parley_applicant *m)
{
    return json_pack("{so so so sI}", "user", show_hex_json(m->person.user, PARLEY_ID), "login",
                     show_text_json(m->person.login), "text", show_text_json(m->text), "time_ms",
                     (json_int_t)m->time_ms);
}

void row_user(char out[ROW], const struct parley_user *m)
{
    char login[200], name[200], remark[200], seen[40];
    show_column(login, sizeof login, m->person.login, 22);
    show_column(name, sizeof name, m->name, 18);
    show_column(remark, sizeof remark, m->blocked ? "" : m->remark, -9);
    seen_text(seen, m->online, m->last_seen_ms);
    snprintf(out, ROW, "%s %s %-18s %-8s %s%s", login, name, seen, friend_of(m->friend_state),
             m->blocked ? "blocked " : "", remark);
}

json_t *row_user_json(const struct parley_user *m)
{
    return json_pack("{so so so so ss sb sb sI}", "user", show_hex_json(m->person.user, PARLEY_ID), "login",
                     show_text_json(m->person.login), "name", show_text_json(m->name), "remark",
                     show_text_json(m->remark), "friend", friend_of(m->friend_state), "blocked",
                     (int)m->blocked, "online", (int)m->online, "last_seen_ms", (json_int_t)m->last_seen_ms);
}

void row_contact(char out[ROW], const struct parley_contact *m)
{
    char text[400];
    row_user(out, &m->user);
    if (!*m->text || m->user.friend_state == PARLEY_FRIEND)
        return;
    size_t used = strlen(out);
    show_column(text, sizeof text, m->text, -72);
    snprintf(out + used, ROW - used, "\n    \"%s\"", text);
}

json_t *row_contact_json(const struct parley_contact *m)
{
    json_t *j = row_user_json(&m->user);
    if (j) {
        json_object_set_new(j, "conversation", show_hex_json(m->conversation, PARLEY_ID));
        json_object_set_new(j, "text", show_text_json(m->text));
        json_object_set_new(j, "since_ms", json_integer((json_int_t)m->since_ms));
    }
    return j;
}

void row_device(char out[ROW], const struct parley_device *m)
{
    char id[200], kind[100], when[16];
    show_time(when, m->added_ms);
    show_column(id, sizeof id, m->device_id, 30);
    show_column(kind, sizeof kind, m->device_class, 9);
    snprintf(out, ROW, "%-4u %s %s %-12s %s%s", m->device, kind, id, when, m->online ? "online" : "",
             m->current ? " (this)" : "");
}

json_t *row_device_json(const struct parley_device *m)
{
    return json_pack("{si so so sI sb sb}", "device", (int)m->device, "device_id",
                     show_text_json(m->device_id), "class", show_text_json(m->device_class), "added_ms",
                     (json_int_t)m->added_ms, "online", (int)m->online, "current", (int)m->current);
}

void row_presence(char out[ROW], const char *login, const struct parley_presence *m)
{
    char name[200], seen[40];
    show_column(name, sizeof name, login, -40);
    seen_text(seen, m->online, m->last_seen_ms);
    snprintf(out, ROW, "%s: %s", name, seen);
}

json_t *row_presence_json(const char *login, const struct parley_presence *m)
{
    return json_pack("{so so sb sI}", "user", show_hex_json(m->user, PARLEY_ID), "login",
                     show_text_json(login), "online", (int)m->online, "last_seen_ms",
                     (json_int_t)m->last_seen_ms);
}
