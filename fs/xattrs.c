// SPDX-License-Identifier: Apache-2.0
/* Extended attributes. One is a row of a table and a function. */
#include "xattrs.h"

#include <errno.h>
#include <string.h>

struct xattr {
    const char *name;
    /* Its value; NULL: the inode has none. */
    const char *(*value)(const struct inode *inode);
};

static const char *error_of(const struct inode *inode)
{
    return inode->refused;
}

static const struct xattr table[] = {
    {"user.instar.error", error_of}, /* why the last name in the directory was refused */
};

/* Answers with bytes, or how many they are if size is 0. */
static void reply(fuse_req_t req, const char *bytes, size_t length, size_t size)
{
    if (size == 0)
        fuse_reply_xattr(req, length);
    else if (size < length)
        fuse_reply_err(req, ERANGE);
    else
        fuse_reply_buf(req, bytes, length);
}

void xattrs_get(fuse_req_t req, const struct inode *inode, const char *name, size_t size)
{
    static const char user[] = "user.";
    const char *value = NULL;

    if (strncmp(name, user, strlen(user)) != 0) {
        fuse_reply_err(req, ENOTSUP);
        return;
    }
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(name, table[i].name) == 0)
            value = table[i].value(inode);
    if (value)
        reply(req, value, strlen(value), size);
    else
        fuse_reply_err(req, ENODATA);
}

void xattrs_list(fuse_req_t req, const struct inode *inode, size_t size)
{
    char names[256];
    size_t used = 0;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t length = strlen(table[i].name) + 1;

        if (!table[i].value(inode) || length > sizeof names - used)
            continue;
        memcpy(names + used, table[i].name, length);
        used += length;
    }
    reply(req, names, used, size);
}
