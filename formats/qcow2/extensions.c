// SPDX-License-Identifier: Apache-2.0
/* qcow2: header extensions (docs/interop/qcow2.txt, "Header extensions"). */
#include <errno.h>
#include <string.h>

#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/escape.h"
#include "formats/image.h"
#include "formats/reference.h"
#include "qcow2.h"

enum {
    EXTENSION_HEADER_BYTES = 8,
    EXTENSIONS_WINDOW_BYTES = 4096,

    EXTENSION_END = 0,
    EXTENSION_BITMAPS = 0x23852875,
    EXTENSION_CRYPTO = 0x0537be77,
    EXTENSION_CRYPTO_BYTES = 16,
    EXTENSION_DATA_FILE = 0x44415441,
    DATA_FILE_NAME_MAX = 1023,
};

/* The limit is qemu's: it stores the name in 16 bytes, with a NUL. */
#define EXTENSION_BACKING_FORMAT 0xe2792aca
#define BACKING_FORMAT_BYTES_MAX 15

/* Adds the reference to the data file. Its name has length bytes at offset; without an extension
 * both are 0, and the reference has no path. */
static int qcow2_add_data_file(struct disk *disk, uint64_t offset, uint32_t length)
{
    struct qcow2 *q = disk->state;
    const struct reference data_file = {.role = REFERENCE_DATA,
                                        .kind = "data file",
                                        .source = "external data file name",
                                        .format = "raw",
                                        .path = ""};
    uint32_t file = (uint32_t)disk->references_count + 1;
    int error = 0;

    if (q->data_file)
        return image_fail(disk->img, EUCLEAN,
                          "qcow2: a second external data file name at offset %llu",
                          (unsigned long long)offset);
    if (length)
        error = disk_read_reference(disk, data_file, offset, min_u64(length, DATA_FILE_NAME_MAX));
    if (!error && disk->references_count < file)
        error = disk_add_reference(disk, &data_file);
    q->data_file = file;
    return error;
}

/* Reads the backing file's format into its reference, which qcow2_open() has added first. The last
 * extension counts, as in qemu. */
static int qcow2_read_backing_format(struct disk *disk, uint64_t offset, uint32_t length)
{
    size_t size = 4 * (size_t)length + 1;
    char *format = image_alloc(disk->img, size);
    const uint8_t *name;
    int error = format ? image_get(disk->img, offset, length, &name) : -ENOMEM;

    if (error)
        return error;
    escape_text(format, size, (const char *)name, strnlen((const char *)name, length));
    if (disk->references_count && disk->references[0].role == REFERENCE_BACKING && *format)
        disk->references[0].format = format;
    return 0;
}

static int qcow2_check_crypto_extension(struct disk *disk, uint32_t length)
{
    const struct qcow2 *q = disk->state;

    if (q->crypt_method != QCOW2_CRYPT_LUKS)
        return image_fail(disk->img, EUCLEAN,
                          "qcow2: full disk encryption extension, but crypt_method %u is not 2 "
                          "(LUKS)",
                          q->crypt_method);
    if (length != EXTENSION_CRYPTO_BYTES)
        return image_fail(disk->img, EUCLEAN,
                          "qcow2: full disk encryption extension: length %u is not %d", length,
                          EXTENSION_CRYPTO_BYTES);
    return 0;
}

static int qcow2_read_extension(struct disk *disk, uint32_t type, uint64_t offset, uint32_t length,
                                bool has_data_file)
{
    if (type == EXTENSION_BITMAPS)
        return qcow2_read_bitmaps_extension(disk, offset, length);
    if (type == EXTENSION_CRYPTO)
        return qcow2_check_crypto_extension(disk, length);
    if (type == EXTENSION_DATA_FILE && has_data_file)
        return qcow2_add_data_file(disk, offset, length);
    if (type == EXTENSION_BACKING_FORMAT && length > BACKING_FORMAT_BYTES_MAX)
        return image_fail(disk->img, EUCLEAN,
                          "qcow2: backing file format name of %u bytes is longer than %d", length,
                          BACKING_FORMAT_BYTES_MAX);
    if (type == EXTENSION_BACKING_FORMAT)
        return qcow2_read_backing_format(disk, offset, length);
    return 0;
}

int qcow2_read_extensions(struct disk *disk, uint64_t start, uint64_t end, bool has_data_file)
{
    const struct qcow2 *q = disk->state;
    uint64_t offset = start;
    struct image_window window;
    int error = image_window_begin(disk->img, &window, EXTENSIONS_WINDOW_BYTES);

    while (!error && offset < end) {
        uint32_t type, length;
        const uint8_t *p;

        error = image_window_ahead(disk->img, &window, offset, EXTENSION_HEADER_BYTES, end - offset,
                                   &p);
        if (error)
            break;
        type = be32(p);
        length = be32(p + 4);
        offset += EXTENSION_HEADER_BYTES;
        /* The end marker's length is checked too, as in qemu, though its data is not read. */
        if (offset > end || length > end - offset)
            return image_fail(disk->img, EUCLEAN,
                              "qcow2: header extension 0x%08x (%u bytes at offset %llu) ends past "
                              "offset %llu, the "
                              "end of the extensions",
                              type, length, (unsigned long long)offset, (unsigned long long)end);
        if (type == EXTENSION_END)
            break;
        error = qcow2_read_extension(disk, type, offset, length, has_data_file);
        offset += ((uint64_t)length + 7) & ~UINT64_C(7);
    }
    if (!error && has_data_file && !q->data_file)
        error = qcow2_add_data_file(disk, 0, 0);
    return error;
}
