/* echo.h: a bare echo server in a process of its own: an epoll loop that sends back what it gets. */
#ifndef PARLEY_BENCH_ECHO_H
#define PARLEY_BENCH_ECHO_H

#include <sys/types.h>

pid_t echo_start(char at[32]); /* on a free port of 127.0.0.1; -1: told on stderr */
void echo_stop(pid_t);

#endif
