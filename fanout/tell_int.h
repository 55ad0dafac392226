/* tell_int.h: the parts of tell.h, for each other. */
#ifndef PARLEY_FANOUT_TELL_INT_H
#define PARLEY_FANOUT_TELL_INT_H

#include "fanout/crowd.h"
#include "fanout/tell.h"

#define TELL_CROWDS 8 /* groups whose members' whereabouts are kept */

struct tell {
    const struct fanout_views *views;
    struct deliver *deliver;
    struct crowd *kept[TELL_CROWDS]; /* by group */
    struct crowd *once;              /* for one record */
};

/* The sending session; NULL: not seen (yet). */
const struct session *tell_from(const struct tell *, const struct convrec *);
void tell_count(size_t sessions);
void tell_count_offline(size_t users);
struct deliver_item tell_item(Im__ItemKind, Im__FrameType, struct slice payload, const struct convrec *);

/* Everybody who sees `seq` of this group, the roster being loaded. Good until the next call. */
struct crowd *tell_members(struct tell *, const struct conv *, uint64_t seq, const struct convrec *);

void tell_direct(struct tell *, struct fx *, const struct conv *, const struct convrec *,
                 const struct conv_outcome *);
bool tell_group(struct tell *, struct fx *, const struct conv *, const struct convrec *,
                const struct conv_outcome *);
void tell_system(struct tell *, struct fx *, const struct conv *, const struct convrec *,
                 const struct conv_outcome *);
bool tell_note(struct tell *, struct fx *, const struct conv *, const struct convrec *,
               const struct conv_outcome *);

#endif
