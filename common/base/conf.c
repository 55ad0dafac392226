#include "common/base/conf.h"

#include "common/base/conf_private.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char PREFIX[] = "PARLEY_";

void conf_problem(struct conf *c, bool is_error, const char *where, const char *fmt, ...)
{
    va_list ap;
    c->errors += is_error;
    if (!c->say)
        return;
    fprintf(c->say, "%s: %s", where, is_error ? "" : "warning: ");
    va_start(ap, fmt);
    vfprintf(c->say, fmt, ap);
    va_end(ap);
    fputc('\n', c->say);
}

size_t conf_section_len(const char *path)
{
    return strcspn(path, ".");
}

/* ---- the tables as one list ---- */

static int name_setting(struct conf *c, struct conf_setting *s, const char *section)
{
    const char *path = s->def->path;
    size_t n = (section ? strlen(section) + 1 : 0) + strlen(path) + 1;
    s->path = arena_alloc(c->arena, n);
    s->env = arena_alloc(c->arena, sizeof PREFIX + n);
    if (!s->path || !s->env)
        return -ENOMEM;
    snprintf(s->path, n, "%s%s%s", section ? section : "", section ? "." : "", path);
    snprintf(s->env, sizeof PREFIX + n, "%s%s", PREFIX, s->path);
    for (char *p = s->env; *p; p++)
        *p = *p == '.' || *p == '-' ? '_' : (char)toupper((unsigned char)*p);
    return 0;
}

int conf_list_settings(struct conf *c)
{
    size_t n = 0;
    for (size_t t = 0; t < c->spec.n; t++)
        n += c->spec.tables[t].n;
    c->set = arena_alloc(c->arena, n * sizeof *c->set);
    if (!c->set)
        return -ENOMEM;
    for (size_t t = 0; t < c->spec.n; t++) {
        const struct conf_table *table = &c->spec.tables[t];
        for (size_t i = 0; i < table->n; i++) {
            struct conf_setting *s = &c->set[c->n++];
            *s = (struct conf_setting){.def = &table->defs[i], .offset = table->base + table->defs[i].offset};
            int rc = name_setting(c, s, table->section);
            if (rc)
                return rc;
        }
    }
    return 0;
}

/* ---- one value ---- */

static const char *env_get(char *const *env, const char *name)
{
    size_t n = name ? strlen(name) : 0;
    for (; n && env && *env; env++) {
        if (!strncmp(*env, name, n) && (*env)[n] == '=')
            return *env + n + 1;
    }
    return NULL;
}

static void where_in_file(const struct conf *c, unsigned line, char *out, size_t n)
{
    if (line)
        snprintf(out, n, "%s:%u", c->file, line);
    else
        snprintf(out, n, "%s", c->file);
}

static void read_setting(struct conf *c, struct conf_setting *s, const struct conf_text *text)
{
    const struct conf_def *d = s->def;
    void *at = c->settings + s->offset;
    struct conf_why why = {"", ""};
    char where[512];
    int rc = 0;

    s->var = s->env;
    const char *value = env_get(c->env, s->env);
    if (!value && d->env) {
        s->var = d->env;
        value = env_get(c->env, d->env);
    }
    const json_t *json = value || !text->root ? NULL : conf_text_get(text, s->path);
    if (value) {
        s->from = CONF_FROM_ENV;
        snprintf(where, sizeof where, "environment %s", s->var);
        rc = conf_value_from_text(c, d, at, value, &why);
    } else if (json) {
        s->from = CONF_FROM_FILE;
        s->line = conf_text_line(text->p, s->path);
        where_in_file(c, s->line, where, sizeof where);
        rc = conf_value_from_json(c, d, at, json, &why);
    } else if (d->def) {
        s->from = CONF_FROM_DEFAULT;
        snprintf(where, sizeof where, "default");
        rc = conf_value_from_text(c, d, at, d->def, &why);
    } else if (d->flags & CONF_REQUIRED) {
        conf_problem(c, true, c->file ? c->file : "configuration",
                     "%s: not set, but required; set it there or in %s (%s)", s->path,
                     d->env ? d->env : s->env, d->help);
    }
    if (rc)
        conf_problem(c, true, where, "%s: %s; give %s", s->path, why.cause, why.fix);
}

/* ---- the environment: a misspelled override must not go unnoticed ---- */

static bool is_override(const struct conf *c, const char *var, size_t n)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct conf_setting *s = &c->set[i];
        if (strlen(s->env) == n && !strncmp(s->env, var, n))
            return true;
        if (s->def->env && strlen(s->def->env) == n && !strncmp(s->def->env, var, n))
            return true;
    }
    return false;
}

static bool in_own_section(const struct conf *c, const char *var)
{
    for (size_t i = 0; i < c->n; i++) {
        size_t n = strlen(PREFIX) + conf_section_len(c->set[i].path) + 1;
        if (!strncmp(c->set[i].env, var, n))
            return true;
    }
    return false;
}

static void check_env(struct conf *c)
{
    for (char *const *e = c->env; e && *e; e++) {
        size_t n = strcspn(*e, "=");
        if (!strncmp(*e, PREFIX, strlen(PREFIX)) && in_own_section(c, *e) && !is_override(c, *e, n))
            conf_problem(c, false, "environment",
                         "%.*s is no setting and changes nothing; see --config-reference", (int)n, *e);
    }
}

/* ---- loading ---- */

static int read_all(struct conf *c)
{
    struct conf_text text = {0};
    int rc = c->file ? conf_text_read(c, &text) : 0;
    if (rc)
        return rc;
    if (text.root)
        conf_text_check(c, &text);
    check_env(c);
    for (size_t i = 0; i < c->n; i++)
        read_setting(c, &c->set[i], &text);
    conf_text_release(&text);
    return c->errors ? -EINVAL : 0;
}

int conf_load(struct conf **out, const struct conf_spec *spec, const char *file, char *const *env, FILE *say)
{
    struct conf *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    int rc = -ENOMEM;
    *c = (struct conf){.spec = *spec, .env = env, .say = say};
    c->arena = arena_new(4096);
    c->settings = calloc(1, spec->size ? spec->size : 1);
    if (!c->arena || !c->settings)
        goto fail;
    if (file) {
        c->file = arena_copy(c->arena, file, strlen(file) + 1);
        if (!c->file)
            goto fail;
    }
    rc = conf_list_settings(c);
    if (!rc)
        rc = read_all(c);
    if (rc)
        goto fail;
    c->say = NULL;
    *out = c;
    return 0;
fail:
    conf_free(c);
    return rc;
}

void conf_free(struct conf *c)
{
    while (c) {
        struct conf *older = c->older;
        arena_free(c->arena);
        free(c->settings);
        free(c);
        c = older;
    }
}

const void *conf_settings(const struct conf *c)
{
    return c->settings;
}

/* ---- reloading ---- */

static bool same_value(const struct conf_def *d, const void *a, const void *b)
{
    struct bytes x = {0}, y = {0};
    conf_value_format(d, a, &x);
    conf_value_format(d, b, &y);
    bool same = x.n == y.n && !memcmp(x.p, y.p, x.n);
    if (same && d->type == CONF_T_SECRET) {
        const struct conf_secret *s = a, *t = b;
        same = s->n == t->n && (!s->n || !memcmp(s->text, t->text, s->n));
    }
    bytes_release(&x);
    bytes_release(&y);
    return same;
}

int conf_reload(struct conf *c, FILE *say)
{
    struct conf *next;
    int rc = conf_load(&next, &c->spec, c->file, c->env, say);
    if (rc)
        return rc;
    for (size_t i = 0; i < c->n; i++) {
        struct conf_setting *s = &c->set[i], *t = &next->set[i];
        void *at = c->settings + s->offset;
        const void *new = next->settings + t->offset;
        if (same_value(s->def, at, new))
            continue;
        if (!(s->def->flags & CONF_RELOAD)) {
            if (say)
                fprintf(say, "%s: changed, but that needs a restart; the old value stays\n", s->path);
            continue;
        }
        memcpy(at, new, conf_value_size(s->def->type));
        s->from = t->from;
        s->line = t->line;
        s->var = t->var;
    }
    next->older = c->older; /* its strings are in use now */
    c->older = next;
    return 0;
}
