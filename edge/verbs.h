/* verbs.h: what is done with each frame; one file per verb, for core_*.c and verb_*.c only.
 *
 * `payload` is the frame's. A verb answers, produces, or makes a pend (state.h). */
#ifndef PARLEY_EDGE_VERBS_H
#define PARLEY_EDGE_VERBS_H

#include "edge/state.h"

typedef void verb_fn(struct edge_core *, struct econn *, uint32_t seq_id, struct slice payload,
                     ProtobufCMessage *);
verb_fn verb_register, verb_login, verb_exists, verb_pull, verb_ack, verb_heartbeat, verb_logout;
verb_fn verb_chat, verb_group, verb_op, verb_announce; /* numbered sends */
verb_fn verb_read, verb_typing, verb_token, verb_revoke, verb_profile, verb_prefs;
/* Any question for the read models. */
void verb_query(struct edge_core *, struct econn *, uint16_t type, uint32_t seq_id, struct slice payload);

/* The answer to the pend's question; NULL: it did not come in time. */
void verb_login_lookup(struct edge_core *, struct econn *, const Im__LookupReply *);
void verb_exists_lookup(struct edge_core *, struct econn *, const Im__LookupReply *);
void verb_token_lookup(struct edge_core *, struct econn *, const Im__LookupReply *);
void verb_register_job(struct edge_core *, struct econn *, bool ok, struct slice sealed);
void verb_login_job(struct edge_core *, struct econn *, bool ok);
void verb_login_verdict(struct edge_core *, struct econn *, const Im__LoginVerdict *);
/* verb_token.c: a token of the session's generation. */
void edge_token(const struct edge_core *, const struct econn *, const char *login, char out[TOKEN_TEXT_MAX],
                int64_t *expires_ms);

/* ---- core_send.c: SINGLE_CHAT, GROUP_CHAT, CONV_OP, ANNOUNCE alike ---- */
struct named { /* somebody a send is about */
    struct id16 user;
    const char *login; /* normalised; "": not given */
    const char *field; /* of the request, for its error */
};
struct send { /* a request as the log will have it; valid during the call */
    uint16_t type;
    uint32_t seq_id;
    struct id16 conv;
    Im__InChat chat; /* but for conversation, msg_id, peer and users */
    Im__Body body;
    struct named *named; /* whose accounts must exist */
    size_t n_named;
    bool peer;               /* the first of them is the other of two */
    const char *traceparent; /* the client's, "" without */
    bool trusts;             /* and is taken on trust when nobody can say */
};
/* From the request; false: told the client what is wrong. Called again when a look-up was answered. */
typedef bool send_fn(struct edge_core *, struct econn *, const ProtobufCMessage *, struct send *);
send_fn verb_chat_send, verb_group_send, verb_op_send, verb_announce_send;

bool edge_is_send(uint16_t type);
void edge_send(struct edge_core *, struct econn *, uint16_t type, uint32_t seq_id, struct slice payload,
               const ProtobufCMessage *);
/* Makes room for n names; NULL-free. */
void edge_send_names(struct edge_core *, struct send *, size_t n);
/* By login, or by id when the login is "". False: no login name. */
bool edge_send_name(struct edge_core *, struct send *, const char *login, ProtobufCBinaryData id,
                    const char *field);
/* The first name given is the other one: the direct conversation with them. False: it is oneself; told the client. */
bool edge_send_direct(struct edge_core *, struct econn *, struct send *);
void edge_send_lookup(struct edge_core *, struct econn *, const Im__LookupReply *);
void edge_send_reported(struct edge_core *, struct econn *, const struct flight *, enum sent);
void edge_send_outcome(struct edge_core *, struct econn *, struct slice msg_ack);

#endif
