#include "common/base/crash.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* How a child ends that passes "a:x" three times and "a:y" once: the signal, or 0. */
static int end_of_child(const char *where)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (where)
            setenv("CRASH_AT", where, 1);
        for (int i = 0; i < 3; i++)
            crash_at("a:x");
        crash_at("a:y");
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void kills_at_the_nth_passing(void **state)
{
    (void)state;
#ifdef PARLEY_CRASH_POINTS
    const int killed = SIGKILL;
#else
    const int killed = 0; /* not compiled in */
#endif
    assert_int_equal(end_of_child(NULL), 0);
    assert_int_equal(end_of_child("a:x:3"), killed);
    assert_int_equal(end_of_child("a:y:1"), killed);
    assert_int_equal(end_of_child("a:x:4"), 0);
    assert_int_equal(end_of_child("a:y:2"), 0);
    assert_int_equal(end_of_child("b:x:1"), 0);
    assert_int_equal(end_of_child("a:x"), 0);
    assert_int_equal(end_of_child(""), 0);
}

/* Stopped where it was told to, it goes on from there. */
static void sleeps_at_the_nth_passing(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setenv("PAUSE_AT", "a:x:2", 1);
        setenv("CRASH_AT", "a:x:3", 1); /* each counts for itself */
        for (int i = 0; i < 3; i++)
            crash_at("a:x");
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
#ifdef PARLEY_CRASH_POINTS
    assert_true(WIFSTOPPED(status));
    assert_int_equal(kill(child, SIGCONT), 0);
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
#else
    assert_true(WIFEXITED(status));
#endif
}

static void defects_are_there_only_when_asked_for(void **state)
{
    (void)state;
#ifdef PARLEY_CRASH_POINTS
    const bool there = true;
#else
    const bool there = false;
#endif
    unsetenv("PARLEY_PLANT");
    assert_false(planted("x"));
    setenv("PARLEY_PLANT", "x", 1);
    assert_int_equal(planted("x"), there);
    assert_false(planted("xx"));
    unsetenv("PARLEY_PLANT");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kills_at_the_nth_passing),
        cmocka_unit_test(sleeps_at_the_nth_passing),
        cmocka_unit_test(defects_are_there_only_when_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
