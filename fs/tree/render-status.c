// SPDX-License-Identifier: Apache-2.0
/* The text of files that need no pass. */
#include "render.h"

#include <errno.h>
#include <string.h>

#include "detect/files/image-file.h"
#include "formats/escape.h"
#include "status.h"

int show_file_size(const struct status *status, const struct place *place, struct text *text)
{
    (void)place;
    text_add_number(text, status->file_size);
    return 0;
}

int show_disk_size(const struct status *status, const struct place *place, struct text *text)
{
    (void)place;
    text_add_number(text, status->disk_size);
    return 0;
}

int show_bytes_read(const struct status *status, const struct place *place, struct text *text)
{
    (void)place;
    text_add_number(text, status->bytes_read);
    return 0;
}

int show_generation(const struct status *status, const struct place *place, struct text *text)
{
    (void)place;
    text_add_number(text, status->generation);
    return 0;
}

int show_problems(const struct status *status, const struct place *place, struct text *text)
{
    (void)place;
    text_add(text, "%.*s", (int)status->problems->length, status->problems->bytes);
    return 0;
}

int show_in_use(const struct status *status, const struct place *place, struct text *text)
{
    (void)place;
    if (status->fd < 0)
        return -ENOTSUP;
    text_add(text, "%s\n", image_file_use(status->fd));
    return 0;
}

int show_version(const struct status *status, const struct place *place, struct text *text)
{
    (void)status;
    (void)place;
    text_add(text, "%s\n", VERSION);
    return 0;
}

int show_options(const struct status *status, const struct place *place, struct text *text)
{
    (void)place;
    text_add(text, "%s\n", status->options);
    return 0;
}

int show_image(const struct status *status, const struct place *place, struct text *text)
{
    char path[4 * 4096];

    (void)place;
    escape_text(path, sizeof path, status->image, strlen(status->image));
    text_add(text, "%s\n", path);
    return 0;
}

/* Adds lines about processes. Without a mount there are none, and the file does not apply. */
static int show_lines(const struct status *status, void (*add)(const void *, struct text *),
                      struct text *text)
{
    if (!add)
        return -ENOENT;
    add(status->mount, text);
    return 0;
}

int show_progress(const struct status *status, const struct place *place, struct text *text)
{
    (void)place;
    return show_lines(status, status->add_progress, text);
}

int show_jobs(const struct status *status, const struct place *place, struct text *text)
{
    (void)place;
    return show_lines(status, status->add_jobs, text);
}

int show_passes(const struct status *status, const struct place *place, struct text *text)
{
    (void)place;
    return show_lines(status, status->add_passes, text);
}

int show_sandbox(const struct status *status, const struct place *place, struct text *text)
{
    (void)place;
    return show_lines(status, status->add_sandbox, text);
}
