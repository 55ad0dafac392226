/* The table of commands: that it is whole, that help fits the screen, that docs/commands.md is what it says, and what
 * the words of a command mean. */
#include "client/parley/commands.h"
#include "client/parley/help.h"
#include "client/parley/settings.h"
#include "client/parley/show.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void table_is_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < command_count(); i++) {
        const struct command *c = command_at(i);
        int used = 0;
        char name[100], *words[3] = {0};
        snprintf(name, sizeof name, "%s", c->name);
        int n = 0;
        for (char *rest = name, *w; (w = strsep(&rest, " "));)
            words[n++] = w;
        assert_ptr_equal(command_find(words, n, c->where == COMMAND_CHAT, &used), c);
        assert_int_equal(used, n);
        assert_true((c->where == COMMAND_SHELL) == (c->fn == NULL) && (c->fn == NULL) == (c->shell != NULL));
        assert_true(show_width(c->help) <= COMMAND_HELP);
        for (const char *o = c->options; *o; o += strcspn(o, " "), o += strspn(o, " ")) {
            bool there = false;
            for (size_t k = 0; k < options_count(); k++)
                there |= !options_at(k)->program && strlen(options_at(k)->name) == strcspn(o, " ") &&
                         !strncmp(options_at(k)->name, o, strcspn(o, " "));
            if (!there)
                fail_msg("%s: no option is called %s", c->name, o);
        }
        for (size_t k = 0; k < i; k++)
            assert_false(c->alias && command_at(k)->alias && !strcmp(c->alias, command_at(k)->alias));
    }
}

/* What is in one of the two only, is there because the other has no use for it. */
static void nothing_in_one_only(void **state)
{
    static const char *const alone[] = {"register", "login",  "exists", /* without being logged in */
                                        "chat",     "listen", "pull",   /* the chat itself does it */
                                        "open",     "quit"};
    (void)state;
    for (size_t i = 0; i < command_count(); i++) {
        bool known = false;
        for (size_t k = 0; k < sizeof alone / sizeof *alone; k++)
            known |= !strcmp(alone[k], command_at(i)->name);
        assert_int_equal(known, command_at(i)->where != COMMAND_EVERYWHERE);
    }
}

static void collect(void *arg, const char *text)
{
    fprintf(arg, "%s\n", text);
}

static void narrow(void *arg, const char *text)
{
    if (show_width(text) > 80)
        fail_msg("wider than 80 columns: %s", text);
    collect(arg, text);
}

static void help_fits(void **state)
{
    (void)state;
    for (int chat = 0; chat < 2; chat++) {
        char *text = NULL;
        size_t n;
        FILE *f = open_memstream(&text, &n);
        help_all(chat, false, narrow, f);
        fclose(f);
        for (size_t i = 0; i < command_count(); i++)
            if (command_at(i)->where != (chat ? COMMAND_SHELL : COMMAND_CHAT))
                assert_non_null(strstr(text, command_at(i)->help));
        assert_true(chat || strstr(text, "Examples") == text);
        free(text);
    }
}

static void page_is_the_table(void **state)
{
    static char page[64 * 1024];
    char *text = NULL;
    size_t n;
    (void)state;
    FILE *f = fopen("docs/commands.md", "r"); /* tests run at the top of the tree */
    assert_non_null(f);
    page[fread(page, 1, sizeof page - 1, f)] = '\0';
    fclose(f);
    f = open_memstream(&text, &n);
    help_markdown(collect, f);
    fclose(f);
    if (strcmp(page, text) != 0)
        fail_msg("docs/commands.md is not what the table says: parley --help-markdown > docs/commands.md");
    free(text);
}

/* ---- words ---- */
static bool read_words(const char *line, bool chat, struct args *a, char *err)
{
    static char copy[400];
    char *v[20];
    int n = 0, used = 0;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *rest = copy, *w; (w = strsep(&rest, " "));)
        v[n++] = w;
    const struct command *c = command_find(v, n, chat, &used);
    assert_non_null(c);
    return args_read(c, chat, n - used, v + used, a, err, 300);
}

static void words_are_read(void **state)
{
    struct args a;
    char err[300] = "";
    (void)state;
    assert_true(read_words("edit bob #12 new text", false, &a, err));
    assert_string_equal(a.to, "bob");
    assert_int_equal(a.n, 12);
    assert_int_equal(a.text, 2);
    assert_true(
        read_words("edit 12 new text", true, &a, err)); /* in the chat the open conversation is meant */
    assert_null(a.to);
    assert_true(a.needs_to);
    assert_int_equal(a.n, 12);
    assert_int_equal(a.text, 1);
    assert_true(read_words("send bob hi", true, &a, err)); /* but TO is always written */
    assert_string_equal(a.to, "bob");
    assert_true(read_words("group invite lunch bob carol", false, &a, err));
    assert_true(a.group);
    assert_int_equal(a.n_words, 2);
    assert_string_equal(a.words[1], "carol");
    assert_true(read_words("invite bob", true, &a, err)); /* an alias */
    assert_int_equal(a.n_words, 1);
    assert_true(read_words("react bob 3", false, &a, err));
    assert_int_equal(a.n_words, 0);
    assert_true(read_words("read bob", false, &a, err));
    assert_int_equal(a.n, 0);
    assert_true(read_words("group role lunch admin bob", false, &a, err));
    assert_int_equal(a.n_words, 2);
}

static void wrong_words_are_told(void **state)
{
    static const char *const lines[] = {"edit bob twelve x",  "recall bob",     "recall bob 0",
                                        "recall bob -1",      "recall bob 1 2", "history",
                                        "group invite lunch", "list all"};
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct args a;
        char err[300] = "";
        if (read_words(lines[i], false, &a, err))
            fail_msg("accepted: %s", lines[i]);
        assert_true(*err);
    }
}

static void options_are_read(void **state)
{
    struct settings s;
    struct options o;
    char err[300] = "", name[] = "history", a[] = "--limit", b[] = "5", c[] = "bob", d[] = "--json",
         e[] = "--before=#9";
    char *argv[] = {name, a, b, c, d, e, NULL};
    int used;
    (void)state;
    const struct command *cmd = command_find(argv, 1, false, &used);
    settings_init(&s);
    assert_int_equal(options_read(&s, &o, cmd, 6, argv, err, sizeof err), 5);
    assert_string_equal(argv[5], "bob");
    assert_int_equal(o.limit, 5);
    assert_int_equal(o.before, 9);
    assert_true(s.json);
    char *chat[] = {name, d, NULL}; /* the chat has no use for those of the program */
    assert_int_equal(options_read(NULL, &o, cmd, 2, chat, err, sizeof err), -1);
    char yes[] = "--yes", *other[] = {name, yes, NULL}; /* nor has a command for another's */
    assert_int_equal(options_read(&s, &o, cmd, 2, other, err, sizeof err), -1);
    assert_non_null(strstr(err, "--yes"));
    char send[] = "send", text[] = "--wait", *words[] = {send, c, text, NULL}; /* a text may look like one */
    cmd = command_find(words, 1, false, &used);
    assert_int_equal(options_read(&s, &o, cmd, 3, words, err, sizeof err), 1);
}

static void values_are_read(void **state)
{
    uint64_t n;
    uint32_t flags = 0, mask = 0;
    int64_t ms;
    char text[80];
    (void)state;
    assert_true(options_number("#7", &n) && n == 7);
    assert_false(options_number("7x", &n) || options_number("", &n) || options_number("##7", &n));
    assert_true(options_duration("2h", &n) && n == 7200);
    assert_true(options_duration("90", &n) && n == 90);
    assert_false(options_duration("2y", &n) || options_duration("h", &n) ||
                 options_duration("99999999999999d", &n));
    assert_true(options_flags("approval,no-quiet", &flags, &mask));
    assert_int_equal(flags, PARLEY_GROUP_APPROVAL);
    assert_int_equal(mask, PARLEY_GROUP_APPROVAL | PARLEY_GROUP_QUIET);
    assert_false(options_flags("loud", &flags, &mask));
    options_flags_text(text, sizeof text, PARLEY_GROUP_HISTORY | PARLEY_GROUP_PRIVATE);
    assert_string_equal(text, "history, private");
    assert_true(options_time("1h", 7200000, &ms) && ms == 3600000);
    assert_true(options_time("2026-01-31", 0, &ms) && ms > 1769700000000 && ms < 1769990000000);
    assert_false(options_time("tomorrow", 0, &ms));
}

static void places_are_told_apart(void **state)
{
    char name[132];
    uint8_t id[PARLEY_ID];
    struct parley_conversation c = {.group = true, .name = "bob", .id = {0x3f, 0x2a, 0x91, 0xc0}};
    (void)state;
    assert_int_equal(place_typed("bob", false, name, sizeof name, id), PLACE_PERSON);
    assert_int_equal(place_typed("@bob", true, name, sizeof name, id), PLACE_PERSON);
    assert_string_equal(name, "bob");
    assert_int_equal(place_typed("+lunch", false, name, sizeof name, id), PLACE_GROUP);
    assert_int_equal(place_typed("lunch", true, name, sizeof name, id), PLACE_GROUP);
    assert_int_equal(place_typed("3f2a91c0000000000000000000000000", false, name, sizeof name, id), PLACE_ID);
    assert_memory_equal(id, c.id, PARLEY_ID);
    assert_int_equal(place_typed("+", false, name, sizeof name, id), PLACE_BAD);
    assert_true(place_fits(&c, "bob") && place_fits(&c, "3f2a91"));
    assert_false(place_fits(&c, "3f2a9") || place_fits(&c, "3f2a92") || place_fits(&c, "Bob"));
    c.group = false;
    assert_false(place_fits(&c, "bob"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_whole),
        cmocka_unit_test(nothing_in_one_only),
        cmocka_unit_test(help_fits),
        cmocka_unit_test(page_is_the_table),
        cmocka_unit_test(words_are_read),
        cmocka_unit_test(wrong_words_are_told),
        cmocka_unit_test(options_are_read),
        cmocka_unit_test(values_are_read),
        cmocka_unit_test(places_are_told_apart),
    };
    setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
