/* ids.h: the 16-byte names of users, conversations and messages.
 *
 * All are BLAKE2b-128 (RFC 7693, libsodium's crypto_generichash) under a key that names the kind, so an id of
 * one kind is never one of another. Pure functions, any thread. */
#ifndef PARLEY_IM_IDS_H
#define PARLEY_IM_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ID_SIZE   16
#define LOGIN_MIN 2
#define LOGIN_MAX 64

struct id16 {
    uint8_t b[ID_SIZE];
};

static inline int id_cmp(struct id16 a, struct id16 b)
{
    return memcmp(a.b, b.b, ID_SIZE);
}
static inline bool id_eq(struct id16 a, struct id16 b)
{
    return id_cmp(a, b) == 0;
}

/* Folds `login` into `out` (LOGIN_MAX + 1 bytes, NUL-terminated). -EINVAL: not a login name. */
int login_normalise(const char *login, size_t n, char *out);

struct id16 id_user(const char *normalised_login);
struct id16 id_direct(struct id16 a, struct id16 b); /* the same in either order */
struct id16 id_message(struct id16 user, uint32_t device, uint64_t client_seq);
/* The group that this GROUP_CREATE makes. */
struct id16 id_group(struct id16 user, uint32_t device, uint64_t client_seq);
struct id16 id_system(void); /* the conversation of announcements */

/* From a protobuf bytes field; -EINVAL unless it is 16 bytes. */
int id_from(const void *p, size_t n, struct id16 *out);

#define ID_HEX 33
const char *id_hex(struct id16, char out[ID_HEX]);

#endif
