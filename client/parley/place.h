/* place.h: conversations by the names that people type, and what is known of them here.
 *
 *   bob, @bob      the direct conversation with bob
 *   +lunch         the group of mine that is called so; +3f2a91 the one whose id begins so; 32 hex digits: by id
 *   +system        announcements
 *
 * A group never answers to a plain name: else whoever makes a group called like your friend would read your mail. */
#ifndef PARLEY_TERMINAL_PLACE_H
#define PARLEY_TERMINAL_PLACE_H

#include "client/lib/parley_history.h"

#include <uthash.h>

struct place {
    uint8_t id[PARLEY_ID];
    bool has_id;
    bool group, system;
    char login[80];           /* direct: the other one */
    char name[132];           /* groups */
    uint64_t head;            /* the last number seen */
    uint64_t seen;            /* shown to the user: read is told up to here */
    uint64_t delivered, read; /* by others: the other one, or anybody in the group */
    uint32_t unread;
    bool silent;
    UT_hash_handle hh; /* in a book */
};

enum place_kind { PLACE_PERSON, PLACE_ID, PLACE_GROUP, PLACE_BAD };
/* What was typed, without its mark, into `out`; PLACE_GROUP: name or beginning of an id. any: a plain name may be a
 * group, because nothing else fits (the argument is GROUP). */
enum place_kind place_typed(const char *text, bool any, char *out, size_t n, uint8_t id[PARLEY_ID]);
bool place_fits(const struct parley_conversation *,
                const char *name); /* a group, by name or beginning of its id */
void place_take(struct place *, const struct parley_conversation *);
void place_person(struct place *, const char *login);
/* For people: "bob", "+lunch", "+3f2a91c0"; clean. */
void place_label(char *out, size_t n, const struct place *);

struct book {
    struct place *all;
};
struct place *book_get(struct book *,
                       const uint8_t id[PARLEY_ID]); /* made when it is not there; NULL: no memory */
struct place *book_person(const struct book *, const char *login); /* NULL: none */
void book_release(struct book *);

#endif
