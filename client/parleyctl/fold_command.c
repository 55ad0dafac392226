/* fold_command.c: a conversation as it was then. */
#include "client/parleyctl/convfold.h"
#include "client/parleyctl/when.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static struct {
    const char *until;
    int64_t messages;
} asked = {.messages = 20};

struct message { /* one of the last ones */
    uint64_t seq;
    int64_t time_ms;
    struct id16 user;
    bool edited, recalled, erased, sealed;
    char *text, *type;
};

struct view {
    struct convfold f;
    struct message *ring; /* asked.messages, by seq */
};

static struct message *slot(struct view *v, uint64_t seq)
{
    return asked.messages ? &v->ring[seq % (uint64_t)asked.messages] : NULL;
}

static void forget(struct message *m)
{
    free(m->text);
    free(m->type);
    *m = (struct message){0};
}

static void say(struct message *m, const struct convfold_step *s)
{
    free(m->text);
    free(m->type);
    m->text = strndup(s->body->text.n ? s->body->text.p : "", s->body->text.n);
    m->type = strndup(s->body->content_type.n ? s->body->content_type.p : "", s->body->content_type.n);
    m->erased = s->opened == BODY_ERASED;
    m->sealed = s->opened == BODY_LOCKED;
}

static int look(void *ctx, const struct convfold_step *s)
{
    struct view *v = ctx;
    const struct conv_event *e = &s->r->event;
    if (s->out->verdict != CONV_ACCEPTED)
        return 0;
    bool about = e->kind == IM__CONV_KIND__CONV_EDIT || e->kind == IM__CONV_KIND__CONV_RECALL;
    struct message *m = slot(v, about ? e->target : s->out->seq);
    if (!m)
        return 0;
    if (about && m->seq == e->target) {
        m->recalled |= e->kind == IM__CONV_KIND__CONV_RECALL;
        m->edited |= e->kind == IM__CONV_KIND__CONV_EDIT;
        if (e->kind == IM__CONV_KIND__CONV_EDIT)
            say(m, s);
    }
    if (e->kind == IM__CONV_KIND__CONV_MESSAGE || e->kind == IM__CONV_KIND__CONV_ANNOUNCEMENT) {
        forget(m);
        m->seq = s->out->seq;
        m->time_ms = s->out->time_ms;
        m->user = e->user;
        say(m, s);
    }
    return 0;
}

static const char *text_of(const struct message *m)
{
    return m->recalled ? "(recalled)"
           : m->erased ? "(erased)"
           : m->sealed ? "(sealed)"
           : *m->text  ? m->text
                       : m->type;
}

/* ---- shown ---- */
static json_t *messages(const struct view *v)
{
    json_t *list = json_array();
    char hex[ID_HEX], when[32];
    uint64_t head = conv_head(v->f.conv);
    for (uint64_t seq = head > (uint64_t)asked.messages ? head - (uint64_t)asked.messages + 1 : 1;
         seq <= head; seq++) {
        const struct message *m = slot((struct view *)(uintptr_t)v, seq);
        if (!m || m->seq != seq)
            continue;
        when_text(m->time_ms, when);
        json_t *j = json_pack("{sI ss ss}", "seq", (json_int_t)seq, "time", when, "user",
                              convfold_login(&v->f, m->user, hex));
        if (m->recalled || m->erased || m->sealed)
            json_object_set_new(j, m->recalled ? "recalled" : m->erased ? "erased" : "sealed", json_true());
        else
            json_object_set_new(j, "text", json_string(text_of(m)));
        if (m->edited)
            json_object_set_new(j, "edited", json_true());
        json_array_append_new(list, j);
    }
    return list;
}

static const char *str(const json_t *j, const char *name)
{
    const char *s = json_string_value(json_object_get(j, name));
    return s ? s : "";
}

static void show_people(const json_t *people)
{
    size_t i;
    json_t *m;
    json_array_foreach((json_t *)(uintptr_t)people, i, m)
    {
        char *sees = json_dumps(json_object_get(m, "sees"), JSON_COMPACT);
        printf("  %-24s %-7s sees %s, read %" JSON_INTEGER_FORMAT "%s%s%s%s\n", str(m, "user"),
               str(m, "role"), sees, json_integer_value(json_object_get(m, "read")),
               *str(m, "muted") ? ", muted until " : "", str(m, "muted"),
               !strcmp(str(m, "friend"), "friend") ? ", friend" : "",
               json_is_true(json_object_get(m, "blocks")) ? ", blocks" : "");
        free(sees);
    }
}

static void show(const struct view *v, const json_t *j)
{
    char *pins = json_dumps(json_object_get(j, "pins"), JSON_COMPACT);
    char *flags = json_dumps(json_object_get(j, "flags"), JSON_COMPACT | JSON_ENCODE_ANY);
    size_t i;
    json_t *m;
    printf("%s %s%s%s, after offset %" PRId64 " (%s)\n", str(j, "type"), str(j, "conversation"),
           *str(j, "name") ? " " : "", str(j, "name"), v->f.last_offset, str(j, "time"));
    printf("numbers 1 … %" PRIu64 " from %" PRId64 " records; pins %s", conv_head(v->f.conv), v->f.records,
           pins);
    if (conv_type(v->f.conv) == CONV_GROUP)
        printf("; %" JSON_INTEGER_FORMAT " members; settings %s%s",
               json_integer_value(json_object_get(j, "members")), flags,
               conv_dissolved(v->f.conv) ? "; dissolved" : "");
    printf("\n");
    if (*str(j, "notice"))
        printf("notice: %s\n", str(j, "notice"));
    show_people(json_object_get(j, "people"));
    json_array_foreach(json_object_get(j, "messages"), i, m) printf(
        "%6" JSON_INTEGER_FORMAT "  %.19s  %s: %s%s\n", json_integer_value(json_object_get(m, "seq")),
        str(m, "time"), str(m, "user"),
        text_of(slot((struct view *)(uintptr_t)v, (uint64_t)json_integer_value(json_object_get(m, "seq")))),
        json_is_true(json_object_get(m, "edited")) ? " (edited)" : "");
    printf("digest %s\n", str(j, "digest"));
    free(pins);
    free(flags);
}

/* Digits alone are an offset, else it is a time. */
static int set_until(struct convfold *f)
{
    if (!asked.until)
        return 0;
    if (strspn(asked.until, "0123456789") == strlen(asked.until))
        return ctl_number(asked.until, "--until", 0, &f->until_offset);
    return when_option(asked.until, "--until", &f->until_ms);
}

static int run(struct ctl *c, int argc, char **argv)
{
    struct view v = {.ring = NULL};
    if (argc != 2)
        return ctl_usage("fold CONVERSATION [--until OFFSET|TIME] [--messages N] [--json]");
    int rc = ctl_kafka(c);
    if (rc)
        return rc;
    v.ring = calloc((size_t)asked.messages + 1, sizeof *v.ring);
    if (!v.ring)
        abort();
    rc = convfold_init(&v.f, c, argv[1]);
    if (!rc)
        rc = set_until(&v.f);
    if (!rc)
        rc = convfold_run(&v.f, look, &v);
    if (!rc && v.f.records == 0) {
        ctl_complain("the log has nothing of %s%s", argv[1], asked.until ? " up to there" : "");
        rc = CTL_FAILED;
    }
    if (!rc) {
        json_t *j = convfold_state(&v.f, false);
        json_object_set_new(j, "messages", messages(&v));
        if (c->json) {
            ctl_put(j);
        } else {
            show(&v, j);
            json_decref(j);
        }
    }
    for (int64_t i = 0; i < asked.messages; i++)
        forget(&v.ring[i]);
    free(v.ring);
    convfold_release(&v.f);
    return rc;
}

static int take(int option, const char *arg)
{
    if (option == CTL_OWN) {
        asked.until = arg;
        return 0;
    }
    int rc = ctl_number(arg, "--messages", 0, &asked.messages);
    if (!rc && asked.messages > 100000) {
        ctl_complain("--messages is at most 100000");
        rc = CTL_USAGE;
    }
    return rc;
}

static const struct option options[] = {
    {"until", required_argument, NULL, CTL_OWN}, {"messages", required_argument, NULL, CTL_OWN + 1}, {0}};

const struct ctl_command ctl_fold = {
    .name = "fold",
    .about = "a conversation as the log says it is, or was at any time",
    .help = "Examples\n"
            "  parleyctl fold anna,bert                          as it is now\n"
            "  parleyctl fold anna,bert --until 2026-05-01T12:00:00Z\n"
            "  parleyctl fold 74431a61226cef02bc371e4e67ae74ea --until 4711 --json\n"
            "\n"
            "Reads im.conversation alone, with the reducer that fanout and persister run: members,\n"
            "roles, what each may see, receipts, mutes, pins, settings, and the last messages with\n"
            "edits and recalls as they stood. No store is looked at.\n"
            "\n"
            "Arguments\n"
            "  CONVERSATION   32 hex digits; two names with a comma; or system\n"
            "\n"
            "Options\n"
            "  --until X      an offset of its partition (digits alone), or a time: records\n"
            "                 after it are left out\n"
            "  --messages N   how many of the last ones are shown (20)\n"
            "\n"
            "Who was erased since is empty: their key is gone. Exit code 1 when there is nothing.\n",
    .options = options,
    .take = take,
    .run = run,
};
