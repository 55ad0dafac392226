#include "client/parleyctl/trace.h"

#include "common/base/hex.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool number(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && !errno && *out > 0;
}

static bool user_of(const char *name, size_t n, struct id16 *out)
{
    char normal[LOGIN_MAX + 1];
    if (login_normalise(name, n, normal))
        return false;
    *out = id_user(normal);
    return true;
}

/* ALICE~BOB, or with a comma as elsewhere */
static bool pair(const char *text, size_t n, struct id16 *conv)
{
    const char *tilde = memchr(text, '~', n);
    tilde = tilde ? tilde : memchr(text, ',', n);
    struct id16 a, b;
    if (!tilde || !user_of(text, (size_t)(tilde - text), &a) ||
        !user_of(tilde + 1, n - (size_t)(tilde - text) - 1, &b))
        return false;
    *conv = id_direct(a, b);
    return true;
}

/* ALICE or ALICE/DEVICE */
static bool sender(const char *text, size_t n, struct trace_ask *a)
{
    const char *slash = memchr(text, '/', n);
    char device[16];
    uint64_t no = 0;
    size_t name = slash ? (size_t)(slash - text) : n;
    if (slash) {
        size_t digits = n - name - 1;
        if (digits >= sizeof device)
            return false;
        memcpy(device, slash + 1, digits);
        device[digits] = '\0';
        if (!number(device, &no) || no > UINT32_MAX)
            return false;
    }
    a->device = (uint32_t)no;
    return user_of(text, name, &a->user);
}

bool trace_parse(const char *text, struct trace_ask *a)
{
    const char *colon = strrchr(text, ':');
    char id[ID_HEX];
    *a = (struct trace_ask){0};
    if (!colon) {
        a->by_id = hex_decode(a->msg_id.b, ID_SIZE, text) == 0;
        return a->by_id;
    }
    size_t n = (size_t)(colon - text);
    uint64_t no;
    if (!number(colon + 1, &no))
        return false;
    if (n == ID_HEX - 1) {
        memcpy(id, text, n);
        id[n] = '\0';
        a->by_place = hex_decode(a->conv.b, ID_SIZE, id) == 0;
    }
    a->by_place = a->by_place || pair(text, n, &a->conv);
    if (a->by_place) {
        a->seq = no;
        return true;
    }
    a->client_seq = no;
    return sender(text, n, a);
}
