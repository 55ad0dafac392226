/* push.h: what several processes write alike. Payloads are client messages, encoded once.
 *
 * Everything is encoded into the batch's arena (fx) and valid as long as that. */
#ifndef PARLEY_IM_PUSH_H
#define PARLEY_IM_PUSH_H

#include "common/im/codec.h"
#include "common/im/convrec.h"

/* Bytes that push_accepted and push_ack need at most. */
#define PUSH_ACK_MAX 96

/* MsgAck payloads. `out` has PUSH_ACK_MAX bytes; returns how many are used. */
size_t push_accepted(uint64_t client_seq, struct id16 msg_id, struct id16 conv, uint8_t *out);
/* From the reducer's outcome: SEQUENCED with seq and time, NOTED, or STAGE_REFUSED with the code. */
size_t push_outcome(const struct convrec *, const struct conv_outcome *, uint8_t *out);
size_t push_refused(uint64_t client_seq, struct id16 msg_id, struct id16 conv, Im__Code code, uint8_t *out);

/* Payloads of what happened in a conversation; the body is as bodykeys_open gave it. `conv` is the state after it, its header
 * loaded; NULL: not at hand, what only it tells is left out. `users` are those that the event changed; of a message
 * all that it mentions. push_chat: of an accepted record; the others: of one that was noted. */
struct slice push_chat(struct fx *, const struct conv *, const struct convrec *, const struct conv_outcome *);
struct slice push_note(struct fx *, const struct conv *, const struct convrec *, const struct conv_outcome *);
struct slice push_receipt(struct fx *, const struct conv *, const struct convrec *,
                          const struct conv_outcome *);
struct slice push_typing(struct fx *, struct id16 conv, struct id16 user, struct slice login, bool stopped,
                         bool group);

/* im.offline: queue items back to their device, and the session is over. Key: the session's user. */
struct push_item {
    struct id16 conv;
    uint64_t seq;
    struct slice payload; /* empty: it is in history */
};
/* Split over several records when larger than 512 KiB; tag goes with the last one. */
void push_bounce(struct fx *, const struct session *, const struct push_item *, size_t n, uint64_t tag);
/* im.offline: for every device of `user` but `served`. */
void push_offline(struct fx *, struct id16 user, const struct push_item *, const uint32_t *served,
                  size_t n_served, struct slice trace);

/* im.offline partition `part`: an event of a group for every device of each of these users but their `served`.
 * `left`: it was their last one. Split when larger than 2 MiB. */
struct push_absent {
    struct id16 user;
    const uint32_t *served;
    size_t n_served;
};
void push_offline_group(struct fx *, int32_t part, struct id16 conv, uint64_t seq, const struct push_absent *,
                        size_t n, bool left, struct slice trace);

/* The value of a record of im.dlq (dead.h), in the batch's arena; logged. */
struct slice push_dlq_value(struct fx *, const struct record *, const char *topic, const char *why,
                            const char *process, const char *instance);

#endif
