#include "common/im/conv.h"

#include "common/im/conv_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* By version. Append only: a log may hold every one of them. */
static const struct conv_rules *const rules_table[] = {NULL, &conv_rules1, &conv_rules1};

static const struct conv_rules *rules_of(uint32_t version)
{
    return version < sizeof rules_table / sizeof *rules_table ? rules_table[version] : NULL;
}

bool conv_rules_known(uint32_t version)
{
    return rules_of(version) != NULL;
}

void conv_broken(const char *why)
{
    (void)fprintf(stderr, "conv: %s\n", why);
    abort(); /* going on would falsify the conversation */
}

void *conv_realloc(void *p, size_t n)
{
    p = realloc(p, n);
    if (!p)
        conv_broken("out of memory");
    return p;
}

struct conv *conv_new(struct id16 id)
{
    struct conv *c = conv_realloc(NULL, sizeof *c);
    *c = (struct conv){.id = id};
    return c;
}

void conv_free(struct conv *c)
{
    if (!c)
        return;
    while (c->n_members)
        conv_member_drop(c, c->n_members - 1);
    free(c->members);
    free(c->scratch);
    free(c);
}

struct id16 conv_id(const struct conv *c)
{
    return c->id;
}

size_t conv_bytes(const struct conv *c)
{
    size_t sum = sizeof *c + c->cap_scratch + c->cap_members * sizeof *c->members;
    for (size_t i = 0; i < c->n_members; i++) {
        const struct conv_member *m = &c->members[i];
        sum += m->cap_rings * sizeof *m->rings + (m->floors ? CONV_FLOORS * sizeof *m->floors : 0);
        for (size_t r = 0; r < m->n_rings; r++)
            sum += m->rings[r].cap * sizeof *m->rings[r].entries;
    }
    return sum;
}

static size_t need(struct conv_cell *out, size_t n, enum cell_kind kind, const struct id16 *user,
                   uint32_t device)
{
    out[n].key_n = cell_key(out[n].key, kind, user, device);
    out[n].bytes = (struct slice){NULL, 0};
    return n + 1;
}

static bool ring_loaded(const struct conv_member *m, uint32_t device)
{
    const struct conv_ring *r = m ? conv_ring_find(m, device) : NULL;
    return r && r->loaded;
}

size_t conv_needs(const struct conv *c, const struct conv_event *e, struct conv_cell out[CONV_NEEDS_MAX])
{
    size_t n = 0;
    if (!c->loaded)
        n = need(out, n, CELL_HEADER, NULL, 0);
    else if (!c->exists || !conv_in_pair(c, e->user))
        return 0; /* there are no cells, or none of this user's */
    const struct conv_member *m = conv_member_find(c, e->user);
    bool member_loaded = m && m->loaded;
    if (!member_loaded)
        n = need(out, n, CELL_MEMBER, &e->user, 0);
    if (e->client_seq == 0)
        return n;
    if (!member_loaded || conv_ringed(m, e->device)) {
        if (!ring_loaded(m, e->device))
            n = need(out, n, CELL_RING, &e->user, e->device);
        return n;
    }
    /* A device without a ring takes the place of another one. Which, depends on what earlier records of the
     * same batch do: all of them, then. */
    for (size_t i = 0; i < m->n_ringed && n < CONV_NEEDS_MAX; i++)
        if (!ring_loaded(m, m->ringed[i]))
            n = need(out, n, CELL_RING, &e->user, m->ringed[i]);
    return n;
}

struct conv_outcome conv_apply(struct conv *c, const struct conv_event *e)
{
    const struct conv_rules *rules = rules_of(e->rules);
    if (!rules || !c->loaded)
        conv_broken("applied with unknown rules, or without its header");
    struct conv_outcome out = {.verdict = CONV_REFUSED,
                               .time_ms = e->time_ms > c->time_ms ? e->time_ms : c->time_ms};
    out.reason = c->exists ? rules->admit(c, e) : rules->create(c, e);
    if (out.reason)
        return out;
    struct conv_member *m = conv_member_find(c, e->user);
    if (!m || !m->loaded)
        conv_broken("applied without the member's cell");
    if (e->client_seq && conv_ring_lookup(m, e->device, e->client_seq, &out))
        return out;
    out.reason = rules->judge(c, e);
    if (!out.reason) {
        out.verdict = CONV_ACCEPTED;
        out.seq = ++c->head;
        c->time_ms = out.time_ms;
        c->dirty = true;
    }
    if (e->client_seq)
        conv_ring_record(m, e->device, &(struct conv_entry){e->client_seq, out.seq, out.time_ms, out.reason});
    return out;
}

bool conv_recall(const struct conv *c, const struct conv_event *e, struct conv_outcome *out)
{
    const struct conv_rules *rules = rules_of(e->rules);
    struct conv_outcome o = {.verdict = CONV_REFUSED,
                             .time_ms = e->time_ms > c->time_ms ? e->time_ms : c->time_ms};
    if (!rules || !c->loaded)
        return false;
    if (!c->exists) { /* whatever came so far was refused */
        struct conv *scratch = conv_new(c->id);
        scratch->loaded = true;
        o.reason = rules->create(scratch, e);
        conv_free(scratch);
    } else {
        o.reason = rules->admit(c, e);
    }
    const struct conv_member *m = conv_member_find(c, e->user);
    if (!o.reason && (!m || !e->client_seq || !conv_ring_lookup(m, e->device, e->client_seq, &o) ||
                      o.verdict != CONV_DUPLICATE))
        return false;
    *out = o;
    return true;
}

uint64_t conv_head(const struct conv *c)
{
    return c->head;
}

enum conv_type conv_type(const struct conv *c)
{
    return c->exists ? (enum conv_type)c->type : CONV_NOTHING;
}

uint32_t conv_flags(const struct conv *c)
{
    (void)c;
    return 0;
}

bool conv_dissolved(const struct conv *c)
{
    (void)c;
    return false;
}

uint32_t conv_count(const struct conv *c)
{
    return (uint32_t)conv_pair(c, (struct id16[2]){{{0}}});
}

struct id16 conv_owner(const struct conv *c)
{
    (void)c;
    return (struct id16){{0}};
}

size_t conv_pair(const struct conv *c, struct id16 out[2])
{
    if (!c->exists)
        return 0;
    out[0] = c->pair[0];
    out[1] = c->pair[1];
    return id_eq(c->pair[0], c->pair[1]) ? 1 : 2;
}

uint32_t conv_friend(const struct conv *c, struct id16 user)
{
    (void)c, (void)user;
    return 0;
}

bool conv_blocked_by(const struct conv *c, struct id16 user)
{
    (void)c, (void)user;
    return false;
}

bool conv_member(const struct conv *c, struct id16 user, struct conv_member_view *out)
{
    *out = (struct conv_member_view){.role = 1, .from = 1};
    return c->exists && conv_in_pair(c, user);
}

size_t conv_visible(const struct conv *c, struct id16 user, struct conv_interval out[CONV_VISIBLE])
{
    out[0] = (struct conv_interval){.from = 1};
    return c->exists && conv_in_pair(c, user);
}

size_t conv_needs_roster(const struct conv *c, struct conv_cell out[CONV_NEEDS_MAX])
{
    (void)c, (void)out;
    return 0;
}

size_t conv_roster(const struct conv *c, unsigned bucket, const struct conv_seat **out)
{
    (void)c, (void)bucket;
    *out = NULL;
    return 0;
}

size_t conv_needs_admins(const struct conv *c, struct conv_cell out[CONV_NEEDS_MAX])
{
    (void)c, (void)out;
    return 0;
}

size_t conv_admins(const struct conv *c, struct id16 out[CONV_ADMINS])
{
    (void)c, (void)out;
    return 0;
}

bool conv_may_read(const struct conv *c, struct id16 user, uint64_t seq)
{
    return c->exists && seq >= 1 && conv_in_pair(c, user);
}

size_t conv_needs_member(const struct conv *c, struct id16 user, struct conv_cell out[CONV_NEEDS_MAX])
{
    (void)c, (void)user, (void)out;
    return 0;
}
