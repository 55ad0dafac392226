/* sim_talk.c: what a device has of its conversations. */
#include "tests/sim/sim_client.h"
#include "tests/sim/sim_world.h"

uint32_t sim_text_hash(const char *p, size_t n)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)p[i]) * 16777619u;
    return h;
}

void sim_talks_init(struct sim_client *c)
{
    struct sim_world *w = c->sim->world;
    for (uint32_t i = 0; i < SIM_ALL; i++) {
        struct sim_talk *t = &c->talks[i];
        t->room = sim_talk_is_room(i);
        if (i == SIM_SYSTEM)
            t->id = id_system();
        else if (t->room) /* its id comes with it */
            t->id = w->rooms[i - SIM_ROOM0].id;
        else
            t->id = id_direct(w->users[c->user].id, i == SIM_GHOST ? id_user("nobody") : w->users[i].id);
    }
}

static struct sim_talk *find(struct sim_client *c, const struct id16 *conv)
{
    for (uint32_t i = 0; i < SIM_ALL; i++)
        if (i != c->user && id_eq(c->talks[i].id, *conv))
            return &c->talks[i];
    return NULL;
}

void sim_talks_forget(struct sim_client *c)
{
    for (uint32_t i = 0; i < SIM_ALL; i++) {
        struct sim_talk *t = &c->talks[i];
        if (t->cap > c->cap_before[i]) {
            struct sim_seen *v = sim_alloc(c->sim, t->cap * sizeof *v);
            if (c->cap_before[i])
                memcpy(v, c->before[i], c->cap_before[i] * sizeof *v);
            c->before[i] = v;
            c->cap_before[i] = t->cap;
        }
        for (uint64_t k = 0; k < t->cap; k++)
            if (t->seen[k].have)
                c->before[i][k] = t->seen[k];
        *t = (struct sim_talk){.id = t->id, .room = t->room, .receipt = t->receipt};
    }
}

static void advance(struct sim_talk *t)
{
    uint64_t before = t->upto;
    while (t->upto + 1 < t->cap && (t->seen[t->upto + 1].have || t->seen[t->upto + 1].nothing))
        t->upto++;
    if (t->upto == before)
        return;
    t->asked = 0;
    t->dirty = true;
}

/* The server says what this device has had. */
void sim_talk_cursor(struct sim_client *c, const struct id16 *conv, uint64_t from, uint64_t upto)
{
    struct sim_talk *t = find(c, conv);
    if (!t || t->known)
        return;
    t->known = true;
    t->base = from;
    t->upto = upto;
    if (upto > t->top)
        t->top = upto;
    advance(t);
}

/* Nobody gives a device its own sends back: after it forgot them, what is above them is taken without them. */
void sim_talk_give_up(struct sim_talk *t)
{
    while (t->upto + 1 < t->cap && !t->seen[t->upto + 1].have)
        t->upto++;
    while (t->upto + 1 < t->cap && t->seen[t->upto + 1].have)
        t->upto++;
    t->asked = 0;
    t->dirty = true;
}

bool sim_talk_hole(const struct sim_talk *t)
{
    if (!t->room)
        return t->known && t->top > t->upto;
    return t->top > t->upto || t->news > t->upto;
}

static void grow(struct sim_client *c, struct sim_talk *t, uint64_t seq)
{
    uint64_t cap = t->cap ? t->cap : 32;
    while (cap <= seq)
        cap *= 2;
    struct sim_seen *v = sim_alloc(c->sim, cap * sizeof *v);
    if (t->cap)
        memcpy(v, t->seen, t->cap * sizeof *v);
    t->seen = v;
    t->cap = cap;
}

void sim_talk_news(struct sim_client *c, const struct id16 *conv, uint64_t upto)
{
    struct sim_talk *t = find(c, conv);
    if (!t || !t->room) {
        sim_fail(c->sim, "leak", "%s is told of news of a conversation that is not its own", c->name);
        return;
    }
    if (upto > t->news)
        t->news = upto;
    if (t->known && upto <= t->upto) /* it is here; the server does not know that */
        t->dirty = true;
}

void sim_talk_receipt(struct sim_client *c, const struct id16 *conv, uint64_t upto)
{
    struct sim_talk *t = find(c, conv);
    if (!t)
        sim_fail(c->sim, "leak", "%s is told how far somebody got in a conversation of others", c->name);
    else if (upto > t->receipt)
        t->receipt = upto;
}

void sim_talk_begins(struct sim_talk *t)
{
    if (t->known)
        return;
    t->known = true;
    t->base = 1;
    advance(t);
}

void sim_talk_nothing(struct sim_client *c, struct sim_talk *t, uint64_t after, uint64_t upto)
{
    if (upto >= t->cap)
        grow(c, t, upto);
    for (uint64_t i = after + 1; i <= upto; i++)
        t->seen[i].nothing = !t->seen[i].have;
    advance(t);
}

static bool same(const struct sim_seen *a, const struct sim_seen *b)
{
    return id_eq(a->sender, b->sender) && a->device == b->device && a->client_seq == b->client_seq &&
           a->kind == b->kind && a->target == b->target && (a->text == b->text || a->blank || b->blank);
}

static void shown_of_two(const struct sim_client *c, struct sim_talk *t, uint64_t seq)
{
    bool lower = !t->known || seq < t->base;
    if (lower) { /* a device that was there from the beginning has a right to all of it */
        t->base = c->late || c->forgot ? seq : 1;
        t->upto = t->base - 1;
    }
    t->known = true;
}

/* A place is shown once; the same again is dropped, and its cursor told again: the server does not know that we have it. */
void sim_client_shown(struct sim_client *c, const struct id16 *conv, uint64_t seq,
                      const struct sim_seen *what)
{
    struct sim_talk *t = find(c, conv);
    if (!t || !seq || seq > 100000) {
        sim_fail(c->sim, "leak", "%s was shown place %lu of a conversation that is not its own", c->name,
                 (unsigned long)seq);
        return;
    }
    if (seq >= t->cap)
        grow(c, t, seq);
    struct sim_seen *at = &t->seen[seq];
    if (at->have && !same(at, what))
        sim_fail(c->sim, "divergent", "%s was shown two messages at place %lu", c->name, (unsigned long)seq);
    t->dirty |= !t->room || t->known;
    if (!at->have || at->blank)
        *at = *what;
    at->have = true;
    if (t->room)
        c->sim->world->rooms[(t - c->talks) - SIM_ROOM0].made = true;
    else
        shown_of_two(c, t, seq);
    if (seq > t->top)
        t->top = seq;
    if (t->known)
        advance(t);
}
