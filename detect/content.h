/* SPDX-License-Identifier: Apache-2.0 */
/* What the virtual disk begins with: partition tables, file systems of CDs, other containers. */
#ifndef DETECT_CONTENT_H
#define DETECT_CONTENT_H

#include "formats/fields.h"

struct disk;

/* The structures that header/ shows of a disk's content; ends with NULL fields. */
enum { CONTENT_MBR, CONTENT_GPT, CONTENT_GPT_BACKUP, CONTENT_ISO9660, CONTENT_SECTIONS };
extern const struct header_section content_sections[CONTENT_SECTIONS + 1];

struct content {
    const char *name;
    struct header_found sections[CONTENT_SECTIONS]; /* by row of content_sections[] */
};

/*
 * Names what the disk begins with: "iso9660", "gpt", "mbr", "luks", "empty" (128 KiB of nothing but
 * zeros, which no file system begins with) or "unknown"; and finds the structures. An ISO image
 * that has a partition table, too, is iso9660. 0 or -errno, said (as of disk_read()).
 */
int content_detect(struct disk *disk, struct content *content);

#endif
