/* parley-webhooks on real servers, with receivers that fail in every way; and parleyctl webhooks. */
#include "tests/support/pipeline_int.h"
#include "tests/support/receiver.h"
#include "tests/support/script.h"

#include <hiredis/hiredis.h>
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SECRET_A "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define SECRET_B "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
#define CONVS    8

static struct pl *pl;
static struct talk *talk;
static struct receiver a, b; /* endpoints "a" and "b" */
static char base[64] = "/tmp/parley-webhooks-XXXXXX";
static unsigned said; /* messages in each conversation so far */

static void settings(char *out, size_t n)
{
    (void)snprintf(
        out, n,
        "{\"webhooks\": {\"endpoints\": ["
        "{\"name\": \"a\", \"url\": \"http://127.0.0.1:%d/hook\", \"secret_file\": \"%s/secret\"},"
        "{\"name\": \"b\", \"url\": \"http://127.0.0.1:%d/hook\", \"secret_file\": \"%s/secret\", "
        "\"events\": [\"message\"]}],"
        "\"private_addresses\": true, \"plain_http\": true, \"retry\": \"50ms\", \"retry_max\": \"200ms\", "
        "\"refusals\": 3, \"failures\": 5, \"probe\": \"50ms\", \"probe_max\": \"200ms\", "
        "\"timeout\": \"2s\"}}",
        a.port, a.folder, b.port, b.folder);
}

static int setup(void **state)
{
    char text[12000];
    (void)state;
    assert_non_null(mkdtemp(base));
    receiver_init(&a, base, "a", SECRET_A);
    receiver_init(&b, base, "b", SECRET_B "\n" SECRET_A);
    settings(text, sizeof text);
    pl = pl_up(&(struct pl_conf){.n = {[PL_WEBHOOKS] = 1, [PL_PERSISTER] = 1}, .settings = text});
    talk = talk_new(pl);
    receiver_start(&a);
    receiver_start(&b);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    talk_free(talk);
    receiver_release(&a);
    receiver_release(&b);
    rmdir(base);
    return 0;
}

/* `n` more messages in each conversation, now and then one twice. */
static void say(unsigned n, const char *more)
{
    for (unsigned i = 1; i <= n; i++)
        for (unsigned c = 0; c < CONVS; c++)
            for (unsigned k = 0; k <= (said + i + c) % 3 / 2; k++)
                talk_say(talk, c, said + i, more);
    said += n;
    talk_flush(talk);
}

static double metric(const char *name)
{
    return pl_metric(pl, PL_WEBHOOKS, 0, name);
}

static json_t *endpoint(const char *name)
{
    char *save = NULL, *all = strdup(PL_CTL(pl, "webhooks", "list", "--json"));
    json_t *found = NULL;
    for (char *line = strtok_r(all, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        json_t *j = json_loads(line, 0, NULL);
        assert_non_null(j);
        if (strcmp(json_string_value(json_object_get(j, "name")), name) == 0)
            found = json_incref(j);
        json_decref(j);
    }
    free(all);
    assert_non_null(found);
    return found;
}

static bool state_is(const char *name, const char *state)
{
    json_t *j = endpoint(name);
    bool yes = strcmp(json_string_value(json_object_get(j, "state")), state) == 0;
    json_decref(j);
    return yes;
}

static bool nothing_is_behind(const char *name)
{
    json_t *j = endpoint(name);
    bool yes = json_integer_value(json_object_get(j, "behind")) == 0;
    json_decref(j);
    return yes;
}

/* ---- the tests; each goes on where the one before ended ---- */

static void an_endpoint_begins_where_it_is_told_to(void **state)
{
    (void)state;
    say(3, ""); /* before the beginning */
    assert_true(state_is("a", "not begun"));
    PL_CTL(pl, "webhooks", "replay", "a", "--from", "now");
    PL_CTL(pl, "webhooks", "replay", "b", "--from", "now");
    assert_true(state_is("a", "on"));
    say(10, "");
    UNTIL(pl, receiver_taken(&a) == CONVS * 10 && receiver_taken(&b) == CONVS * 10);
    receiver_check(&a, 4, CONVS * 10);
    receiver_check(&b, 4, CONVS * 10);
    UNTIL(pl, nothing_is_behind("a") && nothing_is_behind("b"));
}

static void one_that_hangs_holds_back_nobody_else(void **state)
{
    (void)state;
    receiver_forget(&a);
    receiver_forget(&b);
    receiver_mode(&b, "hang");
    say(10, "");
    UNTIL(pl, receiver_taken(&a) == CONVS * 10);
    receiver_check(&a, said - 9, CONVS * 10);
    assert_int_equal(receiver_taken(&b), 0);
    receiver_mode(&b, "ok");
    receiver_kill(&b); /* with all that hangs in it */
    receiver_start(&b);
    UNTIL(pl, receiver_taken(&b) == CONVS * 10);
    receiver_check(&b, said - 9, CONVS * 10);
}

static void nothing_is_lost_when_all_sides_die(void **state)
{
    (void)state;
    receiver_forget(&a);
    receiver_forget(&b);
    receiver_mode(&a, "fail");
    receiver_kill(&b);
    say(20, "");
    UNTIL(pl, metric("parley_webhooks_circuit{endpoint=\"a\"}") > 0 &&
                  metric("parley_webhooks_circuit{endpoint=\"b\"}") > 0);
    assert_true(pl_ready(pl, PL_WEBHOOKS, 0)); /* it is not the process that is ill */
    receiver_mode(&a, "ok");
    UNTIL(pl, receiver_taken(&a) > CONVS * 3);
    pl_stop(pl, PL_WEBHOOKS, 0, SIGKILL); /* in the middle of it */
    say(20, "");
    pl_start(pl, PL_WEBHOOKS, 0, NULL);
    receiver_start(&b);
    UNTIL(pl, receiver_taken(&b) > CONVS * 3);
    receiver_kill(&b);
    pl_stop(pl, PL_WEBHOOKS, 0, SIGTERM);
    receiver_start(&b);
    pl_start(pl, PL_WEBHOOKS, 0, NULL);
    UNTIL(pl, receiver_taken(&a) == CONVS * 40 && receiver_taken(&b) == CONVS * 40);
    receiver_check(&a, said - 39, CONVS * 40);
    receiver_check(&b, said - 39, CONVS * 40);
}

static void a_pause_that_is_asked_for_is_kept(void **state)
{
    (void)state;
    receiver_forget(&a);
    receiver_mode(&a, "busy");
    say(2, "");
    UNTIL(pl, receiver_taken(&a) == CONVS * 2);
    receiver_check(&a, said - 1, CONVS * 2);
    receiver_mode(&a, "ok");
}

static size_t dead_letters(const char *topic)
{
    size_t n = 0;
    char *save = NULL;
    char *all = strdup(PL_CTL(pl, "tail", "dlq", "--from", "beginning", "--until-end", "--json"));
    for (char *line = strtok_r(all, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        json_t *j = json_loads(line, 0, NULL), *v = json_object_get(j, "value");
        const char *from = json_string_value(json_object_get(v, "topic"));
        n += from && strcmp(from, topic) == 0;
        assert_null(strstr(line, "poison")); /* no word of it outside the log */
        json_decref(j);
    }
    free(all);
    return n;
}

static void what_is_refused_is_buried_and_the_rest_goes_on(void **state)
{
    (void)state;
    UNTIL(pl, nothing_is_behind("b")); /* what still comes would be counted */
    receiver_forget(&a);
    receiver_forget(&b);
    receiver_mode(&a, "refuse poison");
    talk_say(talk, 0, ++said, " poison");
    talk_say(talk, 0, said + 1, "");
    for (unsigned c = 1; c < CONVS; c++) { /* all have the same number of messages */
        talk_say(talk, c, said, "");
        talk_say(talk, c, said + 1, "");
    }
    said++;
    talk_flush(talk);
    UNTIL(pl, receiver_taken(&a) == CONVS * 2 - 1 && receiver_taken(&b) == CONVS * 2);
    UNTIL(pl, dead_letters("webhook:a") == 1);
    assert_int_equal(dead_letters("webhook:b"), 0);
    assert_true(metric("parley_webhooks_refused_total{endpoint=\"a\"}") == 3);
    receiver_mode(&a, "ok");
    UNTIL(pl, nothing_is_behind("a"));
}

static void redirects_are_refused_and_private_addresses_too(void **state)
{
    (void)state;
    receiver_forget(&b);
    receiver_mode(&b, "redirect");
    pl_stop(pl, PL_WEBHOOKS, 0, SIGTERM);
    pl_start(pl, PL_WEBHOOKS, 0, "PARLEY_WEBHOOKS_REFUSALS=1000");
    say(1, "");
    UNTIL(pl, metric("parley_webhooks_refused_total{endpoint=\"b\"}") > 0);
    pl_stop(pl, PL_WEBHOOKS, 0, SIGTERM);
    receiver_mode(&b, "ok");
    receiver_forget(&b);
    pl_start(pl, PL_WEBHOOKS, 0, "PARLEY_WEBHOOKS_PRIVATE_ADDRESSES=false");
    UNTIL(pl, metric("parley_webhooks_failed_total{endpoint=\"b\"}") > 0);
    assert_non_null(strstr(pl_log(pl, PL_WEBHOOKS, 0), "not public"));
    pl_stop(pl, PL_WEBHOOKS, 0, SIGTERM);
    assert_int_equal(receiver_taken(&b), 0);
    pl_start(pl, PL_WEBHOOKS, 0, NULL);
    UNTIL(pl, receiver_taken(&b) == CONVS);
    receiver_check(&b, said, CONVS); /* also: nobody went where it was redirected to */
}

/* Whole lines of its own keys, as FLUSHALL would, but for nobody else. */
static void forget_redis(void)
{
    static const char script[] =
        "for _, k in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', k) end";
    char host[128], pattern[64];
    const char *url = getenv("PARLEY_REDIS"), *at = strstr(url, "://") ? strstr(url, "://") + 3 : url;
    (void)snprintf(host, sizeof host, "%.*s", (int)strcspn(at, ":/"), at);
    (void)snprintf(pattern, sizeof pattern, "%s*", pl_prefix(pl));
    redisContext *c = redisConnect(host, (int)strtol(at + strlen(host) + 1, NULL, 10));
    assert_non_null(c);
    redisReply *r = redisCommand(c, "EVAL %s 0 %s", script, pattern);
    assert_non_null(r);
    freeReplyObject(r);
    redisFree(c);
}

static void without_redis_it_goes_on_where_it_was(void **state)
{
    (void)state;
    UNTIL(pl, nothing_is_behind("a") && nothing_is_behind("b"));
    receiver_forget(&a);
    receiver_forget(&b);
    pl_stop(pl, PL_WEBHOOKS, 0, SIGTERM);
    forget_redis();
    say(5, "");
    pl_start(pl, PL_WEBHOOKS, 0, NULL);
    UNTIL(pl, receiver_taken(&a) == CONVS * 5 && receiver_taken(&b) == CONVS * 5);
    receiver_check(&a, said - 4, CONVS * 5); /* the numbers went on, and nothing came a second time */
    receiver_check(&b, said - 4, CONVS * 5);
}

static void a_pause_and_a_replay(void **state)
{
    (void)state;
    receiver_forget(&a);
    receiver_forget(&b);
    PL_CTL(pl, "webhooks", "pause", "b");
    assert_true(state_is("b", "paused"));
    UNTIL(pl, metric("parley_webhooks_paused{endpoint=\"b\"}") == 1);
    say(2, "");
    UNTIL(pl, receiver_taken(&a) == CONVS * 2);
    assert_int_equal(receiver_taken(&b), 0);
    PL_CTL(pl, "webhooks", "resume", "b");
    UNTIL(pl, receiver_taken(&b) == CONVS * 2);
    receiver_check(&b, said - 1, CONVS * 2);

    receiver_forget(&b);
    PL_CTL(pl, "--yes", "webhooks", "replay", "b", "--from", "first");
    UNTIL(pl, receiver_taken(&b) == (size_t)CONVS * said);
    receiver_check(&b, 1, (size_t)CONVS * said); /* everything again, under the ids that it had */
    receiver_forget(&b);
    PL_CTL(pl, "--yes", "webhooks", "replay", "b", "--from", "1h");
    UNTIL(pl, receiver_taken(&b) == (size_t)CONVS * said);
    receiver_forget(&a);
    say(1, "");
    UNTIL(pl, receiver_taken(&a) == CONVS && receiver_taken(&b) == (size_t)CONVS * said);
}

static void a_beginning_takes_the_persisters_cells(void **state)
{
    (void)state;
    UNTIL(pl, pl_number(pl, "SELECT count(*) FROM messages") == (int64_t)CONVS * said);
    receiver_forget(&b);
    PL_CTL(pl, "--yes", "webhooks", "replay", "b", "--from", "now");
    UNTIL(pl, metric("parley_core_open_partitions{core=\"webhooks-b\"}") == 2 && nothing_is_behind("b"));
    say(2, "");
    UNTIL(pl, receiver_taken(&b) == CONVS * 2);
    receiver_check(&b, said - 1, CONVS * 2);
    assert_non_null(strstr(pl_log(pl, PL_WEBHOOKS, 0), "cells taken from PostgreSQL"));
}

static void certificate(const char *folder, char *path, size_t n)
{
    char key[4300];
    (void)snprintf(path, n, "%s/cert", folder);
    (void)snprintf(key, sizeof key, "%s/key", folder);
    assert_int_equal(
        script_run((const char *const[]){"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                                         "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                                         "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key,
                                         "-out", path, NULL},
                   (char[256]){0}, 256),
        0);
    char *text = pl_read_file(key); /* the receiver wants both in one file */
    FILE *f = fopen(path, "a");
    assert_non_null(f);
    (void)fputs(text, f);
    (void)fclose(f);
    free(text);
    unlink(key);
}

static void certificates_are_checked(void **state)
{
    (void)state;
    char cert[4300], env[9000], with[14000];
    receiver_kill(&a);
    receiver_forget(&a);
    certificate(a.folder, cert, sizeof cert);
    receiver_start(&a);
    (void)snprintf(env, sizeof env,
                   "PARLEY_WEBHOOKS_ENDPOINTS=[{\"name\":\"a\",\"url\":\"https://127.0.0.1:%d/"
                   "hook\",\"secret_file\":\"%s/secret\"}]",
                   a.port, a.folder);
    (void)snprintf(with, sizeof with, "%s PARLEY_WEBHOOKS_CA_FILE=%s PARLEY_WEBHOOKS_PLAIN_HTTP=false", env,
                   cert);
    pl_stop(pl, PL_WEBHOOKS, 0, SIGTERM);
    say(1, "");
    pl_start(pl, PL_WEBHOOKS, 0, env);
    UNTIL(pl, metric("parley_webhooks_failed_total{endpoint=\"a\"}") > 0);
    assert_int_equal(receiver_taken(&a), 0);
    assert_non_null(strstr(pl_log(pl, PL_WEBHOOKS, 0), "certificate"));
    pl_stop(pl, PL_WEBHOOKS, 0, SIGTERM);
    pl_start(pl, PL_WEBHOOKS, 0, with);
    UNTIL(pl, receiver_taken(&a) == CONVS);
    receiver_check(&a, said, CONVS);
}

static void new_secrets_need_no_restart(void **state)
{
    (void)state;
    char path[4300];
    UNTIL(pl, nothing_is_behind("a"));
    receiver_forget(&a);
    (void)snprintf(path, sizeof path, "%s/secret", a.folder);
    FILE *f = fopen(path, "w"); /* the receiver knows only the new one from here on */
    assert_non_null(f);
    (void)fputs(SECRET_B "\n", f);
    (void)fclose(f);
    pl_signal(pl, PL_WEBHOOKS, 0, SIGHUP);
    UNTIL(pl, strstr(pl_log(pl, PL_WEBHOOKS, 0), "settings"));
    say(1, "");
    UNTIL(pl, receiver_taken(&a) == CONVS);
    receiver_check(&a, said, CONVS);
}

/* ---- the command ---- */

static int ctl(const char *const *args, char **out)
{
    const char *argv[12] = {"parleyctl"};
    for (int i = 0; args[i]; i++)
        argv[i + 1] = args[i];
    return pl_run(pl, argv, NULL, out);
}

static void wrong_usage(const char *const *args, int status, const char *says)
{
    char *out;
    assert_int_equal(ctl(args, &out), status);
    if (!strstr(out, says))
        fail_msg("%s: %s", args[1], out);
    free(out);
}
#define WRONG(status, says, ...) \
    wrong_usage((const char *const[]){"webhooks", __VA_ARGS__, NULL}, status, says)

static void the_command_says_what_is_wrong(void **state)
{
    (void)state;
    WRONG(0, "Examples\n  parleyctl webhooks list", "--help");
    WRONG(2, "usage:", "nonsense");
    WRONG(2, "usage:", "replay", "a");
    WRONG(2, "usage:", "pause");
    WRONG(2, "--from is", "replay", "a", "--from", "yesterdayish", "--yes");
    WRONG(2, "--from is", "replay", "a", "--from", "9:1", "--yes");
    WRONG(1, "no endpoint", "pause", "nobody");
    WRONG(1, "--yes", "replay", "a", "--from", "now"); /* no terminal to ask on */
    json_t *before = endpoint("a");
    PL_CTL(pl, "webhooks", "replay", "a", "--from", "0:1,1:2", "--dry-run", "--json");
    json_t *after = endpoint("a");
    assert_int_equal(json_integer_value(json_object_get(before, "begin")),
                     json_integer_value(json_object_get(after, "begin")));
    json_decref(before);
    json_decref(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_endpoint_begins_where_it_is_told_to),
        cmocka_unit_test(one_that_hangs_holds_back_nobody_else),
        cmocka_unit_test(nothing_is_lost_when_all_sides_die),
        cmocka_unit_test(a_pause_that_is_asked_for_is_kept),
        cmocka_unit_test(what_is_refused_is_buried_and_the_rest_goes_on),
        cmocka_unit_test(redirects_are_refused_and_private_addresses_too),
        cmocka_unit_test(without_redis_it_goes_on_where_it_was),
        cmocka_unit_test(a_pause_and_a_replay),
        cmocka_unit_test(a_beginning_takes_the_persisters_cells),
        cmocka_unit_test(new_secrets_need_no_restart),
        cmocka_unit_test(the_command_says_what_is_wrong),
        cmocka_unit_test(certificates_are_checked),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, teardown));
}
