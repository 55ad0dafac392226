/* receiver.h: receivers of webhooks (tests/webhooks/endpoint.py), what they got, and records of im.conversation for them.
 *
 * Everything blocks; failures fail the test. */
#ifndef PARLEY_SUPPORT_RECEIVER_H
#define PARLEY_SUPPORT_RECEIVER_H

#include "tests/support/pipeline.h"

struct receiver {
    char folder[4200]; /* secret, mode, log */
    int port;
    pid_t pid; /* 0: away */
};

/* In a folder of its own under `base`, which is made; on a port that stays its own. */
void receiver_init(struct receiver *, const char *base, const char *name, const char *secret);
void receiver_start(struct receiver *); /* waits until it answers */
void receiver_kill(struct receiver *);
void receiver_mode(const struct receiver *, const char *mode);
void receiver_forget(const struct receiver *); /* what it got */
void receiver_release(struct receiver *);      /* kills it, removes its files */

struct got { /* one request */
    char id[64], conv[33], text[64];
    uint64_t seq;
    int status;
    bool same_id, is_signed, overlap, elsewhere;
};
/* All of them; *n. The caller frees it. */
struct got *receiver_got(const struct receiver *, size_t *n);
size_t receiver_taken(const struct receiver *); /* different ids that were answered with 200 */
/* Signed, one at a time in each conversation, the first time of each in order and dense from `from` on, repeats the same;
 * `n` different ids taken. */
void receiver_check(const struct receiver *, uint64_t from, size_t n);

/* ---- the log ---- */
struct talk; /* writes to im.conversation as a router would */
struct talk *talk_new(struct pl *);
void talk_free(struct talk *);
/* Message number `i` (from 1 on) of conversation `conv`, "c<conv> m<i>" and `more`. */
void talk_say(struct talk *, unsigned conv, unsigned i, const char *more);
void talk_flush(struct talk *); /* until all of it is in the log */

#endif
