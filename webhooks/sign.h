/* sign.h: signatures as Standard Webhooks has them, so that a receiver can use any library for that.
 *
 * What is signed is "<id>.<timestamp>.<body>", with HMAC-SHA256 under each of the endpoint's secrets; the header holds
 * one "v1,<base64>" per secret, blanks between. Two secrets while one replaces the other: a receiver takes either.
 * A secret is "whsec_" and 24 to 64 bytes in base64, one a line, the new one first. */
#ifndef PARLEY_WEBHOOKS_SIGN_H
#define PARLEY_WEBHOOKS_SIGN_H

#include "common/base/bytes.h"

#define SIGN_SECRETS 2
#define SIGN_KEY_MAX 64

struct sign { /* zeroed: no secret */
    size_t n;
    struct {
        uint8_t key[SIGN_KEY_MAX];
        size_t n;
    } secret[SIGN_SECRETS];
};

/* 0, or -EINVAL with the reason in `why`; *out is untouched then. */
int sign_read(struct sign *out, const char *text, char *why, size_t why_n);
/* The same from a file; also -errno. A file that others may read is said in the log. */
int sign_load(struct sign *out, const char *path, char *why, size_t why_n);
void sign_wipe(struct sign *);

void sign_write(const struct sign *, const char *id, int64_t timestamp_s, struct slice body,
                struct bytes *out);

#endif
