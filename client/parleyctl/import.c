/* import.c: the file, and what its records become.
 *
 * Only what had an effect is written: what was refused or came twice changed nothing. Numbers of sending devices belong
 * to the old deployment and would shadow those of devices here, so records are not numbered (client_seq 0), but for the
 * creation of a group, whose id is made of them. The limit for recalls is off: all that were accepted are again. */
#include "client/parleyctl/import.h"

#include "client/parleyctl/pbjson.h"
#include "common/base/hex.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int complain(const struct import_file *f, const char *what)
{
    ctl_complain("%s:%zu: %s", f->path, f->line, what);
    return CTL_FAILED;
}

/* NULL: the end, or (*bad) no JSON. */
static json_t *next_line(struct import_file *f, bool *bad)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t n = getline(&line, &room, f->f);
    json_t *j = NULL;
    f->line++;
    if (n > 0) {
        j = json_loadb(line, (size_t)n, 0, NULL);
        *bad = !json_is_object(j);
    }
    free(line);
    return j;
}

static const char *text(const json_t *j, const char *name)
{
    const char *s = json_string_value(json_object_get(j, name));
    return s ? s : "";
}

static int64_t number(const json_t *j, const char *name)
{
    return json_integer_value(json_object_get(j, name));
}

static bool had_effect(const json_t *j)
{
    return !strcmp(text(j, "verdict"), "accepted") || !strcmp(text(j, "verdict"), "noted");
}

static int check_head(struct import_file *f, const json_t *j)
{
    if (!strcmp(text(j, "parley"), "user"))
        return complain(
            f, "of a user: an account is made with `parleyctl user add`, and its history is that of its "
               "conversations");
    if (strcmp(text(j, "parley"), "conversation") != 0 || number(j, "format") != 1)
        return complain(f, "this is no export of a conversation that this release knows");
    if (json_is_true(json_object_get(j, "sealed")))
        return complain(f,
                        "its bodies are sealed under keys of another deployment: export it without --sealed");
    return hex_decode(f->id.b, ID_SIZE, text(j, "id")) ? complain(f, "the id is not one") : 0;
}

int import_open(struct import_file *f, const char *path)
{
    bool bad = false, ended = false;
    *f = (struct import_file){.path = path, .f = fopen(path, "re")};
    if (!f->f) {
        ctl_complain("%s: %s", path, strerror(errno));
        return CTL_FAILED;
    }
    json_t *j = next_line(f, &bad);
    int rc = j && !bad ? check_head(f, j) : complain(f, "this is no export");
    json_decref(j);
    j = NULL;
    while (!rc && (j = next_line(f, &bad)) && !bad && !ended) {
        ended = json_is_true(json_object_get(j, "end"));
        if (ended) {
            f->state = json_incref(json_object_get(j, "state"));
            f->end_ms = number(j, "time_ms");
            if (number(j, "records") != f->records)
                rc = complain(f, "records are missing before this line");
        } else {
            f->records++;
            f->taken += had_effect(j);
        }
        json_decref(j);
        j = NULL;
    }
    json_decref(j);
    if (!rc && (bad || !ended || !f->state))
        rc = complain(f, bad ? "no JSON" : "the file has no end: it was cut off");
    return rc;
}

void import_release(struct import_file *f)
{
    if (f->f)
        fclose(f->f);
    json_decref(f->state);
    *f = (struct import_file){0};
}

void import_rewind(struct import_file *f)
{
    rewind(f->f);
    f->line = 0;
}

static void map(const struct import_file *f, const json_t *j, struct import_record *r)
{
    Im__ConvRecord *m = r->m;
    int64_t until = number(j, "until_ms");
    if (m->origin)
        im__session__free_unpacked(m->origin, NULL);
    m->origin = NULL;
    m->source_part = -1;
    m->source_offset = -1;
    if (m->kind != IM__CONV_KIND__CONV_GROUP_CREATE) {
        m->client_seq = 0;
        m->device = 0;
    }
    if (m->settings)
        m->settings->recall_limit_s = 0;
    r->until_ms = until > 0 && until <= f->end_ms ? until : 0;
    if (r->until_ms)
        m->duration_s = IMPORT_MUTE_S;
}

int import_next(struct import_file *f, struct import_record *r)
{
    char why[200] = "";
    bool bad = false;
    json_t *j;
    while ((j = next_line(f, &bad)) && !bad) {
        const json_t *record = json_object_get(j, "record");
        if (!record || !had_effect(j)) {
            json_decref(j);
            continue;
        }
        *r = (struct import_record){.time_ms = number(j, "time_ms")};
        r->m = (Im__ConvRecord *)pbjson_to(&im__conv_record__descriptor, record, why, sizeof why);
        if (r->m)
            map(f, j, r);
        json_decref(j);
        return r->m ? 1 : -complain(f, why);
    }
    json_decref(j);
    return bad ? -complain(f, "no JSON") : 0;
}
