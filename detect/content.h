/* SPDX-License-Identifier: Apache-2.0 */
/* Content: what the virtual disk begins with, such as a partition table or a file system. */
#ifndef DETECT_CONTENT_H
#define DETECT_CONTENT_H

#include "formats/fields.h"

struct disk;

/* The structures of the content that header/ shows; ends with NULL fields. */
enum { CONTENT_MBR, CONTENT_GPT, CONTENT_GPT_BACKUP, CONTENT_ISO9660, CONTENT_SECTIONS };
extern const struct header_section content_sections[CONTENT_SECTIONS + 1];

struct content {
    const char *name;
    struct header_found sections[CONTENT_SECTIONS]; /* by index of content_sections[] */
};

/*
 * Sets the name of the content: "iso9660", "gpt", "mbr", "luks", "empty" (128 KiB of zeros, with
 * which no file system begins) or "unknown"; and the structures. iso9660 takes precedence over a
 * partition table. Returns 0 or -errno as disk_read(), already reported.
 */
int content_detect(struct disk *disk, struct content *content);

#endif
