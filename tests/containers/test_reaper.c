/* Nothing stays behind of tests/support/container.h, on a real engine: after SIGKILL of the program, of its reaper, after an
 * orderly end. */
#include "tests/support/container_int.h"
#include "tests/support/pipeline.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* cmocka.h wants these first */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define DEBIAN       "debian:trixie-slim"
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

static bool there(const char *id)
{
    char path[160];
    snprintf(path, sizeof path, "/containers/%s/json", id);
    int rc = engine_json(&run->engine, "GET", path, NULL, NULL);
    if (rc && rc != -ENOENT)
        fail_msg("%s", container_error(run));
    return rc == 0;
}

static void wait_gone(const char *id, int ms)
{
    int64_t begin = container_now_ms();
    while (there(id)) {
        if (container_now_ms() - begin > ms)
            fail_msg("%.12s is still there after %d ms", id, ms);
        poll(NULL, 0, 20);
    }
    fprintf(stderr, "# gone after %lld ms\n", (long long)(container_now_ms() - begin));
}

/* A program of its own with a container that runs and one that was only made. Their ids come by the pipe. */
static pid_t elsewhere(const char *project, bool without_reaper, char ids[2][80])
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        struct container_run *mine;
        struct container *c[2];
        const struct container_conf conf = {.image = DEBIAN, .command = COMMAND("sleep", "1000")};
        setpgid(0, 0);
        if (container_run_new(project, &mine) || container_start_new(mine, &conf, &c[0]) ||
            container_create(mine, &conf, &c[1])) {
            fprintf(stderr, "%s\n", container_error(mine));
            _exit(1);
        }
        if (without_reaper)
            kill(mine->reaper, SIGKILL);
        for (int i = 0; i < 2; i++)
            if (write(ends[1], c[i]->id, sizeof c[i]->id) != (ssize_t)sizeof c[i]->id)
                _exit(1);
        for (;;)
            pause();
    }
    close(ends[1]);
    for (int i = 0; i < 2; i++)
        assert_int_equal(read(ends[0], ids[i], 80), 80);
    close(ends[0]);
    return pid;
}

static void killed_leaves_nothing(void **state)
{
    char ids[2][80];
    (void)state;
    pid_t pid = elsewhere("org.parley.container-test", false, ids);
    assert_true(there(ids[0]) && there(ids[1]));
    kill(-pid, SIGKILL); /* its whole group */
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    wait_gone(ids[0], pl_ms(CONTAINER_REAP_MS));
    wait_gone(ids[1], pl_ms(CONTAINER_REAP_MS));
}

static void a_later_run_removes_leavings(void **state)
{
    char dead[2][80], alive[2][80], other[2][80];
    struct container_run *later;
    (void)state;
    pid_t first = elsewhere("org.parley.container-test", true, dead),
          second = elsewhere("org.parley.container-test", true, alive),
          third = elsewhere("org.parley.another", true, other);
    for (int i = 0; i < 2; i++) {
        kill(i ? third : first, SIGKILL);
        assert_int_equal(waitpid(i ? third : first, NULL, 0), i ? third : first);
    }
    OK(container_run_new("org.parley.container-test", &later));
    assert_false(there(dead[0]) || there(dead[1]));
    assert_true(there(alive[0]) && there(alive[1])); /* their program lives */
    assert_true(there(other[0]) && there(other[1])); /* not of this project */
    container_run_free(later);
    kill(second, SIGKILL);
    assert_int_equal(waitpid(second, NULL, 0), second);
    OK(container_run_new("org.parley.container-test", &later));
    assert_false(there(alive[0]) || there(alive[1]));
    container_run_free(later);
    OK(container_run_new("org.parley.another", &later));
    assert_false(there(other[0]) || there(other[1]));
    container_run_free(later);
}

static void the_end_removes_all(void **state)
{
    char id[80];
    struct container_run *short_one;
    struct container *c = NULL;
    (void)state;
    OK(container_run_new("org.parley.container-test", &short_one));
    const struct container_conf conf = {.image = DEBIAN, .command = COMMAND("sleep", "1000")};
    if (container_start_new(short_one, &conf, &c))
        fail_msg("%s", container_error(short_one));
    snprintf(id, sizeof id, "%s", container_id(c));
    pid_t reaper = short_one->reaper;
    container_run_free(short_one);
    assert_false(there(id));
    assert_int_equal(kill(reaper, 0), -1);
    container_run_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_leaves_nothing),
        cmocka_unit_test(a_later_run_removes_leavings),
        cmocka_unit_test(the_end_removes_all),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
