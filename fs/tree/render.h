/* SPDX-License-Identifier: Apache-2.0 */
/* The render functions: what each file contains. Contract: struct node in nodes.h. */
#ifndef FS_TREE_RENDER_H
#define FS_TREE_RENDER_H

#include "nodes.h"

int render_allocated_size(const struct facts *facts, const struct place *place, struct text *text);
int render_bytes_read(const struct facts *facts, const struct place *place, struct text *text);
int render_content(const struct facts *facts, const struct place *place, struct text *text);
int render_generation(const struct facts *facts, const struct place *place, struct text *text);
int render_header_field(const struct facts *facts, const struct place *place, struct text *text);
int render_content_field(const struct facts *facts, const struct place *place, struct text *text);
int render_candidates(const struct facts *facts, const struct place *place, struct text *text);
int render_disk_size(const struct facts *facts, const struct place *place, struct text *text);
int render_file_size(const struct facts *facts, const struct place *place, struct text *text);
int render_convert_size(const struct facts *facts, const struct place *place, struct text *text);
int render_convert_size_json(const struct facts *facts, const struct place *place,
                             struct text *text);
int render_format(const struct facts *facts, const struct place *place, struct text *text);
int render_in_use(const struct facts *facts, const struct place *place, struct text *text);
int render_image(const struct facts *facts, const struct place *place, struct text *text);
int render_measure(const struct facts *facts, const struct place *place, struct text *text);
int render_measure_json(const struct facts *facts, const struct place *place, struct text *text);
int render_options(const struct facts *facts, const struct place *place, struct text *text);
int render_lines(const struct facts *facts, const struct place *place, struct text *text);
int render_problems(const struct facts *facts, const struct place *place, struct text *text);
int render_reference_kind(const struct facts *facts, const struct place *place, struct text *text);
int render_reference_source(const struct facts *facts, const struct place *place,
                            struct text *text);
int render_reference_path(const struct facts *facts, const struct place *place, struct text *text);
int render_reference_format(const struct facts *facts, const struct place *place,
                            struct text *text);
int render_reference_state(const struct facts *facts, const struct place *place, struct text *text);
int render_reference_reason(const struct facts *facts, const struct place *place,
                            struct text *text);
int render_reference_resolved(const struct facts *facts, const struct place *place,
                              struct text *text);
size_t count_references(const struct facts *facts);
size_t count_layers(const struct facts *facts);
int render_subformat(const struct facts *facts, const struct place *place, struct text *text);
int render_version(const struct facts *facts, const struct place *place, struct text *text);
int render_virtual_size(const struct facts *facts, const struct place *place, struct text *text);

#endif
