#include "common/base/log.h"
#include "common/base/notify.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* The manager's end of the socket. */
struct manager {
    int fd;
    char dir[64], path[108];
    char all[4096]; /* what it was sent, a line each */
};
static struct manager m;
static struct loop *loop;
static struct ready *ready;
static struct notify notify;

static int setup(void **state)
{
    (void)state;
    log_set_level(LOG_NOTHING);
    m = (struct manager){.dir = "/tmp/parley-notify-XXXXXX"};
    assert_non_null(mkdtemp(m.dir));
    snprintf(m.path, sizeof m.path, "%s/socket", m.dir);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s", m.path);
    m.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(m.fd, (struct sockaddr *)&at, sizeof at), 0);
    setenv("NOTIFY_SOCKET", m.path, 1);
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    assert_int_equal(loop_new(&loop), 0);
    ready = ready_new(loop);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    notify_release(&notify);
    notify_release(&notify);
    ready_free(ready);
    loop_free(loop);
    close(m.fd);
    unlink(m.path);
    rmdir(m.dir);
    unsetenv("NOTIFY_SOCKET");
    return 0;
}

static const char *said(void)
{
    char text[1024];
    ssize_t n;
    while ((n = recv(m.fd, text, sizeof text - 1, 0)) > 0) {
        text[n] = '\0';
        size_t at = strlen(m.all);
        snprintf(m.all + at, sizeof m.all - at, "%s\n", text);
    }
    return m.all;
}

static void until(const char *text)
{
    while (!strstr(said(), text))
        assert_int_equal(loop_turn(loop, 1000), 0);
}

static void ready_is_told_once_and_what_is_missing_always(void **state)
{
    (void)state;
    ready_wait(ready, "kafka", "connection\nrefused");
    assert_int_equal(notify_start(&notify, loop, ready), 0);
    until("STATUS=waiting for kafka: connection refused\n");
    assert_null(strstr(m.all, "READY"));
    ready_ok(ready, "kafka");
    until("READY=1\nSTATUS=ready\n");
    ready_wait(ready, "redis", "gone");
    until("STATUS=waiting for redis: gone\n");
    ready_ok(ready, "redis");
    m.all[0] = '\0';
    until("STATUS=ready\n");
    assert_null(strstr(m.all, "READY=1"));
    assert_null(strstr(m.all, "WATCHDOG"));
    notify_stopping(&notify, 10000);
    assert_non_null(strstr(said(), "STOPPING=1\nEXTEND_TIMEOUT_USEC=15000000\n"));
}

static void the_loop_is_alive(void **state)
{
    (void)state;
    char pid[32];
    setenv("WATCHDOG_USEC", "30000", 1);
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    assert_int_equal(notify_start(&notify, loop, ready), 0);
    assert_true(notify.watched_ms <= 10);
    until("WATCHDOG=1\nWATCHDOG=1\nWATCHDOG=1\n");
    notify_release(&notify);
    setenv("WATCHDOG_PID", "1", 1); /* meant for somebody else */
    assert_int_equal(notify_start(&notify, loop, ready), 0);
    assert_int_equal(notify.watched_ms, 0);
}

static void abstract_names(void **state)
{
    (void)state;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char name[64];
    int n = snprintf(name, sizeof name, "@parley-notify-%ld", (long)getpid());
    memcpy(at.sun_path + 1, name + 1, (size_t)n - 1);
    close(m.fd);
    m.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n);
    assert_int_equal(bind(m.fd, (struct sockaddr *)&at, len), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    assert_int_equal(notify_start(&notify, loop, ready), 0);
    until("READY=1\n");
}

static void without_a_manager_nothing_happens(void **state)
{
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(notify_start(&notify, loop, ready), 0);
    notify_stopping(&notify, 1);
    notify_release(&notify);
    setenv("NOTIFY_SOCKET", "vsock:2:1234", 1);
    assert_int_equal(notify_start(&notify, loop, ready), -EINVAL);
    notify_stopping(&notify, 1);
    notify_release(&notify);
    setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1); /* it may come and go: what is said meanwhile is lost */
    assert_int_equal(notify_start(&notify, loop, ready), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(loop_turn(loop, 1000), 0);
    assert_string_equal(said(), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ready_is_told_once_and_what_is_missing_always, setup, teardown),
        cmocka_unit_test_setup_teardown(the_loop_is_alive, setup, teardown),
        cmocka_unit_test_setup_teardown(abstract_names, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_manager_nothing_happens, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
