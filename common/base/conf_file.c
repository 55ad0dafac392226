#include "common/base/conf_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 1 << 20 };

/* ---- reading ---- */

int conf_text_read(struct conf *c, struct conf_text *t)
{
    int rc = 0;
    FILE *f = fopen(c->file, "re");
    if (!f) {
        rc = -errno;
        conf_problem(c, true, c->file, "cannot be read: %s; check the path and the permissions",
                     strerror(-rc));
        return rc;
    }
    struct conf_text got = {.p = malloc(FILE_MAX + 1)};
    if (!got.p) {
        fclose(f);
        return -ENOMEM;
    }
    got.n = fread(got.p, 1, FILE_MAX, f);
    if (ferror(f) || !feof(f)) {
        rc = ferror(f) ? -EIO : -EFBIG;
        conf_problem(c, true, c->file, "cannot be read whole (at most 1 MiB, a regular file)");
    }
    fclose(f);
    got.p[got.n] = '\0';

    json_error_t e;
    if (!rc)
        got.root = json_loadb(got.p, got.n, JSON_REJECT_DUPLICATES, &e);
    if (!rc && !json_is_object(got.root)) {
        char where[512];
        snprintf(where, sizeof where, "%s:%d", c->file, got.root ? 1 : e.line);
        conf_problem(c, true, where, "%s; the file is one JSON object: {\"section\": {\"key\": value}}",
                     got.root ? "not an object" : e.text);
        rc = -EINVAL;
    }
    if (rc)
        conf_text_release(&got);
    else
        *t = got;
    return rc;
}

void conf_text_release(struct conf_text *t)
{
    json_decref(t->root);
    free(t->p);
    *t = (struct conf_text){0};
}

const json_t *conf_text_get(const struct conf_text *t, const char *path)
{
    const json_t *at = t->root;
    while (at && *path) {
        size_t n = strcspn(path, ".");
        char key[64];
        if (n >= sizeof key)
            return NULL;
        memcpy(key, path, n);
        key[n] = '\0';
        at = json_object_get(at, key);
        path += n + (path[n] == '.');
    }
    return at;
}

/* ---- where a key stands: jansson does not remember. The text is known to be valid JSON ---- */

static const char *skip_space(const char *s)
{
    return s + strspn(s, " \t\r\n");
}

static const char *skip_string(const char *s) /* from quote to behind the other quote */
{
    for (s++; *s != '"'; s++)
        s += *s == '\\';
    return s + 1;
}

/* Behind the value at s; or, when `path` is below it, sets `found` to its key and returns anything. */
static const char *walk(const char *s, const char *path, const char **found)
{
    s = skip_space(s);
    if (*s == '"')
        return skip_string(s);
    if (*s != '{' && *s != '[')
        return s + strcspn(s, ",]} \t\r\n");
    bool object = *s == '{';
    s = skip_space(s + 1);
    while (*s != '}' && *s != ']') {
        const char *below = NULL;
        if (object) {
            const char *key = s;
            s = skip_string(s);
            size_t n = path ? strcspn(path, ".") : 0;
            if (path && (size_t)(s - key) == n + 2 && !memcmp(key + 1, path, n)) {
                if (!path[n]) {
                    *found = key;
                    return s;
                }
                below = path + n + 1;
            }
            s = skip_space(s) + 1; /* the colon */
        }
        s = walk(s, below, found);
        if (*found)
            return s;
        s = skip_space(s);
        s = skip_space(s + (*s == ','));
    }
    return s + 1;
}

unsigned conf_text_line(const char *json, const char *path)
{
    const char *found = NULL;
    unsigned line = 1;
    walk(json, path, &found);
    if (!found)
        return 0;
    for (const char *s = json; s < found; s++)
        line += *s == '\n';
    return line;
}

/* ---- unknown keys ---- */

/* Edits that turn a into b, at most 64 characters of each. */
static size_t distance(const char *a, const char *b)
{
    size_t row[65], n = strnlen(b, 64);
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; *a && i <= 64; i++, a++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t change = diagonal + (*a != b[j - 1]);
            diagonal = row[j];
            size_t shift = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = change < shift ? change : shift;
        }
    }
    return row[n];
}

const char *conf_nearest(const struct conf *c, const char *path, size_t skip)
{
    const char *best = NULL;
    size_t best_d = 4;
    for (size_t i = 0; i < c->n; i++) {
        const char *other = c->set[i].path;
        size_t d = strlen(other) > skip && !strncmp(other, path, skip) ? distance(path, other) : SIZE_MAX;
        if (d < best_d) {
            best = other;
            best_d = d;
        }
    }
    return best;
}

enum what { NOTHING, SETTING, GROUP, OTHERS };

static enum what look_up(const struct conf *c, const char *path)
{
    size_t n = strlen(path);
    for (size_t i = 0; i < c->n; i++) {
        const char *s = c->set[i].path;
        if (!strncmp(s, path, n) && (s[n] == '\0' || s[n] == '.'))
            return s[n] ? GROUP : SETTING;
    }
    for (const char *const *s = c->spec.sections; s && *s; s++) {
        if (!strcmp(*s, path))
            return OTHERS;
    }
    return NOTHING;
}

static void check_object(struct conf *c, const struct conf_text *t, const json_t *object, const char *above)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        char path[256], where[512];
        snprintf(path, sizeof path, "%s%s%s", above, *above ? "." : "", key);
        snprintf(where, sizeof where, "%s:%u", c->file, conf_text_line(t->p, path));
        enum what what = look_up(c, path);
        if (what == GROUP && json_is_object(value)) {
            check_object(c, t, value, path);
        } else if (what == GROUP) {
            conf_problem(c, true, where, "%s: not an object; give {…} with settings in it", path);
        } else if (what == NOTHING) {
            const char *near = conf_nearest(c, path, *above ? strlen(above) + 1 : 0);
            conf_problem(c, true, where, "%s: no such %s; %s%s", path, *above ? "setting" : "section",
                         near && *above ? "did you mean " : "remove it, or see --config-reference",
                         near && *above ? near : "");
        }
    }
}

void conf_text_check(struct conf *c, const struct conf_text *t)
{
    check_object(c, t, t->root, "");
}
