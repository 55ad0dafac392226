#include "tests/support/pipeline_int.h"

#include "common/base/rand.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHOWN_LINES 25

static struct pl *all;

/* TEST_ONLY=*broker*: of each program, the tests whose name matches. */
__attribute__((constructor)) static void only(void)
{
    if (getenv("TEST_ONLY"))
        cmocka_set_test_filter(getenv("TEST_ONLY"));
}

static const char *server(const char *name)
{
    const char *v = getenv(name);
    if (!v || !*v)
        skip();
    return v;
}

/* ---- where things are ---- */

static void find_build(struct pl *pl)
{
    char exe[PATH_MAX];
    const char *bins = getenv("PARLEY_BIN"), *tree = getenv("PARLEY_TREE");
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    assert_true(n > 0);
    exe[n] = 0;
    if (bins && *bins)
        snprintf(pl->bins, sizeof pl->bins, "%s", bins);
    else
        snprintf(pl->bins, sizeof pl->bins, "%.4000s/../../bin", dirname(exe));
    if (tree && *tree)
        snprintf(pl->tree, sizeof pl->tree, "%s", tree);
    else if (!getcwd(pl->tree, sizeof pl->tree))
        fail_msg("%s", strerror(errno));
}

static void make_folder(struct pl *pl)
{
    const char *build = getenv("PARLEY_BUILD"), *tmp = getenv("TMPDIR");
    char base[PATH_MAX - 64];
    if (build && *build)
        snprintf(base, sizeof base, "%s/test-logs", build);
    else
        snprintf(base, sizeof base, "%s", tmp && *tmp ? tmp : "/tmp");
    if (mkdir(base, 0700) && errno != EEXIST)
        fail_msg("%s: %s", base, strerror(errno));
    snprintf(pl->folder, sizeof pl->folder, "%s/%s-XXXXXX", base, program_invocation_short_name);
    if (!mkdtemp(pl->folder))
        fail_msg("%s: %s", pl->folder, strerror(errno));
    snprintf(pl->config, sizeof pl->config, "%s/parley.json", pl->folder);
}

/* A port that is free and that neither the kernel nor tools/servers gives to anybody: a process that was killed must find
 * it again, and a server that is down its own. */
static int free_port(void)
{
    static int last;
    for (int tries = 0; tries < 2000; tries++) {
        int port = last ? last + 1 : 24000 + (int)(rand_u64() % 7000);
        char address[32];
        last = port >= 31999 ? 0 : port;
        snprintf(address, sizeof address, "127.0.0.1:%d", port);
        if (pl_port_free(address))
            return port;
    }
    fail_msg("no free port");
    return 0;
}

/* ---- configuration ---- */

static void write_config(struct pl *pl, const char *settings)
{
    json_error_t err;
    json_t *file = json_load_file(pl->config, 0, &err);
    if (!file)
        fail_msg("%s: %s", pl->config, err.text);
    json_t *ours = json_pack(
        "{s{ss} s{so} s{ss} s{ss} s{ss}}", "kafka", "bootstrap", server("PARLEY_KAFKA"), "postgres",
        "conninfo", json_sprintf("%s options='-c search_path=%s'", server("PARLEY_POSTGRES"), pl->schema),
        "redis", "url", server("PARLEY_REDIS"), "topics", "prefix", pl->prefix, "log", "level",
        getenv("TEST_LOG") ? getenv("TEST_LOG") : "info");
    json_t *more = settings ? json_loads(settings, 0, &err) : json_object();
    if (!more)
        fail_msg("%s: %s", settings, err.text);
    json_object_update_recursive(file, ours);
    json_object_update_recursive(file, more);
    if (json_dump_file(file, pl->config, JSON_INDENT(1)))
        fail_msg("cannot write %s", pl->config);
    json_decref(more);
    json_decref(ours);
    json_decref(file);
}

static void make_procs(struct pl *pl, const struct pl_conf *conf)
{
    static const int usual[PL_KINDS] = {2, 2, 2, 1, 2, 1, 0, 0};
    int given = 0;
    for (int k = 0; k < PL_KINDS; k++)
        given += conf->n[k];
    for (int k = 0; k < PL_KINDS; k++) {
        pl->n[k] = given ? conf->n[k] : usual[k];
        for (int i = 0; i < PL_EACH_MAX; i++) {
            struct pl_proc *p = &pl->procs[k][i];
            snprintf(p->log, sizeof p->log, "%s/%s-%d.log", pl->folder, pl_kind_names[k], i);
            if (i >= pl->n[k])
                continue;
            p->http = free_port();
            if (k == PL_EDGE) {
                p->env = conf->edge_env[i];
                p->listen = free_port();
                snprintf(p->address, sizeof p->address, "127.0.0.1:%d", p->listen);
            }
        }
    }
}

/* On a loaded machine a broker may be late for its own controller, which then refuses for a moment. */
static void make_topics(struct pl *pl)
{
    static const char *const command[] = {"parleyctl", "topics", "create", NULL};
    int rc = 1;
    for (int tries = 0; tries < 10 && rc; tries++) {
        char *out;
        rc = pl_run(pl, command, NULL, &out);
        if (rc)
            fputs(out, stderr);
        free(out);
    }
    assert_int_equal(rc, 0);
}

struct pl *pl_up(const struct pl_conf *conf)
{
    server("PARLEY_KAFKA");
    server("PARLEY_POSTGRES");
    server("PARLEY_REDIS");
    struct pl *pl = calloc(1, sizeof *pl);
    assert_non_null(pl);
    pl->next = all;
    all = pl;
    snprintf(pl->prefix, sizeof pl->prefix, "t%08x.", (unsigned)rand_u64());
    snprintf(pl->schema, sizeof pl->schema, "t%.8s", pl->prefix + 1);
    find_build(pl);
    make_folder(pl);
    PL_CTL(pl, "init", "--dir", pl->folder);
    write_config(pl, conf->settings);
    make_procs(pl, conf);
    if (!conf->no_topics)
        make_topics(pl);
    if (!conf->no_schema)
        pl_schema(pl);
    for (int k = 0; k < PL_KINDS && !conf->no_start; k++)
        for (int i = 0; i < pl->n[k]; i++)
            pl_start(pl, (enum pl_kind)k, i, NULL);
    if (!conf->no_start)
        pl_wait_ready(pl);
    return pl;
}

/* ---- the end ---- */

static void show_log(const char *path)
{
    char *text = pl_read_file(path);
    const char *p = text + strlen(text);
    for (int lines = 0; p > text && lines <= SHOWN_LINES; p--)
        lines += p[-1] == '\n';
    if (*text)
        fprintf(stderr, "---- the end of %s\n%s", path, p > text ? p + 1 : p);
    free(text);
}

static void stop_all(struct pl *pl)
{
    for (int k = 0; k < PL_KINDS; k++)
        for (int i = 0; i < pl->n[k]; i++)
            if (pl->procs[k][i].pid)
                pl_signal(pl, (enum pl_kind)k, i, SIGCONT);
    for (int k = 0; k < PL_KINDS; k++)
        for (int i = 0; i < pl->n[k]; i++)
            pl_kill_quietly(&pl->procs[k][i]);
}

/* TEST_KEEP=1: topics, tables and logs stay; TEST_KEEP=failed: when a test failed. */
static bool is_kept(int failed)
{
    const char *v = getenv("TEST_KEEP");
    return v && (failed || strcmp(v, "failed") != 0);
}

int pl_finish(int failed)
{
    while (all) {
        struct pl *pl = all;
        all = pl->next;
        stop_all(pl);
        for (int k = 0; failed && k < PL_KINDS; k++)
            for (int i = 0; i < pl->n[k]; i++)
                show_log(pl->procs[k][i].log);
        if (!is_kept(failed))
            pl_clean_servers(pl);
        if (failed || is_kept(failed))
            fprintf(stderr, "configuration and logs: %s\n", pl->folder);
        else
            pl_remove_folder(pl);
        PQfinish(pl->pg);
        free(pl->text);
        free(pl);
    }
    return failed;
}

/* ---- small things ---- */

const char *pl_prefix(const struct pl *pl)
{
    return pl->prefix;
}

const char *pl_config(const struct pl *pl)
{
    return pl->config;
}

const char *pl_folder(const struct pl *pl)
{
    return pl->folder;
}

int pl_count(const struct pl *pl, enum pl_kind kind)
{
    return pl->n[kind];
}

const char *pl_edge(const struct pl *pl, int i)
{
    return pl->procs[PL_EDGE][i].address;
}

const char *pl_edges(const struct pl *pl, int first)
{
    static char list[PL_EACH_MAX * 33];
    size_t n = 0;
    for (int i = 0; i < pl->n[PL_EDGE]; i++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? "," : "",
                              pl_edge(pl, (first + i) % pl->n[PL_EDGE]));
    return list;
}

int pl_ms(int ms)
{
    static int factor;
    if (!factor) {
        const char *v = getenv("TEST_SLOWER");
        factor = v ? (int)strtol(v, NULL, 10) : 1;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
        factor *= 4;
#endif
    }
    return ms * factor;
}
