/* Every command of parley as a script uses it, over two edges, routers and fanouts: exit codes, and what is printed. */
#include "client/parley/command.h"
#include "tests/support/pipeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct pl *pl;
static char state_home[4200], group[33];

struct step {
    const char *user, *args; /* words between bars; %G: the group's id */
    int rc;
    const char *has, *not ; /* in what is printed; NULL: anything */
};
#define N_STEPS(v) (sizeof v / sizeof *v)

static int setup(void **state)
{
    (void)state;
    pl = pl_up(&(struct pl_conf){0});
    snprintf(state_home, sizeof state_home, "XDG_STATE_HOME=%s/state", pl_folder(pl));
    setenv("PARLEY_PASSWORD", "correct horse", 1);
    unsetenv("PARLEY_USER");
    return 0;
}

static int run(const struct step *s, char **out)
{
    static int edge;
    char words[600];
    const char *argv[30] = {"parley", "--server", pl_edge(pl, edge++ & 1), "--timeout", "60"};
    int n = 5;
    if (s->user) {
        argv[n++] = "--user";
        argv[n++] = s->user;
    }
    snprintf(words, sizeof words, "%s", s->args);
    for (char *rest = words, *w; (w = strsep(&rest, "|"));)
        argv[n++] = strcmp(w, "%G") ? w : group;
    return pl_run(pl, argv, state_home, out);
}

static bool fits(const struct step *s, int rc, const char *out)
{
    return rc == s->rc && (!s->has || strstr(out, s->has)) && (!s->not || !strstr(out, s->not ));
}

/* A read may be a moment behind what another process of parley did: it is asked again. Nothing else is. */
static bool reads(const struct step *s)
{
    static const char *const names[] = {
        "list",  "unread",  "history", "search",  "find",       "changes",    "pins",    "info", "who",
        "users", "friends", "blocked", "members", "group|list", "group|asks", "devices", "me"};
    for (size_t i = 0; i < N_STEPS(names); i++)
        if (!strncmp(s->args, names[i], strlen(names[i])) &&
            (!s->args[strlen(names[i])] || s->args[strlen(names[i])] == '|'))
            return true;
    return false;
}

static void steps(const struct step *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *out = NULL;
        int64_t by = clock_mono_ms() + pl_ms(PL_WAIT_MS);
        int rc = run(&v[i], &out);
        while (!fits(&v[i], rc, out) && reads(&v[i]) && clock_mono_ms() < by) {
            free(out);
            pl_turn(pl, by, v[i].args, __FILE__, __LINE__);
            rc = run(&v[i], &out);
        }
        if (!fits(&v[i], rc, out))
            fail_msg("%s: %s: exit %d, not %d, and: %s", v[i].user, v[i].args, rc, v[i].rc, out);
        if (!strncmp(v[i].args, "group|create", 12))
            snprintf(group, sizeof group, "%.32s", out);
        free(out);
    }
}

static const struct step accounts[] = {
    {NULL, "register|ann|Ann A.", 0, NULL, NULL},
    {NULL, "register|ben", 0, NULL, NULL},
    {NULL, "register|cat", 0, NULL, NULL},
    {NULL, "exists|ann", 0, "yes", NULL},
    {"ann", "login", 0, NULL, NULL},
    {"ben", "login", 0, NULL, NULL},
    {"cat", "login", 0, NULL, NULL},
    {"ann", "me|--json", 0, "\"login\":\"ann\"", NULL},
    {"ann", "profile|--name|Anna|--presence|friends", 0, NULL, NULL},
    {"ben", "who|ann", 0, "Anna", NULL},
    {"ben", "who|nobody", 1, "UNKNOWN_USER", NULL},
    {"ben", "users|an", 0, "Anna", NULL},
    {"ann", "help|group|create", 0, "--set", NULL},
    {"ann", "help|dance", 2, NULL, NULL},
    {"ann", "token|--json", 0, "expires_ms", "\"token\""},
};
static const struct step messages[] = {
    {"ann", "send|--wait|sequenced|ben|hello \033[31mthere", 0, "#1", NULL},
    {"ben", "listen|--count|1", 0, "hello \xef\xbf\xbd[31mthere", "\033"},
    {"ben", "unread", 0, "1 new", NULL},
    {"ben", "reply|--wait|ann|1|and back", 2, NULL, NULL}, /* --wait wants a stage */
    {"ben", "reply|--wait|sequenced|ann|#1|and back", 0, "#2", NULL},
    {"ann", "history|ben", 0, "(to #1) and back", NULL},
    {"ben", "history|ann|--json|--limit|1", 0, "\"reply_to\":1", NULL},
    {"ben", "history|ann|--before|2", 0, "hello", "back"},
    {"ben", "history|ann|--after|1|--limit|0", 0, "back", "hello"},
    {"ben", "history|ann|--after|1|--around|2", 2, NULL, NULL},
    {"ann", "edit|ben|1|hello again", 0, "#3", NULL},
    {"ben", "edit|ann|1|not mine", 1, "NOT_ALLOWED", NULL},
    {"ben", "changes|ann|1", 0, "changed #1: hello again", NULL},
    {"ben", "react|ann|1|+1", 0, "#4", NULL},
    {"ben", "react|ann|99|+1", 1, "NO_SUCH_MESSAGE", NULL},
    {"ben", "pin|ann|1", 0, "#5", NULL},
    {"ann", "pins|ben", 0, "hello again", NULL},
    {"ann", "history|ben", 0, "hello again (changed) (pinned) [+1 ben]", NULL},
    {"ann", "unpin|ben|1", 0, "#6", NULL},
    {"ann", "unpin|ben|1", 1, "NO_CHANGE", NULL},
    {"ben", "react|ann|1", 0, "#7", NULL},
    {"ann", "search|again hello", 0, "hello again", NULL},
    {"ann", "find|ben|hello", 0, "hello again", NULL},
    {"ann", "search|nothing like it", 0, "nothing", NULL},
    {"ann", "recall|ben|1", 0, "#8", NULL},
    {"ben", "history|ann", 0, "took this back", "hello"},
    {"ben", "read|ann|--json", 0, "\"unread\":0", NULL},
    {"ben", "unread", 0, "nothing is unread", NULL},
    {"ann", "info|ben", 0, "read #8", NULL},
    {"ann", "typing|ben", 0, NULL, NULL},
    {"ann", "keep|ben|on", 0, NULL, NULL},
    {"ann", "list", 0, "^", NULL}, /* marks are set all together: each command begins with what is known */
    {"ann", "silence|ben|on", 0, NULL, NULL},
    {"ann", "list", 0, "^~", NULL},
    {"ann", "remark|ben|the good one", 0, NULL, NULL},
    {"ann", "list", 0, "^~", NULL},
    {"ann", "info|ben", 0, "the good one", NULL},
    {"ann", "announce|not mine to say", 1, "NOT_ALLOWED", NULL},
    {"ben", "pull|--json", 0, "\"kind\":\"RECALL\"", NULL},
};
static const struct step friends[] = {
    {"ann", "friends", 0, "no friends", NULL},
    {"ann", "friend|add|ben|it is me", 0, "asked", NULL},
    {"ben", "friends", 0, "it is me", NULL},
    {"ben", "friend|refuse|ann", 0, NULL, NULL},
    {"ben", "friend|confirm|ann", 1, "NO_CHANGE", NULL},
    {"ann", "friend|add|ben", 0, NULL, NULL},
    {"ben", "friend|confirm|ann", 0, "you are friends", NULL},
    {"ben", "friends|--json", 0, "\"friend\":\"friend\"", NULL},
    {"ben", "watch|--count|1", 0, "ann:", NULL},
    {"ann", "friend|remove|ben", 0, NULL, NULL},
    {"ben", "block|cat", 0, "blocked", NULL},
    {"ben", "blocked", 0, "cat", NULL},
    {"cat", "send|--wait|sequenced|ben|boo", 1, "BLOCKED", NULL},
    {"ben", "unblock|cat", 0, "unblocked", NULL},
    {"cat", "send|--wait|sequenced|ben|boo", 0, NULL, NULL},
};
static const struct step groups[] = {
    {"ben", "pull", 0, NULL, NULL}, /* nothing of before is waiting */
    {"ann", "group|create|--set|history|lunch|ben", 0, NULL, NULL},
    {"ben", "group|list", 0, "+lunch", NULL},
    {"ann", "send|--wait|sequenced|--mention|ben|+lunch|noon?", 0, "#2", NULL},
    {"ben", "listen|--json|--count|2", 0, "\"me\":true", NULL}, /* the invitation, the message */
    {"cat", "send|--wait|sequenced|%G|let me in", 1, "NOT_A_MEMBER", NULL},
    {"cat", "info|%G", 1, "NOT_A_MEMBER", NULL},
    {"cat", "send|+lunch|who?", 2, "no group of yours", NULL},
    {"cat", "group|join|%G", 0, "#3", NULL},
    {"cat", "history|%G", 0, "noon?", NULL},
    {"ben", "group|remove|lunch|cat", 1, "NOT_ALLOWED", NULL},
    {"ann", "group|role|lunch|admin|ben", 0, NULL, NULL},
    {"ben", "group|remove|lunch|cat", 0, "removed", NULL},
    {"ben", "group|set|lunch|approval|no-history", 0, NULL, NULL},
    {"cat", "group|join|%G|please", 0, NULL, NULL},
    {"ben", "group|asks|lunch", 0, "please", NULL},
    {"ben", "group|decline|lunch|cat", 0, "declined", NULL},
    {"cat", "group|join|%G|please, please", 0, NULL, NULL},
    {"ben", "group|approve|lunch|cat", 0, "let in", NULL},
    {"ben", "members|lunch", 0, "admin", NULL},
    {"ben", "members|+lunch|--json", 0, "\"login\":\"cat\"", NULL},
    {"ben", "group|mute|lunch|cat|--for|1h", 0, "muted", NULL},
    {"cat", "send|--wait|sequenced|+lunch|hm", 1, "MUTED", NULL},
    {"ben", "group|unmute|lunch|cat", 0, "unmuted", NULL},
    {"cat", "send|--wait|sequenced|+lunch|ah", 0, NULL, NULL},
    {"ben", "group|rename|lunch|big lunch", 0, NULL, NULL},
    {"ben", "group|notice|big lunch|be there", 0, NULL, NULL},
    {"cat", "info|+big lunch", 0, "be there", NULL},
    {"ann", "list|--groups|--json", 0, "\"name\":\"big lunch\"", NULL},
    {"cat", "group|leave|+big lunch", 0, "left", NULL},
    {"ann", "group|leave|%G", 1, "OWNER_STAYS", NULL},
    {"ann", "group|invite|%G|cat", 0, "invited", NULL},
    {"ann", "group|hand-over|%G|ben", 0, NULL, NULL},
    {"ben", "group|dissolve|%G", 2, "--yes", NULL},
    {"ben", "group|dissolve|%G|--yes", 0, "dissolved", NULL},
    {"ann", "send|--wait|sequenced|%G|anybody?", 1, "GONE", NULL},
};
static const struct step devices[] = {
    {"ann", "--device|phone|login", 0, NULL, NULL},
    {"ann", "devices", 0, "(this)", NULL},
    {"ann", "revoke|2", 2, "--yes", NULL},
    {"ann", "revoke|2|--yes", 0, NULL, NULL},
    {"ann", "devices|--json", 0, NULL, "\"device\":2"},
    {"ann", "revoke|--others|--yes", 0, NULL, NULL},
    {"ann", "me", 0, "ann", NULL},
};

static void of_accounts(void **state)
{
    (void)state;
    steps(accounts, N_STEPS(accounts));
}

static void of_messages(void **state)
{
    (void)state;
    steps(messages, N_STEPS(messages));
}

static void of_friends(void **state)
{
    (void)state;
    steps(friends, N_STEPS(friends));
}

static void of_groups(void **state)
{
    (void)state;
    steps(groups, N_STEPS(groups));
}

static void of_devices(void **state)
{
    (void)state;
    steps(devices, N_STEPS(devices));
}

static void of_the_operator(void **state)
{
    static const struct step after[] = {
        {"ann", "announce|to all of you", 0, NULL, NULL},
        {"cat", "history|+system", 0, "ann announces: to all of you", NULL},
    };
    (void)state;
    PL_CTL(pl, "user", "admin", "ann", "on");
    char *out = NULL; /* the router takes it in its own time */
    while (run(&after[0], &out) != 0 && strstr(out, "NOT_ALLOWED")) {
        free(out);
        pl_turn(pl, clock_mono_ms() + pl_ms(PL_WAIT_MS), "the admin right", __FILE__, __LINE__);
    }
    free(out);
    steps(after + 1, 1);
}

/* A command that nobody tried here is one too many. */
static void all_of_them(void **state)
{
    static const struct {
        const struct step *v;
        size_t n;
    } all[] = {{accounts, N_STEPS(accounts)},
               {messages, N_STEPS(messages)},
               {friends, N_STEPS(friends)},
               {groups, N_STEPS(groups)},
               {devices, N_STEPS(devices)}};
    (void)state;
    for (size_t i = 0; i < command_count(); i++) {
        const struct command *c = command_at(i);
        char name[60];
        bool tried = c->where == COMMAND_CHAT || !strcmp(c->name, "chat");
        snprintf(name, sizeof name, "%s", c->name);
        for (char *p = name; *p; p++)
            *p = *p == ' ' ? '|' : *p;
        size_t n = strlen(name);
        for (size_t k = 0; k < N_STEPS(all) && !tried; k++)
            for (size_t m = 0; m < all[k].n; m++)
                tried |= !strncmp(all[k].v[m].args, name, n) &&
                         (!all[k].v[m].args[n] || all[k].v[m].args[n] == '|');
        if (!tried)
            fail_msg("no test of: parley %s", c->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_them),     cmocka_unit_test(of_accounts), cmocka_unit_test(of_messages),
        cmocka_unit_test(of_friends),      cmocka_unit_test(of_groups),   cmocka_unit_test(of_devices),
        cmocka_unit_test(of_the_operator),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, NULL));
}
