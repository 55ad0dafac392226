/* settings.h: what the command line, the environment and earlier log-ins say; passwords; exit codes. */
#ifndef PARLEY_TERMINAL_SETTINGS_H
#define PARLEY_TERMINAL_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

enum exit_code {
    EXIT_FINE = 0,
    EXIT_NO = 1, /* the answer is no: no such account, the message was refused, the name is taken */
    EXIT_USAGE = 2,
    EXIT_LOGIN = 3,   /* the log-in was refused, or there is nothing to log in with */
    EXIT_AWAY = 4,    /* no server reached, or no answer in time: try again */
    EXIT_TROUBLE = 5, /* something here: a file, the terminal, memory */
};

#define TIMEOUT_DEFAULT (-2)

struct settings {
    char servers[1024];
    char user[128];     /* "": not known */
    const char *device; /* names this device and its state file */
    const char *password_file;
    bool json, no_state, quiet, version;
    bool wait;             /* send: for sequenced, not only accepted */
    int timeout_ms;        /* -1: as long as it takes; TIMEOUT_DEFAULT: not given */
    long count;            /* listen: so many messages; 0: no end */
    char dir[3072];        /* of the state files */
    char state_file[4096]; /* "": none */
};

/* From the environment: PARLEY_SERVER, PARLEY_USER, XDG_STATE_HOME. */
void settings_init(struct settings *);
/* Fills in what follows from the rest (user of the last log-in, state file). 0 or an exit code, after saying why. */
int settings_finish(struct settings *);
void settings_remember(const struct settings *, const char *user); /* for the next start without --user */

/* PARLEY_PASSWORD, the file, or asked for without echo (twice when `fresh`). Wiped and freed by password_free().
 * NULL after saying why, or without a word when `quietly`. */
char *password_get(const struct settings *, const char *user, bool fresh, bool quietly);
void password_free(char *);

void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* "parley: …" on stderr */

#endif
