/* field_check.h: single values, judged alike in records (codec_check.h) and in clients' requests (validate_int.h). */
#ifndef PARLEY_IM_FIELD_CHECK_H
#define PARLEY_IM_FIELD_CHECK_H

#include "common/im/ids.h"
#include "proto/client.pb-c.h"

#include <protobuf-c/protobuf-c.h>

static inline bool is_id(ProtobufCBinaryData d)
{
    return d.len == ID_SIZE;
}
static inline bool within(const char *text, size_t min, size_t max)
{
    size_t n = strnlen(text, max + 1);
    return n >= min && n <= max;
}
static inline bool marks_ok(uint32_t mask)
{
    return mask <=
           (IM__PREFS_MARK__PREFS_PINNED | IM__PREFS_MARK__PREFS_MUTED | IM__PREFS_MARK__PREFS_REMARK);
}
static inline bool number_ok(uint64_t n) /* PostgreSQL has no unsigned numbers */
{
    return n <= INT64_MAX;
}

#endif
