#include "bench/check.h"

#include <stdlib.h>
#include <string.h>

#define TOLD 5 /* faults of a kind that are described */

enum { ACKED = 1, PUSHED = 2, SEQUENCED = 4, ROW = 8 };

struct entry {
    int64_t at_ns;
    uint64_t seq; /* by whoever told first; 0: not yet */
    uint8_t seen;
};

struct side {
    struct entry *e;
    uint32_t n, cap;
    uint64_t last_push; /* highest number pushed of this sender */
    uint64_t last_seq;  /* of its own outcomes */
};

struct conv {
    struct side side[2];
    uint64_t low, high;
};

struct check {
    struct conv *conv;
    size_t n;
    uint64_t faults[CHECK_FAULTS];
    char told[CHECK_FAULTS][TOLD][160];
};

static const char *const names[CHECK_FAULTS] = {
    "unknown",   "not_acked", "lost", "no_outcome",  "duplicate",
    "reordered", "mismatch",  "hole", "row_missing", "row_strange",
};

const char *check_name(enum check_fault f)
{
    return names[f];
}

struct check *check_new(size_t conversations)
{
    struct check *c = calloc(1, sizeof *c);
    if (c && !(c->conv = calloc(conversations + 1, sizeof *c->conv))) {
        free(c);
        return NULL;
    }
    if (c)
        c->n = conversations;
    return c;
}

void check_free(struct check *c)
{
    for (size_t i = 0; c && i < c->n; i++) {
        free(c->conv[i].side[0].e);
        free(c->conv[i].side[1].e);
    }
    if (c)
        free(c->conv);
    free(c);
}

static bool fault(struct check *c, enum check_fault f, const char *event, size_t conv, int side, uint32_t n,
                  uint64_t seq)
{
    if (c->faults[f]++ < TOLD)
        snprintf(c->told[f][c->faults[f] - 1], sizeof c->told[f][0],
                 "%s: %s, conversation %zu side %d message %u seq %llu", names[f], event, conv, side, n,
                 (unsigned long long)seq);
    return false;
}

static struct entry *find(const struct check *c, size_t conv, int side, uint32_t n)
{
    if (conv >= c->n || n >= c->conv[conv].side[side].n)
        return NULL;
    return &c->conv[conv].side[side].e[n];
}

uint32_t check_sent(struct check *c, size_t conv, int side, int64_t at_ns)
{
    struct side *s = &c->conv[conv].side[side];
    if (s->n == s->cap) {
        uint32_t cap = s->cap ? s->cap * 2 : 256;
        struct entry *e = realloc(s->e, cap * sizeof *e);
        if (!e)
            return UINT32_MAX;
        s->e = e;
        s->cap = cap;
    }
    s->e[s->n] = (struct entry){.at_ns = at_ns};
    return s->n++;
}

int64_t check_time(const struct check *c, size_t conv, int side, uint32_t n)
{
    const struct entry *e = find(c, conv, side, n);
    return e ? e->at_ns : -1;
}

bool check_done(const struct check *c, size_t conv, int side, uint32_t n)
{
    const struct entry *e = find(c, conv, side, n);
    return e && (e->seen & PUSHED) && (e->seen & SEQUENCED);
}

uint64_t check_low(const struct check *c, size_t conv)
{
    return c->conv[conv].low;
}

/* Notes that `what` happened to the message and what number it has there. */
static bool note(struct check *c, uint8_t what, const char *event, size_t conv, int side, uint32_t n,
                 uint64_t seq)
{
    struct entry *e = find(c, conv, side, n);
    if (!e)
        return fault(c, what == ROW ? CHECK_ROW_STRANGE : CHECK_UNKNOWN, event, conv, side, n, seq);
    if (e->seen & what)
        return fault(c, what == ROW ? CHECK_ROW_STRANGE : CHECK_DUPLICATE, event, conv, side, n, seq);
    if (what != ACKED && e->seq && e->seq != seq)
        return fault(c, what == ROW ? CHECK_ROW_STRANGE : CHECK_MISMATCH, event, conv, side, n, seq);
    e->seen |= what;
    if (what == ACKED)
        return true;
    e->seq = seq;
    struct conv *v = &c->conv[conv];
    if (!v->low || seq < v->low)
        v->low = seq;
    if (seq > v->high)
        v->high = seq;
    return true;
}

bool check_acked(struct check *c, size_t conv, int side, uint32_t n)
{
    return note(c, ACKED, "ack", conv, side, n, 0);
}

bool check_sequenced(struct check *c, size_t conv, int side, uint32_t n, uint64_t seq)
{
    if (!note(c, SEQUENCED, "outcome", conv, side, n, seq))
        return false;
    uint64_t *last = &c->conv[conv].side[side].last_seq;
    if (seq <= *last)
        return fault(c, CHECK_REORDERED, "outcome", conv, side, n, seq);
    *last = seq;
    return true;
}

bool check_pushed(struct check *c, size_t conv, int side, uint32_t n, uint64_t seq)
{
    if (!note(c, PUSHED, "push", conv, side, n, seq))
        return false;
    uint64_t *last = &c->conv[conv].side[side].last_push;
    if (seq <= *last)
        return fault(c, CHECK_REORDERED, "push", conv, side, n, seq);
    *last = seq;
    return true;
}

bool check_row(struct check *c, size_t conv, int side, uint32_t n, uint64_t seq)
{
    return note(c, ROW, "row", conv, side, n, seq);
}

static void end_side(struct check *c, size_t conv, int side, bool rows, uint8_t *taken)
{
    struct conv *v = &c->conv[conv];
    struct side *s = &v->side[side];
    uint64_t before = 0;
    for (uint32_t n = 0; n < s->n; n++) {
        struct entry *e = &s->e[n];
        if (!(e->seen & ACKED))
            fault(c, CHECK_NOT_ACKED, "end", conv, side, n, e->seq);
        if (!(e->seen & PUSHED))
            fault(c, CHECK_LOST, "end", conv, side, n, e->seq);
        if (!(e->seen & SEQUENCED))
            fault(c, CHECK_NO_OUTCOME, "end", conv, side, n, e->seq);
        if (rows && !(e->seen & ROW))
            fault(c, CHECK_ROW_MISSING, "end", conv, side, n, e->seq);
        if (!e->seq)
            continue;
        if (e->seq < before)
            fault(c, CHECK_REORDERED, "numbers do not follow the sends", conv, side, n, e->seq);
        before = e->seq;
        if (taken[e->seq - v->low]++)
            fault(c, CHECK_DUPLICATE, "two messages with one number", conv, side, n, e->seq);
    }
}

void check_end(struct check *c, bool rows)
{
    for (size_t i = 0; i < c->n; i++) {
        struct conv *v = &c->conv[i];
        uint64_t most = 2 * ((uint64_t)v->side[0].n + v->side[1].n) + 2;
        uint64_t span = v->low ? v->high - v->low + 1 : 0;
        if (span > most) { /* so far from dense that it is not worth a map */
            fault(c, CHECK_HOLE, "end", i, 0, 0, v->high);
            continue;
        }
        uint8_t *taken = calloc(span + 1, 1);
        if (!taken) {
            fault(c, CHECK_HOLE, "no memory to look", i, 0, 0, 0);
            return;
        }
        end_side(c, i, 0, rows, taken);
        end_side(c, i, 1, rows, taken);
        for (uint64_t k = 0; k < span; k++)
            if (!taken[k])
                fault(c, CHECK_HOLE, "end", i, 0, 0, v->low + k);
        free(taken);
    }
}

bool check_good(const struct check *c)
{
    for (int f = 0; f < CHECK_FAULTS; f++)
        if (c->faults[f])
            return false;
    return true;
}

uint64_t check_count(const struct check *c, enum check_fault f)
{
    return c->faults[f];
}

void check_print(const struct check *c, FILE *to)
{
    for (int f = 0; f < CHECK_FAULTS; f++) {
        for (uint64_t i = 0; i < c->faults[f] && i < TOLD; i++)
            fprintf(to, "  %s\n", c->told[f][i]);
        if (c->faults[f] > TOLD)
            fprintf(to, "  … %llu more of %s\n", (unsigned long long)(c->faults[f] - TOLD), names[f]);
    }
}
