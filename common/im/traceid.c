#include "common/im/traceid.h"

#include <string.h>
#include <xxhash.h>

#define PARENT_LENGTH 55

static bool zero(const uint8_t *p, size_t n)
{
    while (n && p[n - 1] == 0)
        n--;
    return n == 0;
}

/* W3C wants lower case. */
static bool unhex(const char *text, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i++) {
        unsigned v = 0;
        for (int k = 0; k < 2; k++) {
            char c = text[2 * i + (size_t)k];
            if ((c < '0' || c > '9') && (c < 'a' || c > 'f'))
                return false;
            v = v << 4 | (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
        }
        out[i] = (uint8_t)v;
    }
    return true;
}

bool traceid_parse(const char *s, uint8_t out[TRACE_SIZE])
{
    uint8_t version, flags, t[TRACE_SIZE];
    size_t n = strnlen(s, PARENT_LENGTH + 1);
    if (n < PARENT_LENGTH || s[2] != '-' || s[35] != '-' || s[52] != '-')
        return false;
    if (!unhex(s, 1, &version) || !unhex(s + 3, TRACE_ID, t) || !unhex(s + 36, TRACE_SPAN, t + TRACE_ID) ||
        !unhex(s + 53, 1, &flags))
        return false;
    bool longer = n > PARENT_LENGTH; /* a later version may say more behind a dash */
    if (version == 0xff || (longer && (version == 0 || s[PARENT_LENGTH] != '-')) || zero(t, TRACE_ID) ||
        zero(t + TRACE_ID, TRACE_SPAN))
        return false;
    memcpy(out, t, sizeof t);
    return true;
}

void traceid_begin(const char *traceparent, struct id16 msg_id, uint8_t out[TRACE_SIZE])
{
    if (traceparent && traceparent[0] && traceid_parse(traceparent, out))
        return;
    memcpy(out, msg_id.b, TRACE_ID);
    memset(out + TRACE_ID, 0, TRACE_SPAN);
}

void traceid_span(const uint8_t trace[TRACE_SIZE], const char *name, const void *place, size_t n,
                  uint8_t out[TRACE_SPAN])
{
    XXH64_hash_t h = XXH64(name, strlen(name), XXH64(trace, TRACE_SIZE, 0));
    h = n ? XXH64(place, n, h) : h;
    h = h ? h : 1;
    memcpy(out, &h, TRACE_SPAN);
}

struct log_field traceid_log(struct slice trace)
{
    return log_hex("trace_id", trace.p, trace.n == TRACE_SIZE ? TRACE_ID : 0);
}
