// SPDX-License-Identifier: Apache-2.0
/*
 * The headers of LUKS version 2 (LUKS2 On-Disk Format Specification 1.1). Big endian.
 *
 * A binary header with its JSON area, and a copy of both behind them. The first counts unless it is
 * damaged. Which of two good copies is newer, and the checksums (any hash of the system's) are not
 * looked at: what is told here changes with neither.
 */
#include "luks2.h"

#include <errno.h>

#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "luks2-json.h"

#define LUKS2_COPY_MAGIC "SKUL\xba\xbe"

enum { HDR_SIZE_MIN = 16 << 10, HDR_SIZE_MAX = 4 << 20 };

bool luks2_is_hdr_size(uint64_t hdr_size)
{
    return is_power_of_two(hdr_size) && hdr_size >= HDR_SIZE_MIN && hdr_size <= HDR_SIZE_MAX;
}

int luks2_find_copy(struct image *img, uint64_t *offset)
{
    const uint8_t *header;
    int error = image_head(img, &header);

    *offset = error ? 0 : be64(header + LUKS2_HDR_SIZE);
    if (error || luks2_is_hdr_size(*offset))
        return error ? error : 1;
    for (*offset = HDR_SIZE_MIN; *offset <= HDR_SIZE_MAX; *offset *= 2) {
        error = image_get(img, *offset, LUKS_SECTOR, &header);
        if (error || memcmp(header, LUKS2_COPY_MAGIC, LUKS_MAGIC_BYTES) == 0)
            return error ? error : 1;
    }
    return 0;
}

static int luks2_read_header(struct disk *disk, uint64_t at, const char *magic,
                             struct luks_payload *payload)
{
    struct image *img = disk->img;
    const uint8_t *header;
    uint64_t size;
    int error = image_get(img, at, LUKS_SECTOR, &header);

    if (error)
        return error;
    size = be64(header + LUKS2_HDR_SIZE);
    if (memcmp(header, magic, LUKS_MAGIC_BYTES) != 0 || be16(header + LUKS_VERSION) != 2)
        return image_fail(img, EUCLEAN, "luks: no header of version 2 at offset %llu",
                          (unsigned long long)at);
    if (!luks2_is_hdr_size(size))
        return image_fail(img, EUCLEAN,
                          "luks: hdr_size %llu is not a power of two between %d and %d",
                          (unsigned long long)size, HDR_SIZE_MIN, HDR_SIZE_MAX);
    if (be64(header + LUKS2_HDR_OFFSET) != at)
        return image_fail(img, EUCLEAN, "luks: hdr_offset is %llu in the header at offset %llu",
                          (unsigned long long)be64(header + LUKS2_HDR_OFFSET),
                          (unsigned long long)at);
    error = luks2_read_segment(img, at + LUKS2_BINARY_BYTES, size - LUKS2_BINARY_BYTES, payload);
    if (!error && payload->offset < 2 * size)
        return image_fail(img, EUCLEAN, "luks: the segment at offset %llu lies over the headers",
                          (unsigned long long)payload->offset);
    return error;
}

int luks2_open(struct disk *disk, struct luks_payload *payload)
{
    uint64_t copy;
    int error = luks2_read_header(disk, 0, LUKS_MAGIC, payload), found;

    if (error != -EUCLEAN)
        return error;
    found = luks2_find_copy(disk->img, &copy);
    if (found <= 0)
        return found ? found : error;
    error = luks2_read_header(disk, copy, LUKS2_COPY_MAGIC, payload);
    if (!error)
        image_note(disk->img, "luks: the first header is damaged: read by its copy at offset %llu",
                   (unsigned long long)copy);
    return error;
}
