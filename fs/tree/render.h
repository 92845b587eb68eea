/* SPDX-License-Identifier: Apache-2.0 */
/* Render functions: the text of each file that a pass computes. Contract: struct node. */
#ifndef FS_TREE_RENDER_H
#define FS_TREE_RENDER_H

#include "nodes.h"

int render_allocated_size(const struct findings *findings, const struct place *place,
                          struct text *text);
int render_content(const struct findings *findings, const struct place *place, struct text *text);
int render_header_field(const struct findings *findings, const struct place *place,
                        struct text *text);
int render_content_field(const struct findings *findings, const struct place *place,
                         struct text *text);
int render_candidates(const struct findings *findings, const struct place *place,
                      struct text *text);
int render_convert_size(const struct findings *findings, const struct place *place,
                        struct text *text);
int render_convert_size_json(const struct findings *findings, const struct place *place,
                             struct text *text);
int render_format(const struct findings *findings, const struct place *place, struct text *text);
int render_measure(const struct findings *findings, const struct place *place, struct text *text);
int render_measure_json(const struct findings *findings, const struct place *place,
                        struct text *text);
int render_reference_kind(const struct findings *findings, const struct place *place,
                          struct text *text);
int render_reference_source(const struct findings *findings, const struct place *place,
                            struct text *text);
int render_reference_path(const struct findings *findings, const struct place *place,
                          struct text *text);
int render_reference_format(const struct findings *findings, const struct place *place,
                            struct text *text);
int render_reference_state(const struct findings *findings, const struct place *place,
                           struct text *text);
int render_reference_reason(const struct findings *findings, const struct place *place,
                            struct text *text);
int render_reference_resolved(const struct findings *findings, const struct place *place,
                              struct text *text);
int render_subformat(const struct findings *findings, const struct place *place, struct text *text);
int render_virtual_size(const struct findings *findings, const struct place *place,
                        struct text *text);

/* The number of entries of references/. */
size_t count_references(const struct findings *findings);

#endif
