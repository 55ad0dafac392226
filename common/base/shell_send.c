/* shell_send.c: a batch's records to Kafka, in order, and what becomes of them. */
#include "common/base/crash.h"
#include "common/base/shell_int.h"

#include <errno.h>

static void on_report(struct ksend *s, const struct kreport *r);

static void all_acked(struct batch *b)
{
    if (b->in_flight || b->unsent || b->state != BATCH_SENDING)
        return;
    b->state = BATCH_ACKED;
    if (b->sends)
        shell_crash(b->part, "acked");
}

/* Sends keep the order of the batches: a later one waits while an earlier one has something unsent. */
static bool my_turn(const struct batch *b)
{
    for (const struct batch *e = b->part->batches; e && e != b; e = e->next)
        if (e->unsent && !planted("commit-early"))
            return false;
    return true;
}

void batch_send(struct batch *b)
{
    struct spart *p = b->part;
    if (planted("commit-early") && b->state == BATCH_SENDING) { /* batch_done() sends */
        b->state = BATCH_ACKED;
        return;
    }
    while (b->unsent && !p->failure && my_turn(b)) {
        struct bsend *s = b->unsent;
        s->s.done = on_report;
        shell_crash(p, "sending");
        int rc = p->env->send(p->env->ctx, s->topic, s->part, s->key, s->value, &s->s);
        if (rc == -EAGAIN)
            return;
        if (rc == -EPIPE) {
            spart_fail(p, SPART_REOPEN, "the producer is gone");
            return;
        }
        if (rc < 0) {
            spart_fail(p, SPART_HALT,
                       rc == -EMSGSIZE ? "a record is larger than Kafka takes" : "a record cannot be sent");
            return;
        }
        b->unsent = s->next;
        b->in_flight++;
        shell_crash(p, "sent");
    }
    all_acked(b);
}

static void on_report(struct ksend *k, const struct kreport *r)
{
    struct bsend *s = container_of(k, struct bsend, s);
    struct batch *b = s->b;
    struct spart *p = b->part;
    b->in_flight--;
    if (!p) {
        if (!b->in_flight)
            batch_give_up(b);
        return;
    }
    if (p->failure)
        return;
    if (s->tag && p->decl->ops->sent)
        p->decl->ops->sent(p->core, s->tag, r->outcome, &b->fx);
    if (r->outcome != SENT_OK) {
        spart_fail(p, SPART_REOPEN, "a record could not be sent");
        return;
    }
    if (b->unsent)
        batch_send(b);
    else
        all_acked(b);
}

bool spart_unsent(const struct spart *p)
{
    for (const struct batch *b = p->batches; b; b = b->next)
        if (b->unsent)
            return true;
    return false;
}

void spart_writable(struct spart *p)
{
    for (struct batch *b = p->batches; b && !p->failure; b = b->next)
        if (b->unsent)
            batch_send(b);
}
