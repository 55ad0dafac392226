/* parleyctl rebuild history: PostgreSQL again from the log, beside the one that is in use. */
#include "client/parleyctl/rebuild_history.h"

#include "common/base/clock.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define JOBS_MAX 64

static struct {
    bool verify, swap, drop_old, undo, fresh, no_words, conversations;
    int64_t jobs;
} asked;

enum { O_VERIFY = CTL_OWN, O_SWAP, O_DROP, O_UNDO, O_FRESH, O_WORDS, O_CONVS, O_JOBS };

static int take(int option, const char *arg)
{
    bool *const flags[] = {&asked.verify, &asked.swap,     &asked.drop_old,     &asked.undo,
                           &asked.fresh,  &asked.no_words, &asked.conversations};
    if (option == O_JOBS)
        return ctl_number(arg, "--jobs", 1, &asked.jobs);
    *flags[option - CTL_OWN] = true;
    return 0;
}

/* ---- building ---- */

int rebuild_advance(struct rebuild *b, const char *conninfo, const char *schema_q, bool quiet)
{
    int rc = rebuild_fold(b->c, &b->tasks, conninfo, b->jobs, quiet);
    return rc ? rc : rebuild_marks(b->s.db, schema_q, &b->tasks, NULL);
}

static uint64_t records(const struct rebuild_tasks *ts)
{
    uint64_t n = 0;
    for (size_t i = 0; i < ts->n; i++)
        for (size_t k = 0; k < rebuild_topics(&ts->v[i]); k++)
            n += (uint64_t)ts->v[i].next[k];
    return n;
}

struct sums {
    uint64_t records, rows, poison;
    int64_t peak_kb, ms, complete_ms;
};

static void sum_up(const struct rebuild_tasks *ts, struct sums *s)
{
    for (size_t i = 0; i < ts->n; i++) {
        s->rows += ts->v[i].rows;
        s->poison += ts->v[i].poison;
        if (ts->v[i].peak_kb > s->peak_kb)
            s->peak_kb = ts->v[i].peak_kb;
    }
}

static void report(struct rebuild *b, const struct sums *s)
{
    double seconds = (double)(s->ms > 0 ? s->ms : 1) / 1000;
    if (b->c->json) {
        ctl_put(json_pack("{ss ss sI sI sI sf sf sI}", "rebuild", "history", "schema", b->s.shadow, "records",
                          (json_int_t)s->records, "rows", (json_int_t)s->rows, "unreadable",
                          (json_int_t)s->poison, "seconds", seconds, "complete_seconds",
                          (double)s->complete_ms / 1000, "peak_kb", (json_int_t)s->peak_kb));
        return;
    }
    printf("%s: %" PRIu64 " records read, %" PRIu64
           " rows of history written in %.1f s (%.0f/s), completed in %.1f s\n",
           b->s.shadow, s->records, s->rows, seconds, (double)s->rows / seconds,
           (double)s->complete_ms / 1000);
    if (s->poison)
        printf("%" PRIu64 " records can be read by nobody: no reader applies them\n", s->poison);
}

/* Where it stands, partition by partition. */
static void stand(struct rebuild *b)
{
    const struct rebuild_tasks *ts = &b->tasks;
    for (size_t i = 0; i < ts->n; i++)
        for (size_t k = 0; k < rebuild_topics(&ts->v[i]); k++) {
            const char *topic = topics_name(b->c->deploy.topics, rebuild_topic(&ts->v[i], k));
            if (b->c->json)
                ctl_put(json_pack("{ss si sI sI}", "topic", topic, "partition", ts->v[i].part, "next",
                                  (json_int_t)ts->v[i].next[k], "end", (json_int_t)ts->v[i].to[k]));
            else
                printf("%-24s %3" PRId32 "  at %12" PRId64 " of %12" PRId64 "\n", topic, ts->v[i].part,
                       ts->v[i].next[k], ts->v[i].to[k]);
        }
}

/* Kafka's client must be gone before processes are forked. */
static int find_ends(struct rebuild *b)
{
    int rc = rebuild_ends(b->c, &b->tasks);
    kadmin_free(b->c->admin);
    b->c->admin = NULL;
    for (size_t i = 0; !rc && i < b->tasks.n; i++)
        for (size_t k = 0; k < rebuild_topics(&b->tasks.v[i]); k++)
            if (b->tasks.v[i].next[k] > b->tasks.v[i].to[k]) {
                ctl_complain("%s is ahead of %s partition %" PRId32
                             ": it was made from another log. --fresh begins anew",
                             b->s.shadow, topics_name(b->c->deploy.topics, rebuild_topic(&b->tasks.v[i], k)),
                             b->tasks.v[i].part);
                return CTL_FAILED;
            }
    return rc;
}

static int build(struct rebuild *b)
{
    struct sums s = {0};
    int rc = rebuild_shadow(&b->s, b->c, asked.fresh);
    if (!rc)
        rc = rebuild_marks(b->s.db, b->s.shadow_q, &b->tasks, NULL);
    if (!rc)
        rc = find_ends(b);
    if (rc)
        return rc;
    uint64_t before = records(&b->tasks);
    int64_t begin = clock_mono_ms();
    if (before)
        ctl_say(b->c, "going on behind %" PRIu64 " records that are in %s already", before, b->s.shadow);
    rc = rebuild_advance(b, b->s.shadow_info, b->s.shadow_q, false);
    s.ms = clock_mono_ms() - begin;
    if (rebuild_interrupted)
        ctl_say(b->c, "interrupted; the same command again goes on");
    if (rc)
        return rc;
    begin = clock_mono_ms();
    rc = rebuild_complete(&b->s, b->c, &b->tasks, b->jobs, b->words);
    s.complete_ms = clock_mono_ms() - begin;
    s.records = records(&b->tasks) - before;
    sum_up(&b->tasks, &s);
    if (!rc)
        report(b, &s);
    if (!rc && !asked.verify && !asked.swap)
        stand(b);
    return rc;
}

/* --dry-run: nothing is made, the shadow may not be there. */
static int look(struct rebuild *b)
{
    bool there = rebuild_schema_there(&b->s, b->s.shadow);
    if (asked.drop_old || asked.undo) {
        ctl_say(b->c, "%s: %s", b->s.old, rebuild_schema_there(&b->s, b->s.old) ? "there" : "not there");
        return CTL_OK;
    }
    ctl_say(b->c, "%s: %s", b->s.shadow,
            !there        ? "would be made"
            : asked.fresh ? "would be made anew"
                          : "would be gone on with");
    int rc = there ? rebuild_marks(b->s.db, b->s.shadow_q, &b->tasks, NULL) : CTL_OK;
    if (!rc)
        rc = find_ends(b);
    if (!rc)
        stand(b);
    return rc;
}

static int go(struct rebuild *b)
{
    if (b->c->dry_run)
        return look(b);
    if (asked.drop_old)
        return rebuild_drop_old(b);
    if (asked.undo)
        return rebuild_undo_swap(b);
    int rc = build(b);
    if (!rc && asked.verify)
        rc = rebuild_verify(b);
    if (!rc && asked.swap)
        rc = rebuild_swap(b);
    return rc;
}

static int run(struct ctl *c, int argc, char **argv)
{
    static const char usage[] =
        "rebuild history [--verify] [--swap] | --undo-swap | --drop-old   (--help tells more)";
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    struct rebuild b = {.c = c, .words = !asked.no_words, .conversations = asked.conversations};
    bool builds = asked.verify || asked.swap || asked.fresh;
    (void)argv;
    if (argc != 1 || asked.jobs > JOBS_MAX || (asked.drop_old && asked.undo) ||
        ((asked.drop_old || asked.undo) && builds))
        return ctl_usage(usage);
    b.jobs = asked.jobs ? (int)asked.jobs : cpus > 4 ? (int)cpus : 4;
    int rc = ctl_kafka(c);
    if (!rc)
        rc = rebuild_schemas_open(&b.s, c);
    if (!rc && rebuild_tasks_init(&b.tasks, c))
        rc = CTL_FAILED;
    if (!rc)
        rc = go(&b);
    rebuild_tasks_release(&b.tasks);
    rebuild_schemas_release(&b.s);
    return rc;
}

static const struct option options[] = {{"verify", no_argument, NULL, O_VERIFY},
                                        {"swap", no_argument, NULL, O_SWAP},
                                        {"drop-old", no_argument, NULL, O_DROP},
                                        {"undo-swap", no_argument, NULL, O_UNDO},
                                        {"fresh", no_argument, NULL, O_FRESH},
                                        {"no-words", no_argument, NULL, O_WORDS},
                                        {"conversations", no_argument, NULL, O_CONVS},
                                        {"jobs", required_argument, NULL, O_JOBS},
                                        {0}};

const struct ctl_command ctl_rebuild_history = {
    .name = "rebuild history",
    .about = "PostgreSQL again from the log, compared, exchanged",
    .help = "Examples\n"
            "  parleyctl rebuild history                   into a schema beside the live one\n"
            "  parleyctl rebuild history --verify          … and are both the same? Two hashes\n"
            "  parleyctl rebuild history --verify --swap   … and put it in its place, if so\n"
            "  parleyctl rebuild history --undo-swap       the old one again, caught up\n"
            "  parleyctl rebuild history --drop-old        what the swap put away\n"
            "\n"
            "Everything goes on meanwhile. Interrupted (Ctrl-C, kill -9), the same command goes\n"
            "on where the last commit was. With SCHEMA the live one: the new rows are in\n"
            "SCHEMA_rebuild, after a swap the former ones in SCHEMA_old.\n"
            "\n"
            "Options\n"
            "  --verify         hashes each table and each conversation on both sides, at the\n"
            "                   same offsets; tells the first row that differs, and whence it came\n"
            "  --swap           exchanges the schemas in one transaction, if they were verified\n"
            "                   (or --yes); processes go on by themselves\n"
            "  --undo-swap      brings SCHEMA_old up to now and exchanges them back\n"
            "  --drop-old       drops SCHEMA_old\n"
            "  --fresh          drops an unfinished SCHEMA_rebuild first\n"
            "  --jobs N         partitions at a time (default: processors, at least 4)\n"
            "  --no-words       leave words for search to the persister, after a swap\n"
            "  --conversations  with --verify: also each conversation's and each user's hash\n"
            "\n"
            "Exit codes: 1 also when the two sides differ.\n",
    .options = options,
    .take = take,
    .run = run,
};
