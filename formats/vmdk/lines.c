// SPDX-License-Identifier: Apache-2.0
/*
 * vmdk: the lines of a descriptor that are extents (VMware, "Virtual Disk Format 5.0", "The Extent
 * Description"): access, sectors, type, "file name" and, for some, an offset in sectors.
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
    LINE_SHOWN_MAX = 200, /* of a line that is at fault */
};

/* Types of extents that are files, to qemu; only those marked are followed by an offset, and then
 * must be. */
static const struct extent_type {
    const char *name;
    bool offset;
    enum vmdk_extent_kind kind;
    const char *format; /* of the file */
} extent_types[] = {
    {"FLAT", true, VMDK_EXTENT_FLAT, "raw"},
    {"SPARSE", false, VMDK_EXTENT_SPARSE, "vmdk"},
    {"VMFS", false, VMDK_EXTENT_FLAT, "raw"},
    {"VMFSSPARSE", false, VMDK_EXTENT_SPARSE, "vmdk"},
    {"SESPARSE", false, VMDK_EXTENT_SESPARSE, "vmdk"},
};

/* What a line tells of a file. */
struct file {
    struct vmdk_text name;
    const char *format;
    uint64_t offset_sectors;
    enum vmdk_extent_kind kind;
};

/* Fails with the line and the rule that it breaks. */
static int line_fail(struct image *img, int error, const struct vmdk_text *line, const char *rule)
{
    char shown[LINE_SHOWN_MAX];

    escape_text(shown, sizeof shown, line->bytes, line->length);
    return image_fail(img, error, "vmdk: extent line '%s': %s", shown, rule);
}

/* NULL: none that qemu knows. */
static const struct extent_type *type_of(const struct vmdk_text *name)
{
    for (size_t i = 0; i < sizeof extent_types / sizeof *extent_types; i++)
        if (vmdk_text_is(name, extent_types[i].name))
            return &extent_types[i];
    return NULL;
}

/* The rest of a RW line behind sectors and type, as qemu takes it. */
static int take_file(struct image *img, const struct vmdk_text *line, struct vmdk_text *rest,
                     struct file *file)
{
    struct vmdk_text name = vmdk_text_word(rest);
    const struct extent_type *type = type_of(&name);

    if (!name.length)
        return line_fail(img, EUCLEAN, line, "it needs a type behind the sectors");
    if (!type)
        return line_fail(img, ENOTSUP, line, "extents of this type are not handled");
    vmdk_text_skip_blanks(rest);
    if (!rest->length || rest->bytes[0] != '"' || !memchr(rest->bytes + 1, '"', rest->length - 1))
        return line_fail(img, EUCLEAN, line, "it needs a file name in quotes");
    vmdk_text_skip(rest, 1);
    *file = (struct file){vmdk_text_until(rest, '"'), type->format, 0, type->kind};
    if (!file->name.length || file->name.length > VMDK_NAME_MAX)
        return line_fail(img, EUCLEAN, line, "the file name is empty or longer than 4095 bytes");
    if (type->offset && !vmdk_text_number(rest, &file->offset_sectors))
        return line_fail(img, EUCLEAN, line, "it needs an offset behind the file name");
    if (!type->offset && vmdk_text_number(rest, &file->offset_sectors))
        return line_fail(img, EUCLEAN, line, "extents of this type have no offset");
    return 0;
}

/* The same for a disk that qemu does not take. What is not understood is not read, either. */
static int take_any_file(struct image *img, struct vmdk_text *rest, struct file *file)
{
    struct vmdk_text name = vmdk_text_word(rest);
    const struct extent_type *type = type_of(&name);

    *file = (struct file){.name = {"", 0}, .kind = VMDK_EXTENT_OTHER};
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
    if (file->name.length && (!type->offset || vmdk_text_number(rest, &file->offset_sectors)))
        file->kind = type->kind;
    return 0;
}

/* Adds an extent of that many sectors to the disk. */
static int add_extent(struct disk *disk, const struct vmdk_text *line, uint64_t sectors,
                      const struct file *file)
{
    struct vmdk_extent extent = {.reference = (uint32_t)disk->references_count, .kind = file->kind};
    uint64_t end;
    int error = 0;

    if (!checked_mul(sectors, VMDK_SECTOR, &extent.length) ||
        extent.length > DISK_BYTES_MAX - disk->virtual_size)
        return line_fail(disk->img, EFBIG, line,
                         "the disk is then larger than 2^54 - 2^21 sectors");
    if (!checked_mul(file->offset_sectors, VMDK_SECTOR, &extent.offset) ||
        !checked_add(extent.offset, extent.length, &end) || end > INT64_MAX)
        return line_fail(disk->img, EUCLEAN, line, "it ends beyond what any file holds");
    if (file->kind != VMDK_EXTENT_ZERO)
        error = disk_add_reference(disk, &(struct reference){.role = REFERENCE_PART,
                                                             .kind = "extent",
                                                             .source = "extent",
                                                             .format = file->format,
                                                             .path = file->name.bytes,
                                                             .length = file->name.length});
    return error || !sectors ? error : vmdk_extents_add(disk, &extent);
}

/*
 * Adds the line to the disk if it is an extent. As in qemu, only those that can be written to
 * count: what is RDONLY, NOACCESS or ZERO is left out, and the disk is that much shorter (*left_out
 * lines).
 */
static int add_line(struct disk *disk, struct vmdk_text line, uint64_t *left_out)
{
    struct vmdk_text rest = line, access = vmdk_text_word(&rest), type;
    struct file file;
    uint64_t sectors;
    int error;

    if (vmdk_text_is(&access, "RDONLY") || vmdk_text_is(&access, "NOACCESS"))
        ++*left_out;
    if (!vmdk_text_is(&access, "RW"))
        return 0;
    if (!vmdk_text_number(&rest, &sectors))
        return line_fail(disk->img, EUCLEAN, &line, "RW needs a number of sectors");
    type = rest;
    type = vmdk_text_word(&type);
    if (vmdk_text_is(&type, "ZERO")) {
        ++*left_out;
        return 0;
    }
    error = take_file(disk->img, &line, &rest, &file);
    return error || !sectors ? error : add_extent(disk, &line, sectors, &file);
}

/* The same for a disk that qemu does not take: by the specification every extent counts. */
static int add_any_line(struct disk *disk, struct vmdk_text line)
{
    struct vmdk_text rest = line, access = vmdk_text_word(&rest);
    struct file file;
    uint64_t sectors;
    int error;

    if (!vmdk_text_is(&access, "RW") && !vmdk_text_is(&access, "RDONLY") &&
        !vmdk_text_is(&access, "NOACCESS"))
        return 0;
    if (!vmdk_text_number(&rest, &sectors))
        return line_fail(disk->img, EUCLEAN, &line, "it needs a number of sectors");
    error = take_any_file(disk->img, &rest, &file);
    return error ? error : add_extent(disk, &line, sectors, &file);
}

int vmdk_lines_add(struct disk *disk, struct vmdk_text text, bool as_qemu)
{
    struct vmdk_text line;
    uint64_t left_out = 0;
    int error = 0;

    while (!error && vmdk_text_line(&text, &line))
        error = as_qemu ? add_line(disk, line, &left_out) : add_any_line(disk, line);
    if (!error && !left_out && !disk->virtual_size)
        image_note(disk->img, "vmdk: the descriptor has no extent: the disk has no bytes");
    if (!error && left_out)
        image_note(disk->img,
                   "vmdk: left out of the disk, as by qemu-img: %llu extents, being RDONLY, "
                   "NOACCESS or ZERO",
                   (unsigned long long)left_out);
    return error;
}
