/* ask.h: questions on their way, and what becomes of them. ask.c sends, repeats and ends them; question.c makes them of
 * what the application asks; answer.c turns answers into what it is given. */
#ifndef PARLEY_CLIENT_ASK_H
#define PARLEY_CLIENT_ASK_H

#include "client/lib/parley_history.h"

#include <protobuf-c/protobuf-c.h>

struct frame;

struct asked { /* a question; one allocation */
    struct asked *prev, *next;
    int64_t id; /* 0: the library's own */
    enum parley_about about;
    bool watch, revoke_others;
    uint16_t frame;
    uint32_t seq_id; /* 0: not asked on this connection, or to be asked again */
    int64_t at;      /* not before then; asked: then once more */
    int64_t deadline;
    enum parley_code why; /* what the server said last */
    parley_answer_fn *fn;
    void *arg;
    size_t n;
    uint8_t body[];
};

struct watching {  /* parley_watch() */
    uint8_t *body; /* NULL: nothing was ever watched */
    size_t n;
    int64_t at; /* asked again then */
    bool nobody;
};

/* ---- ask.c ---- */
struct asked *ask_new(struct parley *, uint16_t frame, enum parley_about, const void *body, size_t n,
                      uint32_t timeout_ms); /* NULL: no memory */
void ask_send(struct parley *, int64_t now);
void ask_tick(struct parley *, int64_t now); /* those that waited too long */
int64_t ask_due(const struct parley *);
void ask_disconnected(struct parley *);
void ask_end(struct parley *, enum parley_code why, const char *detail); /* all of them */
void ask_free(struct parley *, struct asked *);
void ask_answer(struct parley *, const struct frame *, int64_t now);
bool ask_error(struct parley *, uint32_t seq_id, enum parley_code, const char *text, uint32_t retry_ms,
               int64_t now); /* false: it was no question */

/* ---- answer.c ---- */
/* Fills what the answer has from `m`, the message of the question's answer; all in the arena, or in `m`. */
void answer_fill(struct parley *, struct parley_answer *, const ProtobufCMessage *m);

#endif
