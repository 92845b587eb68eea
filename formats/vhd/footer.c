// SPDX-License-Identifier: Apache-2.0
/*
 * The footer of a VHD ("Hard Disk Footer Format"), big endian: what is a footer, which of two is
 * used, and the size of the disk. Peculiar: the size is stored twice, in bytes and as a geometry,
 * which is rounded. Which of the two is right depends on the program that wrote the file.
 */
#include <errno.h>
#include <stdio.h>

#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/format.h"
#include "formats/image.h"
#include "vhd.h"

/* The ones' complement of the sum of all bytes except those of the checksum. */
uint32_t vhd_footer_checksum(const uint8_t *footer)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < FOOTER_BYTES; i++)
        if (i < FOOTER_CHECKSUM || i >= FOOTER_CHECKSUM + 4)
            sum += footer[i];
    return ~sum;
}

static bool vhd_is_checksum_valid(const uint8_t *footer)
{
    return be32(footer + FOOTER_CHECKSUM) == vhd_footer_checksum(footer);
}

/* Whether footer, the last 512 bytes, makes the file a fixed disk; if not, why has the reason. */
static bool vhd_is_fixed_disk(const struct image *img, const uint8_t *footer, struct reason *why)
{
    uint32_t type = be32(footer + FOOTER_DISK_TYPE);
    uint64_t size = be64(footer + FOOTER_CURRENT_SIZE);
    uint64_t room = image_size(img) - FOOTER_BYTES;

    if (!vhd_is_checksum_valid(footer))
        snprintf(why->words, sizeof why->words, "footer checksum 0x%08x is wrong: computed 0x%08x",
                 be32(footer + FOOTER_CHECKSUM), vhd_footer_checksum(footer));
    else if (type != TYPE_FIXED)
        snprintf(why->words, sizeof why->words,
                 "disk type %u is not fixed (2), but there is no leading footer", type);
    else if (size > room)
        snprintf(why->words, sizeof why->words,
                 "current size %llu is more than the %llu bytes before the footer",
                 (unsigned long long)size, (unsigned long long)room);
    else
        return true;
    return false;
}

static void vhd_set_footer(struct vhd_footer *footer, uint64_t offset, const uint8_t *bytes)
{
    *footer = (struct vhd_footer){
        .offset = offset,
        .bytes = bytes,
        .has_cookie = memcmp(bytes, FOOTER_COOKIE, 8) == 0,
    };
}

/* Finds the footer in the last 512 bytes of the file. 1; 0: there is none; -errno, reported. */
static int vhd_find_whole_footer(struct image *img, struct vhd_footer *footer)
{
    uint64_t size = image_size(img);
    const uint8_t *tail;
    int error;

    if (size < FOOTER_BYTES)
        return 0;
    error = image_tail(img, &tail);
    if (error)
        return error;
    vhd_set_footer(footer, size - FOOTER_BYTES, tail + IMAGE_TAIL_BYTES - FOOTER_BYTES);
    return footer->has_cookie;
}

/* Whether the file ends with the footer of a fixed disk. 1, 0 or -errno. */
static int vhd_ends_as_fixed_disk(struct image *img, struct reason *why)
{
    struct vhd_footer footer;
    int found = vhd_find_whole_footer(img, &footer);

    return found == 1 ? vhd_is_fixed_disk(img, footer.bytes, why) : found;
}

/*
 * Whether head, which has the cookie, is a leading footer: the copy that dynamic disks have at the
 * start of the file. It is, unless a guest wrote it into the first sector of its fixed disk: then
 * its type is fixed, or its checksum is wrong, and the file ends with the footer of a fixed disk.
 */
static int vhd_is_leading_footer(struct image *img, const uint8_t *head, struct reason *why)
{
    struct reason ignored;
    int fixed;

    if (vhd_is_checksum_valid(head) && be32(head + FOOTER_DISK_TYPE) != TYPE_FIXED)
        return 1;
    fixed = vhd_ends_as_fixed_disk(img, &ignored);
    if (fixed == 1)
        snprintf(why->words, sizeof why->words,
                 "it is in the first sector of a fixed disk, whose footer ends the file");
    return fixed < 0 ? fixed : !fixed;
}

int vhd_probe(struct image *img, const struct signature *signature, struct reason *why)
{
    const uint8_t *head;
    int error;

    if (signature->anchor == TAIL)
        return vhd_ends_as_fixed_disk(img, why);
    error = image_head(img, &head);
    return error ? error : vhd_is_leading_footer(img, head, why);
}

uint64_t vhd_geometry_sectors(const uint8_t *footer)
{
    return (uint64_t)be16(footer + FOOTER_CYLINDERS) * footer[FOOTER_HEADS] *
           footer[FOOTER_SECTORS_PER_TRACK];
}

/* Whether the creator application is one of these, of four bytes each. */
static bool vhd_is_creator(const uint8_t *footer, const char *creators)
{
    for (; *creators; creators += 4)
        if (memcmp(footer + FOOTER_CREATOR_APPLICATION, creators, 4) == 0)
            return true;
    return false;
}

/*
 * Whether the geometry is the size of the disk: for Virtual PC, and for qemu without force_size.
 * All others go by the current size. That is qemu's rule since 10.0. Before, the geometry was the
 * size except for programs known to go by the current size: Hyper-V, qemu with force_size,
 * disk2vhd, XenServer, XenConverter.
 */
static bool vhd_uses_geometry(const uint8_t *footer, unsigned qemu)
{
    if (qemu && qemu < QEMU_VERSION(10, 0))
        return !vhd_is_creator(footer, "win qem2d2v CTXS") &&
               memcmp(footer + FOOTER_CREATOR_APPLICATION, "tap", 4) != 0;
    return vhd_is_creator(footer, "vpc qemu");
}

uint64_t vhd_footer_sectors(const uint8_t *footer, unsigned qemu)
{
    uint64_t chs = vhd_geometry_sectors(footer);

    if (vhd_uses_geometry(footer, qemu) && chs != VHD_GEOMETRY_SECTORS_MAX)
        return chs;
    return be64(footer + FOOTER_CURRENT_SIZE) / SECTOR;
}

/*
 * The last footer of the file is in its last 512 bytes. If there is none, the file may have lost
 * the last bytes of the footer, which then begins with the last sector and is padded with zeros.
 */
int vhd_find_last_footer(struct image *img, struct vhd_footer *footer)
{
    uint64_t size = image_size(img), offset = size ? (size - 1) / SECTOR * SECTOR : 0;
    const uint8_t *bytes;
    int found = vhd_find_whole_footer(img, footer), error;

    if (found)
        return found < 0 ? found : 0;
    error = image_get(img, offset, FOOTER_BYTES, &bytes);
    if (!error)
        vhd_set_footer(footer, offset, bytes);
    return error;
}

int vhd_find_footer(struct image *img, struct vhd_footer *footer)
{
    struct reason ignored;
    const uint8_t *head;
    int error = image_head(img, &head), leading;

    if (error)
        return error;
    vhd_set_footer(footer, 0, head);
    leading = footer->has_cookie ? vhd_is_leading_footer(img, head, &ignored) : 0;
    if (leading == 0)
        return vhd_find_last_footer(img, footer);
    footer->is_leading = true;
    return leading < 0 ? leading : 0;
}
