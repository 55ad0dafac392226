/* daemon.h: what every process does alike; its main.c is a declaration.
 *
 *     int main(int argc, char **argv)
 *     {
 *         return daemon_main(argc, argv, &(struct daemon){.name = "router", .init = init, …});
 *     }
 *
 * Command line: --help --version --config FILE --check-config --print-config --config-reference.
 * Without --config: $PARLEY_CONFIG, ./parley.json, /etc/parley/parley.json, whichever is first; else defaults.
 *
 * Signals: SIGTERM and SIGINT drain and exit, a second one exits at once; SIGHUP reads the settings again;
 * SIGPIPE is ignored. They are blocked before init runs, so threads started there never get them.
 *
 * Under systemd (NOTIFY_SOCKET) the service manager is told: ready, what is waited for, stopping; notify.h.
 *
 * Exit codes: 0 done, 1 failed (see the log), 2 wrong usage or configuration.
 *
 * Descriptors are raised to the hard limit, core dumps are off, files are created for the owner only.
 *
 * Settings it adds: log.level and log.format, shared by all; http and drain in the process's own section.
 */
#ifndef PARLEY_BASE_DAEMON_H
#define PARLEY_BASE_DAEMON_H

#include "common/base/conf.h"
#include "common/base/http.h"
#include "common/base/loop.h"
#include "common/base/ready.h"

#include <stddef.h>

struct daemon_run { /* what a running process has */
    struct loop *loop;
    struct ready *ready;
    struct http *http;    /* NULL when switched off */
    const void *settings; /* the process's own struct */
    void *state;          /* the process's, set by init */
};

struct daemon {
    const char *name;     /* "router": section, log and metrics name */
    const char *summary;  /* one line */
    const char *examples; /* shown first by --help; lines of "  command   # what for" */
    const char *http;     /* default address of its HTTP server: "127.0.0.1:9102"; NULL: off */
    const struct conf_table *tables;
    size_t n_tables;
    size_t settings_size;
    const char *const *sections; /* see struct conf_spec */

    /* Starts everything; what is not reachable yet is waited for through run->ready, not here. 0, or -errno
     * after having logged why: exit 1. */
    int (*init)(struct daemon_run *);
    /* Stop taking work, finish what is begun, then call daemon_drained(). NULL: nothing to finish. */
    void (*drain)(struct daemon_run *);
    /* Releases everything; also after a failed init or an overrun drain. May be NULL. */
    void (*fini)(struct daemon_run *);
    /* The reloadable settings have changed in place. May be NULL. */
    void (*reloaded)(struct daemon_run *);
};

int daemon_main(int argc, char **argv, const struct daemon *);

void daemon_drained(struct daemon_run *); /* the drain is over: exit with 0 */
void daemon_fail(struct daemon_run *);    /* stop now, exit with 1; the caller has logged why */

#endif
