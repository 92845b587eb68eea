// SPDX-License-Identifier: Apache-2.0
/* The descriptor file of a VMDK image in several files (Virtual Disk Format 5.0), as qemu writes
 * it: its length, and the names of the extent files. */
#include <stdio.h>
#include <string.h>

#include "formats/checked.h"
#include "vmdk.h"

enum {
    NAME_MAX_BYTES = 255, /* of a file name on Linux */
    TRACK_SECTORS = 63,

    /* The text without the values that vary; a CID has eight digits. */
    TEXT_BYTES = sizeof "# Disk DescriptorFile\nversion=1\nCID=01234567\nparentCID=ffffffff\n"
                        "createType=\"\"\n\n# Extent description\n\n# The Disk Data Base\n#DDB\n\n"
                        "ddb.virtualHWVersion = \"\"\nddb.geometry.cylinders = \"\"\n"
                        "ddb.geometry.heads = \"\"\nddb.geometry.sectors = \"63\"\n"
                        "ddb.adapterType = \"\"\nddb.toolsVersion = \"\"\n" -
                 1,
};

size_t vmdk_extent_name(const struct target_options *o, const char *name, uint64_t n, char *extent,
                        size_t room)
{
    const char *dot = strrchr(name, '.');
    int stem = (int)(dot ? (size_t)(dot - name) : strlen(name)), length;
    const char *extension = dot ? dot : "";

    if (o->subformat == VMDK_FLAT)
        length = snprintf(extent, room, "%.*s-flat%s", stem, name, extension);
    else
        length = snprintf(extent, room, "%.*s-%c%03u%s", stem, name,
                          o->subformat == VMDK_SPLIT_FLAT ? 'f' : 's', (unsigned)n + 1, extension);
    return (size_t)length;
}

static uint64_t vmdk_digits(uint64_t number)
{
    return (uint64_t)snprintf(NULL, 0, "%llu", (unsigned long long)number);
}

uint64_t vmdk_descriptor_bytes(const struct target_options *o, uint64_t disk, const char *name)
{
    static const char *const types[] = {[VMDK_FLAT] = "monolithicFlat",
                                        [VMDK_SPLIT_SPARSE] = "twoGbMaxExtentSparse",
                                        [VMDK_SPLIT_FLAT] = "twoGbMaxExtentFlat"};
    uint64_t extent = o->subformat == VMDK_FLAT ? disk : VMDK_SPLIT_BYTES;
    uint64_t heads = o->has_255_heads ? 255 : 16;
    uint64_t bytes = TEXT_BYTES + strlen(types[o->subformat]) + o->descriptor_bytes +
                     vmdk_digits(heads) + vmdk_digits(disk / (TRACK_SECTORS * heads * SECTOR));
    size_t line =
        strlen(o->subformat == VMDK_SPLIT_SPARSE ? "RW  SPARSE \"\"\n" : "RW  FLAT \"\" 0\n");

    for (uint64_t n = 0; n * extent < disk; n++) {
        uint64_t sectors = min_u64(extent, disk - n * extent) / SECTOR;

        bytes += line + vmdk_digits(sectors);
        bytes += name ? vmdk_extent_name(o, name, n, NULL, 0) : NAME_MAX_BYTES;
    }
    return bytes;
}
