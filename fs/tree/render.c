// SPDX-License-Identifier: Apache-2.0
/* The text of each file that a pass computes. */
#include "render.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "findings.h"
#include "formats/escape.h"

static int add_number(struct text *text, uint64_t value)
{
    text_add_number(text, value);
    return 0;
}

int render_format(const struct findings *findings, const struct place *place, struct text *text)
{
    (void)place;
    if (!findings->detect_error)
        text_add(text, "%s\n", findings->detection.driver->name);
    return findings->detect_error;
}

int render_subformat(const struct findings *findings, const struct place *place, struct text *text)
{
    (void)place;
    if (!findings->disk.subformat)
        return findings->open_error ? findings->open_error : -ENOENT;
    text_add(text, "%s\n", findings->disk.subformat);
    return 0;
}

int render_virtual_size(const struct findings *findings, const struct place *place,
                        struct text *text)
{
    (void)place;
    return findings->open_error ? findings->open_error
                                : add_number(text, findings->disk.virtual_size);
}

int render_content(const struct findings *findings, const struct place *place, struct text *text)
{
    (void)place;
    if (!findings->content->error)
        text_add(text, "%s\n", findings->content->content.name);
    return findings->content->error;
}

/* Adds the value of a field of the sections; node: header/DIRECTORY/NAME or header/NAME. */
static int add_field(const struct header_section *sections, const struct header_found *found,
                     const struct node *node, struct text *text)
{
    const char *slash = strchr(node->parent->path, '/');
    char value[FIELD_TEXT_MAX];
    int error = header_field(sections, found, slash ? slash + 1 : "", node_name(node), value);

    if (!error)
        text_add(text, "%s\n", value);
    return error;
}

/* Without a format there is no header. */
int render_header_field(const struct findings *findings, const struct place *place,
                        struct text *text)
{
    if (findings->detect_error)
        return -ENOENT;
    return add_field(findings->disk.driver->sections, findings->header->sections, place->node,
                     text);
}

/* If the content could not be read, no field is known to exist. */
int render_content_field(const struct findings *findings, const struct place *place,
                         struct text *text)
{
    if (findings->content->error)
        return -ENOENT;
    return add_field(content_sections, findings->content->content.sections, place->node, text);
}

int render_candidates(const struct findings *findings, const struct place *place, struct text *text)
{
    (void)place;
    for (size_t i = 0; i < findings->detection.count; i++) {
        const struct candidate *c = &findings->detection.candidates[i];

        text_add(text, "%s %" PRIu64 " %s\n", c->driver->name, c->offset,
                 c->is_accepted ? "accepted" : c->why.words);
    }
    return findings->detect_error;
}

size_t count_references(const struct findings *findings)
{
    return findings->detect_error ? 0 : findings->disk.references_count;
}

/* The reference that the files at the place describe. */
static const struct reference *reference_of(const struct findings *findings,
                                            const struct place *place)
{
    return &findings->disk.references[place->number];
}

/* Whether and how the reference was granted; NULL: not known, since the image's references are not
 * those for which grants were decided. */
static const struct grant *grant_of(const struct findings *findings, const struct place *place)
{
    const struct grant *grants = findings->chain.files[0].grants;

    return grants ? &grants[place->number] : NULL;
}

/* Adds a line of text from the image. If the text is empty, the file does not apply. */
static int add_escaped(struct text *text, const char *bytes, size_t length)
{
    char *line;

    if (!length)
        return -ENOENT;
    line = malloc(4 * length + 1);
    if (!line)
        return -ENOMEM;
    escape_text(line, 4 * length + 1, bytes, length);
    text_add(text, "%s\n", line);
    free(line);
    return 0;
}

int render_reference_kind(const struct findings *findings, const struct place *place,
                          struct text *text)
{
    text_add(text, "%s\n", reference_of(findings, place)->kind);
    return 0;
}

int render_reference_source(const struct findings *findings, const struct place *place,
                            struct text *text)
{
    text_add(text, "%s\n", reference_of(findings, place)->source);
    return 0;
}

int render_reference_path(const struct findings *findings, const struct place *place,
                          struct text *text)
{
    const struct reference *r = reference_of(findings, place);

    return add_escaped(text, r->path, r->length);
}

int render_reference_format(const struct findings *findings, const struct place *place,
                            struct text *text)
{
    const char *format = reference_of(findings, place)->format;

    if (!format)
        return -ENOENT;
    text_add(text, "%s\n", format);
    return 0;
}

/* Whether it is the backing image, which was opened but cannot be used: its identity is not the one
 * that the image names, or it cannot be read. */
static bool is_unfit(const struct findings *findings, const struct place *place)
{
    return findings->disk.backing_error && reference_of(findings, place)->role == REFERENCE_BACKING;
}

int render_reference_state(const struct findings *findings, const struct place *place,
                           struct text *text)
{
    const struct grant *grant = grant_of(findings, place);
    const char *state = grant ? grant_state_name(grant->state) : "changed";

    if (grant && grant->state == GRANT_OPENED && is_unfit(findings, place))
        state = "unfit";
    text_add(text, "%s\n", state);
    return 0;
}

int render_reference_reason(const struct findings *findings, const struct place *place,
                            struct text *text)
{
    const struct grant *grant = grant_of(findings, place);

    if (!grant)
        text_add(text,
                 "the references differ from those of the image when it was mounted, or could "
                 "not be read then\n");
    else if (grant->why)
        text_add(text, "%s\n", grant->why);
    else if (grant->state == GRANT_OPENED && is_unfit(findings, place))
        text_add(text, "the file was opened but cannot be used: see problems\n");
    else
        return -ENOENT;
    return 0;
}

int render_reference_resolved(const struct findings *findings, const struct place *place,
                              struct text *text)
{
    const struct grant *grant = grant_of(findings, place);

    if (!grant || grant->state != GRANT_OPENED || !grant->resolved)
        return -ENOENT;
    return add_escaped(text, grant->resolved, strlen(grant->resolved));
}

int render_allocated_size(const struct findings *findings, const struct place *place,
                          struct text *text)
{
    (void)place;
    return findings->scan->error ? findings->scan->error
                                 : add_number(text, findings->scan->allocated);
}

/* The sizes for the target of a file in measure/. */
static const struct measured *measured_of(const struct findings *findings, const struct node *node)
{
    const struct measured *m = &findings->measured[target_row(node->target)];

    assert(m->is_computed);
    return m;
}

int render_measure(const struct findings *findings, const struct place *place, struct text *text)
{
    const struct measured *m = measured_of(findings, place->node);

    if (m->error)
        return m->error;
    text_add(text, "required size: %" PRIu64 "\n", m->size.required);
    text_add(text, "fully allocated size: %" PRIu64 "\n", m->size.fully_allocated);
    if (m->has_bitmaps)
        text_add(text, "bitmaps size: %" PRIu64 "\n", m->bitmaps);
    return 0;
}

int render_measure_json(const struct findings *findings, const struct place *place,
                        struct text *text)
{
    const struct measured *m = measured_of(findings, place->node);

    if (m->error)
        return m->error;
    text_add(text, "{\n");
    if (m->has_bitmaps)
        text_add(text, "    \"bitmaps\": %" PRIu64 ",\n", m->bitmaps);
    text_add(text, "    \"required\": %" PRIu64 ",\n", m->size.required);
    text_add(text, "    \"fully-allocated\": %" PRIu64 "\n}\n", m->size.fully_allocated);
    return 0;
}

/* The conversion to the target of a file in convert_size/. */
static const struct converted *converted_of(const struct findings *findings,
                                            const struct node *node)
{
    const struct converted *c = &findings->converted[target_row(node->target)];

    assert(c->is_computed);
    return c;
}

int render_convert_size(const struct findings *findings, const struct place *place,
                        struct text *text)
{
    const struct converted *c = converted_of(findings, place->node);

    return c->error ? c->error : add_number(text, c->size);
}

int render_convert_size_json(const struct findings *findings, const struct place *place,
                             struct text *text)
{
    const struct converted *c = converted_of(findings, place->node);

    if (c->error)
        return c->error;
    text_add(text, "{\n    \"size\": %" PRIu64 ",\n    \"files\": [", c->size);
    for (uint64_t i = 0; i < conversion_files(&c->conversion); i++) {
        struct conversion_file file;

        conversion_file(&c->conversion, i, &file);
        text_add(text, "%s\n        {\n            \"name\": ", i ? "," : "");
        text_add_json_string(text, file.name);
        text_add(text, ",\n            \"size\": %" PRIu64 "\n        }", file.size);
    }
    text_add(text, "\n    ]\n}\n");
    return 0;
}
