// SPDX-License-Identifier: Apache-2.0
/* Files that need no pass: they tell what the program knows by itself. */
#include "status.h"

#include <stdlib.h>
#include <string.h>

#include "progress.h"

/* Files of lines about jobs. */
static const struct {
    const char *path;
    void (*add)(struct text *text, const struct jobs *jobs);
} tables[] = {
    {"status/progress", progress_add},
    {"status/jobs", progress_add_waiting},
    {"status/passes", progress_add_done},
};

/* The lines of such a file; of another none. */
static void add_lines(struct text *lines, const struct front *front, const struct place *place)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (strcmp(place->node->path, tables[i].path) == 0)
            tables[i].add(lines, &front->jobs);
}

struct result *status_render(struct front *front, const struct place *place)
{
    const struct layer *layer = front_layer(front, place->view);
    const struct view *view = &front->jobs.views[place->view];
    struct text lines = {.bytes = NULL};
    struct status status = {
        .image = layer->path,
        .options = front->options_text,
        .problems = &view->problems,
        .file_size = (uint64_t)layer->st.st_size,
        .disk_size = (uint64_t)layer->st.st_blocks * 512,
        .bytes_read = view_bytes_read(view),
        .generation = front->generation,
        .fd = layer->fd,
        .lines = &lines,
    };
    struct facts *facts = calloc(1, sizeof *facts);
    struct text text = {.bytes = NULL};
    struct result *result = NULL;

    if (facts) {
        int error;

        facts->status = &status;
        add_lines(&lines, front, place);
        error = place->node->render(facts, place, &text);
        error = error ? error : text.error;
        result = result_new(error, text.bytes, error ? 0 : text.length);
    }
    text_free(&text);
    text_free(&lines);
    free(facts);
    return result;
}
