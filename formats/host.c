// SPDX-License-Identifier: Apache-2.0
/*
 * Data and holes of the host file. lseek(2) returns one range at a time; a caller that goes from
 * range to range is served from lists of them (FS_IOC_FIEMAP). Preallocated ranges are always
 * looked up by lseek(2), when they are needed: what counts as data there depends on the page cache.
 */
#include "host.h"

#include <errno.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checked.h"

int host_stat(int fd, struct stat *st)
{
    _Static_assert(sizeof(long) == 8, "on other systems the kernel fills in another struct stat");
    return syscall(SYS_fstat, fd, st) < 0 ? -errno : 0;
}

void host_begin(struct host *host, int fd, uint64_t size)
{
    *host = (struct host){.fd = fd, .size = size};
}

/* Sets *found to where data or a hole (whence) begins at or after offset; UINT64_MAX: nowhere
 * before the end. Returns 0 or -errno. */
static int seek(const struct host *host, uint64_t offset, int whence, uint64_t *found)
{
    off_t at = lseek(host->fd, (off_t)offset, whence);

    if (at < 0 && errno != ENXIO)
        return -errno;
    *found = at < 0 ? UINT64_MAX : (uint64_t)at;
    return 0;
}

static void set_range(struct host *host, uint64_t start, uint64_t end, bool data)
{
    host->start = start;
    host->end = end;
    host->data = data;
}

/* Finds the range at offset by lseek(2); it ends at limit at the latest. */
static int seek_range(struct host *host, uint64_t offset, uint64_t limit)
{
    uint64_t at = UINT64_MAX;
    int error = seek(host, offset, SEEK_DATA, &at);

    if (!error && at > offset) {
        set_range(host, offset, min_u64(at, limit), false);
        return 0;
    }
    if (!error)
        error = seek(host, offset, SEEK_HOLE, &at);
    if (error == -EIO)
        return error;
    /* A file system that does not support SEEK_HOLE has only data. A hole at offset itself means
     * that the file has changed since SEEK_DATA. */
    if (error || at <= offset)
        at = limit;
    set_range(host, offset, min_u64(at, limit), true);
    return 0;
}

/* Stores the extents that the file system returned for offset and beyond. */
static void store_list(struct host *host, uint64_t offset, const struct fiemap *map,
                       const struct fiemap_extent *extents)
{
    bool last = map->fm_mapped_extents < HOST_EXTENTS;

    host->count = host->next = 0;
    host->list_start = host->list_end = offset;
    for (uint32_t i = 0; i < map->fm_mapped_extents; i++) {
        const struct fiemap_extent *e = &extents[i];
        uint64_t end = e->fe_logical + e->fe_length;

        host->list[host->count++] =
            (struct host_extent){e->fe_logical, end, (e->fe_flags & FIEMAP_EXTENT_UNWRITTEN) != 0};
        host->list_end = end;
        last |= (e->fe_flags & FIEMAP_EXTENT_LAST) != 0;
    }
    if (last)
        host->list_end = UINT64_MAX;
}

/* Reads a list of the extents from offset on. Returns false if the file system has none. */
static bool read_list(struct host *host, uint64_t offset)
{
    struct {
        struct fiemap map;
        struct fiemap_extent extents[HOST_EXTENTS];
    } request;

    if (host->no_lists)
        return false;
    memset(&request, 0, sizeof request);
    request.map.fm_start = offset;
    request.map.fm_length = host->size - offset;
    request.map.fm_extent_count = HOST_EXTENTS;
    if (ioctl(host->fd, FS_IOC_FIEMAP, &request.map) < 0) {
        host->no_lists = true;
        return false;
    }
    store_list(host, offset, &request.map, request.extents);
    return true;
}

/* Finds the range at offset in the list, which covers it. */
static int find_in_list(struct host *host, uint64_t offset)
{
    const struct host_extent *e;

    if (host->next > 0 && offset < host->list[host->next - 1].end)
        host->next = 0;
    while (host->next < host->count && host->list[host->next].end <= offset)
        host->next++;
    if (host->next == host->count) {
        set_range(host, offset, host->list_end, false);
        return 0;
    }
    e = &host->list[host->next];
    if (offset < e->start)
        set_range(host, offset, e->start, false);
    else if (e->unwritten)
        return seek_range(host, offset, e->end);
    else
        set_range(host, offset, e->end, true);
    return 0;
}

int host_range(struct host *host, uint64_t offset, bool *data, uint64_t *end)
{
    bool is_next = offset == host->end && offset > 0;
    int error = 0;

    if (offset >= host->size) {
        *data = false;
        *end = UINT64_MAX;
        return 0;
    }
    if (offset < host->start || offset >= host->end) {
        if (offset >= host->list_start && offset < host->list_end)
            error = find_in_list(host, offset);
        else if (is_next && read_list(host, offset) && host->list_end > offset)
            error = find_in_list(host, offset);
        else
            error = seek_range(host, offset, UINT64_MAX);
    }
    *data = host->data;
    *end = host->data ? min_u64(host->end, host->size) : host->end;
    return error;
}

uint64_t host_holes(struct host *host)
{
    uint64_t holes = 0;

    for (uint64_t at = 0, end; at < host->size; at = end) {
        bool data;

        if (host_range(host, at, &data, &end))
            return 0;
        end = min_u64(end, host->size);
        holes += data ? 0 : end - at;
    }
    return holes;
}
