// SPDX-License-Identifier: Apache-2.0
/* Extended attributes: a table with one row, and one function, for each. */
#include "xattrs.h"

#include <errno.h>
#include <string.h>

struct xattr {
    const char *name;
    /* The value; NULL: the inode does not have the attribute. */
    const char *(*value)(const struct front *front, const struct inode *inode);
    bool is_listed; /* by listxattr(2): programs that copy files read every listed attribute */
};

static bool is_file(const struct inode *inode)
{
    return !node_is_directory(inode->place.node);
}

static const char *get_error(const struct front *front, const struct inode *inode)
{
    (void)front;
    return inode->refused;
}

static const char *get_type(const struct front *front, const struct inode *inode)
{
    static const char *const types[] = {
        [KIND_STRING] = "string", [KIND_NUMBER] = "integer", [KIND_BYTES] = "integer",
        [KIND_LINES] = "lines",   [KIND_JSON] = "json",
    };

    (void)front;
    return is_file(inode) ? types[inode->place.node->kind] : NULL;
}

static const char *get_unit(const struct front *front, const struct inode *inode)
{
    (void)front;
    return is_file(inode) && inode->place.node->kind == KIND_BYTES ? "bytes" : NULL;
}

static const char *get_mime_type(const struct front *front, const struct inode *inode)
{
    (void)front;
    if (!is_file(inode))
        return NULL;
    return inode->place.node->kind == KIND_JSON ? "application/json" : "text/plain";
}

/* Whether open() would have to wait. */
static const char *get_state(const struct front *front, const struct inode *inode)
{
    if (!is_file(inode))
        return NULL;
    if (inode->result || views_know(&front->image.views, &inode->place))
        return "computed";
    return jobs_is_running(&front->jobs, &front->image.views, &inode->place) ? "running"
                                                                             : "pending";
}

static const struct xattr table[] = {
    {"user.instar.error", get_error, true}, /* why the last refused name in the directory was */
    {"user.instar.type", get_type, true},    {"user.instar.unit", get_unit, true},
    {"user.mime_type", get_mime_type, true}, {"user.instar.state", get_state, false},
};

/* Replies with the bytes; with their number if size is 0. */
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
