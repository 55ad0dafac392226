#include "tests/support/checker.h"

#include "common/base/macros.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOWHERE UINT32_MAX

const char *const breach_names[BREACH_KINDS] = {
    "lost", "unseen", "duplicate", "divergent", "backwards", "gap", "refused but seen", "leak", "stuck"};

struct message {
    uint32_t conv, device;
    bool sent, acked, refused;
    uint64_t placed; /* told to the sender; 0: not */
    uint64_t seq;    /* in history; 0: not there */
    uint32_t rows;
};

struct sight {
    uint32_t device, conv, msg;
    uint64_t seq;
    bool late;
};

struct row {
    uint32_t conv;
    uint64_t seq;
};

struct membership {
    uint32_t conv, device;
};

struct checker {
    struct message *msgs;
    struct sight *sights;
    struct row *rows;
    struct membership *members;
    size_t n_msgs, n_sights, n_rows, n_members;
    size_t breaches;
    void (*tell)(void *, enum breach, const char *);
    void *ctx;
};

static void *room(void *p, size_t size, size_t n)
{
    if (n & (n - 1) && n)
        return p;
    p = realloc(p, size * (n ? n * 2 : 1));
    if (!p)
        abort();
    return p;
}
#define ADD(array, n) ((array) = room((array), sizeof *(array), (n)), &(array)[(n)++])

struct checker *checker_new(void)
{
    return calloc(1, sizeof(struct checker));
}

void checker_free(struct checker *c)
{
    if (!c)
        return;
    free(c->msgs);
    free(c->sights);
    free(c->rows);
    free(c->members);
    free(c);
}

void checker_member(struct checker *c, uint32_t conv, uint32_t device)
{
    *ADD(c->members, c->n_members) = (struct membership){conv, device};
}

static struct message *message(struct checker *c, uint32_t msg)
{
    while (c->n_msgs <= msg)
        *ADD(c->msgs, c->n_msgs) = (struct message){.conv = NOWHERE, .device = NOWHERE};
    return &c->msgs[msg];
}

void checker_sent(struct checker *c, uint32_t msg, uint32_t conv, uint32_t device)
{
    struct message *m = message(c, msg);
    m->sent = true;
    m->conv = conv;
    m->device = device;
}

void checker_acked(struct checker *c, uint32_t msg)
{
    message(c, msg)->acked = true;
}

void checker_placed(struct checker *c, uint32_t msg, uint64_t seq)
{
    struct message *m = message(c, msg);
    m->acked = true;
    m->placed = seq;
}

void checker_refused(struct checker *c, uint32_t msg)
{
    message(c, msg)->refused = true;
}

void checker_seen(struct checker *c, uint32_t device, uint32_t conv, uint64_t seq, uint32_t msg, bool late)
{
    *ADD(c->sights, c->n_sights) =
        (struct sight){.device = device, .conv = conv, .msg = msg, .seq = seq, .late = late};
}

void checker_history(struct checker *c, uint32_t conv, uint64_t seq, uint32_t msg)
{
    struct message *m = message(c, msg);
    *ADD(c->rows, c->n_rows) = (struct row){conv, seq};
    m->rows++;
    m->seq = seq;
    if (m->conv != conv)
        m->conv = NOWHERE;
}

size_t checker_count(const struct checker *c, bool acked)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n_msgs; i++)
        n += acked ? c->msgs[i].acked : c->msgs[i].sent;
    return n;
}

static bool member(const struct checker *c, uint32_t conv, uint32_t device)
{
    for (size_t i = 0; i < c->n_members; i++)
        if (c->members[i].conv == conv && c->members[i].device == device)
            return true;
    return false;
}

/* How often this device saw each message; n_msgs numbers, to be freed. */
static uint32_t *sights_of(const struct checker *c, uint32_t device)
{
    uint32_t *n = calloc(c->n_msgs + 1, sizeof *n);
    if (!n)
        abort();
    for (size_t i = 0; i < c->n_sights; i++)
        if (c->sights[i].device == device && c->sights[i].msg < c->n_msgs)
            n[c->sights[i].msg]++;
    return n;
}

void checker_missing(const struct checker *c, uint32_t device,
                     void (*each)(void *ctx, uint32_t msg, uint32_t conv, uint64_t placed), void *ctx)
{
    uint32_t *seen = sights_of(c, device);
    for (uint32_t i = 0; i < c->n_msgs; i++) {
        const struct message *m = &c->msgs[i];
        if (m->acked && m->device != device && !seen[i] && member(c, m->conv, device))
            each(ctx, i, m->conv, m->placed);
    }
    free(seen);
}

static void note(void *ctx, uint32_t msg, uint32_t conv, uint64_t placed)
{
    (void)msg;
    (void)conv;
    (void)placed;
    *(bool *)ctx = false;
}

bool checker_seen_all(const struct checker *c, uint32_t device)
{
    bool all = true;
    checker_missing(c, device, note, &all);
    return all;
}

/* ---- judging ---- */

static void PRINTF_LIKE(3, 4) blame(struct checker *c, enum breach kind, const char *fmt, ...)
{
    char text[200];
    va_list ap;
    c->breaches++;
    if (!c->tell)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    c->tell(c->ctx, kind, text);
}

static void judge_messages(struct checker *c)
{
    for (uint32_t i = 0; i < c->n_msgs; i++) {
        const struct message *m = &c->msgs[i];
        if (!m->sent)
            continue;
        if (m->rows && m->conv == NOWHERE)
            blame(c, BREACH_DIVERGENT, "message %u is in another conversation's history", i);
        if (m->acked && !m->rows)
            blame(c, BREACH_LOST, "message %u of device %u was acked and is not in history", i, m->device);
        if (m->rows > 1)
            blame(c, BREACH_DUPLICATE, "message %u is %u times in history", i, m->rows);
        if (m->placed && m->rows && m->placed != m->seq)
            blame(c, BREACH_DIVERGENT, "message %u: its sender was told %llu, history has %llu", i,
                  (unsigned long long)m->placed, (unsigned long long)m->seq);
        if (m->refused && m->rows)
            blame(c, BREACH_REFUSED_SEEN, "message %u was refused and is in history", i);
        if (!m->acked && !m->refused)
            blame(c, BREACH_STUCK, "message %u of device %u has no outcome", i, m->device);
    }
}

static void judge_device(struct checker *c, uint32_t device)
{
    uint32_t *seen = sights_of(c, device);
    for (uint32_t i = 0; i < c->n_msgs; i++) {
        const struct message *m = &c->msgs[i];
        bool mine = m->conv != NOWHERE && member(c, m->conv, device);
        if (m->rows && mine && m->device != device && !seen[i])
            blame(c, BREACH_UNSEEN, "message %u (conversation %u, place %llu) never came to device %u", i,
                  m->conv, (unsigned long long)m->seq, device);
        if (seen[i] > 1)
            blame(c, BREACH_DUPLICATE, "device %u was shown message %u %u times", device, i, seen[i]);
        if (seen[i] && m->refused)
            blame(c, BREACH_REFUSED_SEEN, "message %u was refused and shown on device %u", i, device);
    }
    free(seen);
}

static void judge_sights(struct checker *c)
{
    for (size_t i = 0; i < c->n_sights; i++) {
        const struct sight *s = &c->sights[i];
        const struct message *m = s->msg < c->n_msgs ? &c->msgs[s->msg] : NULL;
        if (!member(c, s->conv, s->device))
            blame(c, BREACH_LEAK, "device %u saw message %u of conversation %u", s->device, s->msg, s->conv);
        if (!m || !m->sent || !m->rows)
            blame(c, BREACH_DIVERGENT, "device %u saw message %u, which history does not have", s->device,
                  s->msg);
        else if (s->seq != m->seq || s->conv != m->conv)
            blame(c, BREACH_DIVERGENT, "device %u saw message %u at %llu, history has it at %llu", s->device,
                  s->msg, (unsigned long long)s->seq, (unsigned long long)m->seq);
    }
}

/* Members' devices, each conversation: what was shown went up. */
static void judge_order(struct checker *c)
{
    for (size_t k = 0; k < c->n_members; k++) {
        uint64_t last = 0;
        for (size_t i = 0; i < c->n_sights; i++) {
            const struct sight *s = &c->sights[i];
            if (s->conv != c->members[k].conv || s->device != c->members[k].device || s->late)
                continue;
            if (s->seq < last)
                blame(c, BREACH_BACKWARDS, "device %u was shown %llu after %llu in conversation %u",
                      s->device, (unsigned long long)s->seq, (unsigned long long)last, s->conv);
            last = s->seq > last ? s->seq : last;
        }
    }
}

static int by_place(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->conv != y->conv)
        return x->conv < y->conv ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static void judge_history(struct checker *c)
{
    if (c->n_rows)
        qsort(c->rows, c->n_rows, sizeof *c->rows, by_place);
    for (size_t i = 0; i < c->n_rows; i++) {
        bool first = i == 0 || c->rows[i].conv != c->rows[i - 1].conv;
        uint64_t want = first ? 1 : c->rows[i - 1].seq + 1;
        if (c->rows[i].seq != want)
            blame(c, BREACH_GAP, "conversation %u has %llu where %llu should be", c->rows[i].conv,
                  (unsigned long long)c->rows[i].seq, (unsigned long long)want);
    }
}

size_t checker_judge(struct checker *c, void (*tell)(void *, enum breach, const char *), void *ctx)
{
    uint32_t devices = 0;
    c->tell = tell;
    c->ctx = ctx;
    judge_messages(c);
    judge_sights(c);
    judge_order(c);
    judge_history(c);
    for (size_t i = 0; i < c->n_members; i++)
        if (c->members[i].device >= devices)
            devices = c->members[i].device + 1;
    for (size_t i = 0; i < c->n_sights; i++)
        if (c->sights[i].device >= devices)
            devices = c->sights[i].device + 1;
    for (uint32_t d = 0; d < devices; d++)
        judge_device(c, d);
    return c->breaches;
}
