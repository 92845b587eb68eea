// SPDX-License-Identifier: Apache-2.0
/*
 * The table of the tree: a new file is a row here and a function that renders it. The files in
 * header/ come from the formats' tables; fields of the same name in several formats are one file.
 */
#include "nodes.h"

#include "formats/targets/options.h"
#include "render-status.h"
#include "render.h"

/* The two files of a target: text and JSON. */
#define FILES(directory, name, target_, pass_, kind_, render_)                                     \
    {.path = directory name,                                                                       \
     .pass = (pass_),                                                                              \
     .kind = (kind_),                                                                              \
     .render = render_,                                                                            \
     .target = &target_##_target},                                                                 \
    {                                                                                              \
        .path = directory name ".json", .pass = (pass_), .kind = KIND_JSON,                        \
        .render = render_##_json, .target = &target_##_target                                      \
    }
#define MEASURE(name, target, pass)                                                                \
    FILES("measure/", name, target, pass, KIND_LINES, render_measure)
#define CONVERT(name, target, pass)                                                                \
    FILES("convert_size/", name, target, pass, KIND_BYTES, render_convert_size)

const struct node node_table[] = {
    {.path = ""},
    {.path = "format", .pass = PASS_HEADER, .render = render_format},
    {.path = "subformat", .pass = PASS_HEADER, .render = render_subformat},
    {.path = "virtual_size",
     .pass = PASS_HEADER,
     .kind = KIND_BYTES,
     .render = render_virtual_size},
    {.path = "content", .pass = PASS_CONTENT, .render = render_content},
    {.path = "file_size", .kind = KIND_BYTES, .show = show_file_size},
    {.path = "disk_size", .kind = KIND_BYTES, .show = show_disk_size},
    {.path = "allocated_size",
     .pass = PASS_SCAN,
     .kind = KIND_BYTES,
     .render = render_allocated_size},
    {.path = "candidates", .pass = PASS_HEADER, .kind = KIND_LINES, .render = render_candidates},
    {.path = "measure", .parse = target_options_parse},
    MEASURE("raw", raw, PASS_HEADER),
    MEASURE("qcow2", qcow2, PASS_MEASURE),
    MEASURE("luks", luks, PASS_HEADER),
    MEASURE("vmdk", vmdk, PASS_MEASURE),
    MEASURE("vpc", vhd, PASS_MEASURE),
    MEASURE("vhdx", vhdx, PASS_MEASURE),
    MEASURE("vdi", vdi, PASS_MEASURE),
    MEASURE("qed", qed, PASS_MEASURE),
    MEASURE("parallels", parallels, PASS_MEASURE),
    MEASURE("qcow", qcow, PASS_SCAN),
    {.path = "convert_size", .parse = target_options_parse_conversion},
    CONVERT("raw", raw, PASS_HEADER),
    CONVERT("qcow2", qcow2, PASS_DATA),
    CONVERT("luks", luks, PASS_HEADER),
    CONVERT("vmdk", vmdk, PASS_DATA),
    CONVERT("vpc", vhd, PASS_DATA),
    CONVERT("vhdx", vhdx, PASS_DATA),
    CONVERT("vdi", vdi, PASS_DATA),
    CONVERT("qed", qed, PASS_DATA),
    CONVERT("parallels", parallels, PASS_DATA),
    CONVERT("qcow", qcow, PASS_DATA),
    {.path = "references", .count = count_references},
    {.path = "references/#", .after = "format"},
    {.path = "references/#/kind", .pass = PASS_HEADER, .render = render_reference_kind},
    {.path = "references/#/source", .pass = PASS_HEADER, .render = render_reference_source},
    {.path = "references/#/path", .pass = PASS_HEADER, .render = render_reference_path},
    {.path = "references/#/format", .pass = PASS_HEADER, .render = render_reference_format},
    {.path = "references/#/state", .pass = PASS_HEADER, .render = render_reference_state},
    {.path = "references/#/reason", .pass = PASS_HEADER, .render = render_reference_reason},
    {.path = "references/#/resolved", .pass = PASS_HEADER, .render = render_reference_resolved},
    {.path = "layers", .lists = VIEW_LAYER, .only_whole = true},
    {.path = "layers/#", .enters = VIEW_LAYER, .only_whole = true},
    {.path = "problems", .kind = KIND_LINES, .show = show_problems, .after = "format"},
    {.path = "status", .only_whole = true},
    {.path = "status/version", .show = show_version, .only_whole = true},
    {.path = "status/image", .show = show_image, .only_whole = true},
    {.path = "status/options", .show = show_options, .only_whole = true},
    {.path = "status/bytes_read", .kind = KIND_BYTES, .show = show_bytes_read, .only_whole = true},
    {.path = "status/generation", .kind = KIND_NUMBER, .show = show_generation, .only_whole = true},
    {.path = "status/in_use", .show = show_in_use, .only_whole = true},
    {.path = "status/progress", .kind = KIND_LINES, .show = show_progress, .only_whole = true},
    {.path = "status/jobs", .kind = KIND_LINES, .show = show_jobs, .only_whole = true},
    {.path = "status/passes", .kind = KIND_LINES, .show = show_passes, .only_whole = true},
    {.path = "status/sandbox", .kind = KIND_LINES, .show = show_sandbox, .only_whole = true},
    {.path = "header"},
    {.path = NULL},
};

const struct node header_field_template = {.pass = PASS_HEADER, .render = render_header_field};
const struct node content_field_template = {.pass = PASS_CONTENT, .render = render_content_field};
