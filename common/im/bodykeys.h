/* bodykeys.h: what a person says is sealed under a key of that person's own, so that it can be forgotten.
 *
 * The router seals, with the key of the account's record in im.vault; whoever reads im.conversation opens, with a table
 * of all keys that is fed from im.vault (bodyview.h follows it; a tool that reads a whole log feeds it first). Only what
 * is the sender's own is sealed (body_is_own); names and notices belong to their group. Destroying the key is erasing:
 * from then on everything of that sender opens as empty, clear bodies too.
 *
 * A body is XChaCha20-Poly1305 over the packed Body, with conversation, user and client_seq as associated data. The
 * nonce is made of the key, the record's place in im.inbound and the text itself, so a record that is repeated gives the
 * same bytes, and no two texts ever share a nonce, not even when a topic was made anew.
 *
 * The key of a sealed record is in im.vault before the record is in the log (router/pending.h). Whoever does not know it
 * is behind, and waits: BODY_LATER until bodykeys_settle says that the end of im.vault, as it was after the key was
 * missed, was passed. One thread. */
#ifndef PARLEY_IM_BODYKEYS_H
#define PARLEY_IM_BODYKEYS_H

#include "common/base/macros.h"
#include "common/im/convrec.h"
#include "common/im/secrets.h"

#define BODY_KEY        32
#define BODY_KEY_SEALED (BODY_KEY + SECRET_SEAL_EXTRA) /* under the master key: BodyKey.sealed */
#define BODY_KEYS_MAX   CODEC_BODY_KEYS
#define BODY_EXTRA      40 /* nonce:24 … tag:16 */

enum bodykeys_rc {
    BODY_OK,     /* as it was said */
    BODY_ERASED, /* the key is destroyed, or the seal is not that key's: empty, for ever */
    BODY_LATER,  /* the key is not in the table yet: ask again when the table has changed */
    BODY_LOCKED, /* the key is sealed under a master key that is not in the ring: stop, loudly */
};

/* ---- the table ---- */
struct bodykeys;
/* `secrets` is borrowed; NULL: keys cannot be opened, only who was erased is known. NULL: no memory. */
struct bodykeys *bodykeys_new(const struct secrets *);
void bodykeys_free(struct bodykeys *); /* wipes */
/* A record of im.vault, in the order of the log. 0; -EBADMSG: no version can read it, nothing is changed; -ENOTSUP:
 * a newer version wrote it: stop; -ENOMEM. */
int MUST_CHECK bodykeys_feed(struct bodykeys *, struct slice key, struct slice value);
size_t bodykeys_count(const struct bodykeys *); /* keys in it */
bool bodykeys_erased(const struct bodykeys *, struct id16 user);

/* The record's body as it was said. `room`: body.sealed.n bytes, which *out points into; what is not sealed points into
 * the record. At BODY_ERASED *out is empty and its key_id is BODY_GONE; else key_id is the record's. */
#define BODY_GONE UINT64_MAX
enum bodykeys_rc bodykeys_open(struct bodykeys *, const struct convrec *, uint8_t *room,
                               struct convrec_body *out);
/* What bodykeys_open would say, as far as the table alone tells; for plan(). */
enum bodykeys_rc bodykeys_look(struct bodykeys *, const struct convrec *);
/* The same for a text of im.user; `place` as when it was sealed. `text` is empty unless BODY_OK. */
struct body_place;
enum bodykeys_rc bodykeys_open_text(struct bodykeys *, const struct body_place *, uint64_t key_id,
                                    struct slice sealed, uint8_t *room, struct slice *text);

/* Any bytes, with the user's newest key: its number; 0: there is none, nothing is written. `out` as for body_seal. */
uint64_t bodykeys_seal(const struct bodykeys *, const struct body_place *, struct slice plain, uint8_t *out);
/* The other way; `room`: sealed.n bytes. *plain is empty unless BODY_OK. */
enum bodykeys_rc bodykeys_unseal(struct bodykeys *, const struct body_place *, uint64_t key_id,
                                 struct slice sealed, uint8_t *room, struct slice *plain);
/* Is that key here? */
enum bodykeys_rc bodykeys_look_key(struct bodykeys *, struct id16 user, uint64_t key_id);

/* Keys that were missed get a number each, from 1 on; the last one. */
uint64_t bodykeys_missed(const struct bodykeys *);
bool bodykeys_waiting(const struct bodykeys *); /* some are missed still */
/* Those up to that number are nowhere: BODY_ERASED. How many that are. */
size_t bodykeys_settle(struct bodykeys *, uint64_t upto);
/* All of im.vault was fed, later than the end of the log that is read: what is missed is nowhere. */
void bodykeys_final(struct bodykeys *);
/* fn(ctx) at each new miss; it may not touch the table. */
void bodykeys_on_miss(struct bodykeys *, void (*fn)(void *ctx), void *ctx);

/* ---- seals ---- */
bool body_is_own(uint32_t kind); /* of ConvKind: sealed, and empty once the sender is erased */

struct body_place {         /* what a seal is bound to */
    struct id16 conv, user; /* conv zero: a text of im.user */
    uint64_t client_seq;    /* likewise: source_offset */
    int32_t source_part;
    int64_t source_offset;
};
/* `out` has plain.n + BODY_EXTRA bytes: how many are written. */
size_t body_seal(const uint8_t key[BODY_KEY], const struct body_place *, struct slice plain, uint8_t *out);
/* `out` has sealed.n bytes; bytes of plain text, or -EBADMSG. Of the place, the source is not looked at. */
int body_unseal(const uint8_t key[BODY_KEY], const struct body_place *, struct slice sealed, uint8_t *out);

/* ---- a user's keys, as the master key seals them ---- */
/* A new random key, sealed: BODY_KEY_SEALED bytes. */
void body_key_make(const struct secrets *, struct id16 user, uint8_t out[BODY_KEY_SEALED]);
int body_key_open(const struct secrets *, struct id16 user, struct slice sealed,
                  uint8_t out[BODY_KEY]); /* -EBADMSG, -ENOTSUP: as secret_open */
/* What a vault record holds, in 16 bytes: for InRekey.was. */
#define VAULT_DIGEST 16
void vault_digest(const Im__VaultRecord *, uint8_t out[VAULT_DIGEST]);

#endif
