// SPDX-License-Identifier: Apache-2.0
/* Extended attributes. One is a row of a table and a function. */
#include "xattrs.h"

#include <errno.h>
#include <string.h>

struct xattr {
    const char *name;
    /* Its value; NULL: the inode has none. */
    const char *(*value)(const struct front *front, const struct inode *inode);
    bool is_listed; /* who copies a file reads all that are listed */
};

static bool is_file(const struct inode *inode)
{
    return inode->place.node->pass != PASS_DIRECTORY;
}

static const char *error_of(const struct front *front, const struct inode *inode)
{
    (void)front;
    return inode->refused;
}

static const char *type_of(const struct front *front, const struct inode *inode)
{
    static const char *const types[] = {
        [KIND_STRING] = "string", [KIND_NUMBER] = "integer", [KIND_BYTES] = "integer",
        [KIND_LINES] = "lines",   [KIND_JSON] = "json",
    };

    (void)front;
    return is_file(inode) ? types[inode->place.node->kind] : NULL;
}

static const char *unit_of(const struct front *front, const struct inode *inode)
{
    (void)front;
    return is_file(inode) && inode->place.node->kind == KIND_BYTES ? "bytes" : NULL;
}

static const char *mime_type_of(const struct front *front, const struct inode *inode)
{
    (void)front;
    if (!is_file(inode))
        return NULL;
    return inode->place.node->kind == KIND_JSON ? "application/json" : "text/plain";
}

/* Whether reading the file would have to wait. */
static const char *state_of(const struct front *front, const struct inode *inode)
{
    if (!is_file(inode))
        return NULL;
    if (inode->result || jobs_is_known(&front->jobs, &inode->place))
        return "computed";
    return jobs_is_running(&front->jobs, &inode->place) ? "running" : "pending";
}

static const struct xattr table[] = {
    {"user.instar.error", error_of, true}, /* why the last name in the directory was refused */
    {"user.instar.type", type_of, true},    {"user.instar.unit", unit_of, true},
    {"user.mime_type", mime_type_of, true}, {"user.instar.state", state_of, false},
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
    const struct front *front = fuse_req_userdata(req);
    static const char user[] = "user.";
    const char *value = NULL;

    if (strncmp(name, user, strlen(user)) != 0) {
        fuse_reply_err(req, ENOTSUP);
        return;
    }
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(name, table[i].name) == 0)
            value = table[i].value(front, inode);
    if (value)
        reply(req, value, strlen(value), size);
    else
        fuse_reply_err(req, ENODATA);
}

void xattrs_list(fuse_req_t req, const struct inode *inode, size_t size)
{
    const struct front *front = fuse_req_userdata(req);
    char names[256];
    size_t used = 0;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t length = strlen(table[i].name) + 1;

        if (!table[i].is_listed || !table[i].value(front, inode) || length > sizeof names - used)
            continue;
        memcpy(names + used, table[i].name, length);
        used += length;
    }
    reply(req, names, used, size);
}
