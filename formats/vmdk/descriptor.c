// SPDX-License-Identifier: Apache-2.0
/*
 * vmdk: descriptors (VMware, "Virtual Disk Format 5.0"): lines of text, in a file of their own or
 * embedded in an extent.
 *
 * A line is `key=value`, a comment, or an extent (lines.c). qemu searches for keys anywhere in the
 * text, even in comments. We do so for the parent's name only: if another reader takes something
 * for a parent, its bytes must not read as zeros here. Other keys must begin their line.
 */
#include "descriptor.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/escape.h"
#include "formats/format.h"
#include "formats/image.h"
#include "formats/reference.h"
#include "lines.h"
#include "state.h"

enum {
    EMBEDDED_OFFSET_SECTORS = 1,

    CID_SHOWN_MAX = 32, /* bytes of a content ID in a message */

    CREATE_TYPE_MAX = 127, /* bytes: qemu's limit. The longest known type has 27. */
};

/* createType of disks in more than one file: those that qemu opens, which are read as it reads
 * them; then the others of the specification, and what VMware's programs write besides. */
static const char *const spread_types[] = {
    "monolithicFlat", "twoGbMaxExtentFlat", "twoGbMaxExtentSparse",
    "vmfs",           "vmfsSparse",         "seSparse",
};
static const char *const other_types[] = {
    "monolithicSparse",
    "streamOptimized",
    "custom",
    "fullDevice",
    "partitionedDevice",
    "vmfsRaw",
    "vmfsRawDeviceMap",
    "vmfsPassthroughRawDeviceMap",
    "vmfsRDM",
    "vmfsRDMP",
    "vmfsThin",
    "vmfsPreallocated",
    "vmfsEagerZeroedThick",
    "vsanSparse",
    "2GbMaxExtentFlat",
    "2GbMaxExtentSparse",
};

/* Adds a reference to the parent; the name must live as long as the session. */
static int vmdk_add_parent(struct disk *disk, const char *source, const struct vmdk_text *name)
{
    return disk_add_reference(disk, &(struct reference){.role = REFERENCE_BACKING,
                                                        .kind = "parent",
                                                        .source = source,
                                                        .format = "vmdk",
                                                        .path = name->bytes,
                                                        .length = name->length});
}

/* Whether the text begins with a line `version=` 1 to 3; as in qemu, the line's end must be part of
 * the text. */
static bool vmdk_is_version_line(const struct vmdk_text *text)
{
    static const char key[] = "version=";
    struct vmdk_text rest = *text;

    if (text->length < sizeof key + 1 || memcmp(text->bytes, key, sizeof key - 1) != 0)
        return false;
    vmdk_text_skip(&rest, sizeof key - 1);
    if (rest.bytes[0] < '1' || rest.bytes[0] > '3')
        return false;
    vmdk_text_skip(&rest, 1);
    return rest.bytes[0] == '\n' || (rest.length > 1 && memcmp(rest.bytes, "\r\n", 2) == 0);
}

/* qemu's rule: only comments and lines of spaces may precede the version. An empty line is not such
 * a line. */
static bool vmdk_begins_with_version(struct vmdk_text text)
{
    while (text.length && (text.bytes[0] == '#' || text.bytes[0] == ' ')) {
        struct vmdk_text line = vmdk_text_until(&text, '\n');

        if (line.bytes[0] == '#')
            continue;
        while (line.length && line.bytes[0] == ' ')
            vmdk_text_skip(&line, 1);
        if (line.length && !vmdk_text_is(&line, "\r"))
            break;
    }
    return vmdk_is_version_line(&text);
}

/*
 * Accepts what qemu accepts, so that both name the format alike. Accepts also a text with the title
 * of a descriptor and the version in any line: VMware's programs need no order, while qemu reads
 * such a file as raw.
 */
int vmdk_descriptor_probe(const uint8_t *head, struct reason *why)
{
    struct vmdk_text text = {(const char *)head, IMAGE_HEAD_BYTES}, title;

    if (vmdk_begins_with_version(text))
        return 1;
    title = vmdk_text_until(&text, '\n');
    if (!vmdk_text_is(&title, "# Disk DescriptorFile") &&
        !vmdk_text_is(&title, "# Disk DescriptorFile\r"))
        return 0;
    while (text.length && !vmdk_is_version_line(&text))
        vmdk_text_until(&text, '\n');
    if (text.length)
        return 1;
    snprintf(
        why->words, sizeof why->words,
        "it has the title of a descriptor, but no line version=1, 2 or 3 in its first %d bytes",
        IMAGE_HEAD_BYTES);
    return 0;
}

/* Adds the parent that parentFileNameHint names, if it is there with a name that is not empty
 * (*found). */
static int vmdk_add_named_parent(struct disk *disk, const struct vmdk_text *text, bool *found)
{
    static const char key[] = "parentFileNameHint";
    const char *at = memmem(text->bytes, text->length, key, sizeof key - 1);
    struct vmdk_text rest = *text, name;

    *found = false;
    if (!at)
        return 0;
    vmdk_text_skip(&rest, (size_t)(at - text->bytes) + sizeof key - 1);
    name = vmdk_text_until(&rest, '"');
    name = vmdk_text_until(&rest, '"');
    if (name.bytes + name.length == text->bytes + text->length)
        return image_fail(disk->img, EUCLEAN,
                          "vmdk: parentFileNameHint has no file name in quotes");
    *found = name.length > 0;
    if (name.length > VMDK_NAME_MAX)
        return image_fail(disk->img, EUCLEAN,
                          "vmdk: parentFileNameHint has %zu bytes, more than %d", name.length,
                          VMDK_NAME_MAX);
    return *found ? vmdk_add_parent(disk, key, &name) : 0;
}

/* Reads the content ID at a key, if there is one. It is unknown unless it is 1 to 8 digits. A value
 * that does not begin with a digit is an error, as in qemu; so is an empty one, where qemu would
 * read on in the next line. */
static int vmdk_read_cid(struct disk *disk, const struct vmdk_text *text, const char *key,
                         struct vmdk_cid *cid)
{
    struct vmdk_text value;

    *cid = (struct vmdk_cid){false, 0};
    if (!vmdk_text_value(*text, key, &value))
        return 0;
    cid->is_known = vmdk_text_hex(&value, &cid->value);
    vmdk_text_skip_blanks(&value);
    if (!value.length || !isxdigit((unsigned char)value.bytes[0]))
        return image_fail(disk->img, EUCLEAN, "vmdk: %s \"%.*s\" is not a hexadecimal number", key,
                          (int)min_u64(value.length, CID_SHOWN_MAX), value.bytes);
    return 0;
}

/*
 * Finds the parent, which fills the holes of this disk: as in qemu, the one that parentFileNameHint
 * names, whatever parentCID is. A parentCID alone means that there is a parent with an unknown
 * name.
 */
static int vmdk_find_parent(struct disk *disk, const struct vmdk_text *text)
{
    const struct vmdk_text no_name = {"", 0};
    struct vmdk *vmdk = disk->state;
    struct vmdk_text cid;
    bool found = false;
    int error;

    if (!vmdk_text_value(*text, "parentCID", &cid))
        return image_fail(disk->img, EUCLEAN, "vmdk: the descriptor has no parentCID");
    error = vmdk_read_cid(disk, text, "CID", &vmdk->cid);
    if (!error)
        error = vmdk_read_cid(disk, text, "parentCID", &vmdk->parent_cid);
    if (!error)
        error = vmdk_add_named_parent(disk, text, &found);
    if (error || found || disk->backing_reference)
        return error;
    if (cid.length == 8 && strncasecmp(cid.bytes, "ffffffff", 8) == 0)
        return 0;
    return vmdk_add_parent(disk, "parentCID", &no_name);
}

/* As in qemu, which reads nothing of a child if its parent has another CID, and opens parents of
 * this format only. */
int vmdk_check_parent(struct disk *disk, struct disk *parent)
{
    const struct vmdk *vmdk = disk->state, *other = parent->state;

    if (parent->driver != disk->driver)
        return image_fail(disk->img, EUCLEAN,
                          "vmdk: the parent is %s, not vmdk; -o any-parent accepts it anyway",
                          parent->driver->name);
    if (!vmdk->parent_cid.is_known || !other->cid.is_known ||
        vmdk->parent_cid.value == other->cid.value)
        return 0;
    return image_fail(disk->img, EUCLEAN,
                      "vmdk: CID of the parent is %08x, but parentCID is %08x: it is a different "
                      "image, or has been written to; -o any-parent accepts it anyway",
                      other->cid.value, vmdk->parent_cid.value);
}

/* Adds the file in which VMware's programs record which blocks have changed. */
static int vmdk_add_change_tracking(struct disk *disk, const struct vmdk_text *text)
{
    static const char key[] = "changeTrackPath";
    struct vmdk_text path;

    if (!vmdk_text_value(*text, key, &path) || !path.length || path.length > VMDK_NAME_MAX)
        return 0;
    return disk_add_reference(disk, &(struct reference){.role = REFERENCE_OTHER,
                                                        .kind = "change tracking",
                                                        .source = key,
                                                        .path = path.bytes,
                                                        .length = path.length});
}

/* Sets subformat to createType, if there is one; otherwise *type is empty. */
static int vmdk_read_create_type(struct disk *disk, const struct vmdk_text *text,
                                 struct vmdk_text *type)
{
    const char *kept;

    if (!vmdk_text_value(*text, "createType", type) || type->length > CREATE_TYPE_MAX)
        type->length = 0;
    if (!type->length)
        return 0;
    kept = vmdk_text_keep(disk->img, type);
    if (!kept)
        return -ENOMEM;
    disk->subformat = kept;
    return 0;
}

int vmdk_embedded_read(struct image *img, uint64_t offset_sectors, uint64_t size_sectors,
                       struct vmdk_text *text, struct vmdk_text *usual)
{
    struct vmdk_text cid;
    uint64_t offset, size;
    int error = vmdk_text_read(img, EMBEDDED_OFFSET_SECTORS * SECTOR, VMDK_EMBEDDED_BYTES, usual);

    *text = (struct vmdk_text){"", 0};
    if (!size_sectors || !checked_mul(size_sectors, SECTOR, &size))
        size = VMDK_EMBEDDED_BYTES;
    if (!error && offset_sectors && checked_mul(offset_sectors, SECTOR, &offset))
        error = vmdk_text_read(img, offset, size, text);
    if (error || vmdk_text_value(*text, "parentCID", &cid))
        return error;
    *text = (struct vmdk_text){"", 0};
    if (vmdk_text_value(*usual, "parentCID", &cid))
        *text = *usual;
    return 0;
}

int vmdk_embedded_open(struct disk *disk, uint64_t offset_sectors, uint64_t size_sectors)
{
    struct vmdk_text own, usual, type;
    bool found;
    int error = vmdk_embedded_read(disk->img, offset_sectors, size_sectors, &own, &usual);

    if (error)
        return error;
    if (!own.length)
        return image_fail(
            disk->img, ENOTSUP,
            "vmdk: this extent has no embedded descriptor with a parentCID: it belongs to a "
            "disk whose descriptor is another file");
    error = vmdk_read_create_type(disk, &own, &type);
    if (!error)
        error = vmdk_find_parent(disk, &own);
    if (!error && !disk->backing_reference)
        error = vmdk_add_named_parent(disk, &usual, &found);
    return error ? error : vmdk_add_change_tracking(disk, &own);
}

static bool vmdk_is_one_of(const struct vmdk_text *type, const char *const *types, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (vmdk_text_is(type, types[i]))
            return true;
    return false;
}

static bool vmdk_is_spread_type(const struct vmdk_text *type)
{
    return vmdk_is_one_of(type, spread_types, sizeof spread_types / sizeof *spread_types);
}

static bool vmdk_is_other_type(const struct vmdk_text *type)
{
    return vmdk_is_one_of(type, other_types, sizeof other_types / sizeof *other_types);
}

bool vmdk_is_spread(const struct vmdk_text *text)
{
    struct vmdk_text type;

    return vmdk_text_value(*text, "createType", &type) && vmdk_is_spread_type(&type);
}

/* Reports a missing createType; or, if the file is no descriptor at all, that. */
static int vmdk_fail_create_type(struct image *img)
{
    struct reason why;
    const uint8_t *head;
    int error = image_head(img, &head);

    if (error)
        return error;
    if (!vmdk_descriptor_probe(head, &why))
        return image_fail(img, EUCLEAN,
                          "vmdk: the file begins neither with an extent header (KDMV, COWD) nor "
                          "with a descriptor");
    return image_fail(img, EUCLEAN, "vmdk: the descriptor has no createType of 1 to %d bytes",
                      CREATE_TYPE_MAX);
}

int vmdk_descriptor_open(struct disk *disk, const struct vmdk_text *text)
{
    struct vmdk_text type;
    int error = vmdk_read_create_type(disk, text, &type);

    if (error)
        return error;
    if (!type.length)
        return vmdk_fail_create_type(disk->img);
    if (!vmdk_is_spread_type(&type) && !vmdk_is_other_type(&type))
        return image_fail(disk->img, ENOTSUP, "vmdk: createType \"%.*s\" is not known",
                          (int)type.length, type.bytes);
    error = vmdk_lines_add(disk, *text, vmdk_is_spread_type(&type));
    if (!error)
        error = vmdk_find_parent(disk, text);
    return error ? error : vmdk_add_change_tracking(disk, text);
}

/* disk-flat.vmdk, or one of several extents: disk-f001.vmdk. */
bool vmdk_is_flat_name(const char *name, struct reason *why)
{
    static const char suffix[] = ".vmdk", flat[] = "-flat";
    size_t length = strlen(name), digits = 0;

    if (length < sizeof suffix || strcmp(name + length - (sizeof suffix - 1), suffix) != 0)
        return false;
    length -= sizeof suffix - 1;
    while (digits < length && name[length - digits - 1] >= '0' && name[length - digits - 1] <= '9')
        digits++;
    if (!(length >= sizeof flat - 1 && memcmp(name + length - (sizeof flat - 1), flat, 5) == 0) &&
        !(digits >= 3 && length - digits >= 2 && memcmp(name + length - digits - 2, "-f", 2) == 0))
        return false;
    snprintf(why->words, sizeof why->words,
             "it has the name of a flat extent, whose descriptor is another file");
    return true;
}
