/* err.h: what to do about a failure. Libraries return negative errno; the process decides by its class. */
#ifndef PARLEY_BASE_ERR_H
#define PARLEY_BASE_ERR_H

enum err_class {
    ERR_NONE,
    ERR_RETRY, /* passes by itself: wait and try again */
    ERR_INPUT, /* what we were given is wrong: the same call fails for ever */
    ERR_FATAL, /* going on is unsafe or pointless: stop loudly, replay later */
};

/* rc: 0 or more is ERR_NONE, otherwise a negative errno. Unknown ones are fatal. */
enum err_class err_class(int rc);

const char *err_text(int rc); /* "Connection refused"; static, any thread */

#endif
