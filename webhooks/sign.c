#include "webhooks/sign.h"

#include "common/base/log.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX 4096
#define KEY_MIN  24

static const char prefix[] = "whsec_";

static int read_line(struct sign *s, const char *line, size_t n, char *why, size_t why_n)
{
    size_t skip = sizeof prefix - 1;
    if (s->n == SIGN_SECRETS) {
        (void)snprintf(why, why_n, "more than %d secrets", SIGN_SECRETS);
        return -EINVAL;
    }
    uint8_t *key = s->secret[s->n].key;
    size_t *key_n = &s->secret[s->n].n;
    if (n <= skip || memcmp(line, prefix, skip) != 0 ||
        sodium_base642bin(key, SIGN_KEY_MAX, line + skip, n - skip, NULL, key_n, NULL,
                          sodium_base64_VARIANT_ORIGINAL) ||
        *key_n < KEY_MIN) {
        (void)snprintf(why, why_n, "a line is not whsec_ and %d to %d bytes in base64", KEY_MIN,
                       SIGN_KEY_MAX);
        return -EINVAL;
    }
    s->n++;
    return 0;
}

int sign_read(struct sign *out, const char *text, char *why, size_t why_n)
{
    struct sign s = {0};
    int rc = 0;
    for (const char *p = text; *p && !rc;) {
        size_t line = strcspn(p, "\n"), n = line;
        while (n && (p[n - 1] == ' ' || p[n - 1] == '\r'))
            n--;
        if (n)
            rc = read_line(&s, p, n, why, why_n);
        p += line + (p[line] == '\n');
    }
    if (!rc && s.n == 0) {
        (void)snprintf(why, why_n, "no secret in it");
        rc = -EINVAL;
    }
    if (!rc)
        *out = s;
    sign_wipe(&s);
    return rc;
}

int sign_load(struct sign *out, const char *path, char *why, size_t why_n)
{
    char text[FILE_MAX] = "";
    struct stat st;
    FILE *f = fopen(path, "re");
    if (!f) {
        int rc = -errno;
        (void)snprintf(why, why_n, "%s", strerror(errno));
        return rc;
    }
    size_t n = fread(text, 1, sizeof text - 1, f);
    bool open_to_all = !fstat(fileno(f), &st) && (st.st_mode & S_IRWXO);
    (void)fclose(f);
    text[n] = '\0';
    if (open_to_all)
        log_warn("everybody on this machine may read this secret; run: chmod o= on it",
                 log_str("file", path));
    int rc = sign_read(out, text, why, why_n);
    sodium_memzero(text, sizeof text);
    return rc;
}

void sign_wipe(struct sign *s)
{
    sodium_memzero(s, sizeof *s);
}

void sign_write(const struct sign *s, const char *id, int64_t timestamp_s, struct slice body,
                struct bytes *out)
{
    char head[160],
        text[sodium_base64_ENCODED_LEN(crypto_auth_hmacsha256_BYTES, sodium_base64_VARIANT_ORIGINAL)];
    uint8_t mac[crypto_auth_hmacsha256_BYTES];
    int n = snprintf(head, sizeof head, "%s.%lld.", id, (long long)timestamp_s);
    for (size_t i = 0; i < s->n; i++) {
        crypto_auth_hmacsha256_state st;
        crypto_auth_hmacsha256_init(&st, s->secret[i].key, s->secret[i].n);
        crypto_auth_hmacsha256_update(&st, (const uint8_t *)head, (size_t)n);
        crypto_auth_hmacsha256_update(&st, body.p, body.n);
        crypto_auth_hmacsha256_final(&st, mac);
        sodium_bin2base64(text, sizeof text, mac, sizeof mac, sodium_base64_VARIANT_ORIGINAL);
        bytes_printf(out, "%sv1,%s", i ? " " : "", text);
        sodium_memzero(&st, sizeof st);
    }
}
