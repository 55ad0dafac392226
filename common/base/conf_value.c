#include "common/base/conf_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SECRET_MAX = 64 * 1024 };

struct unit {
    const char *name;
    int64_t factor;
};
/* Largest first; the last stands for a plain number. */
static const struct unit times[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000},
                                    {"s", 1000},     {"ms", 1},      {NULL, 0}};
static const struct unit sizes[] = {{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}, {NULL, 0}};
static const struct unit plain[] = {{"", 1}, {NULL, 0}};

static const struct unit *units_of(enum conf_type type)
{
    return type == CONF_T_MS ? times : type == CONF_T_SIZE ? sizes : plain;
}

const char *conf_type_name(enum conf_type type)
{
    static const char *const names[] = {"string", "integer", "boolean",     "duration",
                                        "size",   "list",    "secret file", "JSON"};
    return names[type];
}

size_t conf_value_size(enum conf_type type)
{
    static const size_t size[] = {
        sizeof(const char *),
        sizeof(int64_t),
        sizeof(bool),
        sizeof(int64_t),
        sizeof(int64_t),
        sizeof(struct conf_list),
        sizeof(struct conf_secret),
        sizeof(struct conf_json),
    };
    return size[type];
}

/* ---- writing ---- */

static int format_number(const struct conf_def *d, int64_t v, char *out, size_t n)
{
    const struct unit *u = units_of(d->type);
    while (u[1].name && (v == 0 || v % u->factor))
        u++;
    return snprintf(out, n, "%" PRId64 "%s", v / u->factor, u->name);
}

void conf_value_range(const struct conf_def *d, char *out, size_t n)
{
    char min[32], max[32];
    snprintf(out, n, "%s", d->choices ? d->choices : "");
    for (char *p = out; *p; p++)
        *p = *p == '|' ? '/' : *p;
    if (d->type != CONF_T_INT && d->type != CONF_T_MS && d->type != CONF_T_SIZE)
        return;
    format_number(d, d->min, min, sizeof min);
    format_number(d, d->max, max, sizeof max);
    snprintf(out, n, "%s to %s", min, max);
}

static void format_string(struct bytes *out, const char *s)
{
    if (s)
        bytes_json(out, s, strlen(s));
    else
        bytes_str(out, "null");
}

void conf_value_format(const struct conf_def *d, const void *at, struct bytes *out)
{
    char number[32];
    const struct conf_list *list = at;
    switch (d->type) {
    case CONF_T_STR:
        format_string(out, *(const char *const *)at);
        break;
    case CONF_T_BOOL:
        bytes_str(out, *(const bool *)at ? "true" : "false");
        break;
    case CONF_T_LIST:
        for (size_t i = 0; i < list->n; i++) {
            bytes_str(out, i ? ", " : "[");
            format_string(out, list->v[i]);
        }
        bytes_str(out, list->n ? "]" : "[]");
        break;
    case CONF_T_SECRET:
        format_string(out, ((const struct conf_secret *)at)->path);
        break;
    case CONF_T_JSON:
        bytes_str(out, ((const struct conf_json *)at)->text ? ((const struct conf_json *)at)->text : "null");
        break;
    default:
        format_number(d, *(const int64_t *)at, number, sizeof number);
        bytes_printf(out, d->type == CONF_T_INT ? "%s" : "\"%s\"", number);
    }
}

/* ---- reading ---- */

static int fail(struct conf_why *why, const struct conf_def *d, const char *text, const char *cause)
{
    char range[96];
    bool hide = d->flags & CONF_SENSITIVE;
    snprintf(why->cause, sizeof why->cause, "%s%.60s%s%s", hide ? "" : "\"", hide ? "the value" : text,
             hide ? " " : "\" ", cause);
    conf_value_range(d, range, sizeof range);
    switch (d->type) {
    case CONF_T_INT:
        snprintf(why->fix, sizeof why->fix, "a whole number, %s", range);
        break;
    case CONF_T_BOOL:
        snprintf(why->fix, sizeof why->fix, "true or false");
        break;
    case CONF_T_MS:
        snprintf(why->fix, sizeof why->fix, "a duration such as \"250ms\", \"10s\" or \"5m\", %s", range);
        break;
    case CONF_T_SIZE:
        snprintf(why->fix, sizeof why->fix, "a size such as 4096, \"64KiB\" or \"1MiB\", %s", range);
        break;
    case CONF_T_LIST:
        snprintf(why->fix, sizeof why->fix, "a list of strings");
        break;
    case CONF_T_SECRET:
        snprintf(why->fix, sizeof why->fix, "the path of a file that holds the secret");
        break;
    case CONF_T_JSON:
        snprintf(why->fix, sizeof why->fix, "a JSON object or array");
        break;
    default:
        snprintf(why->fix, sizeof why->fix, d->choices ? "one of %s" : "a string%s", range);
    }
    return -EINVAL;
}

static int read_number(const struct conf_def *d, int64_t *at, const char *text, struct conf_why *why)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || errno || strchr(" \t\n+", *text))
        return fail(why, d, text, "is not a number");
    const struct unit *u = units_of(d->type);
    while (u->name && strcmp(u->name, *end || d->type != CONF_T_MS ? end : "ms") != 0)
        u++;
    if (!u->name)
        return fail(why, d, text, "has an unknown unit");
    int64_t scaled;
    if (__builtin_mul_overflow(v, u->factor, &scaled) || scaled < d->min || scaled > d->max)
        return fail(why, d, text, "is out of range");
    *at = scaled;
    return 0;
}

static int check_string(const struct conf_def *d, const char *text, struct conf_why *why)
{
    if (d->choices) {
        size_t n = strlen(text);
        const char *p = d->choices;
        while (p && !(n && !strncmp(p, text, n) && (p[n] == '|' || !p[n]))) {
            p = strchr(p, '|');
            p += p != NULL;
        }
        if (!p)
            return fail(why, d, text, "is none of the choices");
    }
    char expected[sizeof why->fix] = "";
    if (d->check && d->check(text, expected, sizeof expected)) {
        fail(why, d, text, "is not valid");
        if (*expected)
            snprintf(why->fix, sizeof why->fix, "%s", expected);
        return -EINVAL;
    }
    return 0;
}

static int read_string(struct conf *c, const struct conf_def *d, const char **at, const char *text,
                       struct conf_why *why)
{
    int rc = check_string(d, text, why);
    if (rc)
        return rc;
    const char *copy = arena_copy(c->arena, text, strlen(text) + 1);
    if (!copy)
        return fail(why, d, text, "does not fit into memory");
    *at = copy;
    return 0;
}

/* The path as the process can open it: relative ones start at the configuration file's folder. */
static char *secret_path(struct conf *c, const char *text)
{
    const char *slash = c->file && *text != '/' ? strrchr(c->file, '/') : NULL;
    size_t dir = slash ? (size_t)(slash - c->file) + 1 : 0, n = strlen(text) + 1;
    char *path = arena_alloc(c->arena, dir + n);
    if (path) {
        if (dir)
            memcpy(path, c->file, dir);
        memcpy(path + dir, text, n);
    }
    return path;
}

static int read_secret(struct conf *c, const struct conf_def *d, struct conf_secret *at, const char *text,
                       struct conf_why *why)
{
    char *path = secret_path(c, text), *content = arena_alloc(c->arena, SECRET_MAX);
    FILE *f = path && content && *text ? fopen(path, "re") : NULL;
    struct stat st;
    if (!f)
        return fail(why, d, text, "cannot be opened");
    size_t n = fread(content, 1, SECRET_MAX, f);
    bool bad = ferror(f) || fstat(fileno(f), &st) || !S_ISREG(st.st_mode);
    fclose(f);
    if (bad || n == SECRET_MAX)
        return fail(why, d, text, "is not a regular file below 64 KiB");
    if (st.st_mode & S_IRWXO)
        conf_problem(c, false, path, "everybody on this machine may use this secret; run: chmod o= %s", path);
    if (n && content[n - 1] == '\n')
        n--;
    if (!n)
        return fail(why, d, text, "is empty");
    content[n] = '\0';
    *at = (struct conf_secret){path, content, n};
    return 0;
}

static int read_list_text(struct conf *c, const struct conf_def *d, struct conf_list *at, const char *text,
                          struct conf_why *why)
{
    size_t n = *text ? 1 : 0;
    for (const char *p = text; *p; p++)
        n += *p == ',';
    const char **v = arena_alloc(c->arena, n * sizeof *v);
    char *copy = arena_copy(c->arena, text, strlen(text) + 1);
    if (!v || !copy)
        return fail(why, d, text, "does not fit into memory");
    for (size_t i = 0; i < n; i++) {
        v[i] = strsep(&copy, ",");
        int rc = check_string(d, v[i], why);
        if (rc)
            return rc;
    }
    *at = (struct conf_list){n, v};
    return 0;
}

/* Takes the reference. */
static int read_json(struct conf *c, const struct conf_def *d, struct conf_json *at, json_t *json,
                     struct conf_why *why)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    const char *slash = c->file ? strrchr(c->file, '/') : NULL;
    int rc = text ? 0 : fail(why, d, "it", "is not JSON");
    json_decref(json);
    if (!rc)
        rc = read_string(c, d, &at->text, text, why);
    if (!rc && slash) {
        char *folder = arena_copy(c->arena, c->file, (size_t)(slash - c->file) + 1);
        if (folder)
            folder[slash - c->file] = '\0';
        at->folder = folder;
        rc = folder ? 0 : -ENOMEM;
    }
    free(text);
    return rc;
}

int conf_value_from_text(struct conf *c, const struct conf_def *d, void *at, const char *text,
                         struct conf_why *why)
{
    switch (d->type) {
    case CONF_T_STR:
        return read_string(c, d, at, text, why);
    case CONF_T_BOOL:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            return fail(why, d, text, "is not a boolean");
        *(bool *)at = *text == 't';
        return 0;
    case CONF_T_LIST:
        return read_list_text(c, d, at, text, why);
    case CONF_T_SECRET:
        return read_secret(c, d, at, text, why);
    case CONF_T_JSON:
        return read_json(c, d, at, json_loads(text, 0, NULL), why);
    default:
        return read_number(d, at, text, why);
    }
}

static int read_list_json(struct conf *c, const struct conf_def *d, struct conf_list *at, const json_t *json,
                          struct conf_why *why)
{
    size_t n = json_array_size(json);
    const char **v = arena_alloc(c->arena, n * sizeof *v);
    if (!v)
        return fail(why, d, "the list", "does not fit into memory");
    for (size_t i = 0; i < n; i++) {
        const char *s = json_string_value(json_array_get(json, i));
        int rc = s ? read_string(c, d, &v[i], s, why) : fail(why, d, "an element", "is not a string");
        if (rc)
            return rc;
    }
    *at = (struct conf_list){n, v};
    return 0;
}

int conf_value_from_json(struct conf *c, const struct conf_def *d, void *at, const json_t *json,
                         struct conf_why *why)
{
    bool number = d->type == CONF_T_INT || d->type == CONF_T_MS || d->type == CONF_T_SIZE;
    char text[32];
    if (json_is_integer(json) && number) {
        snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(json));
        return read_number(d, at, text, why);
    }
    if (json_is_boolean(json) && d->type == CONF_T_BOOL) {
        *(bool *)at = json_is_true(json);
        return 0;
    }
    if (json_is_array(json) && d->type == CONF_T_LIST)
        return read_list_json(c, d, at, json, why);
    if (d->type == CONF_T_JSON && (json_is_array(json) || json_is_object(json)))
        return read_json(c, d, at, json_deep_copy(json), why);
    if (json_is_string(json) && d->type != CONF_T_INT && d->type != CONF_T_BOOL && d->type != CONF_T_LIST)
        return conf_value_from_text(c, d, at, json_string_value(json), why);

    static const char *const types[] = {"object",      "array", "string", "integer",
                                        "real number", "true",  "false",  "null"};
    fail(why, d, "", "");
    snprintf(why->cause, sizeof why->cause, "a JSON %s does not fit here", types[json_typeof(json)]);
    return -EINVAL;
}
