/* bodykeys_seal.c: the seals themselves; no table. */
#include "common/im/bodykeys.h"
#include "common/im/wire.h"

#include <errno.h>
#include <sodium.h>

#define NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG   crypto_aead_xchacha20poly1305_ietf_ABYTES
#define PLACE (2 * ID_SIZE + 8)
_Static_assert(NONCE + TAG == BODY_EXTRA, "size of a seal");
_Static_assert(BODY_KEY_SEALED == CODEC_BODY_KEY, "size of a sealed key");

bool body_is_own(uint32_t kind)
{
    switch (kind) {
    case IM__CONV_KIND__CONV_MESSAGE:
    case IM__CONV_KIND__CONV_EDIT:
    case IM__CONV_KIND__CONV_REACT:
    case IM__CONV_KIND__CONV_GROUP_JOIN:
    case IM__CONV_KIND__CONV_FRIEND_REQUEST:
        return true;
    default:
        return false;
    }
}

static void associated(const struct body_place *at, uint8_t out[PLACE])
{
    wire_put_be(wire_put(wire_put(out, at->conv.b, ID_SIZE), at->user.b, ID_SIZE), at->client_seq, 8);
}

/* Keyed with the body's key, under a name of its own: it says nothing of the text to whom the key is unknown. */
static void make_nonce(const uint8_t key[BODY_KEY], const struct body_place *at, struct slice plain,
                       uint8_t out[NONCE])
{
    static const uint8_t name[crypto_generichash_blake2b_PERSONALBYTES] = "parley.nonce.1";
    uint8_t head[PLACE + 12];
    crypto_generichash_blake2b_state h;
    associated(at, head);
    wire_put_be(wire_put_be(head + PLACE, (uint32_t)at->source_part, 4), (uint64_t)at->source_offset, 8);
    crypto_generichash_blake2b_init_salt_personal(&h, key, BODY_KEY, NONCE, NULL, name);
    crypto_generichash_blake2b_update(&h, head, sizeof head);
    crypto_generichash_blake2b_update(&h, plain.p, plain.n);
    crypto_generichash_blake2b_final(&h, out, NONCE);
}

size_t body_seal(const uint8_t key[BODY_KEY], const struct body_place *at, struct slice plain, uint8_t *out)
{
    uint8_t ad[PLACE];
    associated(at, ad);
    make_nonce(key, at, plain, out);
    crypto_aead_xchacha20poly1305_ietf_encrypt(out + NONCE, NULL, plain.p, plain.n, ad, sizeof ad, NULL, out,
                                               key);
    return plain.n + BODY_EXTRA;
}

int body_unseal(const uint8_t key[BODY_KEY], const struct body_place *at, struct slice sealed, uint8_t *out)
{
    uint8_t ad[PLACE];
    const uint8_t *p = sealed.p;
    if (sealed.n < BODY_EXTRA || sealed.n > INT32_MAX)
        return -EBADMSG;
    associated(at, ad);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, p + NONCE, sealed.n - NONCE, ad,
                                                   sizeof ad, p, key))
        return -EBADMSG;
    return (int)(sealed.n - BODY_EXTRA);
}

void body_key_make(const struct secrets *s, struct id16 user, uint8_t out[BODY_KEY_SEALED])
{
    uint8_t key[BODY_KEY];
    randombytes_buf(key, sizeof key);
    (void)secret_seal(s, user, (struct slice){key, sizeof key}, out, BODY_KEY_SEALED); /* there is room */
    sodium_memzero(key, sizeof key);
}

int body_key_open(const struct secrets *s, struct id16 user, struct slice sealed, uint8_t out[BODY_KEY])
{
    uint8_t plain[BODY_KEY];
    int n = secret_open(s, user, sealed, plain, sizeof plain);
    if (n == BODY_KEY)
        memcpy(out, plain, BODY_KEY);
    sodium_memzero(plain, sizeof plain);
    return n == BODY_KEY ? 0 : n == -ENOTSUP ? n : -EBADMSG;
}

static void hash_part(crypto_generichash_state *h, struct slice s)
{
    uint8_t head[4];
    wire_put_be(head, s.n, 4);
    crypto_generichash_update(h, head, sizeof head);
    crypto_generichash_update(h, s.p, s.n);
}

void vault_digest(const Im__VaultRecord *v, uint8_t out[VAULT_DIGEST])
{
    crypto_generichash_state h;
    uint8_t head[16];
    crypto_generichash_init(&h, NULL, 0, VAULT_DIGEST);
    hash_part(&h, codec_slice(v->verifier));
    for (size_t i = 0; i < v->n_keys; i++) {
        wire_put_be(wire_put_be(head, v->keys[i]->id, 8), (uint64_t)v->keys[i]->since, 8);
        hash_part(&h, (struct slice){head, sizeof head});
        hash_part(&h, codec_slice(v->keys[i]->sealed));
    }
    crypto_generichash_final(&h, out, VAULT_DIGEST);
}
