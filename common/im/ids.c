#include "common/im/ids.h"

#include "common/base/hex.h"
#include "common/base/utf8.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

/* Picks the fast implementations; without it hashes are right but slow. May be repeated anywhere. */
__attribute__((constructor)) static void init(void)
{
    if (sodium_init() < 0)
        abort(); /* no randomness on this machine */
}

static struct id16 hash(const char *kind, const void *a, size_t an, const void *b, size_t bn)
{
    crypto_generichash_state st;
    struct id16 id;
    crypto_generichash_init(&st, (const unsigned char *)kind, strlen(kind), ID_SIZE);
    crypto_generichash_update(&st, a, an);
    crypto_generichash_update(&st, b, bn);
    crypto_generichash_final(&st, id.b, ID_SIZE);
    return id;
}

static bool login_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-' || c >= 0x80;
}

int login_normalise(const char *login, size_t n, char *out)
{
    char folded[LOGIN_MAX + 1];
    if (n < LOGIN_MIN || n > LOGIN_MAX || login[0] == '.' || login[n - 1] == '.' || !utf8_valid(login, n))
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        char c = login[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (!login_char((uint8_t)c))
            return -EINVAL;
        folded[i] = c;
    }
    folded[n] = '\0';
    memcpy(out, folded, n + 1);
    return 0;
}

struct id16 id_user(const char *normalised_login)
{
    return hash("parley.user", normalised_login, strlen(normalised_login), "", 0);
}

struct id16 id_direct(struct id16 a, struct id16 b)
{
    bool swap = id_cmp(a, b) > 0;
    return hash("parley.direct", (swap ? &b : &a)->b, ID_SIZE, (swap ? &a : &b)->b, ID_SIZE);
}

/* Of what a device sends, by its number. */
static struct id16 hash_send(const char *kind, const struct id16 *user, uint32_t device, uint64_t client_seq)
{
    uint8_t rest[12];
    for (int i = 0; i < 4; i++)
        rest[i] = (uint8_t)(device >> (24 - 8 * i));
    for (int i = 0; i < 8; i++)
        rest[4 + i] = (uint8_t)(client_seq >> (56 - 8 * i));
    return hash(kind, user->b, ID_SIZE, rest, sizeof rest);
}

struct id16 id_message(struct id16 user, uint32_t device, uint64_t client_seq)
{
    return hash_send("parley.msg", &user, device, client_seq);
}

struct id16 id_group(struct id16 user, uint32_t device, uint64_t client_seq)
{
    return hash_send("parley.group", &user, device, client_seq);
}

struct id16 id_system(void)
{
    return hash("parley.system", "", 0, "", 0);
}

int id_from(const void *p, size_t n, struct id16 *out)
{
    if (n != ID_SIZE)
        return -EINVAL;
    memcpy(out->b, p, ID_SIZE);
    return 0;
}

const char *id_hex(struct id16 id, char out[ID_HEX])
{
    return hex_encode(out, id.b, ID_SIZE);
}
