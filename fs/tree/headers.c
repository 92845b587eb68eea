// SPDX-License-Identifier: Apache-2.0
/* The header and content passes. */
#include "conversions.h"
#include "measures.h"
#include "passes.h"

/* Done also if the driver could not open the image: header/ shows the fields that there are. */
static void find_sections(struct findings *f)
{
    const struct header_section *sections = f->disk.driver->sections;

    for (size_t i = 0; sections && sections[i].fields; i++)
        header_find(&f->disk, &sections[i], &f->room.header.sections[i]);
    f->header = &f->room.header;
}

void headers_run(struct findings *f, const struct pass_sink *sink)
{
    (void)sink;
    if (!f->set && !f->detect_error)
        find_sections(f);
    conversions_begin(f, PASS_HEADER);
    measures_compute(f, PASS_HEADER, f->open_error);
    conversions_finish(f, PASS_HEADER, 0);
}

void content_run(struct findings *f, const struct pass_sink *sink)
{
    (void)sink;
    f->content = &f->room.content;
    f->room.content.error =
        f->open_error ? f->open_error : content_detect(&f->disk, &f->room.content.content);
}
