// SPDX-License-Identifier: Apache-2.0
/*
 * vmdk: the extent lines of a descriptor (VMware, "Virtual Disk Format 5.0", "The Extent
 * Description"): access, sectors, type, "file name" and, for some types, an offset in sectors.
 */
#include "lines.h"

#include <errno.h>
#include <string.h>

#include "extents.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/escape.h"
#include "formats/image.h"
#include "formats/reference.h"
#include "state.h"

enum {
    LINE_SHOWN_MAX = 200, /* bytes of a line in a message */
};

/* The types of extents in files that qemu knows. */
static const struct extent_type {
    const char *name;
    bool has_offset; /* the line must have an offset; otherwise it must have none */
    enum vmdk_extent_kind kind;
    const char *format; /* of the file, as `qemu-img -f` takes it */
} extent_types[] = {
    {"FLAT", true, VMDK_EXTENT_FLAT, "raw"},
    {"SPARSE", false, VMDK_EXTENT_SPARSE, "vmdk"},
    {"VMFS", false, VMDK_EXTENT_FLAT, "raw"},
    {"VMFSSPARSE", false, VMDK_EXTENT_SPARSE, "vmdk"},
    {"SESPARSE", false, VMDK_EXTENT_SESPARSE, "vmdk"},
};

/* What a line states of a file. */
struct extent_file {
    struct vmdk_text name;
    const char *format;
    uint64_t offset_sectors;
    enum vmdk_extent_kind kind;
};

/* Reports a line and the rule that it breaks. */
static int vmdk_line_fail(struct image *img, int error, const struct vmdk_text *line,
                          const char *rule)
{
    char shown[LINE_SHOWN_MAX];

    escape_text(shown, sizeof shown, line->bytes, line->length);
    return image_fail(img, error, "vmdk: extent line '%s': %s", shown, rule);
}

/* The type with that name, or NULL. */
static const struct extent_type *vmdk_extent_type(const struct vmdk_text *name)
{
    for (size_t i = 0; i < sizeof extent_types / sizeof *extent_types; i++)
        if (vmdk_text_is(name, extent_types[i].name))
            return &extent_types[i];
    return NULL;
}

/* Takes the rest of an RW line behind the sectors, by qemu's rules. */
static int vmdk_take_file(struct image *img, const struct vmdk_text *line, struct vmdk_text *rest,
                          struct extent_file *file)
{
    struct vmdk_text name = vmdk_text_word(rest);
    const struct extent_type *type = vmdk_extent_type(&name);

    if (!name.length)
        return vmdk_line_fail(img, EUCLEAN, line, "no type after the number of sectors");
    if (!type)
        return vmdk_line_fail(img, ENOTSUP, line, "the type is not supported");
    vmdk_text_skip_blanks(rest);
    if (!rest->length || rest->bytes[0] != '"' || !memchr(rest->bytes + 1, '"', rest->length - 1))
        return vmdk_line_fail(img, EUCLEAN, line, "no file name in quotes");
    vmdk_text_skip(rest, 1);
    *file = (struct extent_file){vmdk_text_until(rest, '"'), type->format, 0, type->kind};
    if (!file->name.length || file->name.length > VMDK_NAME_MAX)
        return vmdk_line_fail(img, EUCLEAN, line,
                              "the file name is empty or longer than 4095 bytes");
    if (type->has_offset && !vmdk_text_number(rest, &file->offset_sectors))
        return vmdk_line_fail(img, EUCLEAN, line, "no offset after the file name");
    if (!type->has_offset && vmdk_text_number(rest, &file->offset_sectors))
        return vmdk_line_fail(img, EUCLEAN, line, "this type of extent must not have an offset");
    return 0;
}

/* The same for a disk that qemu does not open. An extent that is not understood is OTHER. */
static int vmdk_take_any_file(struct image *img, struct vmdk_text *rest, struct extent_file *file)
{
    struct vmdk_text name = vmdk_text_word(rest);
    const struct extent_type *type = vmdk_extent_type(&name);

    *file = (struct extent_file){.name = {"", 0}, .kind = VMDK_EXTENT_OTHER};
    if (vmdk_text_is(&name, "ZERO"))
        file->kind = VMDK_EXTENT_ZERO;
    if (!type && name.length)
        file->format = vmdk_text_keep(img, &name);
    if (!type && name.length && !file->format)
        return -ENOMEM;
    vmdk_text_skip_blanks(rest);
    if (rest->length && rest->bytes[0] == '"') {
        vmdk_text_skip(rest, 1);
        file->name = vmdk_text_until(rest, '"');
    }
    file->name.length = min_u64(file->name.length, VMDK_NAME_MAX);
    if (!type)
        return 0;
    file->format = type->format;
    if (file->name.length && (!type->has_offset || vmdk_text_number(rest, &file->offset_sectors)))
        file->kind = type->kind;
    return 0;
}

/* Adds an extent and the reference to its file. */
static int vmdk_add_extent(struct disk *disk, const struct vmdk_text *line, uint64_t sectors,
                           const struct extent_file *file)
{
    struct vmdk_extent extent = {.reference = (uint32_t)disk->references_count, .kind = file->kind};
    uint64_t end;
    int error = 0;

    if (!checked_mul(sectors, SECTOR, &extent.length) ||
        extent.length > DISK_BYTES_MAX - disk->virtual_size)
        return vmdk_line_fail(disk->img, EFBIG, line,
                              "the disk is larger than 2^54 - 2^21 sectors");
    if (!checked_mul(file->offset_sectors, SECTOR, &extent.offset) ||
        !checked_add(extent.offset, extent.length, &end) || end > INT64_MAX)
        return vmdk_line_fail(disk->img, EUCLEAN, line,
                              "it ends beyond the largest possible file, 2^63 bytes");
    if (file->kind != VMDK_EXTENT_ZERO)
        error = disk_add_reference(disk, &(struct reference){.role = REFERENCE_DATA,
                                                             .kind = "extent",
                                                             .source = "extent",
                                                             .format = file->format,
                                                             .path = file->name.bytes,
                                                             .length = file->name.length});
    return error || !sectors ? error : vmdk_extents_add(disk, &extent);
}

/*
 * Adds the line to the disk if it is an extent. As in qemu, RDONLY, NOACCESS and ZERO extents are
 * left out, which shortens the disk; *left_out counts them.
 */
static int vmdk_add_line(struct disk *disk, struct vmdk_text line, uint64_t *left_out)
{
    struct vmdk_text rest = line, access = vmdk_text_word(&rest), type;
    struct extent_file file;
    uint64_t sectors;
    int error;

    if (vmdk_text_is(&access, "RDONLY") || vmdk_text_is(&access, "NOACCESS"))
        ++*left_out;
    if (!vmdk_text_is(&access, "RW"))
        return 0;
    if (!vmdk_text_number(&rest, &sectors))
        return vmdk_line_fail(disk->img, EUCLEAN, &line, "no number of sectors after RW");
    type = rest;
    type = vmdk_text_word(&type);
    if (vmdk_text_is(&type, "ZERO")) {
        ++*left_out;
        return 0;
    }
    error = vmdk_take_file(disk->img, &line, &rest, &file);
    return error || !sectors ? error : vmdk_add_extent(disk, &line, sectors, &file);
}

/* The same for a disk that qemu does not open: every extent counts, as specified. */
static int vmdk_add_any_line(struct disk *disk, struct vmdk_text line)
{
    struct vmdk_text rest = line, access = vmdk_text_word(&rest);
    struct extent_file file;
    uint64_t sectors;
    int error;

    if (!vmdk_text_is(&access, "RW") && !vmdk_text_is(&access, "RDONLY") &&
        !vmdk_text_is(&access, "NOACCESS"))
        return 0;
    if (!vmdk_text_number(&rest, &sectors))
        return vmdk_line_fail(disk->img, EUCLEAN, &line, "no number of sectors after the access");
    error = vmdk_take_any_file(disk->img, &rest, &file);
    return error ? error : vmdk_add_extent(disk, &line, sectors, &file);
}

int vmdk_lines_add(struct disk *disk, struct vmdk_text text, bool as_qemu)
{
    struct vmdk_text line;
    uint64_t left_out = 0;
    int error = 0;

    while (!error && vmdk_text_line(&text, &line))
        error = as_qemu ? vmdk_add_line(disk, line, &left_out) : vmdk_add_any_line(disk, line);
    if (!error && !left_out && !disk->virtual_size)
        image_note(disk->img, "vmdk: the descriptor lists no extent: the disk is empty");
    if (!error && left_out)
        image_note(disk->img,
                   "vmdk: RDONLY, NOACCESS and ZERO extents are left out of the disk, as in "
                   "qemu-img: %llu",
                   (unsigned long long)left_out);
    return error;
}
