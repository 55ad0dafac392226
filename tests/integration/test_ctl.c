/* Every command of parleyctl: help that begins with examples, exit codes, JSON that is one object a line, and what it
 * does. A command without a row here fails the test. */
#include "tests/support/person.h"

#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define WORDS 12

static struct pl *pl;
static struct person ann, ben;
static char edge[80];

static int setup(void **state)
{
    (void)state;
    pl = pl_up(&(struct pl_conf){.n = {1, 1, 1, 1, 1}});
    person_new(&ann, pl, 0, "ann", "phone");
    person_new(&ben, pl, 0, "ben", "phone");
    snprintf(edge, sizeof edge, "%s", pl_edge(pl, 0));
    setenv("PARLEY_PASSWORD", "correct horse", 1);
    person_placed(&ann, person_say(&ann, ben.login, "hello"));
    person_wait_said(&ben, 1);
    UNTIL(pl, pl_number(pl, "SELECT count(*) FROM messages") > 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    person_free(&ann);
    person_free(&ben);
    return 0;
}

/* Words of an argument that are known only now: %ann, %ben, %edge, %dir. */
static const char *word(const char *w)
{
    return !strcmp(w, "%ann")    ? ann.login
           : !strcmp(w, "%ben")  ? ben.login
           : !strcmp(w, "%edge") ? edge
           : !strcmp(w, "%dir")  ? pl_folder(pl)
                                 : w;
}

static int run(const char *const *words, char **out)
{
    const char *argv[WORDS + 2] = {"parleyctl"};
    for (int i = 0; i < WORDS && words[i]; i++)
        argv[i + 1] = word(words[i]);
    return pl_run(pl, argv, NULL, out);
}

/* ---- one row per command ---- */

struct row {
    const char *name;
    struct {
        int exit;
        const char *words[WORDS];
        const char *says; /* somewhere in it; NULL: never mind */
    } runs[6];
};

static const struct row rows[] = {
    {"init",
     {{2, {"init", "what"}, NULL},
      {0, {"init", "--dir", "%dir/new", "--dry-run"}, NULL},
      {0, {"init", "--missing", "--dir", "%dir/new", "--postgres-password", "%dir/new/pg"}, "new/pg"},
      {0, {"init", "--missing", "--dir", "%dir/new", "--postgres-password", "%dir/new/pg"}, NULL},
      {1, {"init", "--dir", "%dir/new"}, "nothing was changed"}}},
    {"topics",
     {{2, {"topics", "dance"}, "usage"},
      {0, {"topics", "list", "--json"}, "im.conversation"},
      {0, {"topics", "describe", "--json"}, "\"high\""},
      {0, {"topics", "check", "--json"}, "\"topics\""},
      {0, {"topics", "create", "--json"}, "\"created\":0"}}},
    {"migrate", {{2, {"migrate", "what"}, NULL}, {0, {"migrate", "--json"}, NULL}}},
    {"user",
     {{2, {"user", "dance"}, NULL},
      {0, {"user", "add", "%ann-2", "--server", "%edge", "--json"}, NULL},
      {0, {"user", "admin", "%ben", "on", "--json"}, "may announce"},
      {1, {"user", "revoke", "nobody-here", "--timeout", "1"}, NULL}}},
    {"erase", {{2, {"erase"}, NULL}, {0, {"erase", "user", "%ben", "--dry-run", "--json"}, NULL}}},
    {"vault", {{2, {"vault", "dance"}, NULL}, {0, {"vault", "rotate", "--dry-run", "--json"}, NULL}}},
    {"tail",
     {{2, {"tail"}, NULL},
      {2, {"tail", "nothing"}, NULL},
      {0, {"tail", "conversation", "--from", "beginning", "--until-end", "--json"}, "CONV_MESSAGE"}}},
    {"send",
     {{2, {"send", "%ben", "hello"}, NULL},
      {2,
       {"send", "--from", "%ann", "%ben", "hello", "--wait", "patiently"},
       "accepted, sequenced or delivered"},
      {0,
       {"send", "--from", "%ann", "--server", "%edge", "%ben", "from the shell", "--json"},
       "\"stage\":\"sequenced\""},
      {1, {"send", "--from", "%ann", "--server", "%edge", "nobody-here", "hello"}, "UNKNOWN_USER"}}},
    {"lag",
     {{2, {"lag", "what"}, "usage"},
      {2, {"lag", "--max", "many"}, NULL},
      {0, {"lag", "--json"}, "\"behind_ms\""},
      {0, {"lag", "all", "--parts", "--max", "1h"}, "postgres at"}}},
    {"doctor",
     {{2, {"doctor", "what"}, NULL},
      {0, {"doctor", "--json", "--clock"}, "\"check\":\"pg durability\""},
      {0, {"doctor"}, "ok    retention"}}},
    {"ready", {{2, {"ready"}, NULL}, {1, {"ready", "127.0.0.1:1", "--timeout", "1"}, NULL}}},
    {"rebuild history",
     {{2, {"rebuild", "history", "what"}, NULL}, {0, {"rebuild", "history", "--dry-run", "--json"}, NULL}}},
    {"rebuild queues",
     {{2, {"rebuild", "queues", "what"}, NULL}, {0, {"rebuild", "queues", "--verify", "--json"}, NULL}}},
    {"rebuild accounts",
     {{2, {"rebuild", "accounts", "what"}, NULL}, {0, {"rebuild", "accounts", "--verify", "--json"}, NULL}}},
    {"rebuild checkpoints",
     {{2, {"rebuild", "checkpoints", "what"}, NULL},
      {0, {"rebuild", "checkpoints", "--verify", "--json"}, NULL}}},
    {"fold", {{2, {"fold"}, NULL}, {0, {"fold", "%ann,%ben", "--json"}, NULL}}},
    {"export", {{2, {"export"}, NULL}, {0, {"export", "conversation", "%ann,%ben", "--json"}, NULL}}},
    {"import", {{2, {"import"}, NULL}, {1, {"import", "/nonexistent.jsonl", "--dry-run"}, NULL}}},
    {"trace",
     {{2, {"trace", "dance"}, "usage"},
      {0, {"trace", "%ann~%ben:1", "--json"}, "im.conversation"},
      {0, {"trace", "%ann,%ben:1", "--log-only"}, "accepted, number 1"},
      {1, {"trace", "%ann~%ben:999"}, "nothing of it"}}},
    {"dlq list", {{2, {"dlq", "list", "what"}, "usage"}, {0, {"dlq", "list", "--all", "--json"}, NULL}}},
    {"dlq show", {{2, {"dlq", "show"}, "which"}, {1, {"dlq", "show", "inbound/0@1"}, "no dead letter"}}},
    {"dlq retry",
     {{2, {"dlq", "retry"}, "which"}, {0, {"dlq", "retry", "--all", "--json", "--yes"}, "nothing"}}},
    {"dlq drop",
     {{2, {"dlq", "drop"}, "which"}, {0, {"dlq", "drop", "--all", "--json", "--yes"}, "nothing"}}},
    {"webhooks", {{2, {"webhooks", "dance"}, NULL}, {0, {"webhooks", "list", "--json"}, NULL}}},
};

/* "%ann~%ben:1": names inside a word. */
static void expand(const char *from, char out[300])
{
    static const char *const names[] = {"%ann", "%ben", "%dir"};
    size_t n = 0;
    while (*from && n < 299) {
        size_t k = 0;
        while (k < 3 && strncmp(from, names[k], 4) != 0)
            k++;
        if (k < 3) {
            n += (size_t)snprintf(out + n, 300 - n, "%s", word(names[k]));
            from += 4;
        } else {
            out[n++] = *from++;
        }
    }
    out[n < 300 ? n : 299] = '\0';
}

static void check_json(const char *name, char *out)
{
    char *rest = out;
    for (char *line; (line = strsep(&rest, "\n"));) {
        json_error_t e;
        json_t *j = *line == '{' || *line == '[' ? json_loads(line, 0, &e) : NULL;
        if ((*line == '{' || *line == '[') && !json_is_object(j))
            fail_msg("%s --json: not an object: %s", name, line);
        json_decref(j);
    }
}

static void run_row(const struct row *r)
{
    for (size_t i = 0; i < ARRAY_LEN(r->runs) && r->runs[i].words[0]; i++) {
        char expanded[WORDS][300], *out = NULL;
        const char *words[WORDS + 1] = {0};
        bool json = false;
        for (size_t k = 0; k < WORDS && r->runs[i].words[k]; k++) {
            expand(r->runs[i].words[k], expanded[k]);
            words[k] = expanded[k];
            json |= !strcmp(words[k], "--json");
        }
        int rc = run(words, &out);
        if (rc != r->runs[i].exit || (r->runs[i].says && !strstr(out, r->runs[i].says)))
            fail_msg("%s, run %zu: exit %d, not %d:\n%.2000s", r->name, i, rc, r->runs[i].exit, out);
        if (json)
            check_json(r->name, out);
        free(out);
    }
}

static const struct row *row_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (!strcmp(rows[i].name, name))
            return &rows[i];
    return NULL;
}

/* ---- the names that --help has ---- */

static size_t each_command(void (*fn)(const char *name))
{
    char *out = NULL, *rest, *line;
    size_t n = 0;
    bool in = false;
    assert_int_equal(run((const char *const[]){"--help", NULL}, &out), 0);
    rest = out;
    while ((line = strsep(&rest, "\n"))) {
        if (in && strncmp(line, "  ", 2) != 0)
            break;
        if (in) {
            char *name = line + 2, *end = strstr(name, "  ");
            assert_non_null(end);
            *end = '\0';
            fn(name);
            n++;
        }
        in |= strncmp(line, "Commands", 8) == 0;
    }
    free(out);
    return n;
}

static void has_a_row(const char *name)
{
    if (!row_of(name))
        fail_msg("parleyctl %s has no row in this test", name);
}

static void is_helpful(const char *name)
{
    char words[2][40] = {"", ""}, *out = NULL;
    const char *blank = strchr(name, ' ');
    snprintf(words[0], sizeof words[0], "%.*s", blank ? (int)(blank - name) : 39, name);
    snprintf(words[1], sizeof words[1], "%s", blank ? blank + 1 : "--help");
    if (run((const char *const[]){words[0], words[1], "--help", NULL}, &out))
        fail_msg("%s --help: %s", name, out);
    if (strncmp(out, "Examples\n  parleyctl ", 21) != 0)
        fail_msg("the help of %s does not begin with examples:\n%.200s", name, out);
    if (!strstr(out, "Exit codes"))
        fail_msg("the help of %s tells no exit codes", name);
    char *rest = out;
    for (char *line; (line = strsep(&rest, "\n"));)
        if (strlen(line) > 110)
            fail_msg("the help of %s has a line of %zu bytes: %s", name, strlen(line), line);
    free(out);
    out = NULL;
    if (run((const char *const[]){words[0], blank ? words[1] : "--no-such-option", "--no-such-option", NULL},
            &out) != 2)
        fail_msg("%s --no-such-option does not end with 2:\n%s", name, out);
    free(out);
}

static void every_command_has_a_row(void **state)
{
    (void)state;
    assert_int_equal(each_command(has_a_row), ARRAY_LEN(rows));
}

static void every_command_explains_itself(void **state)
{
    (void)state;
    each_command(is_helpful);
}

static void every_command_does_what_it_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        run_row(&rows[i]);
}

/* ---- what their output says ---- */

static void send_waits_for_delivery(void **state)
{
    char *out = NULL;
    (void)state;
    const char *const argv[] = {"parleyctl", "send",   "--from",    ann.login,   "--server", edge, ben.login,
                                "ping",      "--wait", "delivered", "--timeout", "2",        NULL};
    assert_int_equal(pl_run(pl, argv, NULL, &out), 1); /* ben's test client says nothing of that */
    assert_non_null(strstr(out, "sequenced"));
    assert_non_null(strstr(out, "parleyctl trace"));
    free(out);
}

static void doctor_names_what_is_wrong(void **state)
{
    static const struct {
        const char *env, *says;
    } cases[] = {{"PARLEY_POSTGRES=host=127.0.0.1 port=1 connect_timeout=1", "FAIL  postgres"},
                 {"PARLEY_REDIS=127.0.0.1:1", "FAIL  redis"},
                 {"PARLEY_KAFKA=127.0.0.1:1", "FAIL  kafka"}};
    const char *const argv[] = {"parleyctl", "doctor", "--timeout", "2", NULL};
    const char *const cluster[] = {"parleyctl", "doctor", "--profile", "cluster", NULL};
    char *out = NULL;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(pl_run(pl, argv, cases[i].env, &out), 1);
        if (!strstr(out, cases[i].says) || !strstr(out, "fix: "))
            fail_msg("%s: %s", cases[i].says, out);
        free(out);
    }
    assert_int_equal(pl_run(pl, cluster, NULL, &out), 1); /* made with another profile */
    assert_non_null(strstr(out, "FAIL  topics"));
    free(out);
}

static void lag_tells_what_stands_still(void **state)
{
    char *out = NULL;
    (void)state;
    pl_stop(pl, PL_PERSISTER, 0, 15);
    person_placed(&ann, person_say(&ann, ben.login, "while it is away"));
    const char *const argv[] = {"parleyctl", "lag", "--max", "0", NULL};
    assert_int_equal(pl_run(pl, argv, NULL, &out), 1);
    assert_non_null(strstr(out, "too far behind"));
    free(out);
    pl_start(pl, PL_PERSISTER, 0, NULL);
    pl_wait_ready(pl);
    int64_t by = clock_mono_ms() + pl_ms(PL_WAIT_MS);
    while (pl_run(pl, argv, NULL, &out) != 0) {
        free(out);
        pl_turn(pl, by, "lag to be over", __FILE__, __LINE__);
    }
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_has_a_row),         cmocka_unit_test(every_command_explains_itself),
        cmocka_unit_test(every_command_does_what_it_says), cmocka_unit_test(send_waits_for_delivery),
        cmocka_unit_test(doctor_names_what_is_wrong),      cmocka_unit_test(lag_tells_what_stands_still),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, teardown));
}
