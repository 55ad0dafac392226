#include "common/base/log.h"
#include "common/im/codec.h"
#include "common/im/topics.h"
#include "webhooks/event.h"
#include "webhooks/sender_int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define DEAD_AGAIN_MS 1000

static void on_buried(struct ksend *k, const struct kreport *r)
{
    struct item *i = container_of(k, struct item, to_dead);
    struct sender *s = i->s;
    i->buried = false;
    if (!s) {
        bytes_release(&i->redacted);
        free(i);
        return;
    }
    if (!i->k) { /* dropped meanwhile */
        sender_item_free(i);
        return;
    }
    if (r->outcome == SENT_OK)
        metric_add(s->dead, 1);
    outbox_remove(s->outbox, &i->d);
    sender_end(i, r->outcome);
    sender_soon(s);
}

/* Where it is, and no word of what was said: that is in the log alone, so that it can be forgotten. */
static int pointer(const struct item *i, char *out, size_t n)
{
    char id[EVENT_ID_MAX], conv[ID_HEX];
    return snprintf(out, n,
                    "{\"endpoint\":\"%s\",\"id\":\"%s\",\"conversation\":\"%s\",\"seq\":%" PRIu64
                    ",\"partition\":%" PRId32 ",\"offset\":%" PRId64 "}",
                    i->s->conf.endpoint->name, event_id(i->conv, i->event.seq, id), id_hex(i->conv, conv),
                    i->event.seq, i->event.part, i->event.offset);
}

void sender_bury(struct item *i)
{
    struct sender *s = i->s;
    char error[96], from[WEBHOOK_NAME_MAX + 16], what[320];
    uint8_t value[1024];
    Im__DlqRecord r = IM__DLQ_RECORD__INIT;
    (void)snprintf(from, sizeof from, "webhook:%s", s->conf.endpoint->name);
    (void)snprintf(error, sizeof error, "refused: status %ld after %" PRIu32 " attempts", i->status,
                   i->d.tries);
    r.version = CODEC_VERSION;
    r.topic = from;
    r.part = i->event.part;
    r.offset = i->event.offset;
    r.time_ms = i->event.time_ms;
    r.key = (ProtobufCBinaryData){ID_SIZE, i->conv.b};
    r.value = (ProtobufCBinaryData){(size_t)pointer(i, what, sizeof what), (uint8_t *)what};
    r.error = error;
    r.process = "webhooks";
    r.instance = (char *)(uintptr_t)s->conf.instance;
    int n = codec_pack_into(&r.base, value, sizeof value);
    i->to_dead.done = on_buried;
    int rc = n < 0 ? n
                   : kproducer_send(s->conf.dead, T_DLQ, FX_BY_KEY, (struct slice){i->conv.b, ID_SIZE},
                                    (struct slice){value, (size_t)n}, &i->to_dead);
    i->buried = rc == 0;
    if (rc) {
        loop_timer_start(s->conf.loop, &s->bury_again, DEAD_AGAIN_MS);
        return;
    }
    log_warn("dead letter", log_str("endpoint", s->conf.endpoint->name), log_int("part", i->event.part),
             log_int("offset", i->event.offset), log_str("error", error));
}

void sender_bury_again(struct timer *t)
{
    struct sender *s = container_of(t, struct sender, bury_again);
    struct item *i;
    TAILQ_FOREACH (i, &s->items, entry) {
        if (i->burying && !i->buried)
            sender_bury(i);
    }
}
