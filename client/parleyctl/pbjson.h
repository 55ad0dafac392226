/* pbjson.h: a protobuf message as JSON and back, without loss: for files that are read again. (decode.h is for people.)
 *
 * Fields by name, those with their default left out; enums as names (numbers when there is none), bytes in hex, 64-bit
 * numbers past what JSON readers take (2^53) as strings, what a newer version wrote under "unknown fields". */
#ifndef PARLEY_CTL_PBJSON_H
#define PARLEY_CTL_PBJSON_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

json_t *pbjson_from(const ProtobufCMessage *); /* NULL: no memory */
/* NULL: `why` names the field. To be freed by protobuf_c_message_free_unpacked(m, NULL). */
ProtobufCMessage *pbjson_to(const ProtobufCMessageDescriptor *, const json_t *, char *why, size_t why_n);

/* ---- for whoever walks a message's fields ---- */
json_t *pbjson_hex(const void *, size_t n);                               /* NULL: no memory */
size_t pbjson_size(ProtobufCType);                                        /* of one value in a message */
bool pbjson_is_default(const ProtobufCFieldDescriptor *, const void *at); /* a field that is not repeated */

#endif
