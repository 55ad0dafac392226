#include "fanout/crowd.h"

#include "common/base/arena.h"
#include "common/im/push.h"
#include "common/im/topics.h"

#include <stdlib.h>
#include <string.h>

#define WHO (CODEC_DETAILED_MAX + 1) /* one may be left out, the others are few enough to be named then */

struct place { /* the sessions at one slot */
    uint64_t epoch;
    size_t n, cap;
    uint32_t *handles;
    const struct session **who; /* of the first WHO */
};

struct absent {
    size_t n, cap;
    struct push_absent *users;
};

struct crowd {
    const struct fanout_views *views;
    uint32_t slots;
    struct place *place; /* by slot */
    uint32_t *busy;      /* slots with somebody */
    size_t n_busy;
    struct absent *absent; /* by partition of im.offline */
    int32_t parts;
    struct arena *served; /* the lists that `absent` points to */
    struct id16 conv;
    bool valid;
    uint64_t presence, lease; /* versions of the views */
    uint64_t from;
};

static void *must(void *p)
{
    if (!p)
        abort(); /* somebody who is left out would never hear of it */
    return p;
}

struct crowd *crowd_new(const struct fanout_views *views)
{
    struct crowd *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->views = views;
    c->slots = lease_slots(views->lease);
    c->parts = views->offline_parts > 0 ? views->offline_parts : 1;
    c->place = calloc(c->slots + 1, sizeof *c->place);
    c->busy = calloc(c->slots + 1, sizeof *c->busy);
    c->absent = calloc((size_t)c->parts, sizeof *c->absent);
    c->served = arena_new(0);
    if (c->place && c->busy && c->absent && c->served)
        return c;
    crowd_free(c);
    return NULL;
}

void crowd_free(struct crowd *c)
{
    if (!c)
        return;
    for (uint32_t i = 0; c->place && i < c->slots; i++) {
        free(c->place[i].handles);
        free(c->place[i].who);
    }
    for (int32_t i = 0; c->absent && i < c->parts; i++)
        free(c->absent[i].users);
    free(c->place);
    free(c->busy);
    free(c->absent);
    arena_free(c->served);
    free(c);
}

void crowd_begin(struct crowd *c, struct id16 conv)
{
    for (size_t i = 0; i < c->n_busy; i++)
        c->place[c->busy[i]].n = 0;
    for (int32_t i = 0; i < c->parts; i++)
        c->absent[i].n = 0;
    c->n_busy = 0;
    arena_reset(c->served);
    c->conv = conv;
    c->valid = true;
    c->presence = presence_version(c->views->presence);
    c->lease = lease_version(c->views->lease);
    c->from = 0;
}

/* ---- who is where ---- */

static void add_session(struct crowd *c, const struct session *s)
{
    struct place *p = &c->place[s->slot];
    if (p->n == 0) {
        c->busy[c->n_busy++] = s->slot;
        p->epoch = s->epoch; /* a live session's: there is one such epoch per slot */
    }
    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 64;
        p->handles = must(realloc(p->handles, p->cap * sizeof *p->handles));
        if (!p->who)
            p->who = must(malloc(WHO * sizeof *p->who));
    }
    if (p->n < WHO)
        p->who[p->n] = s;
    p->handles[p->n++] = s->handle;
}

static bool holds(const uint32_t *list, size_t n, uint32_t device)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i] == device)
            return true;
    }
    return false;
}

bool crowd_misses(const uint32_t *devices, size_t n, const uint32_t *served, size_t n_served)
{
    for (size_t i = 0; i < n; i++) {
        if (!holds(served, n_served, devices[i]))
            return true;
    }
    return false;
}

static void add_absent(struct crowd *c, struct id16 user, const uint32_t *served, size_t n_served)
{
    uint32_t part = (topics_murmur2(slice_id(&user)) & 0x7fffffff) % (uint32_t)c->parts;
    struct absent *a = &c->absent[part];
    if (a->n == a->cap) {
        a->cap = a->cap ? a->cap * 2 : 64;
        a->users = must(realloc(a->users, a->cap * sizeof *a->users));
    }
    uint32_t *kept = n_served ? must(arena_copy(c->served, served, n_served * sizeof *served)) : NULL;
    a->users[a->n++] = (struct push_absent){.user = user, .served = kept, .n_served = n_served};
}

static void add(struct crowd *c, struct id16 user, uint32_t here, bool always)
{
    const struct session *live[PRESENCE_LIVE_MAX];
    uint32_t served[PRESENCE_LIVE_MAX + 1];
    const uint32_t *devices;
    size_t n_devices, n_served = 0, n = presence_reach(c->views->presence, user, live, &devices, &n_devices);
    for (size_t i = 0; i < n; i++) {
        if (live[i]->slot < c->slots)
            add_session(c, live[i]);
        served[n_served++] = live[i]->device;
    }
    if (here && !holds(served, n_served, here))
        served[n_served++] = here;
    /* Nobody live: which devices there are is not known here. */
    if (always || n == 0 || n_devices == 0 || crowd_misses(devices, n_devices, served, n_served))
        add_absent(c, user, served, n_served);
}

void crowd_add(struct crowd *c, struct id16 user, uint32_t here)
{
    add(c, user, here, false);
}

void crowd_add_leaving(struct crowd *c, struct id16 user, uint32_t here)
{
    add(c, user, here, true);
}

void crowd_add_roster(struct crowd *c, const struct conv *conv, uint64_t seq, struct id16 user, uint32_t here)
{
    for (unsigned b = 0; b < CONV_BUCKETS; b++) {
        const struct conv_seat *seats;
        size_t n = conv_roster(conv, b, &seats);
        for (size_t i = 0; i < n; i++) {
            if (seats[i].from > seq) {
                c->from = UINT64_MAX;
                continue;
            }
            if (seats[i].from > c->from)
                c->from = seats[i].from;
            crowd_add(c, seats[i].user, here && id_eq(seats[i].user, user) ? here : 0);
        }
    }
}

bool crowd_fresh(const struct crowd *c, struct id16 conv)
{
    return c->valid && id_eq(c->conv, conv) && c->presence == presence_version(c->views->presence) &&
           c->lease == lease_version(c->views->lease);
}

uint64_t crowd_from(const struct crowd *c)
{
    return c->from;
}

void crowd_spoil(struct crowd *c)
{
    c->valid = false;
}

/* ---- telling them ---- */

/* To the end of the list, where it can be left out. */
static bool move_last(struct place *p, const struct session *s)
{
    size_t i = 0, last = p->n - 1;
    while (i < p->n && p->handles[i] != s->handle)
        i++;
    if (i == p->n)
        return false;
    p->handles[i] = p->handles[last];
    p->handles[last] = s->handle;
    if (i < WHO && last < WHO) {
        const struct session *moved = p->who[i];
        p->who[i] = p->who[last];
        p->who[last] = moved;
    }
    return true;
}

size_t crowd_tell(struct crowd *c, struct deliver *d, struct fx *fx, const struct deliver_item *item,
                  const struct session *except)
{
    size_t told = 0;
    for (size_t i = 0; i < c->n_busy; i++) {
        uint32_t slot = c->busy[i];
        struct place *p = &c->place[slot];
        bool but_one = except && except->slot == slot && except->epoch == p->epoch && move_last(p, except);
        struct deliver_slot to = {
            .slot = slot, .epoch = p->epoch, .n = p->n - but_one, .handles = p->handles, .who = p->who};
        deliver_many(d, fx, item, &to);
        told += to.n;
    }
    return told;
}

size_t crowd_queue(const struct crowd *c, struct fx *fx, uint64_t seq, bool left, struct slice trace)
{
    size_t n = 0;
    for (int32_t i = 0; i < c->parts; i++) {
        if (c->absent[i].n)
            push_offline_group(fx, i, c->conv, seq, c->absent[i].users, c->absent[i].n, left, trace);
        n += c->absent[i].n;
    }
    return n;
}
