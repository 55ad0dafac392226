/* webhooks_command.c: where webhook endpoints are, and where they are to be. */
#include "client/parleyctl/webhooks_word.h"
#include "client/parleyctl/when.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

static const char usage[] = "webhooks list | replay NAME --from WHERE | pause NAME | resume NAME";
static const char *from; /* --from */

struct settings {
    struct webhook_settings hooks;
    const char *http;
    int64_t drain_ms;
};
static const struct conf_def others[] = {
    /* of the process's own, and in the same section */
    CONF_STR("webhooks.http", struct settings, http, NULL, ""),
    CONF_MS("webhooks.drain", struct settings, drain_ms, "0", 0, INT64_MAX, ""),
};

struct work {
    struct ctl *c;
    struct conf *conf;
    struct endpoints endpoints;
    struct scan *scan;
    struct word words[ENDPOINTS_MAX];
    const struct topic *topic; /* im.conversation */
};

struct place {       /* of an endpoint in a partition */
    int64_t at, end; /* at -1: nowhere */
};

static int load(struct work *w)
{
    static const struct conf_table tables[] = {CONF_TABLE(webhook_defs, struct settings, hooks),
                                               {.defs = others, .n = ARRAY_LEN(others)}};
    static const struct conf_spec spec = {tables, ARRAY_LEN(tables), sizeof(struct settings),
                                          deploy_sections};
    char why[200] = "";
    int rc = ctl_load(w->c);
    if (rc)
        return rc;
    if (conf_load(&w->conf, &spec, w->c->config, environ, stderr))
        return CTL_USAGE;
    const struct settings *s = conf_settings(w->conf);
    if (endpoints_read(&w->endpoints, &s->hooks.endpoints, why, sizeof why)) {
        ctl_complain("webhooks.endpoints: give %s", why);
        return CTL_USAGE;
    }
    rc = ctl_kafka(w->c);
    if (rc)
        return rc;
    w->topic = topics_get(w->c->deploy.topics, T_CONVERSATION);
    w->scan = scan_new(w->c);
    return w->scan ? words_read(w->c, w->scan, &w->endpoints, w->words) : CTL_FAILED;
}

static void release(struct work *w)
{
    scan_free(w->scan);
    endpoints_release(&w->endpoints);
    conf_free(w->conf);
}

static const char *group_of(const struct work *w, size_t i, uint32_t begin, char out[ENDPOINT_GROUP_MAX])
{
    return endpoint_group(topics_group(w->c->deploy.topics, GROUP_WEBHOOKS), w->endpoints.v[i].name, begin,
                          out);
}

/* Where it is; `places` has one for each partition. */
static int look(struct work *w, size_t i, struct place *places)
{
    char group[ENDPOINT_GROUP_MAX];
    int32_t parts = w->topic->parts;
    int64_t *at = calloc((size_t)parts, sizeof *at), low;
    int rc = at ? 0 : -ENOMEM, tries = 0;
    group_of(w, i, w->words[i].begin, group);
    while (!rc && w->words[i].begin) {
        rc = kadmin_group_offsets(w->c->admin, group, w->topic->name, at, parts);
        if (!ctl_again(rc, &tries))
            break;
        rc = 0;
    }
    if (rc)
        ctl_complain("%s: %s", group, kadmin_error(w->c->admin));
    for (int32_t p = 0; !rc && p < parts; p++) {
        places[p].at = w->words[i].begin ? at[p] : -1;
        rc = scan_ends(w->scan, T_CONVERSATION, p, &low, &places[p].end);
    }
    free(at);
    return rc ? CTL_FAILED : CTL_OK;
}

/* ---- list ---- */

static void show(const struct work *w, size_t i, const struct place *places)
{
    const struct endpoint *e = &w->endpoints.v[i];
    const struct word *word = &w->words[i];
    const char *state = !word->begin ? "not begun" : word->paused ? "paused" : "on";
    char group[ENDPOINT_GROUP_MAX];
    int64_t behind = 0;
    json_t *at = json_array();
    for (int32_t p = 0; p < w->topic->parts; p++) {
        behind += places[p].at >= 0 ? places[p].end - places[p].at : 0;
        json_array_append_new(at, json_integer(places[p].at));
    }
    group_of(w, i, word->begin, group);
    if (w->c->json) {
        ctl_put(json_pack("{ss ss ss si ss sI sO}", "name", e->name, "url", e->url, "state", state, "begin",
                          (int)word->begin, "group", word->begin ? group : "", "behind", (json_int_t)behind,
                          "positions", at));
    } else {
        printf("%-16s %-10s %10" PRId64 "  %s\n", e->name, state, behind, e->url);
    }
    json_decref(at);
}

static int list(struct work *w)
{
    int rc = CTL_OK;
    struct place *places = calloc((size_t)w->topic->parts, sizeof *places);
    if (!w->c->json)
        printf("%-16s %-10s %10s  %s\n", "endpoint", "state", "behind", "url");
    for (size_t i = 0; places && !rc && i < w->endpoints.n; i++) {
        rc = look(w, i, places);
        if (!rc)
            show(w, i, places);
    }
    free(places);
    return places ? rc : CTL_FAILED;
}

/* ---- replay ---- */

/* "1:500,0:20"; the partitions that are not named go on where they are. */
static bool from_places(const struct work *w, struct place *places)
{
    const char *p = from;
    while (*p) {
        char *end;
        long long part = strtoll(p, &end, 10), at;
        if (end == p || *end != ':' || part < 0 || part >= w->topic->parts)
            return false;
        at = strtoll(end + 1, &end, 10);
        if ((*end && *end != ',') || end[-1] == ':' || at < 0)
            return false;
        places[part].at = at;
        p = *end ? end + 1 : end;
    }
    return true;
}

static int wrong_from(void)
{
    ctl_complain("--from is now, first, a time (2026-05-01, 2026-05-01T12:00:00Z, 30m, 7d), an offset or "
                 "PARTITION:OFFSET[,…], not \"%s\"",
                 from);
    return CTL_USAGE;
}

/* In: where it is. Out: where it is to be. */
static int choose(struct work *w, struct place *places)
{
    int32_t parts = w->topic->parts;
    int64_t ms, low, *times = calloc((size_t)parts, sizeof *times);
    bool number = strspn(from, "0123456789") == strlen(from), listed = strchr(from, ':') != NULL;
    int rc = times ? CTL_OK : CTL_FAILED;
    bool all = true;
    if (!strcmp(from, "now") || !strcmp(from, "first") || number) {
        for (int32_t p = 0; p < parts; p++)
            places[p].at = number ? strtoll(from, NULL, 10) : *from == 'n' ? places[p].end : 0;
    } else if (when_parse(from, &ms) == 0) {
        rc = rc ? rc : scan_times(w->scan, T_CONVERSATION, 0, parts, ms, times) ? CTL_FAILED : CTL_OK;
        for (int32_t p = 0; !rc && p < parts; p++)
            places[p].at = times[p];
    } else if (listed) {
        all = from_places(w, places);
    } else {
        all = false;
    }
    if (!all)
        rc = wrong_from();
    for (int32_t p = 0; !rc && p < parts; p++) {
        rc = scan_ends(w->scan, T_CONVERSATION, p, &low, &places[p].end) ? CTL_FAILED : CTL_OK;
        places[p].at = places[p].at < 0 || places[p].at > places[p].end ? places[p].end
                       : places[p].at < low                             ? low
                                                                        : places[p].at;
    }
    free(times);
    return rc;
}

static int commit(struct work *w, size_t i, uint32_t begin, const struct place *places)
{
    char group[ENDPOINT_GROUP_MAX];
    int64_t *at = calloc((size_t)w->topic->parts, sizeof *at);
    int rc = at ? 0 : -ENOMEM, tries = 0;
    group_of(w, i, begin, group);
    for (int32_t p = 0; at && p < w->topic->parts; p++)
        at[p] = places[p].at;
    while (at) {
        rc = kadmin_commit_offsets(w->c->admin, group, w->topic->name, at, w->topic->parts);
        if (!ctl_again(rc, &tries))
            break;
    }
    if (rc)
        ctl_complain("%s: the position could not be committed: %s", group, kadmin_error(w->c->admin));
    free(at);
    return rc ? CTL_FAILED : CTL_OK;
}

static int tell_replay(struct work *w, size_t i, const struct place *places)
{
    int64_t n = 0;
    json_t *at = json_array();
    for (int32_t p = 0; p < w->topic->parts; p++) {
        n += places[p].end - places[p].at;
        json_array_append_new(at, json_integer(places[p].at));
    }
    if (w->c->json)
        ctl_put(json_pack("{ss sO sI sb}", "name", w->endpoints.v[i].name, "positions", at, "records",
                          (json_int_t)n, "dry_run", (int)w->c->dry_run));
    else
        ctl_say(w->c, "%s %s from %" PRId64 " records before the end on", w->endpoints.v[i].name,
                w->c->dry_run ? "would be told" : "is told", n);
    json_decref(at);
    return CTL_OK;
}

static int replay(struct work *w, size_t i)
{
    char question[160], by[128];
    struct place *places = calloc((size_t)w->topic->parts, sizeof *places);
    int rc = places ? look(w, i, places) : CTL_FAILED;
    if (!rc)
        rc = choose(w, places);
    (void)snprintf(question, sizeof question, "Leave where %s is, and begin at %.60s?",
                   w->endpoints.v[i].name, from);
    (void)snprintf(by, sizeof by, "replay --from %.100s", from);
    if (!rc && w->words[i].begin && !ctl_sure(w->c, question))
        rc = CTL_FAILED;
    const struct word word = {w->words[i].begin + 1, false};
    if (!rc && !w->c->dry_run)
        rc = commit(w, i, word.begin, places);
    if (!rc && !w->c->dry_run)
        rc = word_write(w->c, w->endpoints.v[i].name, &word, by);
    if (!rc)
        rc = tell_replay(w, i, places);
    free(places);
    return rc;
}

/* ---- pause, resume ---- */

static int set_paused(struct work *w, size_t i, bool paused)
{
    const struct endpoint *e = &w->endpoints.v[i];
    struct word word = w->words[i];
    if (!word.begin) {
        ctl_complain("%s has not begun: parleyctl webhooks replay %s --from now", e->name, e->name);
        return CTL_FAILED;
    }
    bool was = word.paused;
    word.paused = paused;
    int rc = was == paused || w->c->dry_run ? CTL_OK
                                            : word_write(w->c, e->name, &word, paused ? "pause" : "resume");
    if (!rc && w->c->json)
        ctl_put(
            json_pack("{ss sb sb}", "name", e->name, "paused", (int)paused, "changed", (int)(was != paused)));
    else if (!rc)
        ctl_say(w->c, "%s %s", e->name,
                was == paused ? (paused ? "is paused already" : "is on already")
                : paused      ? "is paused; its position stays"
                              : "goes on where it was");
    return rc;
}

/* ---- the command ---- */

static int run_verb(struct work *w, const char *verb, const char *name)
{
    const struct endpoint *e = name ? endpoints_find(&w->endpoints, name) : NULL;
    if (!strcmp(verb, "list"))
        return list(w);
    if (!e) {
        ctl_complain("no endpoint \"%s\" in webhooks.endpoints", name);
        return CTL_FAILED;
    }
    size_t i = (size_t)(e - w->endpoints.v);
    return !strcmp(verb, "replay") ? replay(w, i) : set_paused(w, i, !strcmp(verb, "pause"));
}

static int run(struct ctl *c, int argc, char **argv)
{
    struct work w = {.c = c};
    bool is_list = argc == 2 && !strcmp(argv[1], "list");
    bool is_replay = argc == 3 && !strcmp(argv[1], "replay") && from;
    bool is_pause = argc == 3 && (!strcmp(argv[1], "pause") || !strcmp(argv[1], "resume"));
    if (!(is_replay || ((is_list || is_pause) && !from)))
        return ctl_usage(usage);
    int rc = load(&w);
    if (!rc)
        rc = run_verb(&w, argv[1], argc == 3 ? argv[2] : NULL);
    release(&w);
    return rc;
}

static int take(int option, const char *arg)
{
    (void)option;
    from = arg;
    return 0;
}

static const struct option options[] = {{"from", required_argument, NULL, CTL_OWN}, {0}};

const struct ctl_command ctl_webhooks = {
    .name = "webhooks",
    .about = "endpoints: how far each is, where to begin, pause",
    .help = "Examples\n"
            "  parleyctl webhooks list                   endpoints and how far behind they are\n"
            "  parleyctl webhooks replay crm --from now  a new endpoint begins; there is no other\n"
            "                                            way, so none is skipped or flooded\n"
            "  parleyctl webhooks replay crm --from 2026-05-01T12:00:00Z   again from then on\n"
            "  parleyctl webhooks replay crm --from 2h --dry-run\n"
            "  parleyctl webhooks pause crm              it gets nothing; its position stays\n"
            "  parleyctl webhooks resume crm\n"
            "\n"
            "Events that are told again have the ids they had, so a receiver can drop them.\n"
            "Processes follow within a second; none has to be restarted.\n"
            "\n"
            "Options\n"
            "  --from WHERE   now, first, a time, so long ago (90s, 30m, 2h, 7d), an offset\n"
            "                 for all partitions, or PARTITION:OFFSET[,…]: the others go on\n",
    .options = options,
    .take = take,
    .run = run,
};
