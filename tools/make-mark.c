// SPDX-License-Identifier: Apache-2.0
/*
 * Puts the marks of a format, and nothing else of it, into a file: what detection looks at. Over
 * an image that is there (over=1) it makes a file that two formats claim.
 *
 *     format=qcow2|qcow|vmdk|cowd|sesparse|descriptor|vhdx|vpc|vpc-fixed|qed|vdi|parallels|
 *            parallels-ext|bochs|cloop|luks|luks2|dmg|mbr|gpt|iso9660
 *
 * Marks of the end of a file, vpc-fixed and dmg, are added behind what is there.
 */
#include <string.h>

#include "maker.h"

enum { SECTOR = 512, FOOTER_CHECKSUM = 64 };

/* Bytes at their place from the start of the file. */
struct mark {
    const char *format;
    uint64_t offset;
    const char *bytes;
    uint8_t length;
};

#define MARK(format, offset, text)                                                                 \
    {                                                                                              \
        format, offset, text, sizeof(text) - 1                                                     \
    }

static const struct mark marks[] = {
    MARK("qcow2", 0, "QFI\xfb\0\0\0\3"),
    MARK("qcow", 0, "QFI\xfb\0\0\0\1"),
    MARK("vmdk", 0, "KDMV"),
    MARK("cowd", 0, "COWD"),
    MARK("sesparse", 0, "\xbe\xba\xfe\xca\0\0\0\0"),
    MARK("descriptor", 0, "# Disk DescriptorFile\nversion=1\n"),
    MARK("vhdx", 0, "vhdxfile"),
    MARK("vpc", 0, "conectix"),
    MARK("qed", 0, "QED"),
    MARK("qed", 3, "\0"),
    MARK("vdi", 64, "\x7f\x10\xda\xbe"),
    MARK("parallels", 0, "WithoutFreeSpace\2\0\0\0"),
    MARK("parallels-ext", 0, "WithouFreSpacExt\2\0\0\0"),
    MARK("bochs", 0, "Bochs Virtual HD Image\0"),
    MARK("bochs", 32, "Redolog\0"),
    MARK("bochs", 48, "Growing\0"),
    MARK("bochs", 64, "\0\0\2\0"),
    MARK("cloop", 0,
         "#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n"),
    MARK("luks", 0, "LUKS\xba\xbe\0\1"),
    MARK("luks2", 0, "LUKS\xba\xbe\0\2"),
    MARK("mbr", 446, "\x80\0\2\0\x83\0\0\0\1\0\0\0\x10\0\0\0"),
    MARK("mbr", 510, "\x55\xaa"),
    MARK("gpt", 512, "EFI PART\0\0\1\0"),
    MARK("iso9660", 32768, "\1CD001\1"),
};

/* The footer of a fixed disk of all that is there. */
static void add_vhd_footer(struct maker *m)
{
    uint8_t footer[SECTOR] = "conectix";
    uint64_t size = maker_size(m) / SECTOR * SECTOR;
    uint32_t sum = 0;

    maker_put(footer, 8, 4, '>', 2);
    maker_put(footer, 12, 4, '>', 0x10000);
    maker_put(footer, 16, 8, '>', UINT64_MAX);
    memcpy(footer + 28, "win ", 4);
    maker_put(footer, 40, 8, '>', size);
    maker_put(footer, 48, 8, '>', size);
    maker_put(footer, 60, 4, '>', 2);
    for (size_t i = 0; i < SECTOR; i++)
        sum += footer[i];
    maker_put(footer, FOOTER_CHECKSUM, 4, '>', ~sum);
    maker_write(m, maker_size(m), footer, sizeof footer);
}

static void add_dmg_trailer(struct maker *m)
{
    uint8_t trailer[SECTOR] = "koly";

    maker_put(trailer, 4, 4, '>', 4);
    maker_put(trailer, 8, 4, '>', sizeof trailer);
    maker_put(trailer, 492, 8, '>', maker_size(m) / SECTOR);
    maker_write(m, maker_size(m), trailer, sizeof trailer);
}

void make_mark(struct maker *m)
{
    const char *format = maker_string(m, "format", "");
    bool known = false;

    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (strcmp(format, marks[i].format) == 0) {
            maker_write(m, marks[i].offset, marks[i].bytes, marks[i].length);
            known = true;
        }
    if (strcmp(format, "vpc-fixed") == 0)
        add_vhd_footer(m);
    else if (strcmp(format, "dmg") == 0)
        add_dmg_trailer(m);
    else if (!known)
        maker_die("no format '%s'", format);
}
