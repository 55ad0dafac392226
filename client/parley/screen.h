/* screen.h: lines that scroll above a line that is being typed (libedit), or plain lines when there is no terminal.
 *
 * A printed line keeps a place, so that its first columns can be changed while it is still on the screen. One screen
 * per process (there is one terminal). Every text given here must be clean (show_clean()). */
#ifndef PARLEY_TERMINAL_SCREEN_H
#define PARLEY_TERMINAL_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

#define SCREEN_MARK 10 /* columns at the start of each line that may change */

enum screen_colour { SCREEN_NONE, SCREEN_DIM, SCREEN_GREEN, SCREEN_RED, SCREEN_CYAN, SCREEN_BOLD };

void screen_look(void); /* what kind of terminal it is: lines may be printed from now on */
/* line: what was typed, without its end; NULL: no more input. */
int screen_open(void (*line)(void *ctx, char *text), void *ctx); /* -errno */
void screen_close(void);
bool screen_is_terminal(void);
bool screen_utf8(void);
int screen_columns(void);
const char *screen_typed(void); /* what stands in the line that is being typed; "" */
void screen_bell(void);

int screen_fd(void);     /* wait for it to be readable, then */
void screen_input(void); /* calls `line` */
void screen_resize(void);

void screen_prompt(const char *);
/* mark: up to SCREEN_MARK columns, "" for an empty one, NULL: the line begins at the left. Long text is wrapped. `head` is coloured, `text` is not. Returns the line's place. */
long screen_print(const char *mark, enum screen_colour, const char *head, const char *text);
void screen_mark(long place, const char *mark, enum screen_colour); /* if it is still there */

#endif
