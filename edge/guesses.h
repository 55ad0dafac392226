/* guesses.h: wrong passwords per account, whatever address they come from, and the addresses that once gave the right one.
 *
 * Who guesses one account from many addresses gets few guesses; its owner, at an address that has proved itself, is not
 * counted. Accounts that do not exist are counted alike. Tables of fixed size, 2 MiB in all: past that the account with
 * the fewest recent failures is forgotten, and the address that has not been seen longest. What one edge sees, only that
 * edge knows, and only until it ends. One thread. */
#ifndef PARLEY_EDGE_GUESSES_H
#define PARLEY_EDGE_GUESSES_H

#include "common/im/ids.h"

struct guesses;

struct guesses *guesses_new(uint32_t every_ms, uint32_t burst); /* NULL: no memory */
void guesses_free(struct guesses *);
/* 0, or after how many milliseconds there may be a guess. */
uint32_t guesses_look(struct guesses *, struct id16 user, uint64_t address, uint32_t now_ms);
/* Likewise, and takes it: before the password is checked, so that many at once are no way around it. */
uint32_t guesses_take(struct guesses *, struct id16 user, uint64_t address, uint32_t now_ms);
void guesses_undo(struct guesses *, struct id16 user, uint64_t address); /* it was right, or never checked */
void guesses_known(struct guesses *, struct id16 user,
                   uint64_t address); /* logged in, by password or token */

#endif
