/* books_late.c: what was seen of a message that is not in the books: PostgreSQL knows whether it is there, and whose. */
#include "auditor/books_int.h"

#include <stdlib.h>

void late_add(struct book *k, const struct early *s, struct id16 user, int64_t need)
{
    if (k->n_late >= BOOKS_QUEUE) {
        report_unjudged("late", 1);
        return;
    }
    struct late *l = calloc(1, sizeof *l);
    if (!l)
        abort();
    l->name = s->name;
    l->user = user;
    l->topic = s->topic;
    l->part = s->part;
    l->offset = s->offset;
    l->need = need;
    memcpy(l->trace, s->trace, CODEC_TRACE);
    l->trace_n = s->trace_n;
    *k->late_last = l;
    k->late_last = &l->next;
    k->n_late++;
}

static void list_free(struct late *l)
{
    for (struct late *next; l; l = next) {
        next = l->next;
        free(l);
    }
}

void late_forget(struct book *k)
{
    list_free(k->late);
    list_free(k->asked);
}

size_t books_late(struct books *b, int32_t part, int64_t mark, int64_t now_ms, struct books_question *out)
{
    struct book *k = &b->part[part];
    struct late **end = &k->asked;
    size_t n = 0;
    if (!k->open || k->asked)
        return 0;
    for (struct late **at = &k->late; *at && n < BOOKS_LATE;) {
        struct late *l = *at;
        if (l->need > mark || l->due_ms > now_ms) {
            at = &l->next;
            continue;
        }
        *at = l->next;
        l->next = NULL;
        *end = l;
        end = &l->next;
        out[n++] = (struct books_question){l->name.conv, l->user, l->name.seq};
    }
    k->late_last = &k->late;
    while (*k->late_last)
        k->late_last = &(*k->late_last)->next;
    return n;
}

static void tell(const struct books *b, const struct late *l, const struct books_answer *a)
{
    const struct finding f = {.kind = a->there ? FOUND_LEAK : FOUND_PHANTOM,
                              .topic = l->topic,
                              .part = l->part,
                              .offset = l->offset,
                              .trace = {l->trace, l->trace_n},
                              .conv = l->name.conv,
                              .seq = l->name.seq,
                              .user = l->user,
                              .what = a->there ? "sent to somebody who may not see this number"
                                               : "there is no such message"};
    report_add(b->conf.report, &f);
}

void books_late_answer(struct books *b, int32_t part, const struct books_answer *answers, int64_t now_ms)
{
    struct book *k = &b->part[part];
    struct late *l = k->asked, *next;
    k->asked = NULL;
    for (size_t i = 0; l; l = next, i++) {
        next = l->next;
        bool wrong = answers && !(answers[i].there && answers[i].visible);
        if (!answers || (wrong && !l->suspected)) {
            l->suspected |= wrong;
            l->due_ms = wrong ? now_ms + b->conf.grace_ms : l->due_ms;
            l->next = NULL;
            *k->late_last = l;
            k->late_last = &l->next;
            continue;
        }
        if (wrong)
            tell(b, l, &answers[i]);
        k->n_late--;
        free(l);
    }
}
