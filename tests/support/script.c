#include "tests/support/script.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static _Noreturn void become(const char *const *argv, int out)
{
    dup2(out, STDOUT_FILENO);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static void die_with(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
}

pid_t script_start(const char *const *argv)
{
    fflush(NULL);
    pid_t parent = getpid(), pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        die_with(parent);
        become(argv, STDERR_FILENO);
    }
    return pid;
}

int script_run(const char *const *argv, char *line, size_t n)
{
    int fd[2], status;
    assert_int_equal(pipe(fd), 0);
    fflush(NULL);
    pid_t parent = getpid(), pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        die_with(parent);
        close(fd[0]);
        become(argv, line ? fd[1] : STDERR_FILENO);
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

const char *script_python(void)
{
    static char python[4096];
    char folder[4096], gen[4200];
    const char *build = getenv("PARLEY_BUILD");
    snprintf(folder, sizeof folder, "%s/interop", build && *build ? build : "build");
    snprintf(gen, sizeof gen, "%s/gen", folder);
    setenv("PARLEY_INTEROP_GEN", gen, 1);
    int rc = script_run((const char *const[]){"tests/interop/venv", folder, NULL}, python, sizeof python);
    if (rc == 3)
        fail_msg("the Python package registry cannot be reached: tests in Python need its protobuf package");
    assert_int_equal(rc, 0);
    return python;
}
