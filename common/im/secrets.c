#include "common/im/secrets.h"

#include "common/base/hex.h"
#include "common/im/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_SIZE   32
#define KEY_HEX    (2 * KEY_SIZE)
#define SEAL_HEAD  5 /* version:1 master_key:4 */
#define SEAL_NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define SEAL_TAG   crypto_aead_xchacha20poly1305_ietf_ABYTES
#define VERSION    1
_Static_assert(SEAL_HEAD + SEAL_NONCE + SEAL_TAG == SECRET_SEAL_EXTRA, "size of a seal");

struct secrets { /* in guarded memory, read-only once made */
    uint8_t seal[KEY_SIZE];
    uint8_t sign[KEY_SIZE];
    uint32_t key_id;
};

void secret_wipe(void *p, size_t n)
{
    sodium_memzero(p, n);
}

struct secrets *secrets_from_key(const uint8_t key[32], uint32_t key_id)
{
    static const char context[crypto_kdf_CONTEXTBYTES] = {'p', 'a', 'r', 'l', 'e', 'y', '.', '1'};
    uint8_t id[16];
    if (sodium_init() < 0)
        return NULL;
    struct secrets *s = sodium_malloc(sizeof *s);
    if (!s)
        return NULL;
    crypto_kdf_derive_from_key(s->seal, KEY_SIZE, 1, context, key);
    crypto_kdf_derive_from_key(s->sign, KEY_SIZE, 2, context, key);
    crypto_kdf_derive_from_key(id, sizeof id, 3, context, key);
    struct wire w = wire_of((struct slice){id, sizeof id});
    s->key_id = key_id ? key_id : (uint32_t)wire_be(&w, 4);
    sodium_mprotect_readonly(s);
    return s;
}

void secrets_free(struct secrets *s)
{
    sodium_free(s); /* wipes */
}

uint32_t secrets_key_id(const struct secrets *s)
{
    return s->key_id;
}

/* Keys that anybody can guess or read in our documentation. */
static bool known_to_the_world(const uint8_t key[KEY_SIZE])
{
    static const char *const published[] = {
        SECRET_DEMO_KEY,
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "deadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
    };
    uint8_t other[KEY_SIZE];
    for (size_t i = 0; i < sizeof published / sizeof *published; i++)
        if (hex_decode(other, KEY_SIZE, published[i]) == 0 && sodium_memcmp(other, key, KEY_SIZE) == 0)
            return true;
    size_t same = 1;
    while (same < KEY_SIZE && key[same] == key[0])
        same++;
    return same == KEY_SIZE;
}

static int check_file(int fd, char *err, size_t err_n, const char *file)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode)) {
        snprintf(err, err_n, "%s is not a regular file", file);
        return -EINVAL;
    }
    if (st.st_uid != geteuid() && st.st_uid != 0) {
        snprintf(err, err_n, "%s belongs to another user", file);
        return -EPERM;
    }
    if (st.st_mode & 077) {
        snprintf(err, err_n, "%s may be read by others: chmod 600 it", file);
        return -EPERM;
    }
    return 0;
}

/* 64 digits, then at most white space. */
static int read_key(int fd, uint8_t key[KEY_SIZE])
{
    char text[KEY_HEX + 8];
    ssize_t n = read(fd, text, sizeof text - 1);
    int rc = n < 0 ? -errno : n < KEY_HEX ? -EINVAL : 0;
    for (ssize_t i = KEY_HEX; rc == 0 && i < n; i++)
        if (text[i] != '\n' && text[i] != '\r' && text[i] != ' ')
            rc = -EINVAL;
    if (rc == 0) {
        text[KEY_HEX] = '\0';
        rc = hex_decode(key, KEY_SIZE, text);
    }
    sodium_memzero(text, sizeof text);
    return rc;
}

struct secrets *secrets_load(const char *file, bool loopback_only, char *err, size_t err_n)
{
    uint8_t key[KEY_SIZE] = {0};
    struct secrets *s = NULL;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        snprintf(err, err_n, "%s: %s; `parleyctl init` makes one", file, strerrordesc_np(errno));
        return NULL;
    }
    if (check_file(fd, err, err_n, file))
        goto out;
    if (read_key(fd, key)) {
        snprintf(err, err_n, "%s does not hold 64 hexadecimal digits", file);
        goto out;
    }
    if (!loopback_only && known_to_the_world(key)) {
        snprintf(err, err_n,
                 "%s holds a key that is known to the world: make another one with `parleyctl init`", file);
        goto out;
    }
    s = secrets_from_key(key, 0);
    if (!s)
        snprintf(err, err_n, "no memory for the keys");
out:
    sodium_memzero(key, sizeof key);
    close(fd);
    return s;
}

int secrets_create(const char *file)
{
    uint8_t key[KEY_SIZE];
    char text[KEY_HEX + 2];
    if (sodium_init() < 0)
        return -EIO;
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    randombytes_buf(key, sizeof key);
    hex_encode(text, key, KEY_SIZE);
    text[KEY_HEX] = '\n';
    ssize_t n = write(fd, text, KEY_HEX + 1);
    int rc = n == KEY_HEX + 1 && fsync(fd) == 0 ? 0 : n < 0 ? -errno : -EIO;
    close(fd);
    if (rc)
        unlink(file);
    sodium_memzero(key, sizeof key);
    sodium_memzero(text, sizeof text);
    return rc;
}

int secret_seal(const struct secrets *s, struct id16 user, struct slice plain, uint8_t *out, size_t cap)
{
    if (plain.n > INT32_MAX - SECRET_SEAL_EXTRA || cap < plain.n + SECRET_SEAL_EXTRA)
        return -ENOSPC;
    uint8_t *p = out;
    *p++ = VERSION;
    p = wire_put_be(p, s->key_id, 4);
    randombytes_buf(p, SEAL_NONCE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(p + SEAL_NONCE, NULL, plain.p, plain.n, user.b, ID_SIZE, NULL,
                                               p, s->seal);
    return (int)(plain.n + SECRET_SEAL_EXTRA);
}

int secret_open(const struct secrets *s, struct id16 user, struct slice sealed, uint8_t *out, size_t cap)
{
    struct wire w = wire_of(sealed);
    uint64_t version = wire_be(&w, 1), key_id = wire_be(&w, 4);
    const uint8_t *nonce = wire_take(&w, SEAL_NONCE).p;
    if (w.bad || version == 0 || w.end - w.p < (ptrdiff_t)SEAL_TAG)
        return -EBADMSG;
    if (version != VERSION || key_id != s->key_id)
        return -ENOTSUP;
    size_t n = (size_t)(w.end - w.p) - SEAL_TAG;
    if (n > cap || n > INT32_MAX)
        return -ENOSPC;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, w.p, n + SEAL_TAG, user.b, ID_SIZE, nonce,
                                                   s->seal))
        return -EBADMSG;
    return (int)n;
}

/* ---- tokens ---- */

#define TOKEN_FIXED 46 /* version:1 user:16 device:4 generation:8 issued:8 expires:8 login_len:1 */
#define TOKEN_BIN   (TOKEN_FIXED + LOGIN_MAX)
#define B64         sodium_base64_VARIANT_URLSAFE_NO_PADDING

int token_sign(const struct secrets *s, const struct token *t, char *out, size_t cap)
{
    uint8_t bin[TOKEN_BIN], mac[crypto_auth_BYTES], *p = bin;
    size_t login_n = strnlen(t->login, sizeof t->login);
    if (login_n > LOGIN_MAX)
        return -EINVAL;
    *p++ = VERSION;
    p = wire_put_be(wire_put(p, t->user.b, ID_SIZE), t->device, 4);
    p = wire_put_be(p, t->generation, 8);
    p = wire_put_be(wire_put_be(p, (uint64_t)t->issued_s, 8), (uint64_t)t->expires_s, 8);
    *p++ = (uint8_t)login_n;
    p = wire_put(p, t->login, login_n);
    size_t n = (size_t)(p - bin);
    size_t text_n = sodium_base64_encoded_len(n, B64) - 1,
           mac_n = sodium_base64_encoded_len(sizeof mac, B64) - 1;
    if (cap < text_n + 1 + mac_n + 1)
        return -ENOSPC;
    crypto_auth(mac, bin, n, s->sign);
    sodium_bin2base64(out, text_n + 1, bin, n, B64);
    out[text_n] = '.';
    sodium_bin2base64(out + text_n + 1, mac_n + 1, mac, sizeof mac, B64);
    return (int)(text_n + 1 + mac_n);
}

static bool parse_token(const uint8_t *bin, size_t n, struct token *t)
{
    struct wire w = wire_of((struct slice){bin, n});
    uint64_t version = wire_be(&w, 1);
    struct slice user = wire_take(&w, ID_SIZE);
    *t = (struct token){.device = (uint32_t)wire_be(&w, 4)};
    t->generation = wire_be(&w, 8);
    t->issued_s = (int64_t)wire_be(&w, 8);
    t->expires_s = (int64_t)wire_be(&w, 8);
    struct slice login = wire_take(&w, wire_be(&w, 1));
    if (w.bad || w.p != w.end || version != VERSION || login.n > LOGIN_MAX)
        return false;
    memcpy(t->user.b, user.p, ID_SIZE);
    memcpy(t->login, login.p, login.n);
    return true;
}

int token_check(const struct secrets *s, const char *text, size_t n, int64_t now_s, struct token *out)
{
    uint8_t bin[TOKEN_BIN], mac[crypto_auth_BYTES];
    size_t bin_n, mac_n;
    const char *dot = memchr(text, '.', n), *end = text + n;
    struct token t;
    if (!dot || sodium_base642bin(bin, sizeof bin, text, (size_t)(dot - text), NULL, &bin_n, NULL, B64) ||
        sodium_base642bin(mac, sizeof mac, dot + 1, (size_t)(end - dot - 1), NULL, &mac_n, NULL, B64))
        return -EACCES;
    if (mac_n != sizeof mac || crypto_auth_verify(mac, bin, bin_n, s->sign) || !parse_token(bin, bin_n, &t))
        return -EACCES;
    *out = t;
    return now_s >= t.expires_s ? -ETIME : 0;
}

/* ---- passwords ---- */

#define ARGON_PASSES 2
#define ARGON_MEMORY ((size_t)19 << 20)

int password_hash(const char *password, size_t n, char out[PASSWORD_HASH_SIZE])
{
    _Static_assert(PASSWORD_HASH_SIZE >= crypto_pwhash_argon2id_STRBYTES, "room for the string");
    return crypto_pwhash_argon2id_str(out, password, n, ARGON_PASSES, ARGON_MEMORY) ? -ENOMEM : 0;
}

int password_verify(const char *hash, const char *password, size_t n)
{
    /* Of a password that nobody has; the same cost as a real one. */
    static const char dummy[PASSWORD_HASH_SIZE] =
        "$argon2id$v=19$m=19456,t=2,p=1$82+1zk7ABqgiT1FC98uvGQ$ky0yXGZol+slb2HUVbN+KGpPviNq+bvvBD6isP2FceM";
    char copy[PASSWORD_HASH_SIZE] = {0}; /* libsodium may look at all of it */
    memcpy(copy, hash ? hash : dummy, strnlen(hash ? hash : dummy, sizeof copy - 1));
    errno = 0;
    int rc = crypto_pwhash_argon2id_str_verify(copy, password, n);
    sodium_memzero(copy, sizeof copy);
    if (rc && errno == ENOMEM) /* libsodium sets no errno of its own; malloc does */
        return -ENOMEM;
    return rc || !hash ? -EACCES : 0;
}
