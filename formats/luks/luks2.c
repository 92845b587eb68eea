// SPDX-License-Identifier: Apache-2.0
/*
 * The headers of LUKS version 2 (LUKS2 On-Disk Format Specification 1.1). Big endian.
 *
 * A binary header with its JSON area, followed by a copy of both. The first header is used unless
 * it is damaged. Sequence numbers and checksums (by any hash that the system has) are not checked:
 * keyslots change with them, but not the payload.
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
        error = image_get(img, *offset, SECTOR, &header);
        if (error || memcmp(header, LUKS2_COPY_MAGIC, LUKS_MAGIC_BYTES) == 0)
            return error ? error : 1;
    }
    return 0;
}

/* Checks the header at offset at, and finds the payload in its JSON area. */
static int luks2_read_header(struct disk *disk, uint64_t at, const char *magic,
                             struct luks_payload *payload)
{
    struct image *img = disk->img;
    const uint8_t *header;
    uint64_t size;
    int error = image_get(img, at, SECTOR, &header);

    if (error)
        return error;
    size = be64(header + LUKS2_HDR_SIZE);
    if (memcmp(header, magic, LUKS_MAGIC_BYTES) != 0 || be16(header + LUKS_VERSION) != 2)
        return image_fail(img, EUCLEAN,
                          "luks: header at offset %llu: magic or version is not that of LUKS2",
                          (unsigned long long)at);
    if (!luks2_is_hdr_size(size))
        return image_fail(img, EUCLEAN,
                          "luks: hdr_size %llu is not a power of two between %d and %d",
                          (unsigned long long)size, HDR_SIZE_MIN, HDR_SIZE_MAX);
    if (be64(header + LUKS2_HDR_OFFSET) != at)
        return image_fail(
            img, EUCLEAN, "luks: hdr_offset %llu is not the offset of its header, %llu",
            (unsigned long long)be64(header + LUKS2_HDR_OFFSET), (unsigned long long)at);
    error = luks2_read_segment(img, at + LUKS2_BINARY_BYTES, size - LUKS2_BINARY_BYTES, payload);
    if (!error && payload->offset < 2 * size)
        return image_fail(img, EUCLEAN,
                          "luks: segment offset %llu is inside the headers of %llu bytes",
                          (unsigned long long)payload->offset, (unsigned long long)(2 * size));
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
        image_note(disk->img, "luks: the first header is damaged; the copy at offset %llu is used",
                   (unsigned long long)copy);
    return error;
}
