#include "common/base/addr.h"
#include "common/base/conf.h"
#include "common/base/conf_private.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct edge_settings {
    const char *listen, *mode;
    int64_t conns, login_ms, frame;
    bool tls;
    struct conf_list origins;
    struct conf_secret key;
    struct conf_json hooks;
};
struct settings {
    const char *brokers;
    struct edge_settings edge;
};

static int hooks_check(const char *text, char *why, size_t n)
{
    if (*text == '[')
        return 0;
    snprintf(why, n, "a list of hooks");
    return -EINVAL;
}

static const struct conf_def edge_defs[] = {
    CONF_STR("edge.listen", struct edge_settings, listen, "127.0.0.1:7000", "Address.", .check = addr_check),
    CONF_STR("edge.mode", struct edge_settings, mode, "fast", "Mode.", .choices = "fast|safe",
             .flags = CONF_RELOAD),
    CONF_INT("edge.conns", struct edge_settings, conns, "10", 1, 100, "Connections."),
    CONF_MS("edge.login", struct edge_settings, login_ms, "10s", 100, 60000, "Time to log in.",
            .flags = CONF_RELOAD),
    CONF_SIZE("edge.frame", struct edge_settings, frame, "64KiB", 4096, 1 << 20, "Largest frame."),
    CONF_BOOL("edge.tls.on", struct edge_settings, tls, "false", "TLS."),
    CONF_LIST("edge.origins", struct edge_settings, origins, "", "Origins.", .flags = CONF_RELOAD),
    CONF_SECRET("edge.tls.key", struct edge_settings, key, NULL, "Key.", .flags = CONF_RELOAD),
    CONF_JSON("edge.hooks", struct edge_settings, hooks, NULL, "Hooks.", .check = hooks_check),
};
static const struct conf_def kafka_defs[] = {
    CONF_STR("kafka.brokers", struct settings, brokers, NULL, "Brokers.", .env = "PARLEY_KAFKA",
             .flags = CONF_REQUIRED | CONF_SENSITIVE),
};
static const struct conf_table tables[] = {
    CONF_TABLE(edge_defs, struct settings, edge),
    {kafka_defs, ARRAY_LEN(kafka_defs), 0, NULL},
};
static const char *const sections[] = {"edge", "kafka", "router", NULL};
static const struct conf_spec spec = {tables, ARRAY_LEN(tables), sizeof(struct settings), sections};

static char dir[] = "/tmp/parley-test-conf-XXXXXX", file[64], key_file[64];

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(file, sizeof file, "%s/parley.json", dir);
    snprintf(key_file, sizeof key_file, "%s/key", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(file);
    unlink(key_file);
    return rmdir(dir);
}

static void put(const char *path, const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
}

static char *said; /* by the last load or reload */

static void hush(void)
{
    free(said);
    said = NULL;
}

static int load(struct conf **c, const char *json, char *const *env)
{
    size_t n;
    hush();
    FILE *say = open_memstream(&said, &n);
    if (json)
        put(file, json, 0600);
    int rc = conf_load(c, &spec, json ? file : NULL, env, say);
    fclose(say);
    return rc;
}

static const struct settings *get(const struct conf *c)
{
    return conf_settings(c);
}

#define KAFKA "\"kafka\": {\"brokers\": \"localhost:9092\"}"

static void defaults(void **state)
{
    (void)state;
    struct conf *c;
    assert_int_equal(load(&c, NULL, (char *[]){"PARLEY_KAFKA=k:1", NULL}), 0);
    assert_string_equal(said, "");
    assert_string_equal(get(c)->brokers, "k:1");
    assert_string_equal(get(c)->edge.listen, "127.0.0.1:7000");
    assert_int_equal(get(c)->edge.conns, 10);
    assert_int_equal(get(c)->edge.login_ms, 10000);
    assert_int_equal(get(c)->edge.frame, 65536);
    assert_false(get(c)->edge.tls);
    assert_int_equal(get(c)->edge.origins.n, 0);
    assert_null(get(c)->edge.key.path);
    conf_free(c);
    conf_free(NULL);
}

static void file_values(void **state)
{
    (void)state;
    struct conf *c;
    put(key_file, "hush\nhush\n", 0600);
    assert_int_equal(load(&c,
                          "{" KAFKA
                          ", \"router\": {\"anything\": 1},\n \"edge\": {\"conns\": 7, \"login\": \"5m\", "
                          "\"frame\": \"1MiB\",\n \"origins\": [\"a\", \"b,c\"], \"mode\": \"safe\","
                          "\"tls\": {\"on\": true, \"key\": \"key\"}}}",
                          NULL),
                     -EINVAL); /* 5m is too long */
    assert_int_equal(load(&c,
                          "{" KAFKA
                          ", \"router\": {\"anything\": 1},\n \"edge\": {\"conns\": 7, \"login\": \"1m\", "
                          "\"frame\": \"1MiB\",\n \"origins\": [\"a\", \"b,c\"], \"mode\": \"safe\","
                          "\"tls\": {\"on\": true, \"key\": \"key\"}}}",
                          NULL),
                     0);
    assert_string_equal(said, "");
    const struct edge_settings *e = &get(c)->edge;
    assert_int_equal(e->conns, 7);
    assert_int_equal(e->login_ms, 60000);
    assert_int_equal(e->frame, 1 << 20);
    assert_true(e->tls);
    assert_int_equal(e->origins.n, 2);
    assert_string_equal(e->origins.v[1], "b,c");
    assert_string_equal(e->mode, "safe");
    assert_string_equal(e->key.path, key_file); /* relative to the file's folder */
    assert_string_equal(e->key.text, "hush\nhush");
    assert_int_equal(e->key.n, 9);
    conf_free(c);
}

static void environment_wins(void **state)
{
    (void)state;
    struct conf *c;
    char *env[] = {"PARLEY_EDGE_CONNS=9",
                   "PARLEY_EDGE_ORIGINS=x,y",
                   "PARLEY_EDGE_TLS_ON=true",
                   "HOME=/",
                   "PARLEY_KAFKA=short:1",
                   "PARLEY_KAFKA_BROKERS=long:1",
                   "PARLEY_EDGE_CONN=1",
                   "PARLEY_ROUTER_ANYTHING=1",
                   NULL};
    assert_int_equal(load(&c, "{" KAFKA ", \"edge\": {\"conns\": 7}}", env), 0);
    assert_int_equal(get(c)->edge.conns, 9);
    assert_int_equal(get(c)->edge.origins.n, 2);
    assert_string_equal(get(c)->edge.origins.v[1], "y");
    assert_true(get(c)->edge.tls);
    assert_string_equal(get(c)->brokers, "long:1");
    assert_non_null(strstr(said, "warning: PARLEY_EDGE_CONN is no setting"));
    assert_null(strstr(said, "ROUTER"));
    conf_free(c);
    env[0] = "PARLEY_EDGE_CONNS=many";
    assert_int_equal(load(&c, "{" KAFKA "}", env), -EINVAL);
    assert_non_null(
        strstr(said, "environment PARLEY_EDGE_CONNS: edge.conns: \"many\" is not a number; give a whole "
                     "number, 1 to 100\n"));
}

static void errors_teach(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"edge\": {}}", "kafka.brokers: not set, but required; set it there or in PARLEY_KAFKA"},
        {"{" KAFKA ",\n\"egde\": {}}", "parley.json:2: egde: no such section; "},
        {"{" KAFKA ",\n\n\"edge\": {\"conn\": 1}}",
         ":3: edge.conn: no such setting; did you mean edge.conns\n"},
        {"{" KAFKA ",\"edge\": {\"tls\":\n{\"key\": 1}}}",
         ":2: edge.tls.key: a JSON integer does not fit here; give the path"},
        {"{" KAFKA ",\"edge\": {\"tls\":\n{\"zzzzzzz\": 1}}}",
         ":2: edge.tls.zzzzzzz: no such setting; remove it"},
        {"{" KAFKA ",\"edge\": {\"tls\": 5}}", "edge.tls: not an object"},
        {"{" KAFKA ",\"edge\": 5}", "edge: not an object"},
        {"{" KAFKA ",\"edge\": {\"conns\": 101}}",
         "edge.conns: \"101\" is out of range; give a whole number, 1 to 100\n"},
        {"{" KAFKA ",\"edge\": {\"conns\": \"5\"}}", "edge.conns: a JSON string does not fit"},
        {"{" KAFKA ",\"edge\": {\"conns\": 5.5}}", "edge.conns: a JSON real number does not fit"},
        {"{" KAFKA ",\"edge\": {\"conns\": null}}", "edge.conns: a JSON null does not fit"},
        {"{" KAFKA ",\"edge\": {\"login\": \"9 s\"}}",
         "edge.login: \"9 s\" has an unknown unit; give a duration such as"},
        {"{" KAFKA ",\"edge\": {\"login\": \"999999999999999d\"}}", "is out of range"},
        {"{" KAFKA ",\"edge\": {\"frame\": \"1kb\"}}",
         "edge.frame: \"1kb\" has an unknown unit; give a size such as"},
        {"{" KAFKA ",\"edge\": {\"tls\": {\"on\": \"true\"}}}",
         "edge.tls.on: a JSON string does not fit here; give true or false"},
        {"{" KAFKA ",\"edge\": {\"mode\": \"fas\"}}",
         "edge.mode: \"fas\" is none of the choices; give one of fast/safe\n"},
        {"{" KAFKA ",\"edge\": {\"mode\": \"\"}}", "is none of the choices"},
        {"{" KAFKA ",\"edge\": {\"listen\": \"here\"}}",
         "\"here\" is not valid; give a numeric address and a port"},
        {"{" KAFKA ",\"edge\": {\"origins\": \"a\"}}",
         "edge.origins: a JSON string does not fit here; give a list"},
        {"{" KAFKA ",\"edge\": {\"origins\": [1]}}", "is not a string; give a list of strings"},
        {"{" KAFKA ",\"edge\": {\"tls\": {\"key\": \"gone\"}}}", "edge.tls.key: \"gone\" cannot be opened"},
        {"{" KAFKA ",\n\"edge\": {\"conns\" 1}}", "parley.json:2: "},
        {"{" KAFKA ", \"kafka\": {}}", "duplicate"},
        {"[1]", "not an object; the file is one JSON object"},
        {"", "parley.json:"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct conf *c = NULL;
        int rc = load(&c, cases[i][0], NULL);
        if (rc != -EINVAL || !strstr(said, cases[i][1]))
            fail_msg("%s: rc %d, said: %s", cases[i][0], rc, said);
        assert_null(c);
    }
    struct conf *c;
    assert_int_equal(load(&c, "{\"egde\": {},\n\"edge\": {\"conns\": 0, \"x\": 1}}", NULL), -EINVAL);
    assert_non_null(strstr(said, "egde"));       /* all of them, */
    assert_non_null(strstr(said, "edge.conns")); /* not the first */
    assert_non_null(strstr(said, "edge.x"));
    assert_non_null(strstr(said, "kafka.brokers"));
    assert_int_equal(conf_load(&c, &spec, "/nonexistent/parley.json", NULL, NULL), -ENOENT);
    assert_true(conf_load(&c, &spec, dir, NULL, NULL) < 0);
}

static void secrets_are_guarded(void **state)
{
    (void)state;
    struct conf *c;
    char *env[] = {"PARLEY_EDGE_TLS_KEY=key", NULL};
    put(key_file, "\n", 0600);
    assert_int_equal(load(&c, "{" KAFKA "}", env), -EINVAL);
    assert_non_null(strstr(said, "is empty"));
    put(key_file, "canary", 0644);
    assert_int_equal(load(&c, "{" KAFKA "}", env), 0);
    assert_non_null(strstr(said, "warning: everybody on this machine may use this secret"));
    char *shown;
    size_t n;
    FILE *f = open_memstream(&shown, &n);
    conf_print(c, f);
    fclose(f);
    assert_null(strstr(shown, "canary"));
    assert_null(strstr(shown, "localhost:9092"));
    assert_non_null(strstr(shown, "kafka.brokers = \"(hidden)\" "));
    assert_non_null(strstr(shown, "environment PARLEY_EDGE_TLS_KEY"));
    free(shown);
    conf_free(c);
}

static void json_values(void **state)
{
    (void)state;
    struct conf *c;
    assert_int_equal(
        load(&c, "{\"kafka\": {\"brokers\": \"k:1\"}, \"edge\": {\"hooks\": [{\"a\": [1, \"x\"]}]}}", NULL),
        0);
    assert_string_equal(get(c)->edge.hooks.text, "[{\"a\":[1,\"x\"]}]");
    assert_string_equal(get(c)->edge.hooks.folder, dir);
    conf_free(c);
    char *const env[] = {"PARLEY_KAFKA=k:1", "PARLEY_EDGE_HOOKS=[ {} ]", NULL};
    assert_int_equal(load(&c, NULL, env), 0);
    assert_string_equal(get(c)->edge.hooks.text, "[{}]");
    assert_null(get(c)->edge.hooks.folder);
    conf_free(c);
    assert_int_equal(load(&c, "{\"kafka\": {\"brokers\": \"k:1\"}, \"edge\": {\"hooks\": {\"a\": 1}}}", NULL),
                     -EINVAL);
    assert_non_null(strstr(said, "edge.hooks: "));
    assert_non_null(strstr(said, "give a list of hooks"));
    assert_int_equal(load(&c, "{\"kafka\": {\"brokers\": \"k:1\"}, \"edge\": {\"hooks\": 3}}", NULL),
                     -EINVAL);
    char *const bad[] = {"PARLEY_KAFKA=k:1", "PARLEY_EDGE_HOOKS=[ {", NULL};
    assert_int_equal(load(&c, NULL, bad), -EINVAL);
}

static void printing(void **state)
{
    (void)state;
    struct conf *c;
    char *text;
    size_t n;
    assert_int_equal(load(&c, "{" KAFKA ",\n\"edge\": {\n\"login\": 1500,\"origins\":[\"a\",\"b\"]}}", NULL),
                     0);
    FILE *f = open_memstream(&text, &n);
    conf_print(c, f);
    fclose(f);
    assert_non_null(strstr(text, "edge.login = \"1500ms\" "));
    assert_non_null(strstr(text, "parley.json:3\n"));
    assert_non_null(strstr(text, "edge.origins = [\"a\", \"b\"]"));
    assert_non_null(strstr(text, "edge.frame = \"64KiB\" "));
    assert_non_null(strstr(text, "edge.tls.key = null"));
    assert_non_null(strstr(text, "# not set\n"));
    free(text);
    conf_free(c);
    f = open_memstream(&text, &n);
    conf_reference(&spec, f);
    fclose(f);
    assert_non_null(strstr(text, "## edge\n"));
    assert_non_null(
        strstr(text, "| `edge.login` | duration | `10s` | 100ms to 1m | reload | Time to log in. |"));
    assert_non_null(
        strstr(text, "| `kafka.brokers` | string | required |  | restart | Brokers. Also `PARLEY_KAFKA`."));
    free(text);
}

static void reloading(void **state)
{
    (void)state;
    struct conf *c;
    size_t n;
    assert_int_equal(load(&c, "{" KAFKA ", \"edge\": {\"mode\": \"safe\", \"conns\": 5}}", NULL), 0);
    const char *old_mode = get(c)->edge.mode;

    put(file, "{" KAFKA ", \"edge\": {\"mode\": \"wrong\"}}", 0600);
    assert_int_equal(conf_reload(c, NULL), -EINVAL);
    assert_string_equal(get(c)->edge.mode, "safe");

    for (int i = 0; i < 3; i++) {
        hush();
        FILE *say = open_memstream(&said, &n);
        put(file, "{" KAFKA ", \"edge\": {\"mode\": \"fast\", \"conns\": 6, \"origins\": [\"z\"]}}", 0600);
        assert_int_equal(conf_reload(c, say), 0);
        fclose(say);
        assert_string_equal(get(c)->edge.mode, "fast");
        assert_string_equal(get(c)->edge.origins.v[0], "z");
        assert_int_equal(get(c)->edge.conns, 5);
        assert_string_equal(said, "edge.conns: changed, but that needs a restart; the old value stays\n");
    }
    assert_string_equal(old_mode, "safe"); /* whoever kept it may still read it */
    conf_free(c);
}

static const struct conf_def own_defs[] = {
    CONF_STR("http", struct settings, brokers, "off", "Address."),
};

static void section_of_a_table(void **state)
{
    (void)state;
    struct conf *c;
    const struct conf_table t[] = {{own_defs, 1, 0, "fanout"}};
    const struct conf_spec s = {t, 1, sizeof(struct settings), NULL};
    put(file, "{\"fanout\": {\"http\": \"x:1\"}}", 0600);
    assert_int_equal(conf_load(&c, &s, file, NULL, NULL), 0);
    assert_string_equal(get(c)->brokers, "x:1");
    conf_free(c);
    assert_int_equal(conf_load(&c, &s, file, (char *[]){"PARLEY_FANOUT_HTTP=y:1", NULL}, NULL), 0);
    assert_string_equal(get(c)->brokers, "y:1");
    conf_free(c);
}

static void lines(void **state)
{
    (void)state;
    const char *json =
        "{\n\"a\": {\"x\\\"\": \"}\",\n\"b\": [1, {\"c\": 2}],\n\"c\": -1.5e3 },\n\"c\": true}";
    assert_int_equal(conf_text_line(json, "a"), 2);
    assert_int_equal(conf_text_line(json, "a.b"), 3);
    assert_int_equal(conf_text_line(json, "a.c"), 4);
    assert_int_equal(conf_text_line(json, "c"), 5);
    assert_int_equal(conf_text_line(json, "a.b.c"), 0);
    assert_int_equal(conf_text_line(json, "d"), 0);
}

static int done(void **state)
{
    hush();
    return remove_dir(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(file_values),
        cmocka_unit_test(environment_wins),
        cmocka_unit_test(errors_teach),
        cmocka_unit_test(secrets_are_guarded),
        cmocka_unit_test(json_values),
        cmocka_unit_test(printing),
        cmocka_unit_test(reloading),
        cmocka_unit_test(section_of_a_table),
        cmocka_unit_test(lines),
    };
    return cmocka_run_group_tests(tests, make_dir, done);
}
