#include "client/parley/place.h"

#include "client/parley/show.h"
#include "common/base/hex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ID_DIGITS 6 /* the least that stands for an id */

enum place_kind place_typed(const char *text, bool any, char *out, size_t n, uint8_t id[PARLEY_ID])
{
    bool person = *text == '@', group = *text == '+';
    const char *name = text + (person || group);
    if (!*name || strlen(name) >= n)
        return PLACE_BAD;
    snprintf(out, n, "%s", name);
    if (!person && strlen(name) == 2 * PARLEY_ID && !hex_decode(id, PARLEY_ID, name))
        return PLACE_ID;
    return group || (any && !person) ? PLACE_GROUP : PLACE_PERSON;
}

bool place_fits(const struct parley_conversation *c, const char *name)
{
    char id[2 * PARLEY_ID + 1];
    size_t n = strlen(name);
    if (c->system)
        return !strcasecmp(name, "system");
    if (!c->group)
        return false;
    hex_encode(id, c->id, PARLEY_ID);
    return !strcmp(c->name, name) || (n >= ID_DIGITS && n < sizeof id && !strncasecmp(id, name, n));
}

void place_take(struct place *p, const struct parley_conversation *c)
{
    memcpy(p->id, c->id, PARLEY_ID);
    p->has_id = true;
    p->group = c->group;
    p->system = c->system;
    snprintf(p->login, sizeof p->login, "%s", c->group || c->system ? "" : c->peer.login);
    snprintf(p->name, sizeof p->name, "%s", c->system ? "system" : c->name);
    p->head = c->head > p->head ? c->head : p->head;
    p->seen = c->read > p->seen ? c->read : p->seen;
    p->delivered = c->peer_delivered > p->delivered ? c->peer_delivered : p->delivered;
    p->read = c->peer_read > p->read ? c->peer_read : p->read;
    p->unread = c->unread;
    p->silent = c->muted;
}

void place_person(struct place *p, const char *login)
{
    *p = (struct place){0};
    snprintf(p->login, sizeof p->login, "%s", login);
}

void place_label(char *out, size_t n, const struct place *p)
{
    char name[400], id[2 * PARLEY_ID + 1];
    hex_encode(id, p->id, PARLEY_ID);
    show_clean(name, sizeof name, *p->login ? p->login : p->name, "?");
    if (*p->login)
        snprintf(out, n, "%s", name);
    else if (*name)
        snprintf(out, n, "+%s", name);
    else
        snprintf(out, n, "+%.8s", id);
}

struct place *book_get(struct book *b, const uint8_t id[PARLEY_ID])
{
    struct place *p;
    HASH_FIND(hh, b->all, id, PARLEY_ID, p);
    if (p)
        return p;
    p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    memcpy(p->id, id, PARLEY_ID);
    p->has_id = true;
    HASH_ADD(hh, b->all, id, PARLEY_ID, p);
    return p;
}

struct place *book_person(const struct book *b, const char *login)
{
    for (struct place *p = b->all; p; p = p->hh.next)
        if (*p->login && !strcasecmp(p->login, login))
            return p;
    return NULL;
}

void book_release(struct book *b)
{
    struct place *p, *tmp;
    HASH_ITER (hh, b->all, p, tmp) {
        HASH_DEL(b->all, p);
        free(p);
    }
}
