#include "common/im/conv.h"

#include "common/base/crash.h"
#include "common/im/conv_private.h"
#include "proto/client.pb-c.h"

#include <stdio.h>
#include <stdlib.h>

/* By version. Append only: a log may hold every one of them. */
static const struct conv_rules *const rules_table[] = {NULL, &conv_rules1, &conv_rules2};

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
    for (unsigned i = 0; i < CONV_BLOCKS; i++)
        conv_block_free(c, i);
    conv_group_free(c);
    free(c->tail.authors);
    free(c->members);
    free(c->touched);
    free(c->blocks);
    free(c->pins);
    free(c->scratch);
    free(c);
}

struct id16 conv_id(const struct conv *c)
{
    return c->id;
}

size_t conv_bytes(const struct conv *c)
{
    return sizeof *c + c->weight + c->cap_scratch + (c->cap_members + c->cap_touched) * sizeof *c->members +
           (c->pins ? CONV_PINS * sizeof *c->pins : 0) + c->tail.cap_authors * sizeof *c->tail.authors;
}

static int64_t time_of(const struct conv *c, const struct conv_event *e)
{
    return e->time_ms > c->time_ms ? e->time_ms : c->time_ms;
}

static void number(struct conv *c, const struct conv_event *e, struct conv_outcome *out)
{
    if (planted("conv-seq-off-by-one") && c->head % 8 == 7)
        c->head++;
    out->verdict = CONV_ACCEPTED;
    out->seq = ++c->head;
    c->time_ms = out->time_ms;
    c->dirty = true;
    /* Once there are blocks, a record of an older router goes into them too. */
    if (c->type != CONV_SYSTEM && (e->rules > 1 || c->tracked))
        conv_block_append(c, out->seq, e, out->time_ms);
}

/* Never was in this group. That a number is too old would tell them that there is a group: of one that is not there no
 * numbers are kept. */
static bool outsider(const struct conv *c, const struct conv_member *m)
{
    return c->type == CONV_GROUP && !m->n_visible && !m->asked;
}

struct conv_outcome conv_apply(struct conv *c, const struct conv_event *e)
{
    const struct conv_rules *rules = rules_of(e->rules);
    if (!rules || !c->loaded)
        conv_broken("applied with unknown rules, or without its header");
    struct conv_outcome out = {.verdict = CONV_REFUSED, .time_ms = time_of(c, e)};
    out.reason = c->exists ? rules->admit(c, e) : rules->create(c, e);
    if (out.reason)
        return out;
    struct conv_member *m = conv_member_here(c, e->user);
    if (e->client_seq && conv_ring_lookup(m, e->device, e->client_seq, &out)) {
        if (out.reason == IM__CODE__STALE && outsider(c, m))
            out.reason = IM__CODE__NOT_A_MEMBER;
        return out;
    }
    uint16_t reason = rules->judge(c, e, m, &out);
    if (reason == 0)
        number(c, e, &out);
    else if (reason == CONV_NOTE)
        out.verdict = CONV_NOTED;
    else
        out.reason = reason;
    if (e->client_seq) {
        if (!m->exists) /* no member, but what was said to them has to be kept */
            m->exists = m->dirty = true;
        conv_ring_record(m, e->device, &(struct conv_entry){e->client_seq, out.seq, out.time_ms, reason});
    }
    conv_member_touch(c, m);
    return out;
}

bool conv_recall(const struct conv *c, const struct conv_event *e, struct conv_outcome *out)
{
    const struct conv_rules *rules = rules_of(e->rules);
    struct conv_outcome o = {.verdict = CONV_REFUSED, .time_ms = time_of(c, e)};
    if (!rules || !c->loaded)
        return false;
    if (!c->exists) { /* whatever came so far was refused */
        struct conv *scratch = conv_new(c->id);
        scratch->loaded = scratch->fresh = true;
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
