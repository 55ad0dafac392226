#include "common/im/secrets.h"

#include "common/base/hex.h"
#include "common/im/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_SIZE       32
#define KEY_HEX        (2 * KEY_SIZE)
#define SEAL_HEAD      5 /* version:1 master_key:4 */
#define SEAL_NONCE     crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define SEAL_TAG       crypto_aead_xchacha20poly1305_ietf_ABYTES
#define VERSION        1
#define FILE_MAX_BYTES 4096
_Static_assert(SEAL_HEAD + SEAL_NONCE + SEAL_TAG == SECRET_SEAL_EXTRA, "size of a seal");

struct ring_key {
    uint8_t seal[KEY_SIZE];
    uint8_t sign[KEY_SIZE];
    uint32_t id;
};
struct secrets {       /* in guarded memory, read-only once made */
    size_t n, sealing; /* which of them seals and signs */
    struct ring_key keys[SECRET_KEYS];
};

void secret_wipe(void *p, size_t n)
{
    sodium_memzero(p, n);
}

static void derive(struct ring_key *k, const uint8_t key[KEY_SIZE], uint32_t id)
{
    static const char context[crypto_kdf_CONTEXTBYTES] = {'p', 'a', 'r', 'l', 'e', 'y', '.', '1'};
    uint8_t own[16];
    crypto_kdf_derive_from_key(k->seal, KEY_SIZE, 1, context, key);
    crypto_kdf_derive_from_key(k->sign, KEY_SIZE, 2, context, key);
    crypto_kdf_derive_from_key(own, sizeof own, 3, context, key);
    struct wire w = wire_of((struct slice){own, sizeof own});
    k->id = id ? id : (uint32_t)wire_be(&w, 4);
}

static struct secrets *secrets_alloc(void)
{
    struct secrets *s = sodium_init() < 0 ? NULL : sodium_malloc(sizeof *s);
    if (s)
        sodium_memzero(s, sizeof *s);
    return s;
}

struct secrets *secrets_from_key(const uint8_t key[32], uint32_t key_id)
{
    struct secrets *s = secrets_alloc();
    if (!s)
        return NULL;
    derive(&s->keys[s->n++], key, key_id);
    sodium_mprotect_readonly(s);
    return s;
}

void secrets_free(struct secrets *s)
{
    sodium_free(s); /* wipes */
}

uint32_t secrets_key_id(const struct secrets *s)
{
    return s->keys[s->sealing].id;
}

bool secrets_has(const struct secrets *s, uint32_t key_id)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->keys[i].id == key_id)
            return true;
    return false;
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

/* What the service manager hands over (systemd's LoadCredential=) is for this process's user alone, by an access list, which
 * shows as a permission of the group. */
static mode_t closed_to(const char *file)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    size_t n = dir ? strlen(dir) : 0;
    return n > 1 && !strncmp(file, dir, n) && file[n] == '/' ? 037 : 077;
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
    if (st.st_mode & closed_to(file)) {
        snprintf(err, err_n, "%s may be read by others: chmod 600 it", file);
        return -EPERM;
    }
    return 0;
}

/* [*] [id] 64 digits. Empty lines and those that begin with # are nothing. */
static int read_line(char *line, struct secrets *s, bool loopback_only, bool *known)
{
    uint8_t key[KEY_SIZE];
    unsigned long id = 0;
    char *save, *word = strtok_r(line, " \t\r", &save);
    if (!word || *word == '#')
        return 0;
    bool marked = strcmp(word, "*") == 0;
    if (marked)
        word = strtok_r(NULL, " \t\r", &save);
    if (word && strlen(word) < KEY_HEX) {
        char *end;
        id = strtoul(word, &end, 10);
        if (*end || id == 0 || id > UINT32_MAX)
            return -EINVAL;
        word = strtok_r(NULL, " \t\r", &save);
    }
    if (!word || strlen(word) != KEY_HEX || strtok_r(NULL, " \t\r", &save) || s->n == SECRET_KEYS ||
        hex_decode(key, KEY_SIZE, word))
        return -EINVAL;
    *known |= !loopback_only && known_to_the_world(key);
    struct ring_key *k = &s->keys[s->n];
    derive(k, key, (uint32_t)id);
    sodium_memzero(key, sizeof key);
    if (secrets_has(s, k->id))
        return -EEXIST;
    if (marked)
        s->sealing = s->n;
    s->n++;
    return marked;
}

/* 0; -EINVAL, -EEXIST: two keys of one id; -EACCES: a key that is known to the world. */
static int read_ring(int fd, struct secrets *s, bool loopback_only)
{
    char text[FILE_MAX_BYTES + 1], *save, *line;
    bool known = false, marked = false;
    ssize_t n = read(fd, text, sizeof text);
    int rc = n < 0 ? -errno : n == sizeof text ? -EINVAL : 0;
    text[n > 0 && rc == 0 ? n : 0] = '\0';
    for (line = strtok_r(text, "\n", &save); rc >= 0 && line; line = strtok_r(NULL, "\n", &save)) {
        rc = read_line(line, s, loopback_only, &known);
        if (rc > 0 && marked)
            rc = -EINVAL;
        marked |= rc > 0;
    }
    sodium_memzero(text, sizeof text);
    if (rc >= 0 && s->n == 0)
        rc = -EINVAL;
    if (!marked && s->n)
        s->sealing = s->n - 1;
    return rc < 0 ? rc : known ? -EACCES : 0;
}

static const char *complaint(int rc)
{
    return rc == -EACCES ? "a key that is known to the world: make another one with `parleyctl init`"
           : rc == -EEXIST
               ? "two keys of one number"
               : "something else than keys: 64 hexadecimal digits a line, in front of them a number "
                 "and * if need be";
}

struct secrets *secrets_load(const char *file, bool loopback_only, char *err, size_t err_n)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        snprintf(err, err_n, "%s: %s; `parleyctl init` makes one", file, strerrordesc_np(errno));
        return NULL;
    }
    struct secrets *s = check_file(fd, err, err_n, file) ? NULL : secrets_alloc();
    int rc = s ? read_ring(fd, s, loopback_only) : 0;
    close(fd);
    if (rc) {
        snprintf(err, err_n, "%s holds %s", file, complaint(rc));
        secrets_free(s);
        return NULL;
    }
    if (s)
        sodium_mprotect_readonly(s);
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
    const struct ring_key *k = &s->keys[s->sealing];
    p = wire_put_be(p, k->id, 4);
    randombytes_buf(p, SEAL_NONCE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(p + SEAL_NONCE, NULL, plain.p, plain.n, user.b, ID_SIZE, NULL,
                                               p, k->seal);
    return (int)(plain.n + SECRET_SEAL_EXTRA);
}

int secret_open(const struct secrets *s, struct id16 user, struct slice sealed, uint8_t *out, size_t cap)
{
    struct wire w = wire_of(sealed);
    uint64_t version = wire_be(&w, 1), key_id = wire_be(&w, 4);
    const uint8_t *nonce = wire_take(&w, SEAL_NONCE).p;
    if (w.bad || version == 0 || w.end - w.p < (ptrdiff_t)SEAL_TAG)
        return -EBADMSG;
    const struct ring_key *k = NULL;
    for (size_t i = 0; i < s->n; i++)
        if (s->keys[i].id == key_id)
            k = &s->keys[i];
    if (version != VERSION || !k)
        return -ENOTSUP;
    size_t n = (size_t)(w.end - w.p) - SEAL_TAG;
    if (n > cap || n > INT32_MAX)
        return -ENOSPC;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, w.p, n + SEAL_TAG, user.b, ID_SIZE, nonce,
                                                   k->seal))
        return -EBADMSG;
    return (int)n;
}

uint32_t secret_sealed_by(struct slice sealed)
{
    struct wire w = wire_of(sealed);
    (void)wire_be(&w, 1);
    return (uint32_t)wire_be(&w, 4);
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
    crypto_auth(mac, bin, n, s->keys[s->sealing].sign);
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

static bool signed_by_one(const struct secrets *s, const uint8_t *mac, const uint8_t *bin, size_t n)
{
    bool yes = false;
    for (size_t i = 0; i < s->n; i++)
        yes |= crypto_auth_verify(mac, bin, n, s->keys[i].sign) == 0;
    return yes;
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
    if (mac_n != sizeof mac || !signed_by_one(s, mac, bin, bin_n) || !parse_token(bin, bin_n, &t))
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
