/* conv2log.h: seeded logs of every kind of rules 2, and a plain model of what they say.
 *
 * In the model nothing is clever: everything is an array and nothing is ever forgotten but what the rules say is.
 * It knows nothing of cells. One thread. */
#ifndef PARLEY_TESTS_SUPPORT_CONV2LOG_H
#define PARLEY_TESTS_SUPPORT_CONV2LOG_H

#include "common/base/rand.h"
#include "common/im/conv.h"

#define C2_USERS   12
#define C2_DEVICES 14
#define C2_EVENTS  4096

struct conv2log {
    struct rng rng;
    struct id16 users[C2_USERS]; /* ascending */
    struct id16 conv;
    enum conv_type type;
    struct id16 named[C2_USERS]; /* what the last event's `users` points to: valid until the next */
    uint64_t next[C2_USERS][C2_DEVICES + 1];
    uint64_t head; /* the caller says where the conversation stands */
    int64_t time_ms;
    uint32_t cap, devices;
    bool begun, chatty; /* chatty: long enough for messages to become too old */
};
void conv2log_init(struct conv2log *, uint64_t seed, enum conv_type);
/* e->users.p points into `named`, which the caller gives: room for C2_USERS. */
struct conv_event conv2log_next(struct conv2log *, struct id16 *named);

struct conv2model;
struct conv2model *conv2model_new(const struct conv2log *);
void conv2model_free(struct conv2model *);
struct conv_outcome conv2model_apply(struct conv2model *, const struct conv_event *);
/* Everything that can be asked of the conversation is as in the model; all cells must be loaded. NULL: it is; else what
 * is not. */
const char *conv2model_differs(const struct conv2model *, const struct conv *);

#endif
