/* decode.h: any record of any topic as JSON, for people: ids in hex, enums by name, payloads unpacked, secrets left out. */
#ifndef PARLEY_CTL_DECODE_H
#define PARLEY_CTL_DECODE_H

#include "common/im/topics.h"

#include <jansson.h>

/* value.p NULL: a tombstone. Never fails: what cannot be read comes as {"undecodable": …}. A new reference. */
json_t *decode_value(uint16_t topic, struct slice value);
json_t *decode_key(uint16_t topic, struct slice key);
/* What the record is about, in a few words: "chat alice", "CONV_MESSAGE alice to bob". */
void decode_summary(const json_t *value, char *out, size_t n);

#endif
