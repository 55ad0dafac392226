/* state.h: the file that lets a restarted client go on where it was.
 *
 * Lines of text, replaced as a whole (write beside it, fsync, rename), mode 0600, ended by "end"; a file without
 * that is as none. A lock file beside it ("NAME.lock") keeps a second handle out. Numbers never go back even
 * if the file is old: the server's base at log-in is above all it ever saw from this device. */
#ifndef PARLEY_CLIENT_STATE_H
#define PARLEY_CLIENT_STATE_H

#include "client/lib/inbox.h"
#include "client/lib/outbox.h"

#include <stdbool.h>

struct state {
    char *path;                      /* NULL: no file */
    int lock;                        /* -1: none */
    char *login, *device_id, *token; /* never NULL */
};

/* Reads what is there into `s`, the inbox and the outbox. 0 or negative errno: -EBUSY another handle has it,
 * -EBADMSG it is not such a file. path may be NULL. */
int state_open(struct state *s, const char *path, struct inbox *, struct outbox *);
int state_save(const struct state *, const struct inbox *, const struct outbox *); /* 0 without a file */
void state_release(struct state *);
int state_set(char **field, const char *value); /* -ENOMEM; wipes the old one */

#endif
