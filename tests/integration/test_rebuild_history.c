/* History made again from the log while everything runs: interrupted and gone on with, compared, exchanged, undone. */
#include "tests/support/traffic.h"

#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct pl *pl;
static struct traffic *traffic;

static int setup(void **state)
{
    (void)state;
    pl = pl_up(&(struct pl_conf){.n = {[PL_EDGE] = 2,
                                       [PL_ROUTER] = 2,
                                       [PL_FANOUT] = 2,
                                       [PL_PERSISTER] = 2,
                                       [PL_OFFLINE] = 2,
                                       [PL_QUERY] = 2}});
    traffic = traffic_new(pl, &(struct traffic_conf){0});
    traffic_more(traffic, 100);
    return 0;
}

/* ---- parleyctl beside the traffic ---- */

struct command {
    pid_t pid;
    char path[512];
    char *text;
};

static void begin(struct command *c, const char *const *words)
{
    char program[512], config[512];
    const char *args[16] = {program, "rebuild", "history", "--quiet"};
    for (int i = 0; words[i] && i < 11; i++)
        args[i + 4] = words[i];
    snprintf(program, sizeof program, "%s/parleyctl", pl_bins(pl));
    snprintf(config, sizeof config, "%s", pl_config(pl));
    snprintf(c->path, sizeof c->path, "%s/rebuild.out", pl_folder(pl));
    c->text = NULL;
    c->pid = fork();
    assert_true(c->pid >= 0);
    if (c->pid)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int fd = open(c->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(fd, STDOUT_FILENO);
    unsetenv("PARLEY_KAFKA");
    unsetenv("PARLEY_POSTGRES");
    unsetenv("PARLEY_REDIS");
    setenv("PARLEY_CONFIG", config, 1);
    execv(program, (char *const *)(uintptr_t)args);
    _exit(127);
}

static int await(struct command *c)
{
    int status = -1;
    TRAFFIC_UNTIL(traffic, pl, waitpid(c->pid, &status, WNOHANG) == c->pid);
    FILE *f = fopen(c->path, "r");
    assert_non_null(f);
    c->text = calloc(1, 1 << 20);
    (void)!fread(c->text, 1, (1 << 20) - 1, f);
    fclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run(struct command *c, const char *const *words)
{
    begin(c, words);
    int rc = await(c);
    if (rc)
        fprintf(stderr, "%s", c->text);
    return rc;
}
#define RUN(c, ...) run(c, (const char *const[]){__VA_ARGS__, NULL})

/* The line that has this key; with `value`, only that one. Every line has to be JSON. */
static json_t *line_with(const struct command *c, const char *key, const char *value)
{
    json_t *found = NULL;
    for (const char *p = c->text; *p;) {
        size_t n = strcspn(p, "\n");
        json_t *j = json_loadb(p, n, 0, NULL);
        assert_non_null(j);
        const char *have = json_string_value(json_object_get(j, key));
        if (!found && json_object_get(j, key) && (!value || (have && !strcmp(have, value))))
            found = json_incref(j);
        json_decref(j);
        p += n + (p[n] == '\n');
    }
    if (!found)
        fail_msg("no %s in:\n%s", key, c->text);
    return found;
}

static void expect_equal(struct command *c, bool equal)
{
    json_t *j = line_with(c, "verify", "history");
    if (json_is_true(json_object_get(j, "equal")) != equal)
        fail_msg("%s", c->text);
    assert_true(json_integer_value(json_object_get(j, "conversations")) > 0);
    assert_true(json_integer_value(json_object_get(j, "users")) > 0);
    json_decref(j);
}

static const char *schema(void)
{
    static char name[64];
    const char *at = strstr(pl_conninfo(pl), "search_path=");
    assert_non_null(at);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(at + 12, "'"), at + 12);
    return name;
}

static bool there(const char *suffix)
{
    return pl_number(pl, "SELECT (to_regclass('%s%s.messages') IS NOT NULL)::int::int8", schema(), suffix) ==
           1;
}

static int64_t rows(const char *suffix)
{
    return pl_number(pl, "SELECT count(*) FROM %s%s.messages", schema(), suffix);
}

/* ---- the cases; they go on from each other ---- */

static void wrong_words_and_help(void **state)
{
    static const char *const wrong[][4] = {
        {"--swap", "--undo-swap"}, {"--drop-old", "--verify"}, {"--jobs", "0"}, {"what"}};
    struct command c;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_int_equal(run(&c, wrong[i]), 2);
        free(c.text);
    }
    assert_int_equal(RUN(&c, "--help"), 0);
    assert_memory_equal(c.text, "Examples\n  parleyctl rebuild history", 36);
    free(c.text);
    assert_int_equal(RUN(&c, "--dry-run", "--json"), 0);
    json_decref(line_with(&c, "topic", NULL));
    free(c.text);
    assert_false(there("_rebuild"));
    assert_int_equal(RUN(&c, "--undo-swap", "--yes"), 1); /* nothing was swapped */
    free(c.text);
}

static void killed_and_gone_on_with(void **state)
{
    struct command c;
    (void)state;
    begin(&c, (const char *const[]){"--json", NULL});
    TRAFFIC_UNTIL(traffic, pl, there("_rebuild")); /* it has begun */
    kill(c.pid, SIGKILL);
    int rc = await(&c);
    assert_true(rc == 128 + SIGKILL || rc == 0);
    free(c.text);
    traffic_more(traffic, 50);
    assert_int_equal(RUN(&c, "--json"), 0);
    json_decref(line_with(&c, "rebuild", "history"));
    free(c.text);
    assert_true(rows("_rebuild") > 0);
}

static void both_sides_are_the_same(void **state)
{
    struct command c;
    (void)state;
    assert_int_equal(RUN(&c, "--swap"), 1); /* not compared, and nobody to ask */
    free(c.text);
    assert_int_equal(RUN(&c, "--verify", "--json", "--conversations"), 0);
    expect_equal(&c, true);
    json_t *one = line_with(&c, "table", "messages");
    assert_string_equal(json_string_value(json_object_get(one, "hash_live")),
                        json_string_value(json_object_get(one, "hash_rebuilt")));
    assert_true(json_integer_value(json_object_get(one, "rows_live")) >= 150);
    json_decref(one);
    json_decref(line_with(&c, "conversation", NULL));
    json_decref(line_with(&c, "user", NULL));
    free(c.text);
}

static void a_planted_difference_is_found(void **state)
{
    struct command c;
    (void)state;
    int64_t part = pl_number(pl, "SELECT conv_part FROM %s.messages LIMIT 1", schema());
    int64_t offset =
        pl_number(pl, "SELECT max(conv_offset) FROM %s.messages WHERE conv_part = %lld AND seq = 3", schema(),
                  (long long)part);
    assert_int_equal(
        pl_number(pl,
                  "UPDATE %s.messages SET kind = 8 WHERE conv_part = %lld AND conv_offset = %lld RETURNING 1",
                  schema(), (long long)part, (long long)offset),
        1);
    assert_int_equal(RUN(&c, "--verify", "--json"), 1);
    expect_equal(&c, false);
    json_t *t = line_with(&c, "table", "messages"), *first = json_object_get(t, "first"),
           *from = json_object_get(first, "from");
    assert_int_equal(json_integer_value(json_object_get(t, "differ")), 1);
    assert_int_equal(json_integer_value(json_object_get(from, "offset")), offset);
    assert_int_equal(json_integer_value(json_object_get(from, "partition")), part);
    assert_non_null(strstr(json_string_value(json_object_get(from, "topic")), "im.conversation"));
    assert_string_equal(json_string_value(json_array_get(json_object_get(first, "columns"), 0)), "kind");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(first, "live"), "kind")), 8);
    json_decref(t);
    free(c.text);
    assert_int_equal(RUN(&c, "--swap"), 1); /* it was found different */
    free(c.text);
}

/* The log is right, the live rows are not: the swap mends them. */
static void swapped_under_traffic(void **state)
{
    struct command c;
    (void)state;
    traffic_more(traffic, 50);
    assert_int_equal(RUN(&c, "--swap", "--yes", "--json"), 0);
    json_decref(line_with(&c, "done", "swap"));
    free(c.text);
    assert_int_equal(pl_number(pl, "SELECT count(*) FROM %s.messages WHERE kind = 8", schema()), 0);
    assert_int_equal(pl_number(pl, "SELECT count(*) FROM %s_old.messages WHERE kind = 8", schema()), 1);
    int64_t then = rows("");
    traffic_more(traffic, 100);
    TRAFFIC_UNTIL(traffic, pl, rows("") >= then + 50); /* the persister goes on by itself, in the new one */
    assert_int_equal(RUN(&c, "--swap", "--yes"), 1);   /* the old one is still there */
    free(c.text);
    assert_int_equal(RUN(&c, "--verify", "--json"), 0);
    expect_equal(&c, true);
    free(c.text);
}

static void undone_and_dropped(void **state)
{
    struct command c;
    (void)state;
    assert_int_equal(RUN(&c, "--undo-swap", "--yes", "--json"), 0);
    json_decref(line_with(&c, "done", "undo-swap"));
    free(c.text);
    assert_int_equal(pl_number(pl, "SELECT count(*) FROM %s.messages WHERE kind = 8", schema()), 1);
    int64_t then = rows("");
    traffic_more(traffic, 50);
    TRAFFIC_UNTIL(traffic, pl, rows("") >= then + 25);
    assert_int_equal(RUN(&c, "--swap", "--yes"), 0);
    free(c.text);
    assert_int_equal(RUN(&c, "--drop-old", "--yes"), 0);
    free(c.text);
    assert_false(there("_old"));
    traffic_more(traffic, 50);
    traffic_settle(
        traffic); /* every message is seen once by everybody, and is in the history that is live now */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_words_and_help),    cmocka_unit_test(killed_and_gone_on_with),
        cmocka_unit_test(both_sides_are_the_same), cmocka_unit_test(a_planted_difference_is_found),
        cmocka_unit_test(swapped_under_traffic),   cmocka_unit_test(undone_and_dropped),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, NULL));
}
