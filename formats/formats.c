// SPDX-License-Identifier: Apache-2.0
/*
 * The table of formats, in the order in which they are probed. The first that accepts the file is
 * its format; the others that match are listed as candidates.
 */
#include "format.h"

#include <errno.h>
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
    &raw_driver, /* accepts every file: must be the last */
    NULL,
};

const struct format_driver *format_by_name(const char *name)
{
    for (const struct format_driver *const *f = formats; *f; f++)
        if (strcmp((*f)->name, name) == 0)
            return *f;
    return NULL;
}

/* Parses MAJOR.MINOR. */
static bool parse_version(const char *text, unsigned *version)
{
    unsigned major = 0, minor = 0;
    int used = 0;

    if (strspn(text, "0123456789.") < strlen(text) ||
        sscanf(text, "%3u.%3u%n", &major, &minor, &used) != 2)
        return false;
    *version = QEMU_VERSION(major, minor);
    return major && !text[used];
}

static bool parse_format(const char *name, const struct format_driver **format)
{
    *format = format_by_name(name);
    return *format || strcmp(name, "auto") == 0;
}

static int refuse(struct reason *why, const char *option, const char *words)
{
    snprintf(why->words, sizeof why->words, "%s %s", option, words);
    return -EINVAL;
}

int open_options_take(struct open_options *options, const char *option, struct reason *why)
{
    if (strncmp(option, "format=", 7) == 0)
        return parse_format(option + 7, &options->format)
                   ? 1
                   : refuse(why, option, "is not a format that is known");
    if (strncmp(option, "qemu=", 5) == 0)
        return parse_version(option + 5, &options->qemu)
                   ? 1
                   : refuse(why, option, "is not a version, such as 7.2");
    if (strncmp(option, "backing=", 8) == 0 && strcmp(option + 8, "none") != 0)
        return refuse(why, option, "is not none");
    options->alone |= strcmp(option, "backing=none") == 0;
    options->any_parent |= strcmp(option, "any-parent") == 0;
    return strcmp(option, "backing=none") == 0 || strcmp(option, "any-parent") == 0;
}

void open_options_describe(const struct open_options *options, FILE *out)
{
    fprintf(out, "format=%s", options->format ? options->format->name : "auto");
    if (options->qemu)
        fprintf(out, ",qemu=%u.%u", options->qemu / 1000, options->qemu % 1000);
    fputs(options->alone ? ",backing=none" : "", out);
    fputs(options->any_parent ? ",any-parent" : "", out);
}
