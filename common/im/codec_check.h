/* codec_check.h: what each record must hold beyond being protobuf. Only codec.c calls these. */
#ifndef PARLEY_IM_CODEC_CHECK_H
#define PARLEY_IM_CODEC_CHECK_H

#include "common/im/codec.h"

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

#endif
