// SPDX-License-Identifier: Apache-2.0
/*
 * The table of formats, in the order in which they are asked. The first that takes the file names
 * it; the others that match are told as candidates.
 */
#include "format.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

const struct format_driver *const formats[] = {
    &parallels_driver,
    &qed_driver,
    &vdi_driver,
    &qcow2_driver,
    &qcow_driver,
    &vmdk_driver,
    &vhdx_driver,
    &vhd_driver,
    &luks_driver,
    &bochs_driver,
    &cloop_driver,
    &dmg_driver,
    &raw_driver, /* takes everything: must be the last */
    NULL,
};

const struct format_driver *format_by_name(const char *name)
{
    for (const struct format_driver *const *f = formats; *f; f++)
        if (strcmp((*f)->name, name) == 0)
            return *f;
    return NULL;
}

/* A version, MAJOR.MINOR, of length bytes. */
static bool parse_version(const char *text, size_t length, unsigned *version)
{
    unsigned major = 0, minor = 0;
    int used = 0;

    if (strspn(text, "0123456789.") < length ||
        sscanf(text, "%3u.%3u%n", &major, &minor, &used) != 2)
        return false;
    *version = QEMU_VERSION(major, minor);
    return major && (size_t)used == length;
}

static bool parse_format(const char *text, size_t length, const struct format_driver **format)
{
    char name[16] = "";

    if (length >= sizeof name)
        return false;
    memcpy(name, text, length);
    *format = format_by_name(name);
    return *format || strcmp(name, "auto") == 0;
}

bool open_options_parse(struct open_options *options, const char *text)
{
    bool good = true;

    while (good && *text) {
        size_t length = strcspn(text, ",");

        if (strncmp(text, "format=", 7) == 0)
            good = parse_format(text + 7, length - 7, &options->format);
        else if (strncmp(text, "qemu=", 5) == 0)
            good = parse_version(text + 5, length - 5, &options->qemu);
        else
            good = false;
        text += length + (text[length] == ',');
    }
    return good;
}

void open_options_describe(const struct open_options *options, char *out, size_t size)
{
    int used = snprintf(out, size, "format=%s", options->format ? options->format->name : "auto");

    if (options->qemu && (size_t)used < size)
        snprintf(out + used, size - (size_t)used, ",qemu=%u.%u", options->qemu / 1000,
                 options->qemu % 1000);
}
