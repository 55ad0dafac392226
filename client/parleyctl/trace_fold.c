#include "client/parleyctl/trace.h"

#include <errno.h>
#include <string.h>

struct fold {
    struct trace *t;
    uint64_t until_seq; /* 0: until the range ends */
    bool found;
    const char *stuck;
};

static struct conv_outcome apply(struct trace *t, const struct conv_event *e)
{
    struct conv_cell cells[CONV_NEEDS_MAX];
    size_t n;
    while ((n = conv_needs(t->fold, e, cells)))
        for (size_t i = 0; i < n; i++) { /* from the beginning on: what was not written is not there */
            cells[i].bytes = (struct slice){NULL, 0};
            if (conv_load(t->fold, &cells[i]))
                return (struct conv_outcome){.verdict = CONV_NOTED};
        }
    return conv_apply(t->fold, e);
}

static void judge(struct trace *t, const struct record *r, const struct conv_outcome *o)
{
    for (size_t i = 0; i < t->n_records; i++)
        if (t->records[i].offset == r->offset) {
            t->records[i].outcome = *o;
            t->records[i].judged = true;
            if (o->seq && !t->seq && (o->verdict == CONV_ACCEPTED || !o->reason))
                t->seq = o->seq;
        }
}

static enum scan_go step(void *ctx, const struct record *r)
{
    struct fold *f = ctx;
    struct trace *t = f->t;
    struct convrec rec;
    t->fold_next = r->offset + 1;
    if (r->key.n != ID_SIZE || memcmp(r->key.p, t->conv.b, ID_SIZE) != 0)
        return SCAN_ON;
    int rc = convrec_decode(r->value, r->time_ms, &rec);
    if (rc == -EBADMSG)
        return SCAN_ON;
    if (rc || !conv_rules_known(rec.event.rules)) {
        f->stuck = "a record of a newer version; this parleyctl does not know its rules";
        return SCAN_STOP;
    }
    struct conv_outcome o = apply(t, &rec.event);
    if (f->until_seq && o.verdict == CONV_ACCEPTED && o.seq == f->until_seq) {
        trace_took(t, r, &rec);
        f->found = true;
    }
    judge(t, r, &o);
    return f->found ? SCAN_STOP : SCAN_ON;
}

static int fold(struct fold *f, int64_t to)
{
    struct trace *t = f->t;
    int64_t low, high;
    int32_t part = topics_partition(t->c->deploy.topics, T_CONVERSATION, slice_id(&t->conv));
    if (scan_ends(t->scan, T_CONVERSATION, part, &low, &high))
        return -EIO;
    if (low > 0) {
        f->stuck = "im.conversation no longer begins at 0: outcomes cannot be computed";
        return 0;
    }
    if (!t->fold)
        t->fold = conv_new(t->conv);
    if (!t->fold)
        return -EIO;
    return scan_read(t->scan, &(struct scan_range){T_CONVERSATION, part, t->fold_next, to < high ? to : high},
                     1, "the conversation's partition from its beginning", step, f);
}

static void stuck(const struct fold *f)
{
    if (f->stuck)
        trace_hop(f->t, 1, 0, "not judged", json_pack("{ss}", "why", f->stuck), "%s", f->stuck);
}

int trace_fold_to_seq(struct trace *t, uint64_t seq)
{
    struct fold f = {.t = t, .until_seq = seq};
    int rc = fold(&f, INT64_MAX);
    stuck(&f);
    return rc;
}

int trace_judge(struct trace *t)
{
    struct fold f = {.t = t};
    int64_t last = -1;
    if (t->no_fold)
        return 0;
    for (size_t i = 0; i < t->n_records; i++)
        if (!t->records[i].judged && t->records[i].offset > last)
            last = t->records[i].offset;
    if (last < 0)
        return 0;
    int rc = fold(&f, last + 1);
    stuck(&f);
    return rc;
}
