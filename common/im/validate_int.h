/* validate_int.h: between validate.c, validate_conv.c and validate_query.c only. */
#ifndef PARLEY_IM_VALIDATE_INT_H
#define PARLEY_IM_VALIDATE_INT_H

#include "common/im/field_check.h"
#include "common/im/validate.h"

#define GOOD      ((struct validity){IM__CODE__OK, ""})
#define BAD(name) ((struct validity){IM__CODE__BAD_FIELD, name})

typedef struct validity check_fn(const ProtobufCMessage *);
check_fn *validate_conv(uint16_t type);  /* what is done in conversations; NULL: no such */
check_fn *validate_query(uint16_t type); /* questions for the read models */

/* In whatever form people write it; login_ok() wants the normal one. */
static inline bool is_login(const char *login)
{
    char normal[LOGIN_MAX + 1];
    return login_normalise(login, strlen(login), normal) == 0;
}
static inline bool are_ids(const ProtobufCBinaryData *v, size_t n, size_t max)
{
    if (n > max)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_id(v[i]))
            return false;
    return true;
}
static inline bool are_logins(char *const *v, size_t n, size_t max)
{
    if (n > max)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_login(v[i]))
            return false;
    return true;
}
/* A conversation by its id, or a direct one by the other's login: exactly one of them. */
static inline struct validity where(ProtobufCBinaryData conversation, const char *with)
{
    if (with[0] ? conversation.len != 0 : !is_id(conversation))
        return BAD("conversation");
    return with[0] && !is_login(with) ? BAD("with") : GOOD;
}

#endif
