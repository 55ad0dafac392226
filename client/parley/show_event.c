/* show_event.c: what happened in a conversation, in words. */
#include "client/parley/options.h"
#include "client/parley/show.h"

#include <inttypes.h>
#include <string.h>

static void people_text(char *out, size_t n, const struct parley_person *v, size_t count)
{
    char name[400];
    size_t used = 0;
    *out = '\0';
    for (size_t i = 0; i < count && used < n; i++) {
        if (i == 5 && count > 6) {
            (void)snprintf(out + used, n - used, " and %zu more", count - i);
            return;
        }
        show_clean(name, sizeof name, *v[i].login ? v[i].login : "somebody", "?");
        used += (size_t)snprintf(out + used, n - used, "%s%s",
                                 !i               ? ""
                                 : i + 1 == count ? " and "
                                                  : ", ",
                                 name);
    }
}

static const char *role_text(enum parley_role r)
{
    return r == PARLEY_ROLE_OWNER ? "owner" : r == PARLEY_ROLE_ADMIN ? "an admin" : "no admin";
}

/* What somebody did, without who and to whom. */
static const char *deed_of(const struct parley_message *m)
{
    switch (m->kind) {
    case PARLEY_GROUP_JOIN:
        return "joined";
    case PARLEY_GROUP_LEAVE:
        return "left";
    case PARLEY_GROUP_INVITE:
        return "invited ";
    case PARLEY_GROUP_REMOVE:
        return "removed ";
    case PARLEY_GROUP_HAND_OVER:
        return "handed the group over to ";
    case PARLEY_GROUP_MUTE:
        return "muted ";
    case PARLEY_GROUP_UNMUTE:
        return "unmuted ";
    case PARLEY_GROUP_APPROVE:
        return "let in ";
    case PARLEY_GROUP_DISSOLVE:
        return "dissolved the group";
    case PARLEY_FRIEND_CONFIRM:
        return "said yes: you are friends";
    case PARLEY_FRIEND_REFUSE:
        return "said no to being friends";
    case PARLEY_FRIEND_REMOVE:
        return "ended the friendship";
    default:
        return "did something that this program does not know";
    }
}

static void about_message(char *out, size_t n, const struct parley_message *m, const char *who,
                          const char *text)
{
    switch (m->kind) {
    case PARLEY_EDIT:
        snprintf(out, n, "%s changed #%" PRIu64 ": %s", who, m->target, text);
        break;
    case PARLEY_RECALL:
        snprintf(out, n, "%s took #%" PRIu64 " back", who, m->target);
        break;
    case PARLEY_REACT:
        if (*text)
            snprintf(out, n, "%s: %s to #%" PRIu64, who, text, m->target);
        else
            snprintf(out, n, "%s took the reaction to #%" PRIu64 " back", who, m->target);
        break;
    default:
        snprintf(out, n, "%s %s #%" PRIu64, who, m->kind == PARLEY_PIN ? "pinned" : "unpinned", m->target);
    }
}

static void about_group(char *out, size_t n, const struct parley_message *m, const char *who,
                        const char *text)
{
    char people[3000], flags[80], until[16] = "";
    people_text(people, sizeof people, m->people, m->people_n);
    switch (m->kind) {
    case PARLEY_GROUP_CREATE:
        snprintf(out, n, "%s made the group \"%s\"%s%s", who, text, *people ? " with " : "", people);
        break;
    case PARLEY_GROUP_RENAME:
        snprintf(out, n, "%s called the group \"%s\"", who, text);
        break;
    case PARLEY_GROUP_NOTICE:
        snprintf(out, n, "%s %s%s", who, *text ? "put up a notice: " : "took the notice down", text);
        break;
    case PARLEY_GROUP_ROLE:
        snprintf(out, n, "%s made %s %s", who, people, role_text(m->role));
        break;
    case PARLEY_GROUP_SETTINGS:
        options_flags_text(flags, sizeof flags, m->flags);
        snprintf(out, n, "%s changed the settings: %s", who, *flags ? flags : "none");
        break;
    case PARLEY_FRIEND_REQUEST:
        snprintf(out, n, "%s asks to be friends%s%s", who, *text ? ": " : "", text);
        break;
    default:
        if (m->until_ms)
            show_time(until, m->until_ms);
        snprintf(out, n, "%s %s%s%s%s", who, deed_of(m), people, *until ? " until " : "", until);
    }
}

void show_event(char *out, size_t n, const struct parley_message *m, const char *line_break)
{
    static char text[3 * PARLEY_TEXT_MAX + 8];
    char who[400];
    show_clean(who, sizeof who, m->sender_login, "?");
    if (*m->content_type) {
        char type[400];
        show_clean(type, sizeof type, m->content_type, "?");
        snprintf(text, sizeof text, "[%s, %zu bytes]", type, m->data_n);
    } else {
        show_clean(text, sizeof text, m->text, line_break);
    }
    char answers[40] = "";
    if (m->reply_to)
        snprintf(answers, sizeof answers, "(to #%" PRIu64 ") ", m->reply_to);
    if (m->kind == PARLEY_MESSAGE)
        snprintf(out, n, "%s: %s%s", who, answers, text);
    else if (m->kind == PARLEY_ANNOUNCEMENT)
        snprintf(out, n, "%s announces: %s", who, text);
    else if (m->kind < PARLEY_GROUP_CREATE)
        about_message(out, n, m, who, text);
    else
        about_group(out, n, m, who, text);
}

void show_note(char *out, size_t n, const struct parley_note *m)
{
    char who[400], people[3000], text[1200];
    show_clean(who, sizeof who, m->sender_login, "?");
    show_clean(text, sizeof text, m->text, " ");
    people_text(people, sizeof people, m->people, m->people_n);
    switch (m->kind) {
    case PARLEY_GROUP_JOIN:
        snprintf(out, n, "%s asks to join%s%s", who, *text ? ": " : "", text);
        break;
    case PARLEY_GROUP_DECLINE:
        snprintf(out, n, "%s did not let in %s", who, people);
        break;
    case PARLEY_BLOCK:
    case PARLEY_UNBLOCK:
        snprintf(out, n, "%s here, from another device of yours",
                 m->kind == PARLEY_BLOCK ? "blocked" : "unblocked");
        break;
    default:
        snprintf(out, n, "%s: %s", who, parley_kind_name(m->kind));
    }
}
