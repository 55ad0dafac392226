/* script.h: tests that are scripts in Python, run from a cmocka test. Everything blocks; failures fail the test. */
#ifndef PARLEY_SUPPORT_SCRIPT_H
#define PARLEY_SUPPORT_SCRIPT_H

#include <stddef.h>
#include <sys/types.h>

/* The interpreter of a private environment with the protobuf runtime and the generated code of proto/client.proto, made
 * under the build folder when it is not there (tests/interop/venv). Valid until the next call. */
const char *script_python(void);

/* Runs argv, which dies with this program; all its output goes where this program's errors go. */
pid_t script_start(const char *const *argv);

/* Runs argv and waits. Exit status, or 128 + signal. Its first line of output goes to `line` when that is not NULL, else
 * all its output goes where this program's errors go. Scripts find the generated code by themselves. */
int script_run(const char *const *argv, char *line, size_t n);

#endif
