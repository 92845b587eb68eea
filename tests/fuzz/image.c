// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes everything that reads an image, from detection to the walk over the guest's data: runs the
 * passes of the mount's jobs in this process. Inputs: image-input.h; their mutator:
 * image-mutator.c; invariants: image-checks.c, image-streams.c.
 */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "formats/checked.h"
#include "fs/tree/option-sets.h"
#include "fs/tree/run.h"
#include "image-checks.h"
#include "image-input.h"
#include "image-streams.h"

enum {
    WALK_US = 4000, /* a pass that takes longer is cancelled when it next reports progress */
    REFERENCES_NAMED = 4,
};

/* An image with the files that were granted. */
struct opened {
    struct layers layers;
    struct open_options options;
};

/* Receives the results of a pass. */
struct taker {
    int64_t end;     /* us */
    bool is_cut;     /* cancelled as it took too long: its results do not count */
    uint32_t named;  /* number of references */
    bool has_opened; /* virtual_size is known */
    uint64_t virtual_size;
    struct reference_list *references;
};

/* Larger disks are not tried with options: laying out all their tables takes too long. */
#define SET_SIZE_MAX (UINT64_C(1) << 40)

static int files[INPUT_FILES];
static struct option_sets sets;

/* Places with options; an input chooses one of them or none. */
static const char *const set_paths[] = {
    "measure/qcow2,cluster_size=512",
    "measure/qcow2,cluster_size=2M,extended_l2=on",
    "measure/qcow2,compat=0.10,preallocation=full",
    "measure/vmdk,subformat=streamOptimized",
    "measure/vpc,subformat=fixed",
    "measure/vhdx,block_size=1M,subformat=fixed",
    "measure/luks,cipher-alg=aes-128",
    "measure/qed,cluster_size=4k,table_size=2",
    "measure/parallels,cluster_size=4k",
    "convert_size/qcow2,cluster_size=512",
    "convert_size/qcow2,cluster_size=4k,refcount_bits=64",
    "convert_size/qcow2,preallocation=metadata",
    "convert_size/vmdk,subformat=streamOptimized",
    "convert_size/vmdk,subformat=twoGbMaxExtentSparse",
    "convert_size/vmdk,subformat=monolithicFlat",
    "convert_size/vpc,subformat=fixed",
    "convert_size/vdi,static=on",
    "convert_size/qed,cluster_size=4k",
    "convert_size/qcow2,compressed=on",
    "convert_size/qcow2,compressed=on,cluster_size=2M",
    "convert_size/qcow2,compressed=on,compression_type=zstd",
    "convert_size/qcow2,preallocation=full,cluster_size=1k",
    "convert_size/qcow,compressed=on",
};
enum { SETS = sizeof set_paths / sizeof *set_paths };
static struct place set_places[SETS];

/* Names of the image; detection depends on some. */
static const char *const names[] = {"image", "disk-flat.vmdk", "disk-s001.vmdk", "disk.hds",
                                    "disk-ctk.vmdk"};

static const unsigned qemus[] = {0, QEMU_VERSION(7, 2), QEMU_VERSION(8, 2), QEMU_VERSION(10, 0)};

/* Once: makes the files, and parses the places. */
static void begin(void)
{
    if (nodes_count())
        return;
    nodes_begin();
    for (unsigned i = 0; i < INPUT_FILES; i++) {
        files[i] = memfd_create("input", MFD_CLOEXEC);
        if (files[i] < 0)
            abort();
    }
    for (size_t i = 0; i < SETS; i++) {
        struct reason why = {.words = ""};

        if (option_sets_path(&sets, set_paths[i], &set_places[i], &why)) {
            fprintf(stderr, "%s: %s\n", set_paths[i], why.words);
            abort();
        }
    }
}

/* Writes the piece, clipped to the size of the file and to most bytes. Returns the bytes written.
 */
static uint64_t lay(const struct input_piece *p, uint64_t size, uint64_t most)
{
    static uint8_t block[4096];
    uint64_t length = min_u64(input_piece_bytes(p), most), done = 0;
    size_t whole = p->length && p->length <= sizeof block ? sizeof block / p->length : 0;
    const uint8_t *bytes = p->bytes;
    size_t step = p->length;

    if (p->offset >= size)
        return 0;
    length = min_u64(length, size - p->offset);
    if (p->times > 1 && whole > 1) {
        step = whole * p->length;
        for (size_t i = 0; i < step; i++)
            block[i] = p->bytes[i % p->length];
        bytes = block;
    }
    while (done < length) {
        ssize_t n =
            pwrite(files[p->file], bytes, min_u64(step, length - done), (off_t)(p->offset + done));

        if (n <= 0)
            abort();
        done += (uint64_t)n;
    }
    return length;
}

static void lay_files(const struct image_input *input)
{
    static const struct timespec times[2] = {{.tv_sec = 1500000000}, {.tv_sec = 1500000000}};
    uint64_t most = INPUT_WRITTEN_MAX;

    for (unsigned i = 0; i < INPUT_FILES; i++)
        if (ftruncate(files[i], 0) < 0 || ftruncate(files[i], (off_t)input->sizes[i]) < 0)
            abort();
    for (size_t i = 0; i < input->count; i++)
        most -= lay(&input->pieces[i], input->sizes[input->pieces[i].file], most);
    for (unsigned i = 0; i < INPUT_FILES; i++)
        futimens(files[i], times);
}

/* The format of that number, NULL for 0. */
static const struct format_driver *choose_format(uint8_t choice)
{
    size_t count = 0;

    while (formats[count])
        count++;
    return choice % (count + 1) ? formats[choice % (count + 1) - 1] : NULL;
}

/* The first references of the image are the second file, and those of that file the third. */
static void grant_files(struct policy *policy)
{
    for (unsigned layer = 0; layer + 1 < INPUT_FILES; layer++)
        for (unsigned n = 0; n < REFERENCES_NAMED; n++) {
            char option[64];
            struct reason why;

            snprintf(option, sizeof option, "ref=%u/%u:/proc/self/fd/%d", layer, n,
                     files[layer + 1]);
            if (policy_take(policy, option, &why) != 1)
                abort();
        }
}

static void open_image(struct opened *o, const struct image_input *input)
{
    struct layer *layer = &o->layers.items[0];
    uint8_t flags = input->choices[CHOICE_FLAGS];
    const char *name = names[input->choices[CHOICE_NAME] % (sizeof names / sizeof *names)];

    *layer =
        (struct layer){.fd = dup(files[0]), .directory_fd = -1, .directory = strdup("/nowhere")};
    if (layer->fd < 0 || fstat(layer->fd, &layer->st) < 0 ||
        asprintf(&layer->path, "/nowhere/%s", name) < 0)
        abort();
    o->layers.count = 1;
    o->options.format = choose_format(input->choices[CHOICE_FORMAT]);
    o->options.qemu = qemus[flags & INPUT_QEMU];
    o->options.name = name;
    o->options.alone = flags & INPUT_ALONE;
    o->options.any_parent = flags & INPUT_ANY_PARENT;
    o->layers.policy.backing_format = choose_format(input->choices[CHOICE_BACKING]);
    if (flags & INPUT_GRANTED)
        grant_files(&o->layers.policy);
}

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static int take_file(void *context, const struct place *place, int error, const struct text *text)
{
    static const struct node *virtual_size;
    struct taker *taker = context;

    if (taker->is_cut)
        return -ECANCELED;
    if (!virtual_size)
        virtual_size = node_by_path("virtual_size");
    if (place->node == virtual_size && !error) {
        taker->has_opened = true;
        taker->virtual_size = strtoull(text->bytes, NULL, 10);
    }
    check_file(place, error, text);
    return 0;
}

static int take_count(void *context, const struct place *directory, uint32_t count)
{
    struct taker *taker = context;

    if (!directory->node->count || count > NUMBERS_MAX)
        abort();
    if (strcmp(directory->node->path, "references") == 0)
        taker->named = count;
    return 0;
}

static int take_reference(void *context, const struct reference *reference)
{
    const struct taker *taker = context;

    return taker->references ? reference_list_add(taker->references, reference) : 0;
}

static int take_progress(void *context, uint64_t done, uint64_t total)
{
    struct taker *taker = context;

    if (done > total)
        abort();
    taker->is_cut |= now_us() > taker->end;
    return taker->is_cut ? -ECANCELED : 0;
}

static struct taker run(struct opened *o, struct task task, struct taker taker)
{
    const struct pass_sink sink = {&taker,         take_file,     take_count,
                                   take_reference, take_progress, NULL};
    static struct pass_report report;
    int error;

    taker.end = now_us() + WALK_US;
    error =
        task_run(&task, option_sets_get(&sets, task.set), &o->layers, &o->options, &sink, &report);
    if (error && !taker.is_cut) {
        fprintf(stderr, "pass %s: %s\n", passes[task.pass].name, strerror(-error));
        abort();
    }
    check_problems(report.problems);
    return taker;
}

/* Finds the references of all layers and opens the granted ones. Files have other texts from then
 * on. */
static void find_layers(struct opened *o)
{
    for (unsigned i = 0; i < o->layers.count; i++) {
        struct reference_list references = {.items = NULL};

        run(o, (struct task){.view = view_named(VIEW_LAYER, i), .pass = PASS_HEADER},
            (struct taker){.references = &references});
        if (layers_grant(&o->layers, i, &references))
            abort();
        reference_list_end(&references);
    }
    checks_begin();
}

/* Runs all passes; of an image that cannot be opened two, as their files are all the same error.
 * Returns what the content pass found. */
static struct taker run_all(struct opened *o, uint32_t view)
{
    const struct taker none = {.end = 0};
    struct taker content = run(o, (struct task){.view = view, .pass = PASS_CONTENT}, none);

    if (!view && content.named) {
        find_layers(o);
        content = run(o, (struct task){.pass = PASS_CONTENT}, none);
    }
    run(o, (struct task){.view = view, .pass = PASS_SCAN}, none);
    if (content.has_opened) {
        run(o, (struct task){.view = view, .pass = PASS_MEASURE}, none);
        run(o, (struct task){.view = view, .pass = PASS_DATA}, none);
    }
    return content;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[INPUT_BYTES_MAX];
    static struct image_input input;
    static struct opened opened;
    struct taker content;
    uint8_t set;

    begin();
    size = min_u64(size, sizeof bytes);
    memcpy(bytes, data, size);
    if (!input_parse(&input, bytes, size))
        return 0;
    set = input.choices[CHOICE_SET] % (SETS + 1);
    opened = (struct opened){.options = {.format = NULL}};
    lay_files(&input);
    open_image(&opened, &input);
    checks_begin();
    content = run_all(&opened, 0);
    if (content.has_opened)
        check_streams(files[0], &opened.options);
    if (set && content.has_opened && content.virtual_size < SET_SIZE_MAX)
        run(&opened, place_task(&set_places[set - 1]), (struct taker){.end = 0});
    check_sizes(view_named(VIEW_WHOLE, 0));
    if (opened.layers.count > 1) {
        run_all(&opened, view_named(VIEW_LAYER, 0));
        run_all(&opened, view_named(VIEW_LAYER, 1));
        check_sizes(view_named(VIEW_LAYER, 0));
    }
    layers_end(&opened.layers);
    return 0;
}
