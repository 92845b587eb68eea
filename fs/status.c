// SPDX-License-Identifier: Apache-2.0
/* Files that need no pass: they tell what the program knows by itself. */
#include "status.h"

#include <stdlib.h>
#include <string.h>

#include "fs/jobs/progress.h"

/* Files of lines about jobs. */
static const struct {
    const char *path;
    void (*add)(struct text *text, const struct jobs *jobs);
} tables[] = {
    {"status/progress", progress_add},
    {"status/jobs", progress_add_waiting},
    {"status/passes", progress_add_done},
};

/* A line for each layer of a process. */
static void add_layers(struct text *text, const char *process, const struct sandbox_state *state)
{
    for (enum sandbox_layer i = 0; i < SANDBOX_LAYERS; i++) {
        text_add(text, "%s %s ", process, sandbox_layer_name(i));
        if (!(state->layers & 1u << i))
            text_add(text, "off\n");
        else if (i == SANDBOX_USER)
            text_add(text, "%u\n", state->user);
        else if (i == SANDBOX_LANDLOCK)
            text_add(text, "%u\n", state->landlock_abi);
        else if (i == SANDBOX_SECCOMP)
            text_add(text, "%u\n", state->calls);
        else
            text_add(text, "on\n");
    }
}

/* How the processes are held that read the image, and that answer. */
static void add_sandbox(struct text *text, const struct front *front)
{
    text_add(text, "mode %s\n", sandbox_mode_name(front->options->sandbox.mode));
    add_layers(text, "job", &front->jobs.sandbox);
    add_layers(text, "front", &front->sandbox);
}

/* The lines of such a file; of another none. */
static void add_lines(struct text *lines, const struct front *front, const struct place *place)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (strcmp(place->node->path, tables[i].path) == 0)
            tables[i].add(lines, &front->jobs);
    if (strcmp(place->node->path, "status/sandbox") == 0)
        add_sandbox(lines, front);
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
        .fd = layer->storage & STORAGE_REMOTE ? -1 : layer->fd,
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
