#include "client/parley/options.h"

#include "client/parley/command.h"
#include "client/parley/settings.h"
#include "common/base/clock.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    O_PASSWORD = 256,
    O_JSON,
    O_NO_STATE,
    O_LIMIT,
    O_BEFORE,
    O_AFTER,
    O_AROUND,
    O_AT,
    O_EVENTS,
    O_GROUPS,
    O_UNREAD,
    O_REPLY,
    O_TYPE,
    O_MENTION,
    O_FOR,
    O_SET,
    O_NAME,
    O_PRESENCE,
    O_ALL,
    O_OTHERS,
    O_YES,
};

static const struct {
    struct option_help h;
    int id;
} table[] = {
    {{"server", "HOST:PORT[,…]", "edges; PARLEY_SERVER; default 127.0.0.1:7000", 's', true}, 's'},
    {{"user", "NAME", "PARLEY_USER; default: the last log-in", 'u', true}, 'u'},
    {{"device", "NAME", "which device; PARLEY_DEVICE; default terminal", 'd', true}, 'd'},
    {{"password-file", "FILE", "first line; else PARLEY_PASSWORD, else asked", 0, true}, O_PASSWORD},
    {{"json", NULL, "data as JSON, one object a line", 0, true}, O_JSON},
    {{"wait", "STAGE", "of a send: accepted (default) or sequenced", 'w', true}, 'w'},
    {{"count", "N", "listen, watch: end after N", 'n', true}, 'n'},
    {{"timeout", "SECONDS", "give up after; default 30; endless ones: never", 't', true}, 't'},
    {{"no-state", NULL, "keep nothing in $XDG_STATE_HOME/parley", 0, true}, O_NO_STATE},
    {{"quiet", NULL, "no messages but errors", 'q', true}, 'q'},
    {{"help", NULL, "this, or a command's", 'h', true}, 'h'},
    {{"version", NULL, "which parley this is", 'V', true}, 'V'},
    {{"limit", "N", "at most N lines; 0: all", 0, false}, O_LIMIT},
    {{"before", "N", "older than message N", 0, false}, O_BEFORE},
    {{"after", "N", "newer than message N", 0, false}, O_AFTER},
    {{"around", "N", "message N in the middle", 0, false}, O_AROUND},
    {{"at", "TIME", "from 2026-01-31[T14:03], 14:03, or 2h ago", 0, false}, O_AT},
    {{"events", NULL, "everything that happened, as it was", 0, false}, O_EVENTS},
    {{"groups", NULL, "only groups", 0, false}, O_GROUPS},
    {{"unread", NULL, "only with unread messages", 0, false}, O_UNREAD},
    {{"reply", "N", "answers message N", 0, false}, O_REPLY},
    {{"type", "TYPE", "not text: bytes of this type, from stdin", 0, false}, O_TYPE},
    {{"mention", "NAME[,…]", "whom of the group it is for", 0, false}, O_MENTION},
    {{"for", "TIME", "for so long: 30s, 10m, 2h, 7d", 0, false}, O_FOR},
    {{"set", "FLAG[,…]", "approval, history, quiet, private", 0, false}, O_SET},
    {{"name", "NAME", "the name that others see", 0, false}, O_NAME},
    {{"presence", "WHO", "who sees you online: everyone, friends, nobody", 0, false}, O_PRESENCE},
    {{"all", NULL, "every device, this one too", 0, false}, O_ALL},
    {{"others", NULL, "every device but this one", 0, false}, O_OTHERS},
    {{"yes", NULL, "do not ask whether to", 0, false}, O_YES},
};
#define N_OPTIONS (sizeof table / sizeof *table)

size_t options_count(void)
{
    return N_OPTIONS;
}

const struct option_help *options_at(size_t i)
{
    return &table[i].h;
}

bool options_number(const char *text, uint64_t *out)
{
    char *end;
    text += *text == '#';
    *out = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && *out && *out <= INT64_MAX;
}

bool options_duration(const char *text, uint64_t *seconds)
{
    static const struct {
        char unit;
        uint32_t s;
    } units[] = {{0, 1}, {'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    char *end;
    uint64_t n = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || n > 36500ULL * 86400 || (*end && end[1]))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (*end == units[i].unit) {
            *seconds = n * units[i].s;
            return true;
        }
    return false;
}

bool options_time(const char *text, int64_t now_ms, int64_t *out)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d", "%H:%M"};
    uint64_t ago;
    time_t now = (time_t)(now_ms / 1000);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct tm t = {0};
        if (i == 3)
            localtime_r(&now, &t), t.tm_sec = 0;
        const char *end = strptime(text, forms[i], &t);
        if (!end || *end)
            continue;
        t.tm_isdst = -1;
        *out = (int64_t)mktime(&t) * 1000;
        return *out > 0;
    }
    if (!options_duration(text, &ago))
        return false;
    *out = now_ms - (int64_t)ago * 1000;
    return *out > 0;
}

static const struct {
    const char *name;
    uint32_t bit;
} flags[] = {{"approval", PARLEY_GROUP_APPROVAL},
             {"history", PARLEY_GROUP_HISTORY},
             {"quiet", PARLEY_GROUP_QUIET},
             {"private", PARLEY_GROUP_PRIVATE}};

bool options_flags(const char *text, uint32_t *out, uint32_t *mask)
{
    while (*text) {
        size_t n = strcspn(text, ","), off = strncmp(text, "no-", 3) ? 0 : 3;
        uint32_t bit = 0;
        for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
            if (strlen(flags[i].name) == n - off && !strncmp(flags[i].name, text + off, n - off))
                bit = flags[i].bit;
        if (!bit)
            return false;
        *mask |= bit;
        *out = off ? *out & ~bit : *out | bit;
        text += n + (text[n] == ',');
    }
    return *mask != 0;
}

void options_flags_text(char *out, size_t n, uint32_t v)
{
    size_t used = 0;
    *out = '\0';
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (v & flags[i].bit && used < n)
            used += (size_t)snprintf(out + used, n - used, "%s%s", used ? ", " : "", flags[i].name);
}

static bool small(const char *text, long *out)
{
    char *end;
    *out = strtol(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && *out <= 1000000;
}

/* Of the program. */
static bool take_program(struct settings *s, int id, const char *v)
{
    long n;
    switch (id) {
    case 's':
        snprintf(s->servers, sizeof s->servers, "%s", v);
        return true;
    case 'u':
        snprintf(s->user, sizeof s->user, "%s", v);
        return true;
    case 'd':
        s->device = v;
        return true;
    case O_PASSWORD:
        s->password_file = v;
        return true;
    case O_JSON:
        s->json = true;
        return true;
    case 'w':
        s->wait = !strcmp(v, "sequenced");
        return s->wait || !strcmp(v, "accepted");
    case 'n':
        return small(v, &s->count);
    case 't':
        if (!small(v, &n))
            return false;
        s->timeout_ms = (int)n * 1000;
        return true;
    case O_NO_STATE:
        s->no_state = true;
        return true;
    case 'q':
        s->quiet = true;
        return true;
    default:
        s->version = true;
        return true;
    }
}

static bool take_privacy(struct options *o, const char *v)
{
    static const char *const names[] = {"everyone", "friends", "nobody"};
    for (size_t i = 0; i < 3; i++)
        if (!strcmp(v, names[i]))
            o->presence = (enum parley_privacy)(PARLEY_EVERYONE + i);
    return o->presence != PARLEY_PRIVACY_AS_IT_WAS;
}

static bool take(struct options *o, int id, const char *v)
{
    switch (id) {
    case O_LIMIT:
        return small(v, &o->limit);
    case O_BEFORE:
        return options_number(v, &o->before);
    case O_AFTER:
        return options_number(v, &o->after) || (!strcmp(v, "0") && (o->after = 0, true));
    case O_AROUND:
        return options_number(v, &o->around);
    case O_REPLY:
        return options_number(v, &o->reply);
    case O_AT:
        return options_time(v, clock_wall_ms(), &o->at_ms);
    case O_FOR:
        return options_duration(v, &o->for_s) && o->for_s;
    case O_SET:
        return options_flags(v, &o->flags, &o->flags_mask);
    case O_PRESENCE:
        return take_privacy(o, v);
    case O_TYPE:
        o->type = v;
        return *v;
    case O_MENTION:
        o->mention = v;
        return *v;
    case O_NAME:
        o->name = v;
        return *v;
    default:
        break;
    }
    bool *const switches[] = {[O_EVENTS - O_LIMIT] = &o->events, [O_GROUPS - O_LIMIT] = &o->groups,
                              [O_UNREAD - O_LIMIT] = &o->unread, [O_ALL - O_LIMIT] = &o->all,
                              [O_OTHERS - O_LIMIT] = &o->others, [O_YES - O_LIMIT] = &o->yes};
    *switches[id - O_LIMIT] = true;
    return true;
}

int options_read(struct settings *s, struct options *o, const struct command *cmd, int argc, char **argv,
                 char *err, size_t err_n)
{
    struct option longs[N_OPTIONS + 1] = {0};
    char shorts[2 * N_OPTIONS + 3];
    size_t n = 0, used = 0;
    if (!cmd || strstr(cmd->args, "TEXT"))
        shorts[used++] = '+';
    shorts[used++] = ':'; /* a missing value is told apart */
    for (size_t i = 0; i < N_OPTIONS; i++) {
        const struct option_help *h = &table[i].h;
        if (h->program ? !s && table[i].id != 'h' : !cmd || !command_takes(cmd, h->name))
            continue;
        longs[n++] = (struct option){h->name, h->arg ? required_argument : no_argument, NULL, table[i].id};
        if (h->letter && s)
            shorts[used++] = h->letter, h->arg ? (void)(shorts[used++] = ':') : (void)0;
    }
    shorts[used] = '\0';
    *o = (struct options){.limit = -1};
    optind = 0;
    opterr = 0;
    for (int id; (id = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
        const char *word = argv[optind - 1];
        if (id == 'h') {
            o->help = true;
        } else if (id == '?' || id == ':') {
            snprintf(err, err_n, id == ':' ? "%.80s needs a value" : "%.80s is no option here", word);
            return -1;
        } else if (!(id >= O_LIMIT ? take(o, id, optarg) : take_program(s, id, optarg))) {
            const struct option_help *h = NULL;
            for (size_t i = 0; i < N_OPTIONS; i++)
                h = table[i].id == id ? &table[i].h : h;
            snprintf(err, err_n, "--%s %s: %s", h->name, h->arg ? h->arg : "", h->help);
            return -1;
        }
    }
    return optind;
}
