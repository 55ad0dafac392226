#include "common/im/lease.h"

#include "common/im/codec.h"
#include "common/im/topics.h"

#include <errno.h>
#include <stdlib.h>

#define VALUE_MAX 4096

struct lease {
    uint32_t slots;
    uint64_t version;
    struct ends {
        int64_t expired, released; /* the highest epochs named; -1: none */
    } * ends;
    struct lease_slot slot[];
};

struct lease *lease_new(uint32_t slots)
{
    struct lease *l = slots > TOPICS_SLOTS_MAX ? NULL : calloc(1, sizeof *l + slots * sizeof l->slot[0]);
    if (!l)
        return NULL;
    l->ends = calloc(slots ? slots : 1, sizeof *l->ends);
    if (!l->ends) {
        free(l);
        return NULL;
    }
    l->slots = slots;
    for (uint32_t i = 0; i < slots; i++) {
        l->slot[i].claim = l->slot[i].ended = l->slot[i].want = -1;
        l->ends[i] = (struct ends){-1, -1};
    }
    return l;
}

void lease_free(struct lease *l)
{
    if (!l)
        return;
    free(l->ends);
    free(l);
}

/* Cut at LEASE_TEXT_MAX, at a character's border. */
static void copy_text(char out[LEASE_TEXT_MAX], const char *text)
{
    size_t n = strnlen(text, LEASE_TEXT_MAX);
    if (n == LEASE_TEXT_MAX)
        for (n--; n > 0 && ((uint8_t)text[n] & 0xc0) == 0x80;)
            n--;
    memcpy(out, text, n);
    out[n] = '\0';
}

static bool raise(int64_t *v, int64_t to)
{
    if (to <= *v)
        return false;
    *v = to;
    return true;
}

/* Every field is a maximum over the records, so their order cannot matter. */
static int apply(struct lease *l, const Im__LeaseRecord *r, int64_t offset)
{
    struct lease_slot *s = &l->slot[r->slot];
    struct ends *e = &l->ends[r->slot];
    bool changed = false;
    if (r->kind == IM__LEASE_KIND__LEASE_WANT) {
        changed = raise(&s->want, offset);
    } else if (r->kind == IM__LEASE_KIND__LEASE_CLAIM) {
        changed = raise(&s->claim, offset);
        if (changed) {
            copy_text(s->holder, r->holder);
            copy_text(s->address, r->address);
        }
    } else {
        bool release = r->kind == IM__LEASE_KIND__LEASE_RELEASE;
        if (r->epoch >= (uint64_t)offset)
            return -EBADMSG; /* would end claims that are yet to come */
        changed = raise(release ? &e->released : &e->expired, (int64_t)r->epoch);
        s->ended = e->released > e->expired ? e->released : e->expired;
        s->released = s->ended >= 0 && e->released == s->ended;
    }
    l->version += changed;
    return 0;
}

int lease_feed(struct lease *l, struct slice key, struct slice value, int64_t offset)
{
    Im__LeaseRecord *r;
    uint32_t slot;
    if (value.n == 0)
        return 0;
    if (value.n > VALUE_MAX || offset < 0)
        return -EBADMSG;
    int rc = codec_lease(NULL, value, &r);
    if (rc)
        return rc;
    if (key_lease_parse(key, &slot) || slot != r->slot)
        rc = -EBADMSG;
    else if (slot >= l->slots)
        rc = -ERANGE;
    else
        rc = apply(l, r, offset);
    im__lease_record__free_unpacked(r, NULL);
    return rc;
}

uint32_t lease_slots(const struct lease *l)
{
    return l->slots;
}

const struct lease_slot *lease_get(const struct lease *l, uint32_t slot)
{
    return slot < l->slots ? &l->slot[slot] : NULL;
}

bool lease_claimed(const struct lease *l, uint32_t slot, uint64_t *epoch)
{
    if (slot >= l->slots || l->slot[slot].claim <= l->slot[slot].ended)
        return false;
    *epoch = (uint64_t)l->slot[slot].claim;
    return true;
}

bool lease_live(const struct lease *l, uint32_t slot, uint64_t epoch)
{
    uint64_t now;
    return lease_claimed(l, slot, &now) && now == epoch;
}

bool lease_over(const struct lease *l, uint32_t slot, uint64_t epoch)
{
    const struct lease_slot *s = lease_get(l, slot);
    return !s || (int64_t)epoch < s->claim || (int64_t)epoch <= s->ended;
}

uint64_t lease_version(const struct lease *l)
{
    return l->version;
}
