// SPDX-License-Identifier: Apache-2.0
/* Files that need no pass: they tell what the program knows by itself. */
#include "status.h"

#include <stdlib.h>

#include "progress.h"

struct result *status_render(struct front *front, const struct place *place)
{
    const struct layer *layer = front_layer(front, place->view);
    const struct view *view = &front->jobs.views[place->view];
    struct text progress = {.bytes = NULL}, jobs = {.bytes = NULL}, passes = {.bytes = NULL};
    struct status status = {
        .image = layer->path,
        .options = front->options_text,
        .problems = &view->problems,
        .file_size = (uint64_t)layer->st.st_size,
        .disk_size = (uint64_t)layer->st.st_blocks * 512,
        .bytes_read = view_bytes_read(view),
        .generation = front->generation,
        .fd = layer->fd,
        .progress = &progress,
        .jobs = &jobs,
        .passes = &passes,
    };
    struct facts *facts = calloc(1, sizeof *facts);
    struct text text = {.bytes = NULL};
    struct result *result = NULL;

    if (facts) {
        int error;

        facts->status = &status;
        progress_add(&progress, &front->jobs);
        progress_add_waiting(&jobs, &front->jobs);
        progress_add_done(&passes, &front->jobs);
        error = place->node->render(facts, place, &text);
        error = error ? error : text.error;
        result = result_new(error, text.bytes, error ? 0 : text.length);
    }
    text_free(&text);
    text_free(&progress);
    text_free(&jobs);
    text_free(&passes);
    free(facts);
    return result;
}
