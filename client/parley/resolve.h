/* resolve.h: the conversation that a command is about, found by what was typed. */
#ifndef PARLEY_TERMINAL_RESOLVE_H
#define PARLEY_TERMINAL_RESOLVE_H

#include "client/parley/call.h"

/* Fills call->place, at once or when the server has answered, then calls `then`. Ends the call when there is none. */
void resolve(struct call *, void (*then)(struct call *));
/* The same for the id of a direct conversation, which has one once something happened in it. */
void resolve_id(struct call *, void (*then)(struct call *));

/* A group of one's own, by its name or the beginning of its id. */
void resolve_group(struct call *, const char *name, void (*then)(struct call *));

#endif
