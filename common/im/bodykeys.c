#include "common/im/bodykeys.h"

#include "common/base/arena_protobuf.h"
#include "common/base/metrics.h"
#include "common/base/rand.h"
#include "common/base/utf8.h"
#include "common/im/wire.h"

#include <errno.h>
#include <stdlib.h>

METRIC_COUNTER(unreadable, "parley_bodies_unreadable_total",
               "Bodies whose key is nowhere, or that were not sealed with it. They are shown as erased.");

#define UNPACK_BUDGET (64 << 10)
#define MISSES        64 /* remembered at a time */
#define FIRST_SLOTS   1024

enum { SLOT_FREE, SLOT_LEFT, SLOT_KEY, SLOT_LOCKED, SLOT_ERASED };

struct slot { /* of a key; number 0: of the user, when erased */
    struct id16 user;
    uint32_t number;
    uint8_t state;
    uint8_t key[BODY_KEY];
};

struct miss {
    struct id16 user;
    uint64_t key_id, ticket; /* ticket 0: none */
};

struct bodykeys {
    const struct secrets *secrets;
    struct slot *slots; /* a power of two, open addressing */
    size_t mask, used, keys;
    uint64_t seed;
    struct arena *arena; /* of one record */
    struct miss misses[MISSES];
    uint64_t tickets, settled;
    bool final;
    void (*on_miss)(void *ctx);
    void *ctx;
};

struct bodykeys *bodykeys_new(const struct secrets *secrets)
{
    struct bodykeys *k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    k->secrets = secrets;
    k->slots = calloc(FIRST_SLOTS, sizeof *k->slots);
    k->mask = FIRST_SLOTS - 1;
    k->arena = arena_new(4096);
    k->seed = rand_u64();
    if (k->slots && k->arena)
        return k;
    bodykeys_free(k);
    return NULL;
}

void bodykeys_free(struct bodykeys *k)
{
    if (!k)
        return;
    if (k->slots)
        secret_wipe(k->slots, (k->mask + 1) * sizeof *k->slots);
    free(k->slots);
    arena_free(k->arena);
    free(k);
}

void bodykeys_on_miss(struct bodykeys *k, void (*fn)(void *ctx), void *ctx)
{
    k->on_miss = fn;
    k->ctx = ctx;
}

size_t bodykeys_count(const struct bodykeys *k)
{
    return k->keys;
}

/* ---- slots ---- */
/* Names can be chosen so that their ids begin alike, hence the seed. */
static size_t home(const struct bodykeys *k, struct id16 user, uint32_t number)
{
    uint64_t a, b;
    memcpy(&a, user.b, 8);
    memcpy(&b, user.b + 8, 8);
    a = (a ^ k->seed ^ number) * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)((a ^ (a >> 32) ^ b) & k->mask);
}

static struct slot *find(const struct bodykeys *k, struct id16 user, uint64_t number)
{
    if (number > UINT32_MAX)
        return NULL;
    for (size_t i = home(k, user, (uint32_t)number);; i = (i + 1) & k->mask) {
        struct slot *s = &k->slots[i];
        if (s->state == SLOT_FREE)
            return NULL;
        if (s->state != SLOT_LEFT && s->number == number && id_eq(s->user, user))
            return s;
    }
}

static void put(struct bodykeys *k, const struct slot *new)
{
    size_t i = home(k, new->user, new->number);
    while (k->slots[i].state != SLOT_FREE)
        i = (i + 1) & k->mask;
    k->slots[i] = *new;
    k->used++;
}

static int grow(struct bodykeys *k)
{
    size_t n = k->mask + 1, live = 0;
    if (k->used < n / 4 * 3)
        return 0;
    for (size_t i = 0; i < n; i++)
        live += k->slots[i].state > SLOT_LEFT;
    struct slot *old = k->slots, *slots;
    size_t to = live > n / 2 ? 2 * n : n;
    slots = calloc(to, sizeof *slots);
    if (!slots)
        return -ENOMEM;
    k->slots = slots;
    k->mask = to - 1;
    k->used = 0;
    for (size_t i = 0; i < n; i++)
        if (old[i].state > SLOT_LEFT)
            put(k, &old[i]);
    secret_wipe(old, n * sizeof *old);
    free(old);
    return 0;
}

static int set(struct bodykeys *k, const struct slot *s)
{
    struct slot *is = find(k, s->user, s->number);
    int rc = is ? 0 : grow(k);
    if (rc)
        return rc;
    k->keys += (size_t)(s->state != SLOT_ERASED) - (size_t)(is && is->state != SLOT_ERASED);
    if (is)
        *is = *s;
    else
        put(k, s);
    return 0;
}

static void drop(struct bodykeys *k, struct id16 user, uint32_t number)
{
    struct slot *s = find(k, user, number);
    if (!s)
        return;
    k->keys -= s->state != SLOT_ERASED;
    secret_wipe(s->key, sizeof s->key);
    s->state = SLOT_LEFT;
}

/* ---- feeding ---- */
static void came(struct bodykeys *k, struct id16 user)
{
    for (size_t i = 0; i < MISSES; i++)
        if (k->misses[i].ticket && id_eq(k->misses[i].user, user))
            k->misses[i].ticket = 0;
}

static int feed_key(struct bodykeys *k, struct id16 user, const Im__BodyKey *b)
{
    struct slot s = {.user = user, .number = (uint32_t)b->id, .state = SLOT_LOCKED};
    if (k->secrets && body_key_open(k->secrets, user, codec_slice(b->sealed), s.key) == 0)
        s.state = SLOT_KEY;
    int rc = set(k, &s);
    secret_wipe(&s, sizeof s);
    return rc;
}

/* The record is all there is: keys that it does not name are no more. */
static int replace(struct bodykeys *k, struct id16 user, const Im__VaultRecord *v)
{
    int rc = 0;
    came(k, user);
    for (uint32_t number = 0; number <= BODY_KEYS_MAX; number++) {
        bool named = false;
        for (size_t i = 0; v && i < v->n_keys; i++)
            named |= v->keys[i]->id == number;
        if (!named)
            drop(k, user, number);
    }
    for (size_t i = 0; v && rc == 0 && i < v->n_keys; i++)
        rc = feed_key(k, user, v->keys[i]);
    if (rc == 0 && (!v || v->erased))
        rc = set(k, &(struct slot){.user = user, .state = SLOT_ERASED});
    return rc;
}

int bodykeys_feed(struct bodykeys *k, struct slice key, struct slice value)
{
    struct arena_protobuf pb;
    Im__VaultRecord *v = NULL;
    struct id16 user;
    if (id_from(key.p, key.n, &user))
        return -EBADMSG;
    arena_reset(k->arena);
    int rc = value.n ? codec_vault(arena_protobuf_allocator(&pb, k->arena, UNPACK_BUDGET), value, &v) : 0;
    if (rc == 0 && v && !id_eq(codec_id(v->user), user))
        rc = -EBADMSG;
    return rc ? rc : replace(k, user, v);
}

/* ---- what is not there ---- */
uint64_t bodykeys_missed(const struct bodykeys *k)
{
    return k->tickets;
}

bool bodykeys_waiting(const struct bodykeys *k)
{
    for (size_t i = 0; i < MISSES; i++)
        if (k->misses[i].ticket > k->settled)
            return true;
    return false;
}

size_t bodykeys_settle(struct bodykeys *k, uint64_t upto)
{
    size_t n = 0;
    for (size_t i = 0; i < MISSES; i++)
        n += k->misses[i].ticket > k->settled && k->misses[i].ticket <= upto;
    if (k->settled < upto)
        k->settled = upto;
    return n;
}

void bodykeys_final(struct bodykeys *k)
{
    k->final = true;
}

static enum bodykeys_rc missing(struct bodykeys *k, struct id16 user, uint64_t key_id)
{
    struct miss *room = NULL;
    if (k->final)
        return BODY_ERASED;
    for (size_t i = 0; i < MISSES; i++) {
        struct miss *m = &k->misses[i];
        if (m->ticket && m->key_id == key_id && id_eq(m->user, user))
            return m->ticket <= k->settled ? BODY_ERASED : BODY_LATER;
        if (m->ticket <= k->settled && (!room || m->ticket < room->ticket))
            room = m;
    }
    if (!room)
        return BODY_LATER; /* its turn comes */
    *room = (struct miss){user, key_id, ++k->tickets};
    if (k->on_miss)
        k->on_miss(k->ctx);
    return BODY_LATER;
}

/* ---- opening ---- */
bool bodykeys_erased(const struct bodykeys *k, struct id16 user)
{
    return find(k, user, 0);
}

static enum bodykeys_rc look(struct bodykeys *k, struct id16 user, uint64_t key_id, const uint8_t **key)
{
    const struct slot *s = find(k, user, key_id);
    *key = NULL;
    if (s && key_id)
        *key = s->key;
    if (s)
        return s->state == SLOT_KEY ? BODY_OK : s->state == SLOT_LOCKED ? BODY_LOCKED : BODY_ERASED;
    return key_id == 0 ? BODY_OK : bodykeys_erased(k, user) ? BODY_ERASED : missing(k, user, key_id);
}

enum bodykeys_rc bodykeys_look(struct bodykeys *k, const struct convrec *r)
{
    const uint8_t *key;
    if (r->body.key_id == 0 && !body_is_own(r->event.kind))
        return BODY_OK;
    return look(k, r->event.user, r->body.key_id, &key);
}

/* As convrec.c reads a Body; it was packed by the router, so it is one. */
static bool parse(struct slice plain, struct convrec_body *out)
{
    struct wire w = wire_of(plain);
    struct wire_field f;
    while (wire_next(&w, &f)) {
        if (f.id >= 2 && f.id <= 4 && f.type != WIRE_BYTES)
            return false;
        if (f.id == 2)
            out->text = f.bytes;
        else if (f.id == 3)
            out->content_type = f.bytes;
        else if (f.id == 4)
            out->data = f.bytes;
    }
    return !w.bad && (out->text.n == 0 || utf8_valid(out->text.p, out->text.n)) &&
           (out->content_type.n == 0 || utf8_valid(out->content_type.p, out->content_type.n));
}

enum bodykeys_rc bodykeys_open(struct bodykeys *k, const struct convrec *r, uint8_t *room,
                               struct convrec_body *out)
{
    const struct convrec_body *b = &r->body;
    const uint8_t *key = NULL;
    enum bodykeys_rc rc = BODY_OK;
    if (b->key_id || body_is_own(r->event.kind))
        rc = look(k, r->event.user, b->key_id, &key);
    if (rc == BODY_OK && b->key_id) {
        const struct body_place at = {
            .conv = r->event.conv, .user = r->event.user, .client_seq = r->event.client_seq};
        int n = body_unseal(key, &at, b->sealed, room);
        *out = (struct convrec_body){.key_id = b->key_id};
        if (n < 0 || !parse((struct slice){room, (size_t)n}, out))
            rc = BODY_ERASED;
    } else if (rc == BODY_OK) {
        *out = *b;
    }
    if (rc != BODY_OK)
        *out = (struct convrec_body){.key_id = BODY_GONE};
    if (rc == BODY_ERASED && !bodykeys_erased(k, r->event.user))
        metric_add(&unreadable, 1);
    return rc;
}

enum bodykeys_rc bodykeys_unseal(struct bodykeys *k, const struct body_place *at, uint64_t key_id,
                                 struct slice sealed, uint8_t *room, struct slice *plain)
{
    const uint8_t *key;
    enum bodykeys_rc rc = look(k, at->user, key_id, &key);
    int n = rc == BODY_OK && key ? body_unseal(key, at, sealed, room) : 0;
    *plain = n > 0 ? (struct slice){room, (size_t)n} : (struct slice){"", 0};
    if (n < 0)
        metric_add(&unreadable, 1);
    return n < 0 ? BODY_ERASED : rc;
}

enum bodykeys_rc bodykeys_open_text(struct bodykeys *k, const struct body_place *at, uint64_t key_id,
                                    struct slice sealed, uint8_t *room, struct slice *text)
{
    enum bodykeys_rc rc = bodykeys_unseal(k, at, key_id, sealed, room, text);
    if (!utf8_valid(text->p, text->n))
        *text = (struct slice){"", 0};
    return rc;
}

uint64_t bodykeys_seal(const struct bodykeys *k, const struct body_place *at, struct slice plain,
                       uint8_t *out)
{
    for (uint64_t number = BODY_KEYS_MAX; number > 0; number--) {
        const struct slot *s = find(k, at->user, number);
        if (!s || s->state != SLOT_KEY)
            continue;
        body_seal(s->key, at, plain, out);
        return number;
    }
    return 0;
}

enum bodykeys_rc bodykeys_look_key(struct bodykeys *k, struct id16 user, uint64_t key_id)
{
    const uint8_t *key;
    return look(k, user, key_id, &key);
}
