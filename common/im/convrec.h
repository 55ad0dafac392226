/* convrec.h: a record of im.conversation, read without allocating.
 *
 * All readers use this one decoder: whether bytes are a record must not depend on a process, its memory or
 * its settings, or two readers would number differently. Slices point into the value. Pure, any thread. On
 * the way out the record is an ordinary Im__ConvRecord (codec.h). */
#ifndef PARLEY_IM_CONVREC_H
#define PARLEY_IM_CONVREC_H

#include "common/im/codec.h"
#include "common/im/conv.h"

#define CONVREC_MAX (2 << 20) /* bytes; longer is -EBADMSG. Never to be lowered */

struct convrec_body {
    uint64_t key_id; /* 0: clear */
    struct slice text, content_type, data, sealed;
};

struct convrec {
    struct conv_event event; /* for the reducer; time_ms is that of the kafka record */
    struct id16 msg_id;
    int32_t source_part;
    int64_t source_offset;
    int64_t edge_time_us;
    struct slice trace; /* 24 bytes or none */
    struct slice user_login, peer_login;
    size_t n_logins; /* 0, or as many as event.users */
    struct convrec_body body;
    bool has_origin; /* whom to tell the outcome */
    struct session origin;
    struct slice logins[CONV_USERS]; /* beside event.users; empty: not known. Only n_logins of them are set */
};

/* 0; -EBADMSG: not a record, a no-op for every reader (goes to im.dlq); -ENOTSUP: a newer version: halt.
 * *out is undefined then. Rules that are not known are no error here: ask conv_rules_known(event.rules). */
int convrec_decode(struct slice value, int64_t time_ms, struct convrec *out);
/* Only the conversation's id, for plan(): cheap, the rest is not looked at. */
int convrec_peek(struct slice value, struct id16 *conv);

#endif
