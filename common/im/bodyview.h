/* bodyview.h: the table of body keys (bodykeys.h), kept up to date from im.vault by a process that runs on.
 *
 * It is there once im.vault was read to its end. A key that is missed later makes it ask where the end is now; once it
 * has read up to there the key is nowhere, and what was sealed with it is erased. Every process that opens bodies has the
 * deployment's key ring, and a record that is newer than this program, or a dead Kafka client, ends it. Loop thread. */
#ifndef PARLEY_IM_BODYVIEW_H
#define PARLEY_IM_BODYVIEW_H

#include "common/im/bodykeys.h"
#include "common/im/deploy.h"

struct bodyview_settings {
    struct conf_secret master_key; /* secrets.master_key_file */
};
#define BODYVIEW_DEFS 1
extern const struct conf_def bodyview_defs[BODYVIEW_DEFS];
/* BODYVIEW_TABLE(struct settings, bodies): the struct bodyview_settings in it */
#define BODYVIEW_TABLE(S, field) CONF_TABLE(bodyview_defs, S, field)

/* The ring that the settings name; NULL: logged. */
struct secrets *bodyview_secrets(const struct bodyview_settings *);

struct bodyview;
/* `deploy` and `secrets` (NULL: only who was erased is known) are borrowed. Calls ready(ctx) once, when the end was
 * reached; until then run->ready says so. NULL: logged. */
struct bodyview *bodyview_new(struct daemon_run *, const struct deploy *, const struct secrets *,
                              void (*ready)(void *ctx), void *ctx);
void bodyview_free(struct bodyview *);
struct bodykeys *bodyview_keys(struct bodyview *); /* lives as long as the view */

#endif
