/* run.h: one command from connecting to its exit code: the loop around a libparley handle. */
#ifndef PARLEY_TERMINAL_RUN_H
#define PARLEY_TERMINAL_RUN_H

#include "client/lib/parley.h"
#include "client/parley/settings.h"

struct run {
    struct settings *s;
    struct parley *p;
    bool done;            /* the command has what it wanted … */
    int exit_code;        /* … and this is how it went */
    bool by_token;        /* a password may still be tried */
    bool told_away;       /* "cannot reach" was said */
    enum parley_code why; /* of the last disconnection or refusal */
    void *of;             /* the command's own */
};

/* Fills in what `cb` leaves NULL (state, error, kicked). takes: messages are wanted. 0 or an exit code. */
int run_open(struct run *, struct settings *, struct parley_callbacks *cb, const char *device_class);
/* By the token of the state file, else by password. 0 or an exit code. */
int run_login(struct run *);
/* Until done, the time-out (from now), a refusal or a signal. Returns the exit code. */
int run_until_done(struct run *);
void run_state(void *run, enum parley_state, enum parley_code why,
               const char *detail);      /* what `state` is by default */
void run_finish(struct run *, int code); /* done, with this exit code */
void run_close(struct run *);            /* logs out if logged in, frees */
/* "parley: WHAT: a sentence (CODE): detail"; what may be NULL. */
void run_complain(const char *what, enum parley_code, const char *detail);
int run_exit_of(enum parley_code); /* the exit code that fits */

extern volatile int run_signal; /* SIGINT or SIGTERM came */
void run_catch_signals(void);

#endif
