/* books_number.c: the reducer's answers against each other, by what a number means and not by its rules. */
#include "auditor/books_int.h"

void books_check_number(struct books *b, struct book *k, const struct books_folded *f, const struct entry *e)
{
    const struct conv_outcome *o = f->out;
    const struct conv_event *ev = &f->rec->event;
    const struct finding at = {.topic = b->conf.topic,
                               .part = f->record->part,
                               .offset = f->record->offset,
                               .trace = f->rec->trace,
                               .conv = ev->conv,
                               .user = ev->user,
                               .seq = o->seq};
    struct finding wrong = at;
    if (e && o->seq != f->head + 1) {
        wrong.kind = FOUND_GAP;
        report_add(b->conf.report, &wrong);
    }
    if (!ev->client_seq)
        return;
    const struct recent_answer *was = recent_find(k->recent, ev);
    if (!was) {
        if (o->verdict != CONV_DUPLICATE && (o->verdict != CONV_REFUSED || f->for_ever))
            recent_add(k->recent, ev, &(struct recent_answer){f->record->offset, o->seq, o->reason});
        return;
    }
    wrong.kind = FOUND_VERDICT_CHANGED;
    if (o->verdict == CONV_ACCEPTED && was->seq) {
        wrong.kind = FOUND_DUPLICATE;
        wrong.what = "numbered before";
    } else if (o->verdict == CONV_ACCEPTED || o->verdict == CONV_NOTED) {
        wrong.what = was->reason ? "refused before" : "noted before";
    } else if (o->verdict == CONV_DUPLICATE && (o->seq != was->seq || o->reason != was->reason)) {
        wrong.what = "a repeat has another number or reason";
    } else {
        return;
    }
    report_add(b->conf.report, &wrong);
}
