/* stores_compare.c: two sorted lists of digests, side by side. */
#include "client/parleyctl/stores.h"

#include <string.h>
#include <xxhash.h>

struct walk { /* one side */
    struct keysort *rows;
    struct keysort_entry e, before;
    bool there, any;
    XXH3_state_t *hash;
    int err;
};

struct compare {
    struct stores_work *work;
    struct walk live, shadow;
    struct stores_result *out;
    uint8_t loose[STORES_GROUP];
    bool skipping;
};

/* The next one that counts. */
static void step(struct walk *w)
{
    while ((w->there = keysort_next(w->rows, &w->e, &w->err))) {
        bool leans = w->e.flag & STORES_LEANS;
        bool beside = w->any && w->before.key_n == w->e.key_n &&
                      !memcmp(w->before.key, w->e.key, w->e.key_n ? w->e.key_n - 1u : 0);
        w->before = w->e;
        w->any = true;
        if (!leans || beside)
            return;
    }
}

static void take_in(struct walk *w, const struct keysort_entry *e)
{
    XXH3_128bits_update(w->hash, e->key, e->key_n);
    XXH3_128bits_update(w->hash, e->digest, sizeof e->digest);
}

static void note(struct compare *x, const struct keysort_entry *e, const char *how)
{
    char what[300];
    if (!x->out->equal)
        return;
    x->out->equal = false;
    x->work->kind->describe(e, what, sizeof what);
    snprintf(x->out->first, sizeof x->out->first, "%s: %s", what, how);
}

/* Is this key in a group that is left out? The first entry of a group decides. */
static bool left_out(struct compare *x, const struct keysort_entry *e, uint8_t flags)
{
    if (x->skipping && !memcmp(x->loose, e->key, STORES_GROUP))
        return true;
    x->skipping = flags & STORES_LOOSE;
    if (x->skipping) {
        memcpy(x->loose, e->key, STORES_GROUP);
        x->out->loose++;
    }
    return x->skipping;
}

static int differ(struct compare *x)
{
    bool same = false;
    int rc = x->work->kind->again ? x->work->kind->again(x->work, &x->shadow.e, &same) : 0;
    if (same)
        x->live.e = x->shadow.e; /* it moved on meanwhile */
    else
        note(x, &x->live.e, "another row than the log gives");
    return rc;
}

static int one(struct compare *x)
{
    struct walk *a = &x->live, *b = &x->shadow;
    int d = !a->there ? 1 : !b->there ? -1 : keysort_cmp(&a->e, &b->e), rc = 0;
    const struct keysort_entry *e = d <= 0 ? &a->e : &b->e;
    uint8_t flags = (uint8_t)((d <= 0 ? a->e.flag : 0) | (d >= 0 ? b->e.flag : 0));
    bool more = d < 0 && flags & STORES_MORE;
    if (!more && !left_out(x, e, flags)) {
        x->out->rows++;
        if (d < 0)
            note(x, e, "there, but not by the log");
        else if (d > 0)
            note(x, e, "missing");
        else if (memcmp(a->e.digest, b->e.digest, sizeof a->e.digest) != 0)
            rc = differ(x);
        if (d <= 0)
            take_in(a, &a->e);
        if (d >= 0)
            take_in(b, &b->e);
    }
    if (d <= 0)
        step(a);
    if (d >= 0)
        step(b);
    return rc;
}

static void digest(struct walk *w, uint8_t out[16])
{
    XXH128_canonicalFromHash((XXH128_canonical_t *)(void *)out, XXH3_128bits_digest(w->hash));
}

int stores_compare(struct stores_work *work, struct keysort *live, struct keysort *shadow,
                   struct stores_result *out)
{
    struct compare x = {.work = work, .live.rows = live, .shadow.rows = shadow, .out = out};
    int rc = 0;
    *out = (struct stores_result){.equal = true};
    x.live.hash = XXH3_createState();
    x.shadow.hash = XXH3_createState();
    bool ok = x.live.hash && x.shadow.hash;
    if (ok) {
        XXH3_128bits_reset(x.live.hash);
        XXH3_128bits_reset(x.shadow.hash);
        step(&x.live);
        step(&x.shadow);
    }
    while (ok && !rc && (x.live.there || x.shadow.there))
        rc = one(&x);
    if (ok) {
        digest(&x.live, out->live);
        digest(&x.shadow, out->shadow);
    }
    if (!ok || x.live.err || x.shadow.err) {
        ctl_complain("cannot sort the rows: %s",
                     ok ? strerror(-(x.live.err ? x.live.err : x.shadow.err)) : "no memory");
        rc = CTL_FAILED;
    }
    XXH3_freeState(x.live.hash);
    XXH3_freeState(x.shadow.hash);
    return rc;
}
