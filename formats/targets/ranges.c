// SPDX-License-Identifier: Apache-2.0
/* Sets of ranges, in an array. Nearly all calls are about the last range or the one before it, so
 * the search looks there first. */
#include "ranges.h"

#include <errno.h>
#include <string.h>

#include "formats/checked.h"
#include "formats/image.h"

int ranges_begin(struct ranges *r, struct image *img, size_t room)
{
    *r = (struct ranges){.room = room};
    r->ranges = image_alloc(img, room * sizeof *r->ranges);
    return r->ranges ? 0 : -ENOMEM;
}

size_t ranges_find(const struct ranges *r, uint64_t at)
{
    size_t low = 0, high = r->count;

    if (high > 1 && r->ranges[high - 2].end <= at)
        low = high - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (r->ranges[middle].end > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

uint64_t ranges_run(const struct ranges *r, uint64_t begin, uint64_t end)
{
    size_t i = ranges_find(r, begin);

    if (i == r->count || r->ranges[i].begin > begin)
        return 0;
    return min_u64(end, r->ranges[i].end) - begin;
}

/* Inserts a range at index i. Returns false if there is no room. */
static bool insert(struct ranges *r, size_t i, uint64_t begin, uint64_t end)
{
    if (r->count == r->room) {
        r->overflowed = true;
        return false;
    }
    memmove(r->ranges + i + 1, r->ranges + i, (r->count - i) * sizeof *r->ranges);
    r->ranges[i] = (struct range){begin, end};
    r->count++;
    return true;
}

static void delete (struct ranges *r, size_t i, size_t count)
{
    memmove(r->ranges + i, r->ranges + i + count, (r->count - i - count) * sizeof *r->ranges);
    r->count -= count;
}

void ranges_add(struct ranges *r, uint64_t begin, uint64_t end)
{
    size_t i = ranges_find(r, begin);
    bool joins_next = i < r->count && r->ranges[i].begin == end;
    bool joins_previous = i && r->ranges[i - 1].end == begin;

    if (joins_previous && joins_next) {
        r->ranges[i - 1].end = r->ranges[i].end;
        delete (r, i, 1);
    } else if (joins_previous) {
        r->ranges[i - 1].end = end;
    } else if (joins_next) {
        r->ranges[i].begin = begin;
    } else {
        insert(r, i, begin, end);
    }
}

void ranges_remove(struct ranges *r, uint64_t begin, uint64_t end)
{
    size_t i = ranges_find(r, begin);
    struct range *found = r->ranges + i;

    if (found->begin == begin && found->end == end) {
        delete (r, i, 1);
    } else if (found->begin == begin) {
        found->begin = end;
    } else if (found->end == end) {
        found->end = begin;
    } else if (insert(r, i, found->begin, begin)) {
        found[1].begin = end;
    } else {
        found->begin = end;
    }
}

void ranges_forget(struct ranges *r, uint64_t limit)
{
    delete (r, 0, ranges_find(r, limit));
}
