// SPDX-License-Identifier: Apache-2.0
/* Files that need no pass: rendered from the front's state. */
#include "status.h"

#include "fs/jobs/progress.h"
#include "fs/tree/status.h"

static void add_progress(const void *mount, struct text *text)
{
    progress_add(text, &((const struct front *)mount)->jobs);
}

static void add_jobs(const void *mount, struct text *text)
{
    progress_add_waiting(text, &((const struct front *)mount)->jobs);
}

static void add_passes(const void *mount, struct text *text)
{
    const struct front *front = mount;

    progress_add_done(text, &front->jobs, &front->image.views);
}

/* Adds a line for each sandbox layer of a process. */
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

/* Adds the sandbox of jobs and of the front. */
static void add_sandbox(const void *mount, struct text *text)
{
    const struct front *front = mount;

    text_add(text, "mode %s\n", sandbox_mode_name(front->options->sandbox.mode));
    add_layers(text, "job", jobs_sandbox(&front->jobs));
    add_layers(text, "front", &front->sandbox);
}

struct result *status_render(struct front *front, const struct place *place)
{
    const struct mounted *m = &front->image;
    const struct layer *layer = mounted_layer(m, place->view);
    struct view *view = views_get(&front->image.views, place->view);
    struct text text = {.bytes = NULL};
    struct result *result;
    int error;

    if (!view)
        return NULL;
    error = place->node->show(
        &(struct status){
            .image = layer->path,
            .options = front->options_text,
            .problems = &view->problems,
            .generation = m->generation,
            .file_size = (uint64_t)layer->st.st_size,
            .disk_size = (uint64_t)layer->st.st_blocks * 512,
            .bytes_read = view_bytes_read(view),
            .fd = layer->storage & STORAGE_REMOTE ? -1 : layer->fd,
            .mount = front,
            .add_progress = add_progress,
            .add_jobs = add_jobs,
            .add_passes = add_passes,
            .add_sandbox = add_sandbox,
        },
        place, &text);
    error = error ? error : text.error;
    result = result_new(error, text.bytes, error ? 0 : text.length, text.number);
    text_free(&text);
    return result;
}
