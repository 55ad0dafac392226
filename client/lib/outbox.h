/* outbox.h: what is to be sent and has no outcome yet, in the order it was given.
 *
 * A send gets its number (client_seq) when it first leaves and keeps it for ever. After a reconnect all
 * numbered ones leave again, in order, before any new one gets a number; at most `window` are numbered at a
 * time. What it says is kept as it goes over the wire, but for its number: the outbox does not look. No I/O. */
#ifndef PARLEY_CLIENT_OUTBOX_H
#define PARLEY_CLIENT_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outgoing {
    uint16_t frame;   /* SINGLE_CHAT, GROUP_CHAT, CONV_OP, ANNOUNCE */
    uint16_t kind;    /* enum parley_kind */
    const char *to;   /* for the application; "" when it was not a login name */
    const void *body; /* the frame's message, packed, without client_seq (field 1) */
    size_t body_n;
};

struct out { /* one allocation, with everything it points to */
    struct out *prev, *next;
    uint64_t id;
    uint64_t client_seq; /* 0: not numbered yet */
    uint32_t seq_id;     /* of its frame on this connection; 0: has not left on it */
    bool accepted;       /* told to the application */
    bool held;           /* ACCEPTED came on this connection: nothing to wait for but its place */
    struct outgoing o;
};

struct outbox {
    struct out *head;
    size_t n, numbered;
    uint64_t last_seq, last_id;
    int64_t retry_at; /* nothing leaves before; 0: now */
};

void outbox_release(struct outbox *);
/* -ENOMEM. Appended; `id` 0 takes the next. */
struct out *outbox_add(struct outbox *, const struct outgoing *, uint64_t id, uint64_t client_seq);
void outbox_take(struct outbox *, struct out *); /* out of the list; the caller frees it */
void outbox_disconnected(struct outbox *);       /* all have to leave again */
/* The next to leave, with its number given if it had none; NULL: none may. *fresh: it was numbered right now.
 */
struct out *outbox_next(struct outbox *, uint32_t window, bool *fresh);
void outbox_again(struct outbox *, struct out *from,
                  int64_t at); /* refused for now: it and all later ones leave again at `at` */
struct out *outbox_by_seq(struct outbox *, uint64_t client_seq);
struct out *outbox_by_frame(struct outbox *, uint32_t seq_id);
size_t outbox_unaccepted(const struct outbox *); /* not accepted by this connection or an earlier one */

#endif
