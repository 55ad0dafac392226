/* dlq_retry_command.c: puts dead letters back where they were, in order, once. docs/decisions/0020 says why so. */
#include "client/parleyctl/dlq.h"

#include "common/base/clock.h"
#include "common/base/rand.h"
#include "common/im/dead.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK    100
#define HURRY_MS 30000 /* from our mark to the record; far below dlq_stale_s */

struct one { /* of a chunk */
    struct dlq_entry *e;
    uint16_t topic;
    Im__DlqRecord *letter;
    uint8_t *value; /* what goes back; of a cut letter read again at its place */
    size_t n;
    int64_t end;   /* of the origin when we began */
    int64_t found; /* it is there already; -1 */
    struct dlq_sent mark, sent, done;
    const char *why; /* not retried, and why */
};

struct retry {
    struct dlq d;
    struct dlq_writer *w;
    uint8_t run[DLQ_RUN];
    struct one chunk[CHUNK];
    size_t n, retried, skipped;
};

/* ---- may it? ---- */

static const char *forbidden(uint16_t topic)
{
    if (topic == T_VAULT || topic == T_CURSOR || topic == T_PRESENCE || topic == T_LEASE)
        return "its topic is compacted: an old record behind a newer one of its key would replace it";
    if (topic >= T_DELIVER0)
        return "the sessions that it was for are over; what it held is in history";
    return topic == T_DLQ ? "it is a dead letter of dead letters" : NULL;
}

static enum scan_go keep(void *ctx, const struct record *r)
{
    struct one *o = ctx;
    o->value = malloc(r->value.n);
    if (o->value) {
        memcpy(o->value, r->value.p, r->value.n);
        o->n = r->value.n;
    }
    return SCAN_STOP;
}

/* The bytes, whole. */
static void fetch(struct retry *r, struct one *o)
{
    o->letter = dlq_letter(&r->d, o->e);
    if (!o->letter) {
        o->why = "its dead letter is gone";
        return;
    }
    if (!o->letter->value_size) {
        o->value = malloc(o->letter->value.len ? o->letter->value.len : 1);
        o->n = o->letter->value.len;
        if (!o->value)
            abort();
        if (o->n)
            memcpy(o->value, o->letter->value.data, o->n);
        return;
    }
    struct scan_range at = {o->topic, o->e->part, o->e->offset, o->e->offset + 1};
    if (scan_read(r->d.scan, &at, 1, NULL, keep, o) || o->n != o->letter->value_size)
        o->why = "it was too long for a dead letter, and is no longer at its place either";
}

static void judge(struct retry *r, struct one *o)
{
    char reason[160];
    int topic = topics_find(r->d.c->deploy.topics, o->e->topic);
    o->topic = topic < 0 ? UINT16_MAX : (uint16_t)topic;
    o->found = -1;
    o->why = topic < 0 ? "there is no such topic here" : forbidden(o->topic);
    if (o->e->state == DLQ_DONE)
        o->why = "it was retried before";
    else if (o->e->state == DLQ_GONE && !dlq_force)
        o->why = "it was dropped (--force retries it all the same)";
    if (!strcmp(o->e->processes, "webhooks"))
        o->why = "an endpoint refused this event, the record itself is well: parleyctl webhooks replay sends "
                 "it again";
    if (!o->why)
        fetch(r, o);
    if (!o->why && !dlq_force && dead_reason(o->topic, (struct slice){o->value, o->n}, reason, sizeof reason))
        o->why = "this release cannot read it either: it would come back (--force appends it all the same)";
}

/* ---- was it appended before? ---- */

static enum scan_go compare(void *ctx, const struct record *r)
{
    struct one *o = ctx;
    if (r->value.n != o->n || r->key.n != o->letter->key.len ||
        (o->n && memcmp(r->value.p, o->value, o->n) != 0) ||
        (r->key.n && memcmp(r->key.p, o->letter->key.data, r->key.n) != 0))
        return SCAN_ON;
    o->found = r->offset;
    return SCAN_STOP;
}

/* Looks at what came to the origin since an earlier run began. */
static int search(struct retry *r, struct one *o, int64_t from)
{
    int64_t low;
    if (scan_ends(r->d.scan, o->topic, o->e->part, &low, &o->end))
        return -EIO;
    if (from < 0)
        return 0;
    return scan_read(r->d.scan, &(struct scan_range){o->topic, o->e->part, from, o->end}, 1,
                     "was it appended already", compare, o);
}

/* ---- a chunk ---- */

static struct slice key_of(const struct one *o)
{
    return (struct slice){o->letter->key.data, o->letter->key.len};
}

static int mark_all(struct retry *r)
{
    for (size_t i = 0; i < r->n; i++) {
        struct one *o = &r->chunk[i];
        if (!o->why && search(r, o, o->e->state == DLQ_OPEN ? o->e->from : -1))
            return -EIO;
        if (!o->why)
            dlq_mark(r->w, &r->d, o->e, key_of(o), IM__DLQ_MARK__DLQ_RETRYING, r->run, o->end, &o->mark);
    }
    dlq_flush(r->w);
    for (size_t i = 0; i < r->n; i++) {
        struct one *o = &r->chunk[i];
        if (!o->why && o->mark.offset < 0)
            o->why = "its mark was not written: nothing was done";
    }
    int32_t parts = topics_get(r->d.c->deploy.topics, T_DLQ)->parts;
    for (int32_t p = 0; p < parts; p++)
        if (dlq_more(&r->d, p))
            return -EIO;
    return 0;
}

/* Who was first goes on. */
static int append_all(struct retry *r, int64_t began_ms)
{
    for (size_t i = 0; i < r->n; i++) {
        struct one *o = &r->chunk[i];
        if (o->why)
            continue;
        if (o->e->state == DLQ_DONE)
            o->why = "another run retried it meanwhile";
        else if (memcmp(o->e->run, r->run, DLQ_RUN) != 0)
            o->why = "another run began to retry it less than a minute ago; try again later";
        else if (o->found < 0 && o->e->taken_over && search(r, o, o->end))
            return -EIO;
        if (!o->why && o->found < 0 && clock_mono_ms() - began_ms > HURRY_MS)
            o->why = "Kafka is too slow: try again in a minute";
        if (!o->why && o->found < 0)
            dlq_write(r->w, o->e->topic, o->e->part, key_of(o), (struct slice){o->value, o->n}, &o->sent);
    }
    dlq_flush(r->w);
    return 0;
}

static void end_all(struct retry *r)
{
    for (size_t i = 0; i < r->n; i++) {
        struct one *o = &r->chunk[i];
        if (o->why)
            continue;
        if (o->found < 0)
            o->found = o->sent.offset;
        if (o->found < 0)
            o->why = "whether it was appended is not known; the same again in a minute finds out";
        else
            dlq_mark(r->w, &r->d, o->e, key_of(o), IM__DLQ_MARK__DLQ_RETRIED, NULL, o->found, &o->done);
    }
    dlq_flush(r->w);
    for (size_t i = 0; i < r->n; i++)
        if (!r->chunk[i].why && r->chunk[i].done.offset < 0)
            r->chunk[i].why =
                "it was appended, but the mark was not written; the same again in a minute finds out";
}

static void tell(struct retry *r)
{
    const struct ctl *c = r->d.c;
    for (size_t i = 0; i < r->n; i++) {
        struct one *o = &r->chunk[i];
        r->retried += !o->why;
        r->skipped += o->why != NULL;
        if (c->json)
            ctl_put(o->why       ? json_pack("{ss ss ss}", "id", o->e->id, "result", "skipped", "why", o->why)
                    : c->dry_run ? json_pack("{ss ss}", "id", o->e->id, "result", "would retry")
                                 : json_pack("{ss ss sI}", "id", o->e->id, "result", "retried", "offset",
                                             (json_int_t)o->found));
        else if (o->why)
            ctl_complain("%s: %s", o->e->id, o->why);
        else if (c->dry_run)
            ctl_say(c, "would retry %s", o->e->id);
        else
            ctl_say(c, "%s is now at offset %" PRId64, o->e->id, o->found);
        if (o->letter)
            im__dlq_record__free_unpacked(o->letter, NULL);
        free(o->value);
    }
}

static int do_chunk(struct retry *r)
{
    int64_t began = clock_mono_ms();
    int rc = 0;
    for (size_t i = 0; i < r->n; i++)
        judge(r, &r->chunk[i]);
    if (!r->d.c->dry_run) {
        rc = mark_all(r);
        if (!rc)
            rc = append_all(r, began);
        if (!rc)
            end_all(r);
        for (size_t i = 0; rc && i < r->n; i++)
            if (!r->chunk[i].why)
                r->chunk[i].why =
                    "Kafka did not answer; the same again in a minute finds out how far it came";
    }
    tell(r);
    memset(r->chunk, 0, sizeof r->chunk);
    r->n = 0;
    return rc;
}

static bool sure(struct retry *r, size_t n)
{
    char question[300];
    size_t truth = 0;
    for (const struct dlq_entry *e = r->d.entries; e; e = e->hh.next)
        truth += e->chosen && topics_find(r->d.c->deploy.topics, e->topic) == T_CONVERSATION;
    snprintf(question, sizeof question, "Append %zu record%s to where %s?%s", n, n == 1 ? "" : "s",
             n == 1 ? "it was" : "they were",
             truth ? " Those of im.conversation get a new place, behind all that came since; the old one "
                     "stays empty."
                   : "");
    return ctl_sure(r->d.c, question);
}

static int run(struct ctl *c, int argc, char **argv)
{
    static struct retry r; /* a chunk is large */
    size_t n = 0;
    r.d.c = c;
    rand_bytes(r.run, sizeof r.run);
    int rc = dlq_chosen(&r.d, argc, argv, true, &n);
    if (!rc && n && !sure(&r, n))
        rc = CTL_FAILED;
    r.w = rc || !n ? NULL : dlq_writer_new(c);
    if (!rc && n && !r.w)
        rc = CTL_FAILED;
    for (struct dlq_entry *e = r.d.entries; !rc && e; e = e->hh.next) {
        if (e->chosen)
            r.chunk[r.n++].e = e;
        if (r.n == CHUNK && do_chunk(&r))
            rc = CTL_FAILED;
    }
    if (!rc && r.n && do_chunk(&r))
        rc = CTL_FAILED;
    if (!rc && !n)
        ctl_say(c, "nothing to retry");
    dlq_writer_free(r.w);
    dlq_close(&r.d);
    return rc ? rc : r.skipped ? CTL_FAILED : CTL_OK;
}

const struct ctl_command ctl_dlq_retry = {
    .name = "dlq retry",
    .about = "puts dead letters back where they were, in order, once",
    .help = "Examples\n"
            "  parleyctl dlq retry im.inbound/0@42\n"
            "  parleyctl dlq retry --topic inbound --error version   after an upgrade\n"
            "  parleyctl dlq retry --all --dry-run\n"
            "\n"
            "The record is appended to its topic with its key, to its partition. Running it\n"
            "again does nothing; a run that died is finished by the next one, a minute later.\n"
            "\n"
            "Not retried, and said so: what this release cannot read either; records of\n"
            "compacted topics (im.vault, im.cursor); deliveries, whose sessions are over.\n"
            "What is retried to im.conversation has a new place there. What an endpoint refused\n"
            "is for parleyctl webhooks replay.\n"
            "\n"
            "Options\n"
            "  --topic NAME       inbound, conversation, …: where it was\n"
            "  --error TEXT       with this in its error\n"
            "  --process NAME     who gave it up\n"
            "  --since T, --until T   when\n"
            "  --all              every one that waits\n"
            "  --force            also what cannot be read, or was dropped\n"
            "  --stale SECONDS    a run that began and did not end is dead after so long;\n"
            "                     default 60, the same for all who retry at the same time\n"
            "\n"
            "Exit code 1 when one of them was not retried.\n",
    .options = dlq_options,
    .take = dlq_take,
    .run = run,
};
