/* answer.h: what query says, on its way to the edges: one record of im.deliver.<slot> per answer or push.
 *
 * Loop thread. */
#ifndef PARLEY_QUERY_ANSWER_H
#define PARLEY_QUERY_ANSWER_H

#include "common/base/daemon.h"
#include "common/base/kproducer.h"
#include "common/im/codec.h"
#include "common/im/deploy.h"

struct answers;

/* fatal: the producer is dead (logged). writable: after an -EAGAIN there is room again. */
struct answers *answers_new(struct daemon_run *, const struct deploy *, void (*writable)(void *ctx),
                            void *ctx);
void answers_free(struct answers *); /* outstanding ones get their report first */
bool answers_ready(const struct answers *);

struct answer { /* one on its way; embedded in its owner, stays put until done() */
    struct ksend send;
    uint8_t *value; /* owned until done */
    size_t n;
    uint32_t slot;
    void (*done)(struct answer *, bool ok);
};
/* Encodes the delivery record, memory of its own. False: no memory, or larger than a record may be. */
bool answer_encode(struct answer *, const struct session *to, Im__ItemKind, uint16_t frame_type,
                   uint32_t seq_id, const ProtobufCMessage *);
/* 0: done() comes. -EAGAIN: full, try again when writable. Else: it cannot be sent. */
int answer_send(struct answers *, struct answer *);
void answer_release(struct answer *);

/* Fire and forget: dropped when there is no room (and counted). */
void answer_push(struct answers *, const struct session *to, uint16_t frame_type, const ProtobufCMessage *);
/* A record that nobody can read, to im.dlq; -EAGAIN as above. done(ctx) when it is there. */
int answer_dead(struct answers *, const struct record *, const char *why, struct answer *);

#endif
