// SPDX-License-Identifier: Apache-2.0
/*
 * The headers of VHDX (MS-VHDX 2.2.2), little endian, and the log (2.3). Peculiar: there are two
 * headers, of which the one with the higher sequence number is current. If the log must be
 * replayed, the rest of the file is out of date, so such an image is not read at all.
 */
#include "header.h"

#include <errno.h>
#include <string.h>

#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/crc32c.h"
#include "formats/disk.h"
#include "formats/image.h"

enum { HEADER_SIGNATURE = 0x64616568 /* "head" */ };

enum { /* 2.3.1 Log Entries */
       LOG_SECTOR = 4 << 10,
       LOG_SIGNATURE = 0x65676f6c, /* "loge" */
       LOG_GUID = 32,
       LOG_WINDOW_BYTES = 1 << 20,

       /* Ours: the whole log is read when the image is opened. Usual is 1 MiB. */
       LOG_BYTES_MAX = 64 << 20,
};

static const uint8_t no_guid[VHDX_GUID];

bool vhdx_is_checksum_valid(const uint8_t *bytes, size_t length)
{
    static const uint8_t zeros[4];
    uint32_t crc = crc32c(crc32c(0, bytes, HEADER_CHECKSUM), zeros, sizeof zeros);

    crc = crc32c(crc, bytes + HEADER_CHECKSUM + sizeof zeros,
                 length - HEADER_CHECKSUM - sizeof zeros);
    return crc == le32(bytes + HEADER_CHECKSUM);
}

/* Why a header is not valid, or NULL. */
static const char *vhdx_header_fault(const uint8_t *header)
{
    if (le32(header) != HEADER_SIGNATURE)
        return "has no signature";
    if (!vhdx_is_checksum_valid(header, VHDX_HEADER_BYTES))
        return "has a wrong checksum";
    if (le16(header + HEADER_VERSION) != 1)
        return "is not version 1";
    return NULL;
}

int vhdx_active_header(struct image *img, uint64_t *active)
{
    const uint8_t *one, *two;
    const char *fault_one, *fault_two;
    uint64_t sequence_one, sequence_two;
    int error = image_get(img, VHDX_HEADER1_AT, VHDX_HEADER_BYTES, &one);

    if (!error)
        error = image_get(img, VHDX_HEADER2_AT, VHDX_HEADER_BYTES, &two);
    if (error)
        return error;
    fault_one = vhdx_header_fault(one);
    fault_two = vhdx_header_fault(two);
    *active = fault_one ? VHDX_HEADER2_AT : VHDX_HEADER1_AT;
    if (fault_one && fault_two)
        return image_fail(img, EUCLEAN,
                          "vhdx: neither header is valid: the first %s, the second %s", fault_one,
                          fault_two);
    if (fault_one || fault_two) {
        image_note(img, "vhdx: header %d %s: the other is used", fault_one ? 1 : 2,
                   fault_one ? fault_one : fault_two);
        return 0;
    }
    sequence_one = le64(one + HEADER_SEQUENCE_NUMBER);
    sequence_two = le64(two + HEADER_SEQUENCE_NUMBER);
    if (sequence_one == sequence_two && memcmp(one, two, VHDX_HEADER_BYTES) != 0)
        return image_fail(img, EUCLEAN,
                          "vhdx: both headers have sequence number %llu, but they differ",
                          (unsigned long long)sequence_one);
    if (sequence_two > sequence_one)
        *active = VHDX_HEADER2_AT;
    return 0;
}

/* Whether a piece of the log has the start of an entry with that LogGuid. */
static bool vhdx_has_log_entry(const uint8_t *bytes, size_t length, const uint8_t *guid)
{
    for (size_t i = 0; i < length; i += LOG_SECTOR)
        if (le32(bytes + i) == LOG_SIGNATURE && memcmp(bytes + i + LOG_GUID, guid, VHDX_GUID) == 0)
            return true;
    return false;
}

/*
 * Fails if the log has entries: each may replace metadata or data. Their checksums are ignored: a
 * torn entry does not prove that the entries before it have been applied. Holes of the host file
 * are skipped.
 */
static int vhdx_search_log(struct disk *disk, const struct vhdx_region *log, const uint8_t *guid)
{
    uint64_t end = log->offset + log->length;
    size_t share = image_window_share(disk->img, LOG_WINDOW_BYTES);
    struct image_window window;
    int error = image_require(disk->img, log->offset, log->length, "vhdx: the log");

    if (!error)
        error = image_window_begin(disk->img, &window, share);
    for (uint64_t at = log->offset; !error && at < end;) {
        size_t length = (size_t)min_u64(share, end - at);
        const uint8_t *bytes;
        uint64_t stop;
        bool data;

        error = image_host_range(disk->img, at, &data, &stop);
        if (!error && !data && stop - at >= LOG_SECTOR) {
            at += (min_u64(stop, end) - at) / LOG_SECTOR * LOG_SECTOR;
            continue;
        }
        if (!error)
            error = image_window_at(disk->img, &window, at, length, &bytes);
        if (!error && vhdx_has_log_entry(bytes, length, guid))
            return image_fail(
                disk->img, ENOTSUP,
                "vhdx: the log has entries that must be replayed first: open the image for "
                "writing in its hypervisor, or run qemu-img check -r all");
        at += length;
    }
    return error;
}

/* With a zero GUID or length the log is empty, and may lie anywhere. */
int vhdx_check_log(struct disk *disk, struct vhdx *v, const uint8_t *header)
{
    struct image *img = disk->img;
    const uint8_t *guid = header + HEADER_LOG_GUID;
    uint16_t version = le16(header + HEADER_LOG_VERSION);

    v->log.offset = le64(header + HEADER_LOG_OFFSET);
    v->log.length = le32(header + HEADER_LOG_LENGTH);
    if (version != 0)
        return image_fail(img, ENOTSUP, "vhdx: log version %u is not supported", version);
    if (v->log.offset < VHDX_MIB || v->log.offset % VHDX_MIB || v->log.offset > INT64_MAX)
        return image_fail(img, EUCLEAN,
                          "vhdx: log offset %llu is not a positive multiple of 1 MiB below 2^63",
                          (unsigned long long)v->log.offset);
    if (memcmp(guid, no_guid, VHDX_GUID) == 0 || v->log.length == 0)
        return 0;
    if (v->log.length % VHDX_MIB)
        return image_fail(img, EUCLEAN, "vhdx: log length %llu is not a multiple of 1 MiB",
                          (unsigned long long)v->log.length);
    if (v->log.length > LOG_BYTES_MAX)
        return image_fail(img, EFBIG, "vhdx: log length %llu is more than %d MiB",
                          (unsigned long long)v->log.length, LOG_BYTES_MAX >> 20);
    return vhdx_search_log(disk, &v->log, guid);
}
