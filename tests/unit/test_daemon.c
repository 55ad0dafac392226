#include "common/base/daemon.h"
#include "common/base/log.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Each test runs a daemon in a child and watches the pipe that is its stdout and stderr. */
struct child {
    pid_t pid;
    FILE *out;
    char all[16384]; /* what it has said */
};

struct settings {
    int64_t conns;
    const char *mode;
};
static const struct conf_def defs[] = {
    CONF_INT("probe.conns", struct settings, conns, "10", 1, 100, "Connections."),
    CONF_STR("probe.mode", struct settings, mode, "calm", "Mode.", .flags = CONF_RELOAD),
};
static const struct conf_table tables[] = {{defs, ARRAY_LEN(defs), 0, NULL}};

static int init_ok(struct daemon_run *run)
{
    const struct settings *s = run->settings;
    log_info("init", log_int("conns", s->conns), log_str("mode", s->mode));
    return 0;
}

static int init_fails(struct daemon_run *run)
{
    (void)run;
    log_error("init failed");
    return -1;
}

static void drain_at_once(struct daemon_run *run)
{
    log_info("drain called");
    daemon_drained(run);
}

static void drain_never(struct daemon_run *run)
{
    (void)run;
    log_info("drain called");
}

static void fini(struct daemon_run *run)
{
    (void)run;
    log_info("fini called");
}

static void reloaded(struct daemon_run *run)
{
    log_info("reloaded", log_str("mode", ((const struct settings *)run->settings)->mode));
}

static const struct daemon probe = {
    .name = "probe",
    .summary = "A daemon for this test.",
    .examples = "  parley-probe --example   # first\n",
    .tables = tables,
    .n_tables = 1,
    .settings_size = sizeof(struct settings),
    .init = init_ok,
    .drain = drain_at_once,
    .fini = fini,
    .reloaded = reloaded,
};

static void start(struct child *c, const struct daemon *d, const char *const *args)
{
    int p[2];
    char *argv[8] = {"parley-probe"};
    int argc = 1;
    for (; args && args[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)args[argc - 1];
    assert_int_equal(pipe(p), 0);
    fflush(NULL);
    c->all[0] = '\0';
    c->pid = fork();
    assert_true(c->pid >= 0);
    if (c->pid == 0) {
        dup2(p[1], STDOUT_FILENO);
        dup2(p[1], STDERR_FILENO);
        close(p[0]);
        int code = daemon_main(argc, argv, d);
        fflush(NULL);
        _exit(code);
    }
    close(p[1]);
    c->out = fdopen(p[0], "r");
}

static void wait_for(struct child *c, const char *text) /* NULL: the end */
{
    for (;;) {
        size_t n = strlen(c->all);
        if (text && strstr(c->all, text))
            return;
        if (!fgets(c->all + n, (int)(sizeof c->all - n), c->out)) {
            if (text)
                fail_msg("no \"%s\" in: %s", text, c->all);
            return;
        }
    }
}

static int finish(struct child *c)
{
    int status;
    wait_for(c, NULL);
    fclose(c->out);
    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static struct child child;

static int answer(const char *const *args)
{
    start(&child, &probe, args);
    return finish(&child);
}

static void answers_and_exits(void **state)
{
    (void)state;
    assert_int_equal(answer((const char *[]){"--help", NULL}), 0);
    assert_non_null(
        strstr(child.all, "parley-probe: A daemon for this test.\n\nExamples:\n  parley-probe --example "));
    assert_non_null(strstr(child.all, "Exit codes: 0 done, 1 failed"));
    assert_int_equal(answer((const char *[]){"--version", NULL}), 0);
    assert_int_equal(strncmp(child.all, "parley-probe ", 13), 0);
    assert_int_equal(answer((const char *[]){"--print-config", NULL}), 0);
    assert_non_null(strstr(child.all, "probe.conns = 10 "));
    assert_non_null(strstr(child.all, "probe.http = \"off\" "));
    assert_int_equal(answer((const char *[]){"--config-reference", NULL}), 0);
    assert_non_null(strstr(child.all, "| `probe.drain` | duration |"));
    assert_int_equal(answer((const char *[]){"--check-config", NULL}), 0);
    assert_int_equal(answer((const char *[]){"--wrong", NULL}), 2);
    assert_int_equal(answer((const char *[]){"stray", NULL}), 2);
    assert_int_equal(answer((const char *[]){"--config", "/nonexistent", NULL}), 2);
    setenv("PARLEY_PROBE_CONNS", "0", 1);
    assert_int_equal(answer((const char *[]){"--check-config", NULL}), 2);
    assert_non_null(strstr(child.all, "probe.conns"));
    assert_int_equal(answer(NULL), 2);
    unsetenv("PARLEY_PROBE_CONNS");
}

static void term_drains(void **state)
{
    (void)state;
    start(&child, &probe, NULL);
    wait_for(&child, "init conns=10 mode=calm");
    kill(child.pid, SIGTERM);
    assert_int_equal(finish(&child), 0);
    const char *drain = strstr(child.all, "drain called"), *end = strstr(child.all, "fini called");
    assert_non_null(drain);
    assert_true(end > drain);
    assert_non_null(strstr(end, "stopped code=0"));
}

static void second_signal_and_deadline(void **state)
{
    (void)state;
    struct daemon d = probe;
    d.drain = drain_never;
    start(&child, &d, NULL);
    wait_for(&child, "init");
    kill(child.pid, SIGTERM);
    wait_for(&child, "drain called");
    kill(child.pid, SIGINT);
    assert_int_equal(finish(&child), 1);
    assert_non_null(strstr(child.all, "fini called"));

    setenv("PARLEY_PROBE_DRAIN", "10ms", 1);
    start(&child, &d, NULL);
    unsetenv("PARLEY_PROBE_DRAIN");
    wait_for(&child, "init");
    kill(child.pid, SIGTERM);
    assert_int_equal(finish(&child), 1);
    assert_non_null(strstr(child.all, "not drained in time"));
}

static void failures_exit_with_one(void **state)
{
    (void)state;
    struct daemon d = probe;
    d.init = init_fails;
    start(&child, &d, NULL);
    assert_int_equal(finish(&child), 1);
    assert_non_null(strstr(child.all, "fini called"));
    d.init = init_ok;
    d.http = "192.0.2.1:1"; /* not an address of this machine */
    start(&child, &d, NULL);
    assert_int_equal(finish(&child), 1);
    assert_non_null(strstr(child.all, "cannot listen for HTTP"));
    assert_null(strstr(child.all, "fini called")); /* init never was */
}

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void hup_reads_settings_again(void **state)
{
    (void)state;
    char file[] = "/tmp/parley-test-daemon-XXXXXX";
    close(mkstemp(file));
    put(file, "{\"probe\": {\"mode\": \"first\"}}");
    start(&child, &probe, (const char *[]){"--config", file, NULL});
    wait_for(&child, "mode=first");
    put(file, "{\"probe\": {\"mode\": \"second\", \"conns\": 11}}");
    kill(child.pid, SIGHUP);
    wait_for(&child, "probe.conns: changed, but that needs a restart");
    wait_for(&child, "reloaded mode=second");
    put(file, "{\"probe\": 5}");
    kill(child.pid, SIGHUP);
    wait_for(&child, "the old ones stay");
    kill(child.pid, SIGTERM);
    assert_int_equal(finish(&child), 0);
    unlink(file);
}

/* As under Type=notify. */
static void the_service_manager_is_told(void **state)
{
    (void)state;
    char dir[] = "/tmp/parley-test-daemon-XXXXXX", text[256];
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    assert_non_null(mkdtemp(dir));
    snprintf(at.sun_path, sizeof at.sun_path, "%s/socket", dir);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    setenv("NOTIFY_SOCKET", at.sun_path, 1);
    start(&child, &probe, NULL);
    unsetenv("NOTIFY_SOCKET");
    static const char *const want[] = {"READY=1", "STATUS=ready", "STOPPING=1\nEXTEND_TIMEOUT_USEC=15000000"};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        if (i == 2)
            kill(child.pid, SIGTERM);
        ssize_t n = recv(fd, text, sizeof text - 1, 0);
        assert_true(n > 0);
        text[n] = '\0';
        assert_string_equal(text, want[i]);
    }
    assert_int_equal(finish(&child), 0);
    close(fd);
    unlink(at.sun_path);
    rmdir(dir);
}

int main(void)
{
    unsetenv("PARLEY_CONFIG");
    unsetenv("NOTIFY_SOCKET");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_and_exits),          cmocka_unit_test(term_drains),
        cmocka_unit_test(second_signal_and_deadline), cmocka_unit_test(failures_exit_with_one),
        cmocka_unit_test(hup_reads_settings_again),   cmocka_unit_test(the_service_manager_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
