/* secrets.h: what the deployment's master keys do: seal password verifiers and body keys, sign tokens; and argon2id.
 *
 * The key file is a ring: one key a line, 32 bytes in hex, in front of it its number if it shall have one of its own
 * (else it is derived from the key) and a * if it is the one that seals and signs (else the last one is). All of them
 * open and check. # begins a comment. It is a regular file of the process's user (or root) and is closed to group
 * and others. Keys live in locked, guarded memory that is wiped. After secrets_load: any thread. */
#ifndef PARLEY_IM_SECRETS_H
#define PARLEY_IM_SECRETS_H

#include "common/base/core.h"
#include "common/im/ids.h"

#define SECRET_SEAL_EXTRA  45  /* version:1 master_key:4 nonce:24 … tag:16 */
#define SECRET_KEYS        8   /* in a ring */
#define PASSWORD_HASH_SIZE 128 /* an argon2id string with its NUL */
#define TOKEN_TEXT_MAX     256 /* with its NUL */
#define TOKEN_LIFE_S       (30 * 86400)

/* For demonstrations on one machine; refused on other addresses. */
#define SECRET_DEMO_KEY "7061726c65792d64656d6f2d6b65792d6e6f742d7365637265742d7365637265"

struct secrets;

/* NULL with the reason in err. `loopback_only` false refuses keys that are known to the world (demo and test
 * keys). */
struct secrets *secrets_load(const char *file, bool loopback_only, char *err, size_t err_n);
struct secrets *secrets_from_key(const uint8_t key[32], uint32_t key_id); /* tests, tools; id 0: derived */
void secrets_free(struct secrets *);
/* A new key file, 0600; -EEXIST when there is one. */
int secrets_create(const char *file);
uint32_t secrets_key_id(const struct secrets *); /* of the one that seals: VaultRecord.master_key */
bool secrets_has(const struct secrets *, uint32_t key_id);

/* Sealed for one user; out needs n + SECRET_SEAL_EXTRA. Bytes written, or -ENOSPC. */
int secret_seal(const struct secrets *, struct id16 user, struct slice plain, uint8_t *out, size_t cap);
/* Bytes of plain text written; -EBADMSG: not sealed by this key for this user; -ENOTSUP: another format or
 * key; -ENOSPC. */
int secret_open(const struct secrets *, struct id16 user, struct slice sealed, uint8_t *out, size_t cap);

uint32_t secret_sealed_by(struct slice sealed); /* the key's number; 0: not a seal */

struct token {
    struct id16 user;
    uint32_t device;
    uint64_t generation;
    int64_t issued_s, expires_s;
    char login[LOGIN_MAX + 1];
};
/* Characters written without the NUL, or -EINVAL, -ENOSPC. */
int token_sign(const struct secrets *, const struct token *, char *out, size_t cap);
/* 0; -EACCES: not ours; -ETIME: expired, *out is set. `text` need not be NUL-terminated. */
int token_check(const struct secrets *, const char *text, size_t n, int64_t now_s, struct token *out);

/* argon2id, 19 MiB, 2 passes: tens of milliseconds; call off the loop. -ENOMEM. */
int password_hash(const char *password, size_t n, char out[PASSWORD_HASH_SIZE]);
/* `hash` NULL: the account does not exist; takes as long and says no. 0: right; -EACCES: wrong. */
int password_verify(const char *hash, const char *password, size_t n);

/* Overwrites in a way the compiler does not remove. */
void secret_wipe(void *, size_t);

#endif
