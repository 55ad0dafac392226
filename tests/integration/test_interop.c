/* A client in another language, written from docs/protocol.md alone (tests/interop), talks to real edges.
 *
 * PARLEY_EDGES=host:port[,host:port…]: to those; without it, to a deployment of its own. */
#include "tests/support/pipeline.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *edges(void)
{
    const char *given = getenv("PARLEY_EDGES");
    if (given && *given)
        return given;
    return pl_edges(pl_up(&(struct pl_conf){0}), 0);
}

/* Exit status; the first line of its stdout goes to `line` when that is not NULL, else stdout joins stderr. */
static int run(const char *const *argv, const char *gen, char *line, size_t n)
{
    int fd[2], status;
    assert_int_equal(pipe(fd), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(line ? fd[1] : STDERR_FILENO, STDOUT_FILENO);
        close(fd[0]);
        close(fd[1]);
        if (gen)
            setenv("PARLEY_INTEROP_GEN", gen, 1);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    close(fd[1]);
    FILE *f = fdopen(fd[0], "r");
    assert_non_null(f);
    if (line) {
        if (!fgets(line, (int)n, f))
            line[0] = '\0';
        line[strcspn(line, "\n")] = '\0';
    }
    while (fgetc(f) != EOF)
        ;
    fclose(f);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void a_client_in_python(void **state)
{
    char folder[4096], gen[4200], python[4096] = "", where[1024];
    const char *build = getenv("PARLEY_BUILD");
    (void)state;
    snprintf(folder, sizeof folder, "%s/interop", build && *build ? build : "build");
    snprintf(gen, sizeof gen, "%s/gen", folder);
    int rc = run((const char *const[]){"tests/interop/venv", folder, NULL}, NULL, python, sizeof python);
    if (rc == 3)
        fail_msg(
            "the Python package registry cannot be reached: the interop client needs its protobuf package");
    assert_int_equal(rc, 0);
    snprintf(where, sizeof where, "%s", edges());
    rc = run((const char *const[]){python, "tests/interop/client.py", where, NULL}, gen, NULL, 0);
    assert_int_equal(rc, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_in_python),
    };
    return pl_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
