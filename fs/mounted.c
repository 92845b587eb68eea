// SPDX-License-Identifier: Apache-2.0
/* One image of a mount. */
#include "mounted.h"

#include <errno.h>
#include <string.h>

#include "detect/files/image-file.h"
#include "fs/tree/clock.h"

void mounted_begin(struct mounted *m)
{
    m->generation = 1;
    m->views.sharers = 1 + m->layers.count;
}

void mounted_end(struct mounted *m)
{
    watch_end(&m->watch);
    views_end(&m->views);
}

const struct layer *mounted_layer(const struct mounted *m, uint32_t view)
{
    return &m->layers.items[view_layer(view)];
}

/* Reports that the image no longer has its name. error: of layers_recheck(). */
static void report_away(struct mounted *m, int error)
{
    struct view *view = views_get(&m->views, view_named(VIEW_WHOLE, 0));
    const char *words =
        error == -EPERM || error == -ELOOP
            ? "the image's name now leads to a symbolic link, to another owner's file or to no "
              "regular file, which is not opened: the previous file is shown"
        : error == -EACCES
            ? "the file that now has the image's name cannot be opened (permission denied): the "
              "previous file is shown"
            : "the image no longer exists under its name: the previous file is shown";

    if (view)
        text_add_lines_once(&view->problems, words, strlen(words));
}

static void begin_generation(struct mounted *m)
{
    views_forget(&m->views);
    m->generation++;
    m->has_changed = true;
    if (m->layers.items[0].st.st_nlink == 0)
        report_away(m, -ENOENT);
}

/* Whether that error of layers_recheck() means: no file that may be opened has the image's name. */
static bool means_away(int error)
{
    static const int away[] = {-ENOENT, -ENOTDIR, -EPERM, -ELOOP, -EACCES};

    for (size_t i = 0; i < sizeof away / sizeof *away; i++)
        if (error == away[i])
            return true;
    return false;
}

bool mounted_take_recheck(struct mounted *m, int status, int fd, unsigned storage)
{
    m->is_rechecking = false;
    if (status && status != -EALREADY && !means_away(status)) /* the recheck failed */
        return false;
    m->is_away = means_away(status);
    if (m->is_away)
        report_away(m, status);
    if (fd < 0 || layers_replace(&m->layers, fd, storage) < 0)
        return false;
    begin_generation(m);
    return true;
}

static bool is_gone(const struct mounted *m)
{
    return m->is_away || m->layers.items[0].st.st_nlink == 0;
}

/* Checking open files is not enough on remote storage, nor when the image has no name. */
bool mounted_recheck_is_due(struct mounted *m)
{
    if (!is_gone(m) && !(m->layers.storage & STORAGE_REMOTE))
        return false;
    if (now_ms() - m->rechecked_at < (m->is_rechecking ? RECHECK_AGAIN_MS : RECHECK_MS))
        return false;
    m->rechecked_at = now_ms();
    return true;
}

void mounted_note_recheck(struct mounted *m, bool is_requested)
{
    m->is_rechecking = is_requested && is_gone(m);
}

bool mounted_is_rechecking(const struct mounted *m)
{
    return m->is_rechecking && now_ms() - m->rechecked_at < RECHECK_ANSWER_MS;
}

bool mounted_has_changed(struct mounted *m)
{
    struct layers *layers = &m->layers;
    bool changed = false;

    for (unsigned i = 0; i < layers->count; i++)
        changed |= image_file_has_changed(layers->items[i].fd, &layers->items[i].st);
    for (size_t i = 0; i < layers->held_count; i++)
        changed |= image_file_has_changed(layers->held[i]->fd, &layers->held[i]->st);
    if (changed)
        begin_generation(m);
    return changed;
}
