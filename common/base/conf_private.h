/* conf_private.h: what conf.c, conf_file.c, conf_value.c and conf_show.c share. Not for anyone else. */
#ifndef PARLEY_BASE_CONF_PRIVATE_H
#define PARLEY_BASE_CONF_PRIVATE_H

#include "common/base/arena.h"
#include "common/base/bytes.h"
#include "common/base/conf.h"

#include <jansson.h>

enum conf_from { CONF_FROM_NOWHERE, CONF_FROM_DEFAULT, CONF_FROM_FILE, CONF_FROM_ENV };

struct conf_setting { /* a row of the process's tables put together, and where its value came from */
    const struct conf_def *def;
    size_t offset; /* in the process's settings struct */
    char *path;    /* with the table's section in front */
    char *env;     /* PARLEY_… */
    enum conf_from from;
    unsigned line;   /* in the file */
    const char *var; /* in the environment */
};

struct conf {
    struct conf_spec spec;
    const char *file;
    char *const *env;
    struct arena *arena; /* everything the settings point to */
    struct conf_setting *set;
    size_t n;
    unsigned char *settings;
    FILE *say; /* while loading */
    unsigned errors;
    struct conf *older; /* earlier loads, kept for their strings */
};

/* ---- conf.c ---- */
void conf_problem(struct conf *, bool is_error, const char *where, const char *fmt, ...) PRINTF_LIKE(4, 5);
int conf_list_settings(struct conf *); /* fills set and n from spec; -ENOMEM */
size_t conf_section_len(const char *path);

/* ---- conf_file.c ---- */
struct conf_text {
    char *p;
    size_t n;
    json_t *root;
};
int conf_text_read(struct conf *, struct conf_text *); /* 0, or -errno after having said why */
void conf_text_release(struct conf_text *);
/* Every key that no setting has, in this process's sections, and every unknown section. */
void conf_text_check(struct conf *, const struct conf_text *);
const json_t *conf_text_get(const struct conf_text *, const char *path); /* NULL: not there */
unsigned conf_text_line(const char *json, const char *path);             /* of the key; 0: not found */
/* A setting spelled much like it and alike in the first `skip` bytes, or NULL. */
const char *conf_nearest(const struct conf *, const char *path, size_t skip);

/* ---- conf_value.c; `at` is the setting's field ---- */
struct conf_why { /* an error's two halves */
    char cause[160], fix[160];
};
int conf_value_from_text(struct conf *, const struct conf_def *, void *at, const char *text,
                         struct conf_why *);
int conf_value_from_json(struct conf *, const struct conf_def *, void *at, const json_t *, struct conf_why *);
/* As JSON; of a secret its path. */
void conf_value_format(const struct conf_def *, const void *at, struct bytes *out);
size_t conf_value_size(enum conf_type);
void conf_value_range(const struct conf_def *, char *out, size_t n); /* "1 to 100", "text, json", or empty */
const char *conf_type_name(enum conf_type);

#endif
