/* show_rows.h: one row of an answer, as a line of at most 79 columns (messages may be longer) and as JSON. Lines are
 * clean. */
#ifndef PARLEY_TERMINAL_SHOW_ROWS_H
#define PARLEY_TERMINAL_SHOW_ROWS_H

#include "client/parley/show.h"

#define ROW 1000 /* bytes of a line that is not a message */

void row_conversation(char out[ROW], const struct parley_conversation *);
json_t *row_conversation_json(const struct parley_conversation *);
/* Without its number: "14:03 bob: hello (changed) [👍 carol] read by 3". `where`: "" or a place, put before it. */
void row_item(char *out, size_t n, const struct parley_item *, const char *where, const char *line_break);
json_t *row_item_json(const struct parley_item *);
void row_member(char out[ROW], const struct parley_member *);
json_t *row_member_json(const struct parley_member *);
void row_applicant(char out[ROW], const struct parley_applicant *);
json_t *row_applicant_json(const struct parley_applicant *);
void row_user(char out[ROW], const struct parley_user *);
json_t *row_user_json(const struct parley_user *);
void row_contact(char out[ROW], const struct parley_contact *);
json_t *row_contact_json(const struct parley_contact *);
void row_device(char out[ROW], const struct parley_device *);
json_t *row_device_json(const struct parley_device *);
void row_presence(char out[ROW], const char *login, const struct parley_presence *);
json_t *row_presence_json(const char *login, const struct parley_presence *);

const char *row_role(enum parley_role);

#endif
