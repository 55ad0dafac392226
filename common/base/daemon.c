#include "common/base/daemon.h"

#include "common/base/addr.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/notify.h"
#include "common/base/version.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, TABLES_MAX = 32, FLUSH_MS = 1000 };

struct common_settings { /* what every process has; behind its own struct */
    const char *log_level, *log_format, *http;
    int64_t drain_ms;
};

struct process {
    struct daemon_run run;
    const struct daemon *d;
    struct conf *conf;
    const struct common_settings *common;
    struct loop_signal term, intr, hup;
    struct timer deadline, flush;
    struct notify notify;
    bool draining, begun;
};

enum mode { RUN, CHECK, PRINT, REFERENCE, DONE };

/* ---- settings ---- */

static int check_http(const char *text, char *why, size_t n)
{
    return strcmp(text, "off") ? addr_check(text, why, n) : 0;
}

static const struct conf_def log_defs[] = {
    CONF_STR("log.level", struct common_settings, log_level, "info", "How much is logged.",
             .choices = "debug|info|warn|error|none", .flags = CONF_RELOAD),
    CONF_STR("log.format", struct common_settings, log_format, "text",
             "Log lines for people or for machines.", .choices = "text|json"),
};

struct settings_spec {
    struct conf_spec spec;
    struct conf_def own[2];
    struct conf_table tables[TABLES_MAX];
    size_t common; /* offset of the common settings */
};

/* The process's tables and ours. */
static void put_together(struct settings_spec *s, const struct daemon *d)
{
    const struct conf_def own[] = {
        CONF_STR("http", struct common_settings, http, d->http ? d->http : "off",
                 "Address of /metrics, /healthz and /readyz, or \"off\".", .check = check_http),
        CONF_MS("drain", struct common_settings, drain_ms, "10s", 0, 600000,
                "How long SIGTERM waits for what is begun.", .flags = CONF_RELOAD),
    };
    const size_t align = alignof(max_align_t);
    if (d->n_tables > TABLES_MAX - 2)
        abort();
    memcpy(s->own, own, sizeof own);
    if (d->n_tables)
        memcpy(s->tables, d->tables, d->n_tables * sizeof s->tables[0]);
    s->common = (d->settings_size + align - 1) / align * align;
    s->tables[d->n_tables] = (struct conf_table){log_defs, ARRAY_LEN(log_defs), s->common, NULL};
    s->tables[d->n_tables + 1] = (struct conf_table){s->own, ARRAY_LEN(s->own), s->common, d->name};
    s->spec = (struct conf_spec){
        .tables = s->tables,
        .n = d->n_tables + 2,
        .size = s->common + sizeof(struct common_settings),
        .sections = d->sections,
    };
}

static const char *find_file(const char *option)
{
    static const char *const places[] = {"parley.json", "/etc/parley/parley.json"};
    const char *env = getenv("PARLEY_CONFIG");
    if (option || env)
        return option ? option : env;
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        if (!access(places[i], F_OK))
            return places[i];
    }
    return NULL;
}

/* ---- command line ---- */

static void print_help(const struct daemon *d)
{
    printf("parley-%s: %s\n\nExamples:\n%s", d->name, d->summary, d->examples ? d->examples : "");
    printf("  parley-%s --config parley.json         # run in the foreground\n"
           "  parley-%s --check-config               # is the configuration right? exit code 0 or 2\n"
           "\nOptions:\n"
           "  --config FILE       settings; else $PARLEY_CONFIG, ./parley.json, /etc/parley/parley.json\n"
           "  --check-config      check the settings and exit\n"
           "  --print-config      show the settings in effect and where each comes from, and exit\n"
           "  --config-reference  describe every setting (Markdown), and exit\n"
           "  --help, --version\n"
           "\nSignals: TERM, INT: finish what is begun and exit; again: exit at once. HUP: read settings "
           "again.\n"
           "Exit codes: 0 done, 1 failed (see the log), 2 wrong usage or configuration.\n",
           d->name, d->name);
}

static int parse_args(int argc, char **argv, const struct daemon *d, enum mode *mode, const char **file)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {"config", required_argument, NULL, 'c'},
        {"check-config", no_argument, NULL, CHECK},
        {"print-config", no_argument, NULL, PRINT},
        {"config-reference", no_argument, NULL, REFERENCE},
        {0},
    };
    int o;
    *mode = RUN;
    *file = NULL;
    optind = 0;
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (o) {
        case 'h':
            print_help(d);
            *mode = DONE;
            return 0;
        case 'v':
            printf("parley-%s %s\n", d->name, PARLEY_VERSION);
            *mode = DONE;
            return 0;
        case 'c':
            *file = optarg;
            break;
        case '?':
            fprintf(stderr, "Try parley-%s --help\n", d->name);
            return -EINVAL;
        default:
            *mode = (enum mode)o;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "parley-%s: unexpected \"%s\"; try --help\n", d->name, argv[optind]);
        return -EINVAL;
    }
    return 0;
}

/* ---- signals ---- */

static void begin_drain(struct process *p)
{
    if (p->draining) {
        log_warn("told again: leaving at once");
        loop_stop(p->run.loop, 1);
        return;
    }
    p->draining = true;
    log_info("draining", log_int("deadline_ms", p->common->drain_ms));
    ready_wait(p->run.ready, "restart", "the process is stopping");
    notify_stopping(&p->notify, p->common->drain_ms);
    if (!p->d->drain) {
        loop_stop(p->run.loop, 0);
        return;
    }
    loop_timer_start(p->run.loop, &p->deadline, p->common->drain_ms);
    p->d->drain(&p->run);
}

static void on_term(struct loop_signal *s)
{
    begin_drain(container_of(s, struct process, term));
}

static void on_int(struct loop_signal *s)
{
    begin_drain(container_of(s, struct process, intr));
}

static void on_deadline(struct timer *t)
{
    struct process *p = container_of(t, struct process, deadline);
    log_warn("not drained in time: what is unfinished is done again by the next start");
    loop_stop(p->run.loop, 1);
}

static void apply_level(const struct process *p)
{
    enum log_level level;
    if (!log_parse_level(p->common->log_level, &level))
        log_set_level(level);
}

static void on_hup(struct loop_signal *s)
{
    struct process *p = container_of(s, struct process, hup);
    char *said = NULL, *rest;
    size_t n;
    FILE *say = open_memstream(&said, &n);
    int rc = conf_reload(p->conf, say);
    if (say)
        fclose(say);
    for (char *line = said ? strtok_r(said, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest))
        log_warn("settings", log_str("problem", line));
    free(said);
    if (rc) {
        log_error("settings not read again: the old ones stay", log_err(rc));
        return;
    }
    apply_level(p);
    log_info("settings read again");
    if (p->d->reloaded)
        p->d->reloaded(&p->run);
}

static void on_flush(struct timer *t)
{
    struct process *p = container_of(t, struct process, flush);
    log_flush();
    loop_timer_start(p->run.loop, t, FLUSH_MS);
}

/* ---- running ---- */

static void prepare_process(const struct process *p)
{
    struct rlimit files, none = {0, 0};
    struct log_options o = {
        .process = p->d->name,
        .format = strcmp(p->common->log_format, "json") ? LOG_TEXT : LOG_JSON,
        .fd = STDERR_FILENO,
        .colour = log_want_colour(STDERR_FILENO),
    };
    log_setup(&o);
    apply_level(p);
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    setrlimit(RLIMIT_CORE, &none); /* a core would hold passwords and messages */
    if (!getrlimit(RLIMIT_NOFILE, &files)) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* Logs what failed. */
static int start(struct process *p)
{
    int rc = loop_new(&p->run.loop);
    if (!rc)
        rc = loop_signal_add(p->run.loop, &p->term, SIGTERM, on_term);
    if (!rc)
        rc = loop_signal_add(p->run.loop, &p->intr, SIGINT, on_int);
    if (!rc)
        rc = loop_signal_add(p->run.loop, &p->hup, SIGHUP, on_hup);
    p->run.ready = rc ? NULL : ready_new(p->run.loop);
    if (!rc && !p->run.ready)
        rc = -ENOMEM;
    if (rc) {
        log_error("cannot start", log_err(rc));
        return rc;
    }
    timer_init(&p->deadline, on_deadline);
    timer_init(&p->flush, on_flush);
    loop_timer_start(p->run.loop, &p->flush, FLUSH_MS);
    if (strcmp(p->common->http, "off") != 0) {
        rc = http_new(&p->run.http, p->run.loop, p->run.ready, p->common->http);
        if (rc) {
            log_error("cannot listen for HTTP", log_str("address", p->common->http), log_err(rc));
            return rc;
        }
    }
    rc = notify_start(&p->notify, p->run.loop, p->run.ready);
    if (rc)
        log_warn("cannot tell the service manager anything: NOTIFY_SOCKET", log_err(rc));
    log_info("starting", log_str("version", PARLEY_VERSION),
             log_uint("http_port", p->run.http ? http_port(p->run.http) : 0));
    p->begun = true;
    return p->d->init ? p->d->init(&p->run) : 0;
}

static int run(struct process *p)
{
    prepare_process(p);
    int rc = start(p);
    if (!rc) {
        rc = loop_run(p->run.loop);
        if (rc < 0)
            log_error("loop failed", log_err(rc));
    }
    if (p->begun && p->d->fini)
        p->d->fini(&p->run);
    if (p->run.loop) {
        loop_timer_stop(p->run.loop, &p->deadline);
        loop_timer_stop(p->run.loop, &p->flush);
    }
    notify_release(&p->notify);
    http_free(p->run.http);
    ready_free(p->run.ready);
    loop_free(p->run.loop);
    log_flush_all();
    log_info("stopped", log_int("code", rc ? 1 : 0));
    return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}

int daemon_main(int argc, char **argv, const struct daemon *d)
{
    enum mode mode;
    const char *file;
    struct settings_spec s;
    struct process p = {.d = d};

    if (parse_args(argc, argv, d, &mode, &file))
        return EXIT_USAGE;
    if (mode == DONE)
        return EXIT_SUCCESS;
    put_together(&s, d);
    if (mode == REFERENCE) {
        conf_reference(&s.spec, stdout);
        return EXIT_SUCCESS;
    }
    file = find_file(file);
    if (conf_load(&p.conf, &s.spec, file, environ, stderr)) {
        fprintf(stderr, "parley-%s: the configuration is not usable\n", d->name);
        return EXIT_USAGE;
    }
    int code = EXIT_SUCCESS;
    p.run.settings = conf_settings(p.conf);
    p.common = (const void *)((const char *)p.run.settings + s.common);
    if (mode == PRINT)
        conf_print(p.conf, stdout);
    else if (mode == CHECK)
        printf("%s: fine for parley-%s\n", file ? file : "the defaults", d->name);
    else
        code = run(&p);
    conf_free(p.conf);
    return code;
}

void daemon_drained(struct daemon_run *run)
{
    loop_stop(run->loop, 0);
}

void daemon_fail(struct daemon_run *run)
{
    loop_stop(run->loop, 1);
}
