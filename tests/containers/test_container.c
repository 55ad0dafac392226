/* tests/support/container.h on a real engine: waits, ports, commands, files, faults. */
#include "tests/support/container_int.h"
#include "tests/support/pipeline.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* cmocka.h wants these first */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define DEBIAN       "debian:trixie-slim"
#define REDIS        "redis:8"
#define WAIT_MS      60000
#define SOON_MS      300 /* of waits that must end by themselves */
#define COMMAND(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct container_run *run;

#define OK(call)                                             \
    do {                                                     \
        int rc_ = (call);                                    \
        if (rc_)                                             \
            fail_msg("%s: %s", #call, container_error(run)); \
    } while (0)

static int setup(void **state)
{
    (void)state;
    OK(container_run_new("org.parley.container-test", &run));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    container_run_free(run);
    return 0;
}

static struct container *debian(const char *script)
{
    struct container *c = NULL;
    OK(container_start_new(
        run, &(struct container_conf){.image = DEBIAN, .command = COMMAND("bash", "-c", script)}, &c));
    return c;
}

static struct container *redis(void)
{
    struct container *c = NULL;
    const struct container_port ports[] = {{6379, 0}, {0}};
    OK(container_start_new(run,
                           &(struct container_conf){.image = REDIS,
                                                    .command = COMMAND("redis-server", "--appendonly", "yes",
                                                                       "--appendfsync", "always"),
                                                    .ports = ports},
                           &c));
    OK(container_wait_port(c, 6379, pl_ms(WAIT_MS)));
    return c;
}

/* The first bytes of the answer, "" when none comes within ms. */
static const char *redis_says(struct container *c, const char *command, int ms)
{
    static char answer[64];
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)container_host_port(c, 6379))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *answer = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (!connect(fd, (struct sockaddr *)&sa, sizeof sa) &&
        send(fd, command, strlen(command), MSG_NOSIGNAL) == (ssize_t)strlen(command) && poll(&p, 1, ms) > 0) {
        ssize_t n = recv(fd, answer, sizeof answer - 1, 0);
        answer[n > 0 ? n : 0] = 0;
    }
    close(fd);
    return answer;
}

/* ---- waits ---- */

static void waits_for_a_log_line(void **state)
{
    char *text;
    (void)state;
    struct container *c = debian("echo one; sleep 0.2; echo 'two: ready' >&2; exec sleep 1000");
    OK(container_wait_log(c, "two: ready", pl_ms(WAIT_MS)));
    OK(container_logs(c, &text));
    assert_string_equal(text, "one\ntwo: ready\n");
    free(text);
    assert_int_equal(container_wait_log(c, "three", SOON_MS), -ETIMEDOUT);
    assert_non_null(strstr(container_error(run), "two: ready"));
    OK(container_remove(c));
}

static void says_when_it_ended(void **state)
{
    int status = 0;
    (void)state;
    struct container *c = debian("echo cannot do that; exit 7");
    assert_int_equal(container_wait_log(c, "ready", pl_ms(WAIT_MS)), -ECHILD);
    assert_non_null(strstr(container_error(run), "cannot do that"));
    OK(container_wait_end(c, pl_ms(WAIT_MS), &status));
    assert_int_equal(status, 7);
    assert_false(container_running(c));
    OK(container_remove(c));
}

static void waits_for_a_port(void **state)
{
    (void)state;
    struct container *c = redis();
    int port = container_host_port(c, 6379);
    assert_in_range(port, 1024, 32767);
    assert_string_equal(redis_says(c, "PING\r\n", pl_ms(WAIT_MS)), "+PONG\r\n");
    assert_int_equal(container_host_port(c, 80), -ENOENT);
    OK(container_remove(c));
}

/* The engine's proxy accepts connections to a published port from the first moment on. */
static void nobody_listens(void **state)
{
    struct container *c = NULL;
    const struct container_port ports[] = {{80, 0}, {0}};
    (void)state;
    OK(container_start_new(
        run, &(struct container_conf){.image = DEBIAN, .command = COMMAND("sleep", "1000"), .ports = ports},
        &c));
    assert_int_equal(container_wait_port(c, 80, 2 * SOON_MS), -ETIMEDOUT);
    OK(container_remove(c));
}

/* ---- refusals ---- */

static void absent_image(void **state)
{
    struct container *c = NULL;
    (void)state;
    assert_int_equal(container_image(run, "parley-has-no-such-image:1"), -ENOENT);
    assert_int_equal(container_image(run, DEBIAN), 0);
    int rc = container_start_new(run, &(struct container_conf){.image = "parley-has-no-such-image:1"}, &c);
    assert_int_equal(rc, -ENOENT);
    assert_null(c);
    assert_non_null(strstr(container_error(run), "parley-has-no-such-image"));
}

static void no_engine(void **state)
{
    struct container_run *other;
    (void)state;
    setenv("DOCKER_HOST", "unix:///nowhere/docker.sock", 1);
    assert_int_equal(container_run_new("org.parley.container-test", &other), -ECONNREFUSED);
    assert_non_null(strstr(container_error(other), "/nowhere/docker.sock"));
    container_run_free(other);
    unsetenv("DOCKER_HOST");
}

static void taken_port(void **state)
{
    struct container *others = run->all, *first = redis(), *second = NULL;
    const struct container_port ports[] = {{6379, container_host_port(first, 6379)}, {0}};
    (void)state;
    assert_int_equal(
        container_start_new(run, &(struct container_conf){.image = REDIS, .ports = ports}, &second),
        -EADDRINUSE);
    assert_null(second);
    OK(container_remove(first));
    assert_ptr_equal(run->all, others);
}

/* ---- what it is made of ---- */

static void configuration(void **state)
{
    char folder[] = "/tmp/parley-container-XXXXXX", mount[80], file[80], *out = NULL;
    int status = -1;
    struct container *c = NULL;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(mount, sizeof mount, "%s:/given:ro", folder);
    snprintf(file, sizeof file, "%s/word", folder);
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    fputs("given", f);
    fclose(f);
    OK(container_start_new(run,
                           &(struct container_conf){.image = DEBIAN,
                                                    .entrypoint = COMMAND("sleep"),
                                                    .command = COMMAND("1000"),
                                                    .env = COMMAND("WORD=said with = and blanks"),
                                                    .labels = COMMAND("org.parley.seen=yes"),
                                                    .mounts = COMMAND(mount),
                                                    .tmpfs = COMMAND("/scratch:size=64k"),
                                                    .memory = 64 << 20},
                           &c));
    OK(container_exec(
        c,
        COMMAND("bash", "-c",
                "cat /given/word; echo \" $WORD\"; df --output=fstype,size /scratch | tail -1 >&2; exit 5"),
        &out, &status));
    assert_int_equal(status, 5);
    assert_non_null(strstr(out, "given said with = and blanks\n"));
    assert_non_null(strstr(out, "tmpfs"));
    free(out);
    OK(container_exec(c, COMMAND("true"), NULL, &status));
    assert_int_equal(status, 0);
    OK(container_remove(c));
    unlink(file);
    rmdir(folder);
}

static void puts_a_file(void **state)
{
    static const char script[] = "echo put before the start; exec sleep 1000\n";
    char big[3000], *out = NULL;
    int status = -1;
    struct container *c = NULL;
    (void)state;
    OK(container_create(run, &(struct container_conf){.image = DEBIAN, .command = COMMAND("/opt/begin")},
                        &c));
    assert_int_equal(container_put(c, "/no/such/folder/x", "", 0, 0644), -ENOENT);
    assert_int_equal(container_put(c, "no-folder", "", 0, 0644), -EINVAL);
    OK(container_put(c, "/opt/begin", "#!/bin/bash\n. /opt/script\n", 26, 0755));
    OK(container_put(c, "/opt/script", script, sizeof script - 1, 0644));
    OK(container_start(c));
    OK(container_wait_log(c, "put before the start", pl_ms(WAIT_MS)));
    memset(big, 'x', sizeof big);
    OK(container_put(c, "/tmp/big", big, sizeof big, 0600));
    OK(container_exec(c, COMMAND("stat", "-c", "%s %a", "/tmp/big"), &out, &status));
    assert_string_equal(out, "3000 600\n");
    free(out);
    OK(container_remove(c));
}

/* ---- faults ---- */

static void stop_kill_and_start_again(void **state)
{
    (void)state;
    struct container *c = redis();
    int port = container_host_port(c, 6379), status = -1;
    assert_string_equal(redis_says(c, "SET kept 1\r\n", pl_ms(WAIT_MS)), "+OK\r\n");
    OK(container_kill(c));
    assert_false(container_running(c));
    OK(container_wait_end(c, 0, &status));
    assert_int_equal(status, 128 + SIGKILL);
    assert_string_equal(redis_says(c, "PING\r\n", SOON_MS), "");
    assert_int_equal(container_kill(c), -EBUSY);
    OK(container_start(c));
    OK(container_wait_log(c, "Ready to accept connections", pl_ms(WAIT_MS)));
    assert_int_equal(container_host_port(c, 6379), port);
    assert_string_equal(redis_says(c, "GET kept\r\n", pl_ms(WAIT_MS)), "$1\r\n1\r\n");
    OK(container_stop(c, 10));
    OK(container_stop(c, 10));
    assert_false(container_running(c));
    assert_int_equal(container_wait_log(c, "never said", pl_ms(WAIT_MS)), -ECHILD);
    OK(container_remove(c));
}

static void pause_and_resume(void **state)
{
    (void)state;
    struct container *c = redis();
    OK(container_pause(c));
    assert_true(container_running(c));
    assert_string_equal(redis_says(c, "PING\r\n", SOON_MS), "");
    assert_int_equal(container_pause(c), -EBUSY);
    OK(container_resume(c));
    assert_string_equal(redis_says(c, "PING\r\n", pl_ms(WAIT_MS)), "+PONG\r\n");
    OK(container_remove(c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_for_a_log_line), cmocka_unit_test(says_when_it_ended),
        cmocka_unit_test(waits_for_a_port),     cmocka_unit_test(nobody_listens),
        cmocka_unit_test(absent_image),         cmocka_unit_test(no_engine),
        cmocka_unit_test(taken_port),           cmocka_unit_test(configuration),
        cmocka_unit_test(puts_a_file),          cmocka_unit_test(stop_kill_and_start_again),
        cmocka_unit_test(pause_and_resume),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
