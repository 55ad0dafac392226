/* dlq_command.c: dlq list, show, drop. */
#include "client/parleyctl/decode.h"
#include "client/parleyctl/dlq.h"
#include "client/parleyctl/when.h"

#include "common/base/clock.h"
#include "common/base/hex.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_BYTES 4096

static struct {
    struct dlq_filter filter;
    const char *since, *until;
    bool all;
} asked;
bool dlq_force;
int64_t dlq_stale_s = 60;

enum { O_TOPIC = CTL_OWN, O_ERROR, O_PROCESS, O_SINCE, O_UNTIL, O_ALL, O_FORCE, O_STALE };
const struct option dlq_options[] = {{"topic", required_argument, NULL, O_TOPIC},
                                     {"error", required_argument, NULL, O_ERROR},
                                     {"process", required_argument, NULL, O_PROCESS},
                                     {"since", required_argument, NULL, O_SINCE},
                                     {"until", required_argument, NULL, O_UNTIL},
                                     {"all", no_argument, NULL, O_ALL},
                                     {"force", no_argument, NULL, O_FORCE},
                                     {"stale", required_argument, NULL, O_STALE},
                                     {0}};
#define FILTERS                                                                   \
    "  --topic NAME       inbound, conversation, …: where it was\n"             \
    "  --error TEXT       with this in its error: undecodable, version, limits\n" \
    "  --process NAME     who gave it up\n"                                       \
    "  --since T, --until T   2026-05-01T12:00:00Z, or 2h, 7d (ago): when\n"

int dlq_take(int option, const char *arg)
{
    switch (option) {
    case O_TOPIC:
        asked.filter.topic = arg;
        return 0;
    case O_ERROR:
        asked.filter.error = arg;
        return 0;
    case O_PROCESS:
        asked.filter.process = arg;
        return 0;
    case O_SINCE:
        asked.since = arg;
        return when_option(arg, "--since", &asked.filter.since_ms);
    case O_UNTIL:
        asked.until = arg;
        return when_option(arg, "--until", &asked.filter.until_ms);
    case O_ALL:
        return (asked.all = true, 0);
    case O_STALE:
        return ctl_number(arg, "--stale", 1, &dlq_stale_s);
    default:
        return (dlq_force = true, 0);
    }
}

static bool any_filter(void)
{
    const struct dlq_filter *f = &asked.filter;
    return f->topic || f->error || f->process || asked.since || asked.until || asked.all;
}

int dlq_chosen(struct dlq *d, int argc, char **argv, bool needed, size_t *n)
{
    if (needed && argc < 2 && !any_filter()) {
        ctl_complain("say which: their names, a filter, or --all");
        return CTL_USAGE;
    }
    int rc = dlq_open(d->c, d);
    if (rc)
        return rc;
    *n = dlq_choose(d, &asked.filter);
    if (argc < 2)
        return CTL_OK;
    for (struct dlq_entry *e = d->entries; e; e = e->hh.next)
        e->chosen = false;
    *n = 0;
    for (int i = 1; i < argc; i++) {
        struct dlq_entry *e = dlq_find(d, argv[i]);
        if (!e) {
            ctl_complain("there is no dead letter %s; parleyctl dlq list --all shows all of them", argv[i]);
            return CTL_FAILED;
        }
        *n += !e->chosen;
        e->chosen = true;
    }
    return CTL_OK;
}

/* ---- list ---- */

static json_t *as_json(struct dlq *d, const struct dlq_entry *e)
{
    char when[32];
    const struct dlq_entry *of = dlq_retry_of(d, e);
    when_text(e->time_ms, when);
    json_t *j =
        json_pack("{ss ss si sI ss ss ss ss si si sI}", "id", e->id, "topic", e->topic, "partition",
                  (int)e->part, "offset", (json_int_t)e->offset, "time", when, "error", e->error, "processes",
                  e->processes, "state", dlq_state_name(e->state), "letters", (int)e->letters,
                  "dlq_partition", (int)e->dlq_part, "dlq_offset", (json_int_t)e->first);
    if (e->state == DLQ_DONE)
        json_object_set_new(j, "retried_as", json_integer(e->retried));
    if (of)
        json_object_set_new(j, "retry_of", json_string(of->id));
    return j;
}

static int run_list(struct ctl *c, int argc, char **argv)
{
    struct dlq d = {.c = c};
    size_t n = 0, shown = 0;
    if (argc > 1)
        return ctl_usage("dlq list [--topic T] [--error TEXT] [--since TIME] [--all] [--json]");
    asked.filter.finished = asked.all;
    int rc = dlq_chosen(&d, argc, argv, false, &n);
    for (struct dlq_entry *e = d.entries; !rc && e; e = e->hh.next) {
        char age[24];
        if (!e->chosen)
            continue;
        if (c->json) {
            ctl_put(as_json(&d, e));
            continue;
        }
        if (!shown++)
            printf("%-32s %9s  %-20s %-12s %s\n", "dead letter", "age", "given up by", "state", "error");
        when_span(clock_wall_ms() - e->time_ms, age);
        printf("%-32s %9s  %-20s %-12s %s\n", e->id, age, e->processes, dlq_state_name(e->state), e->error);
    }
    if (!rc && !n)
        ctl_say(c, "no dead letters%s", any_filter() ? " like that" : "");
    dlq_close(&d);
    return rc;
}

const struct ctl_command ctl_dlq_list = {
    .name = "dlq list",
    .about = "records that could not be understood, and what became of them",
    .help = "Examples\n"
            "  parleyctl dlq list                    what waits for somebody to look\n"
            "  parleyctl dlq list --topic inbound --since 2h\n"
            "  parleyctl dlq list --all --json       retried and dropped ones too\n"
            "\n"
            "A dead letter is named by where the record was: TOPIC/PARTITION@OFFSET.\n"
            "\n"
            "Options\n" FILTERS "  --all              retried and dropped ones too\n",
    .options = dlq_options,
    .take = dlq_take,
    .run = run_list,
};

/* ---- show ---- */

static void dump(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        printf("    %06zx ", i);
        for (size_t k = i; k < i + 16; k++)
            if (k < n)
                printf(" %02x", p[k]);
            else
                printf("   ");
        printf("  ");
        for (size_t k = i; k < i + 16 && k < n; k++)
            putchar(p[k] >= 32 && p[k] < 127 ? p[k] : '.');
        putchar('\n');
    }
}

static json_t *hex_json(ProtobufCBinaryData b)
{
    size_t n = b.len < SHOWN_BYTES ? b.len : SHOWN_BYTES;
    char *text = malloc(2 * n + 1);
    json_t *j = text ? json_string(n ? hex_encode(text, b.data, n) : "") : json_null();
    free(text);
    return j;
}

static void show_json(struct dlq *d, const struct dlq_entry *e, const Im__DlqRecord *m, json_t *value)
{
    char when[32];
    json_t *j = as_json(d, e), *stack = json_array();
    for (size_t i = 0; i < m->n_stack; i++)
        json_array_append_new(stack, json_string(m->stack[i]));
    when_text(m->time_ms, when);
    json_object_set_new(j, "record_time", json_string(when));
    json_object_set_new(j, "process", json_string(m->process));
    json_object_set_new(j, "instance", json_string(m->instance));
    json_object_set_new(j, "trace", hex_json(m->trace));
    json_object_set_new(j, "stack", stack);
    json_object_set_new(j, "key", hex_json(m->key));
    json_object_set_new(j, "bytes", json_integer((json_int_t)(m->value_size ? m->value_size : m->value.len)));
    json_object_set_new(j, "value", hex_json(m->value));
    json_object_set(j, "decoded", value);
    ctl_put(j);
}

static void show_text(struct dlq *d, const struct dlq_entry *e, const Im__DlqRecord *m, json_t *value)
{
    char when[32], was[32], trace[2 * 24 + 1] = "", key[65] = "";
    const struct dlq_entry *of = dlq_retry_of(d, e);
    when_text(e->time_ms, when);
    when_text(m->time_ms, was);
    if (m->trace.len == 24)
        hex_encode(trace, m->trace.data, 24);
    hex_encode(key, m->key.data, m->key.len < 32 ? m->key.len : 32);
    printf("%s  %s\n  error     %s\n  written   %s, given up %s by %s (%s)\n", e->id,
           dlq_state_name(e->state), e->error, was, when, e->processes, *m->instance ? m->instance : "?");
    for (size_t i = 0; i < m->n_stack; i++)
        printf("  before    %s\n", m->stack[i]);
    if (*trace)
        printf("  trace     %s\n", trace);
    if (of)
        printf("  retry of  %s\n", of->id);
    if (e->state == DLQ_DONE)
        printf("  retried   is now at offset %" PRId64 "\n", e->retried);
    printf("  key       %s\n  bytes     %zu%s\n", key, m->value_size ? (size_t)m->value_size : m->value.len,
           m->value_size ? ", cut here; whole at its place as long as that is kept" : "");
    if (!json_object_get(value, "undecodable")) {
        printf("  as far as it can be read\n    ");
        json_dumpf(value, stdout, JSON_COMPACT);
        putchar('\n');
    }
    dump(m->value.data, m->value.len < SHOWN_BYTES ? m->value.len : SHOWN_BYTES);
}

static int run_show(struct ctl *c, int argc, char **argv)
{
    struct dlq d = {.c = c};
    size_t n = 0;
    asked.filter.finished = true;
    int rc = dlq_chosen(&d, argc, argv, true, &n);
    for (struct dlq_entry *e = d.entries; !rc && e; e = e->hh.next) {
        Im__DlqRecord *m = e->chosen ? dlq_letter(&d, e) : NULL;
        if (!m) {
            rc = e->chosen ? CTL_FAILED : rc;
            continue;
        }
        int topic = topics_find(c->deploy.topics, e->topic);
        json_t *value = decode_value(topic < 0 ? UINT16_MAX : (uint16_t)topic,
                                     (struct slice){m->value.data, m->value.len});
        (c->json ? show_json : show_text)(&d, e, m, value);
        json_decref(value);
        im__dlq_record__free_unpacked(m, NULL);
    }
    dlq_close(&d);
    return rc;
}

const struct ctl_command ctl_dlq_show = {
    .name = "dlq show",
    .about = "one of them whole: reason, who had it, its bytes",
    .help = "Examples\n"
            "  parleyctl dlq show im.inbound/0@42\n"
            "  parleyctl dlq show --topic user --json | jq .decoded\n"
            "\n"
            "Arguments: names as dlq list has them, or filters. At most 4096 bytes of each are\n"
            "shown; passwords' verifiers and sealed bodies are not opened.\n"
            "\n"
            "Options\n" FILTERS "  --all              every one\n",
    .options = dlq_options,
    .take = dlq_take,
    .run = run_show,
};

/* ---- drop ---- */

static int run_drop(struct ctl *c, int argc, char **argv)
{
    struct dlq d = {.c = c};
    size_t n = 0, i = 0, failed = 0;
    char question[120];
    int rc = dlq_chosen(&d, argc, argv, true, &n);
    struct dlq_writer *w = rc || !n ? NULL : dlq_writer_new(c);
    struct dlq_sent *sent = calloc(n ? n : 1, sizeof *sent);
    snprintf(question, sizeof question, "Mark %zu dead letter%s as of no use?", n, n == 1 ? "" : "s");
    if (!rc && n && (!w || !sent || !ctl_sure(c, question)))
        rc = CTL_FAILED;
    for (struct dlq_entry *e = d.entries; !rc && e; e = e->hh.next)
        if (e->chosen && e->state != DLQ_DONE && e->state != DLQ_GONE && !c->dry_run)
            dlq_mark(w, &d, e, (struct slice){NULL, 0}, IM__DLQ_MARK__DLQ_DROPPED, NULL, 0, &sent[i++]);
        else if (e->chosen)
            sent[i++].offset = 0;
    if (w)
        dlq_flush(w);
    i = 0;
    for (struct dlq_entry *e = d.entries; !rc && e; e = e->hh.next) {
        if (!e->chosen)
            continue;
        bool ok = sent[i++].offset >= 0;
        failed += !ok;
        if (c->json)
            ctl_put(json_pack("{ss ss}", "id", e->id, "result",
                              !ok          ? "failed"
                              : c->dry_run ? "would drop"
                                           : "dropped"));
        else if (ok)
            ctl_say(c, "%s %s", c->dry_run ? "would drop" : "dropped", e->id);
        else
            ctl_complain("%s: the mark was not written: %s", e->id, sent[i - 1].error);
    }
    if (!rc && !n)
        ctl_say(c, "nothing to drop");
    dlq_writer_free(w);
    free(sent);
    dlq_close(&d);
    return rc ? rc : failed ? CTL_FAILED : CTL_OK;
}

const struct ctl_command ctl_dlq_drop = {
    .name = "dlq drop",
    .about = "marks dead letters as of no use",
    .help = "Examples\n"
            "  parleyctl dlq drop im.inbound/0@42\n"
            "  parleyctl dlq drop --error undecodable --until 7d --dry-run\n"
            "\n"
            "They are no longer listed nor retried. Nothing is deleted: im.dlq keeps its\n"
            "records for 30 days.\n"
            "\n"
            "Options\n" FILTERS "  --all              every one that waits\n",
    .options = dlq_options,
    .take = dlq_take,
    .run = run_drop,
};
