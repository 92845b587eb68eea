// SPDX-License-Identifier: Apache-2.0
/* The rows of table.def. */
#include "formats/targets/options.h"
#include "nodes.h"
#include "render.h"

#define DIRECTORY(path_, ...) {.path = path_, __VA_ARGS__},
#define PASS_FILE(path_, pass_, kind_, render_, ...)                                               \
    {.path = path_, .pass = PASS_##pass_, .kind = KIND_##kind_, .render = render_, __VA_ARGS__},
#define STATUS_FILE(path_, kind_, show_, ...)                                                      \
    {.path = path_, .kind = KIND_##kind_, .show = show_, __VA_ARGS__},
#define TARGET_FILES(path_, target_, pass_, kind_, render_)                                        \
    PASS_FILE(path_, pass_, kind_, render_, .target = &target_##_target)                           \
    PASS_FILE(path_ ".json", pass_, JSON, render_##_json, .target = &target_##_target)

/* clang-format off */
const struct node node_table[] = {
#include "table.def"
    {.path = NULL},
};
/* clang-format on */

const struct node header_field_template = {.pass = PASS_HEADER, .render = render_header_field};
const struct node content_field_template = {.pass = PASS_CONTENT, .render = render_content_field};
