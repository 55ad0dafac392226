/* cmd_group.c: groups: making them, who is in them, what holds in them. */
#include "client/parley/commands.h"

#include "client/parley/show_rows.h"
#include "common/base/hex.h"

#include <string.h>

#define ASK(...) (&(struct parley_question){__VA_ARGS__})

/* The words from `first` on, without their @. */
static const char *const *people(struct call *c, size_t first, size_t *n)
{
    for (size_t i = first; i < c->args.n_words; i++)
        c->args.words[i] += *c->args.words[i] == '@';
    *n = c->args.n_words - first;
    return c->args.words + first;
}

void cmd_group_create(struct call *c)
{
    size_t n;
    const char *const *v = people(c, 1, &n);
    call_deed(c, parley_group_create(c->se->run->p, c->args.words[0], v, n, c->opt.flags), "made");
}

void cmd_group_people(struct call *c)
{
    static const struct {
        const char *name;
        enum parley_kind kind;
        const char *said;
    } kinds[] = {{"group invite", PARLEY_GROUP_INVITE, "invited"},
                 {"group remove", PARLEY_GROUP_REMOVE, "removed"},
                 {"group hand-over", PARLEY_GROUP_HAND_OVER, "handed over"},
                 {"group unmute", PARLEY_GROUP_UNMUTE, "unmuted"},
                 {"group approve", PARLEY_GROUP_APPROVE, "let in"},
                 {"group decline", PARLEY_GROUP_DECLINE, "declined"}};
    struct parley_op o = {0};
    const char *said = "";
    o.logins = people(c, 0, &o.logins_n);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].name, c->cmd->name))
            o.kind = kinds[i].kind, said = kinds[i].said;
    call_do(c, &o, said);
}

void cmd_group_mute(struct call *c)
{
    struct parley_op o = {.kind = PARLEY_GROUP_MUTE, .duration_s = c->opt.for_s};
    o.logins = people(c, 0, &o.logins_n);
    call_do(c, &o, "muted");
}

void cmd_group_role(struct call *c)
{
    struct parley_op o = {.kind = PARLEY_GROUP_ROLE};
    const char *role = c->args.words[0];
    o.logins = people(c, 1, &o.logins_n);
    o.role = !strcmp(role, "admin") ? PARLEY_ROLE_ADMIN : PARLEY_ROLE_MEMBER;
    if (o.role == PARLEY_ROLE_MEMBER && strcmp(role, "member") != 0)
        call_usage(c, "the role is admin or member");
    else
        call_do(c, &o, "done");
}

void cmd_group_join(struct call *c)
{
    const char *id = c->args.words[0];
    id += *id == '+';
    if (strlen(id) != 2 * PARLEY_ID || hex_decode(c->place.id, PARLEY_ID, id)) {
        call_usage(c, "a group to join is named by its id: 32 digits, which its members see with `info`");
        return;
    }
    c->place.has_id = c->place.group = true;
    call_do(c, &(struct parley_op){.kind = PARLEY_GROUP_JOIN, .text = c->text}, "joined, or asked to");
}

void cmd_group_leave(struct call *c)
{
    call_do(c, &(struct parley_op){.kind = PARLEY_GROUP_LEAVE}, "left");
}

void cmd_group_rename(struct call *c)
{
    call_do(c, &(struct parley_op){.kind = PARLEY_GROUP_RENAME, .text = c->text}, "renamed");
}

void cmd_group_notice(struct call *c)
{
    call_do(c, &(struct parley_op){.kind = PARLEY_GROUP_NOTICE, .text = c->text}, "done");
}

void cmd_group_set(struct call *c)
{
    struct parley_op o = {.kind = PARLEY_GROUP_SETTINGS};
    for (size_t i = 0; i < c->args.n_words; i++)
        if (!options_flags(c->args.words[i], &o.flags, &o.flags_mask)) {
            call_usage(c, "a setting is approval, history, quiet or private, or no- and one of them");
            return;
        }
    call_do(c, &o, "done");
}

void cmd_group_dissolve(struct call *c)
{
    if (call_confirmed(c, "End this group for everybody?"))
        call_do(c, &(struct parley_op){.kind = PARLEY_GROUP_DISSOLVE}, "dissolved");
}

/* ---- who ---- */
static void ask_row(struct call *c, const struct parley_answer *a, size_t i)
{
    char line[ROW];
    row_applicant(line, &a->asks[i]);
    if (call_is_json(c))
        call_json(c, row_applicant_json(&a->asks[i]));
    else
        call_line(c, "%s", line);
}

void cmd_group_asks(struct call *c)
{
    call_rows(c, ASK(.about = PARLEY_ASK_ASKS), true, 100, ask_row, "nobody asks to join");
}

static void member_row(struct call *c, const struct parley_answer *a, size_t i)
{
    char line[ROW];
    row_member(line, &a->members[i]);
    if (call_is_json(c))
        call_json(c, row_member_json(&a->members[i]));
    else
        call_line(c, "%s", line);
}

void cmd_members(struct call *c)
{
    call_rows(c, ASK(.about = PARLEY_ASK_MEMBERS), true, 100, member_row, "nobody");
}
