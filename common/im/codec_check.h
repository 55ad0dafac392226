/* codec_check.h: what each record must hold beyond being protobuf. Only codec.c calls these; codec_check_in.c has what
 * comes from clients by way of an edge. */
#ifndef PARLEY_IM_CODEC_CHECK_H
#define PARLEY_IM_CODEC_CHECK_H

#include "common/im/codec.h"
#include "common/im/field_check.h"
#include "common/im/validate.h"

static inline bool id_or_none(ProtobufCBinaryData d)
{
    return d.len == 0 || d.len == ID_SIZE;
}
static inline bool trace_ok(ProtobufCBinaryData d)
{
    return d.len == 0 || d.len == CODEC_TRACE;
}
static inline bool session_ok(const Im__Session *s, bool with_user)
{
    return s && (with_user ? is_id(s->user) : id_or_none(s->user));
}
static inline bool privacy_ok(Im__Privacy p)
{
    return p >= IM__PRIVACY__PRIVACY_UNCHANGED && p <= IM__PRIVACY__NOBODY;
}
/* Already in its normal form. */
static inline bool login_ok(const char *login)
{
    char normal[LOGIN_MAX + 1];
    return login_normalise(login, strlen(login), normal) == 0 && strcmp(login, normal) == 0;
}
static inline bool login_or_none(const char *login)
{
    return login[0] == '\0' || login_ok(login);
}

/* Numbered from 1 on, each as long as a sealed key is. */
bool body_keys_ok(Im__BodyKey *const *keys, size_t n);

bool check_inbound(const ProtobufCMessage *);
bool check_user(const ProtobufCMessage *);
bool check_vault(const ProtobufCMessage *);
bool check_presence(const ProtobufCMessage *);
bool check_lease(const ProtobufCMessage *);
bool check_deliver(const ProtobufCMessage *);
bool check_offline(const ProtobufCMessage *);
bool check_cursor(const ProtobufCMessage *);
bool check_dlq(const ProtobufCMessage *);
bool check_lookup(const ProtobufCMessage *);
bool check_verdict(const ProtobufCMessage *);
bool check_query(const ProtobufCMessage *);
bool check_signal(const ProtobufCMessage *);
bool check_webhook(const ProtobufCMessage *);

#endif
