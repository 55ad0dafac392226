#include "common/base/conf_private.h"

#include <string.h>

void conf_print(const struct conf *c, FILE *out)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct conf_setting *s = &c->set[i];
        struct bytes line = {0};
        bytes_printf(&line, "%s = ", s->path);
        if (s->def->flags & CONF_SENSITIVE && s->from != CONF_FROM_NOWHERE)
            bytes_str(&line, "\"(hidden)\"");
        else
            conf_value_format(s->def, c->settings + s->offset, &line);
        fprintf(out, "%-48s # ", (const char *)line.p);
        bytes_release(&line);
        if (s->from == CONF_FROM_FILE)
            fprintf(out, "%s:%u\n", c->file, s->line);
        else if (s->from == CONF_FROM_ENV)
            fprintf(out, "environment %s\n", s->var);
        else
            fprintf(out, "%s\n", s->from == CONF_FROM_DEFAULT ? "default" : "not set");
    }
}

static void print_cell(FILE *out, const char *s) /* a bar would end the cell */
{
    for (; *s; s++) {
        if (*s == '|')
            fputc('\\', out);
        fputc(*s, out);
    }
}

static void print_row(FILE *out, const struct conf_setting *s)
{
    const struct conf_def *d = s->def;
    char range[96];
    conf_value_range(d, range, sizeof range);
    fprintf(out, "| `%s` | %s | ", s->path, conf_type_name(d->type));
    if (d->flags & CONF_REQUIRED)
        fprintf(out, "required");
    else if (d->def && *d->def)
        fprintf(out, "`%s`", d->def);
    fprintf(out, " | ");
    print_cell(out, range);
    fprintf(out, " | %s | ", d->flags & CONF_RELOAD ? "reload" : "restart");
    print_cell(out, d->help);
    if (d->env)
        fprintf(out, " Also `%s`.", d->env);
    if (d->flags & CONF_SENSITIVE || d->type == CONF_T_SECRET)
        fprintf(out, " Never shown.");
    fprintf(out, " |\n");
}

static bool same_section(const struct conf_setting *a, const struct conf_setting *b)
{
    size_t n = conf_section_len(a->path);
    return n == conf_section_len(b->path) && !strncmp(a->path, b->path, n);
}

void conf_reference(const struct conf_spec *spec, FILE *out)
{
    struct conf c = {.spec = *spec, .arena = arena_new(4096)};
    if (!c.arena || conf_list_settings(&c))
        goto done;
    for (size_t i = 0; i < c.n; i++) {
        size_t first = 0;
        while (!same_section(&c.set[first], &c.set[i]))
            first++;
        if (first < i) /* printed with its first */
            continue;
        fprintf(out, "## %.*s\n\n| setting | type | default | values | takes effect | what it is for |\n",
                (int)conf_section_len(c.set[i].path), c.set[i].path);
        fprintf(out, "|---|---|---|---|---|---|\n");
        for (size_t k = i; k < c.n; k++) {
            if (same_section(&c.set[i], &c.set[k]))
                print_row(out, &c.set[k]);
        }
        fprintf(out, "\n");
    }
done:
    arena_free(c.arena);
}
