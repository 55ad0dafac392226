/* vault.h: the account's record in im.vault: its verifier and the keys that what its user says is sealed with.
 *
 * The edge makes a key with every registration and login, so that a record that is repeated brings the same one; it is
 * taken when the account has none. The record is acked before anything that is sealed with the key leaves (pending.h):
 * from then on all that the user says goes through pending_send. Which key seals depends on the place of what is said
 * in im.inbound alone. */
#ifndef PARLEY_ROUTER_VAULT_H
#define PARLEY_ROUTER_VAULT_H

#include "router/verbs.h"

/* True: the account has this key now, or had it from this very record: its vault record is to be written. */
bool vault_take(const struct inbound *, struct slice sealed_key);
/* Writes the record; what the user says from here on waits for its ack. */
void vault_write(struct router *, const struct inbound *, struct fx *);
/* The body of `c`, which is whole but for it, sealed when it is the user's own and there is a key. */
void vault_seal(struct router *, const struct inbound *, Im__ConvRecord *c, struct fx *);
/* One text of a record of im.user (display_name, remark) likewise. */
void vault_seal_text(struct router *, const struct inbound *, Im__UserRecord *, char **text, struct fx *);

#endif
