#include "common/im/presence.h"

#include "common/im/codec.h"
#include "common/im/ended.h"
#include "common/im/topics.h"
#include "common/im/wire.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#define uthash_fatal(msg) abort()
#include <uthash.h>

#define VALUE_MAX 4096

struct entry {
    uint8_t key[KEY_PRESENCE];
    struct session s;
    uint64_t devices_at;
    struct user *user;
    struct entry *next; /* of the user: device ascending, then the latest login first */
    struct entry *slot_next, **slot_link;
    UT_hash_handle hh;
    uint32_t n_devices;
    uint32_t devices[];
};

struct user {
    struct id16 id;
    struct entry *first;
    struct entry *newest; /* highest devices_at */
    UT_hash_handle hh;
    char login[LOGIN_MAX + 1];
};

struct presence {
    const struct lease *lease;
    struct ended *ended; /* NULL: nobody asked for them */
    struct entry *entries;
    struct user *users;
    uint64_t version;
    struct entry *slots[TOPICS_SLOTS_MAX];
};

struct presence *presence_new(const struct lease *lease)
{
    struct presence *p = calloc(1, sizeof *p);
    if (p)
        p->lease = lease;
    return p;
}

void presence_free(struct presence *p)
{
    if (!p)
        return;
    struct entry *e, *next_entry;
    HASH_ITER (hh, p->entries, e, next_entry) {
        HASH_DEL(p->entries, e);
        free(e);
    }
    struct user *u, *next_user;
    HASH_ITER (hh, p->users, u, next_user) {
        HASH_DEL(p->users, u);
        free(u);
    }
    ended_free(p->ended);
    free(p);
}

/* Ids are hashes already. */
static unsigned hash_id(const struct id16 *id)
{
    unsigned h;
    memcpy(&h, id->b, sizeof h);
    return h;
}

static struct user *find_user(const struct presence *p, const struct id16 *id)
{
    struct user *u;
    HASH_FIND_BYHASHVALUE(hh, p->users, id->b, ID_SIZE, hash_id(id), u);
    return u;
}

static struct entry *find_entry(const struct presence *p, const uint8_t *key)
{
    struct entry *e;
    HASH_FIND(hh, p->entries, key, KEY_PRESENCE, e);
    return e;
}

/* A total order, so that nothing depends on who came first. */
static bool before(const struct entry *a, const struct entry *b)
{
    if (a->s.device != b->s.device)
        return a->s.device < b->s.device;
    if (a->s.login_offset != b->s.login_offset)
        return a->s.login_offset > b->s.login_offset;
    return memcmp(a->key, b->key, KEY_PRESENCE) < 0;
}

static void choose_newest(struct user *u)
{
    u->newest = u->first;
    for (struct entry *e = u->first; e; e = e->next)
        if (e->devices_at > u->newest->devices_at ||
            (e->devices_at == u->newest->devices_at && memcmp(e->key, u->newest->key, KEY_PRESENCE) > 0))
            u->newest = e;
}

static void unlink_entry(struct presence *p, struct entry *e)
{
    struct user *u = e->user;
    struct entry **at = &u->first;
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    *e->slot_link = e->slot_next;
    if (e->slot_next)
        e->slot_next->slot_link = e->slot_link;
    HASH_DEL(p->entries, e);
    free(e);
    if (u->first) {
        choose_newest(u);
    } else {
        HASH_DEL(p->users, u);
        free(u);
    }
}

static void link_entry(struct presence *p, struct user *u, struct entry *e)
{
    struct entry **at = &u->first;
    while (*at && before(*at, e))
        at = &(*at)->next;
    e->user = u;
    e->next = *at;
    *at = e;
    e->slot_link = &p->slots[e->s.slot];
    e->slot_next = *e->slot_link;
    if (e->slot_next)
        e->slot_next->slot_link = &e->slot_next;
    *e->slot_link = e;
    HASH_ADD(hh, p->entries, key, KEY_PRESENCE, e);
    choose_newest(u);
}

static int put(struct presence *p, const uint8_t *key, const struct session *s, const Im__PresenceRecord *r)
{
    struct entry *e = calloc(1, sizeof *e + r->n_devices * sizeof e->devices[0]);
    struct user *fresh = calloc(1, sizeof *fresh);
    if (!e || !fresh) {
        free(e);
        free(fresh);
        return -ENOMEM;
    }
    memcpy(e->key, key, KEY_PRESENCE);
    e->s = *s;
    e->devices_at = r->devices_at;
    e->n_devices = (uint32_t)r->n_devices;
    if (r->n_devices)
        memcpy(e->devices, r->devices, r->n_devices * sizeof e->devices[0]);
    struct user *u = find_user(p, &s->user);
    if (u) {
        free(fresh);
    } else {
        u = fresh;
        u->id = s->user;
        HASH_ADD_BYHASHVALUE(hh, p->users, id, ID_SIZE, hash_id(&u->id), u);
    }
    if (r->login[0])
        memcpy(u->login, r->login, strlen(r->login) + 1); /* the decoder checked its length */
    struct entry *old = find_entry(p, key);
    link_entry(p, u, e);
    if (old)
        unlink_entry(p, old);
    p->version++;
    return 0;
}

int presence_feed(struct presence *p, struct slice key, struct slice value)
{
    uint32_t slot, handle;
    uint64_t epoch;
    if (key_presence_parse(key, &slot, &epoch, &handle) || slot >= TOPICS_SLOTS_MAX || value.n > VALUE_MAX)
        return -EBADMSG;
    if (value.n == 0) {
        struct entry *e = find_entry(p, key.p);
        if (e) {
            if (p->ended)
                ended_add(p->ended, &e->s);
            unlink_entry(p, e);
            p->version++;
        }
        return 0;
    }
    Im__PresenceRecord *r;
    struct session s;
    int rc = codec_presence(NULL, value, &r);
    if (rc)
        return rc;
    rc = session_from_pb(r->session, &s);
    if (rc || s.slot != slot || s.epoch != epoch || s.handle != handle)
        rc = -EBADMSG;
    else
        rc = put(p, key.p, &s, r);
    im__presence_record__free_unpacked(r, NULL);
    return rc;
}

static bool alive(const struct presence *p, const struct session *s)
{
    return !p->lease || lease_live(p->lease, s->slot, s->epoch);
}

static size_t live_of(const struct presence *p, const struct user *u,
                      const struct session *out[PRESENCE_LIVE_MAX])
{
    size_t n = 0;
    const struct entry *last = NULL;
    for (const struct entry *e = u ? u->first : NULL; e && n < PRESENCE_LIVE_MAX; e = e->next) {
        if (!last || last->s.device != e->s.device)
            if (alive(p, &e->s))
                out[n++] = &e->s;
        last = e;
    }
    return n;
}

size_t presence_sessions(const struct presence *p, struct id16 user,
                         const struct session *out[PRESENCE_LIVE_MAX])
{
    return live_of(p, find_user(p, &user), out);
}

size_t presence_reach(const struct presence *p, struct id16 user,
                      const struct session *out[PRESENCE_LIVE_MAX], const uint32_t **devices,
                      size_t *n_devices)
{
    const struct user *u = find_user(p, &user);
    *devices = u ? u->newest->devices : NULL;
    *n_devices = u ? u->newest->n_devices : 0;
    return live_of(p, u, out);
}

const struct session *presence_device(const struct presence *p, struct id16 user, uint32_t device)
{
    const struct user *u = find_user(p, &user);
    for (const struct entry *e = u ? u->first : NULL; e; e = e->next)
        if (e->s.device == device)
            return alive(p, &e->s) ? &e->s : NULL;
    return NULL;
}

size_t presence_devices(const struct presence *p, struct id16 user, const uint32_t **out)
{
    const struct user *u = find_user(p, &user);
    *out = u ? u->newest->devices : NULL;
    return u ? u->newest->n_devices : 0;
}

const char *presence_login(const struct presence *p, struct id16 user)
{
    const struct user *u = find_user(p, &user);
    return u && u->login[0] ? u->login : NULL;
}

const struct session *presence_find(const struct presence *p, uint32_t slot, uint64_t epoch, uint32_t handle)
{
    uint8_t key[KEY_PRESENCE];
    key_presence(&(struct session){.slot = slot, .epoch = epoch, .handle = handle}, key);
    const struct entry *e = find_entry(p, key);
    return e ? &e->s : NULL;
}

int presence_remember(struct presence *p, uint32_t max)
{
    if (!p->ended)
        p->ended = ended_new(max);
    return p->ended ? 0 : -ENOMEM;
}

const struct session *presence_ended(const struct presence *p, uint32_t slot, uint64_t epoch, uint32_t handle)
{
    return p->ended ? ended_find(p->ended, slot, epoch, handle) : NULL;
}

bool presence_is_live(const struct presence *p, const struct session *s)
{
    const struct session *now = presence_device(p, s->user, s->device);
    return now && session_eq(now, s);
}

void presence_each(const struct presence *p, uint32_t slot, presence_fn *fn, void *ctx)
{
    for (const struct entry *e = slot < TOPICS_SLOTS_MAX ? p->slots[slot] : NULL; e; e = e->slot_next)
        fn(ctx, &e->s);
}

uint64_t presence_version(const struct presence *p)
{
    return p->version;
}

size_t presence_count(const struct presence *p)
{
    return HASH_COUNT(p->entries);
}

size_t presence_users(const struct presence *p)
{
    return HASH_COUNT(p->users);
}

static int by_key(const void *a, const void *b)
{
    return memcmp((*(const struct entry *const *)a)->key, (*(const struct entry *const *)b)->key,
                  KEY_PRESENCE);
}

void presence_digest(const struct presence *p, uint8_t out[32])
{
    size_t n = HASH_COUNT(p->entries), i = 0;
    const struct entry **list = malloc((n + 1) * sizeof *list);
    if (!list)
        abort();
    for (const struct entry *e = p->entries; e; e = e->hh.next)
        list[i++] = e;
    qsort(list, n, sizeof *list, by_key);
    crypto_generichash_state st;
    crypto_generichash_init(&st, NULL, 0, 32);
    for (i = 0; i < n; i++) {
        const struct entry *e = list[i];
        uint8_t fixed[ID_SIZE + 4 + 8 + 8 + 4];
        uint8_t *at = wire_put_be(wire_put(fixed, e->s.user.b, ID_SIZE), e->s.device, 4);
        at = wire_put_be(wire_put_be(at, e->s.login_offset, 8), e->devices_at, 8);
        wire_put_be(at, e->n_devices, 4);
        crypto_generichash_update(&st, e->key, KEY_PRESENCE);
        crypto_generichash_update(&st, fixed, sizeof fixed);
        for (uint32_t k = 0; k < e->n_devices; k++) {
            uint8_t device[4];
            wire_put_be(device, e->devices[k], 4);
            crypto_generichash_update(&st, device, 4);
        }
    }
    crypto_generichash_final(&st, out, 32);
    free(list);
}
