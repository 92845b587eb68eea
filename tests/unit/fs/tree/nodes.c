// SPDX-License-Identifier: Apache-2.0
/* The nodes: the tables they come from, and lookups by path and by name. */
#include "fs/tree/nodes.h"

#include <stdio.h>
#include <string.h>

#include "detect/content.h"
#include "fs/tree/measures.h"
#include "tests/support/support.h"

static const struct node *must_find(const char *path)
{
    const struct node *node = node_by_path(path);

    if (!node)
        fail_msg("there is no node \"%s\"", path);
    return node;
}

/* The node called name in the directory, or NULL. */
static const struct node *find_in(const struct node *directory, const char *name)
{
    struct place place;

    return place_in(&(struct place){.node = directory}, name, &place) ? place.node : NULL;
}

/* A directory's entry is found by its name; a numbered one by any number. */
static void assert_entry(const struct node *directory, const struct node *child)
{
    if (strcmp(child->path, "layers/#") == 0)
        assert_ptr_equal(find_in(directory, "3"), nodes);
    else if (strcmp(node_name(child), "#") == 0)
        assert_ptr_equal(find_in(directory, "3"), child);
    else
        assert_ptr_equal(find_in(directory, node_name(child)), child);
}

/* The invariants of nodes[]. */
static void test_table(void **state)
{
    size_t count = 0;

    (void)state;
    assert_string_equal(nodes[0].path, "");
    for (const struct node *n = nodes; n->path; n++, count++) {
        size_t parents = 0;

        assert_ptr_equal(node_by_path(n->path), n); /* no path twice */
        assert_int_equal(node_index(n), count);
        assert_true(n->pass < PASSES);
        assert_true(!n->render || !n->show);
        assert_int_equal(n->render != NULL, n->pass != PASS_NONE);
        for (const struct node *p = nodes; p->path; p++)
            if (node_is_in(n, p)) {
                parents++;
                assert_true(p < n);
                assert_true(node_is_directory(p));
                assert_entry(p, n);
            }
        assert_int_equal(parents, n == nodes ? 0 : 1);
    }
    assert_int_equal(nodes_count(), count);
}

/* Every field of every header is a file of the pass, in the directory of its section. */
static void assert_fields(const struct header_section *sections, enum pass_id pass,
                          const char *after)
{
    for (const struct header_section *p = sections; p && p->fields; p++) {
        char path[256];
        int used =
            snprintf(path, sizeof path, "header%s%s", *p->directory ? "/" : "", p->directory);

        assert_true(node_is_directory(must_find(path)));
        if (*p->directory)
            assert_string_equal(must_find(path)->after, after);
        for (size_t i = 0; i < p->count; i++) {
            snprintf(path + used, sizeof path - (size_t)used, "/%s", p->fields[i].name);
            assert_int_equal(must_find(path)->pass, pass);
            assert_null(must_find(path)->target);
            assert_null(must_find(path)->after);
        }
    }
}

static void test_headers(void **state)
{
    (void)state;
    assert_null(must_find("header")->after);
    for (const struct format_driver *const *f = formats; *f; f++)
        assert_fields((*f)->sections, PASS_HEADER, "format");
    assert_fields(content_sections, PASS_CONTENT, "content");
    assert_null(node_by_path("header/"));
    assert_null(node_by_path("header//version"));
    assert_null(find_in(must_find("header"), "nothing"));
    assert_true(nodes_count() <= NODES_MAX);
}

/* `after` is the path of a file that needs a pass, and no other file before. */
static void test_after(void **state)
{
    (void)state;
    for (const struct node *n = nodes; n->path; n++)
        if (n->after) {
            assert_true(must_find(n->after)->pass != PASS_NONE);
            assert_null(must_find(n->after)->after);
        }
}

/* A second call changes nothing. */
static void test_begin_twice(void **state)
{
    size_t count = nodes_count();

    (void)state;
    nodes_begin();
    assert_int_equal(nodes_count(), count);
}

/* A name longer than any path is not found, and overflows nothing. */
static void test_long_names(void **state)
{
    static char name[5000];

    (void)state;
    memset(name, 'x', sizeof name - 1);
    for (size_t length = sizeof name - 1; length; length /= 2) {
        name[length] = '\0';
        assert_null(find_in(must_find("header/gpt"), name));
        assert_null(node_by_path(name));
    }
}

static void test_targets(void **state)
{
    size_t count = 0;

    (void)state;
    for (; targets[count]; count++) {
        const struct target *t = targets[count];
        uint64_t units[TARGET_UNITS_MAX];
        size_t kinds = t->units ? t->units(&t->defaults, GIB, units) : 0;
        enum pass_id pass = !kinds ? PASS_HEADER : PASS_MEASURE;
        char path[64];

        for (size_t i = 0; i < kinds; i++)
            pass = units[i] < MEASURED_UNIT ? PASS_SCAN : pass;

        snprintf(path, sizeof path, "measure/%s", t->name);
        assert_ptr_equal(must_find(path)->target, t);
        /* Sizes that depend on the data need a walk over the extents. */
        assert_int_equal(must_find(path)->pass, pass);
        strcat(path, ".json");
        assert_ptr_equal(must_find(path)->target, t);
        assert_int_equal(must_find(path)->pass, pass);
        snprintf(path, sizeof path, "convert_size/%s", t->name);
        assert_int_equal(must_find(path)->pass, kinds ? PASS_DATA : PASS_HEADER);
    }
    assert_true(count <= TARGETS_MAX);
}

/* Checksum is a number in VHDX and a hash in DMG: programs must not take it for a number. */
static void test_kinds(void **state)
{
    (void)state;
    assert_int_equal(must_find("header/Checksum")->kind, KIND_STRING);
    assert_int_equal(must_find("header/SequenceNumber")->kind, KIND_NUMBER);
    assert_int_equal(must_find("header/cluster_bits")->kind, KIND_NUMBER);
    assert_int_equal(must_find("virtual_size")->kind, KIND_BYTES);
}

static void test_find(void **state)
{
    const struct node *root = must_find(""), *measure = must_find("measure"),
                      *qcow2 = must_find("measure/qcow2");

    (void)state;
    assert_ptr_equal(find_in(root, "measure"), measure);
    assert_ptr_equal(find_in(measure, "qcow2"), qcow2);
    assert_string_equal(node_name(qcow2), "qcow2");
    assert_string_equal(node_name(measure), "measure");
    assert_string_equal(node_name(root), "");
    assert_null(find_in(root, "qcow2"));
    assert_null(find_in(root, "measure/qcow2"));
    assert_null(find_in(root, ""));
    assert_null(find_in(root, "."));
    assert_null(find_in(measure, "measure"));
    assert_null(find_in(measure, "qco"));
    assert_null(find_in(qcow2, "json"));
    assert_null(node_by_path("measure/"));
    assert_null(node_by_path("/measure"));
    assert_null(node_by_path("nothing"));
}

static void test_is_in(void **state)
{
    const struct node *root = must_find(""), *measure = must_find("measure"),
                      *qcow2 = must_find("measure/qcow2"), *header = must_find("header"),
                      *gpt = must_find("header/gpt"), *lba = must_find("header/gpt/MyLBA");

    (void)state;
    assert_null(root->parent);
    assert_false(node_is_in(root, root));
    assert_false(node_is_in(measure, measure));
    assert_false(node_is_in(root, measure));
    assert_true(node_is_in(measure, root));
    assert_true(node_is_in(qcow2, measure));
    assert_false(node_is_in(qcow2, root));
    assert_true(node_is_in(header, root));
    assert_true(node_is_in(gpt, header));
    assert_true(node_is_in(lba, gpt));
    assert_false(node_is_in(lba, header));
    /* "gpt" is a prefix of the name "gpt_backup", but not its directory. */
    assert_false(node_is_in(must_find("header/gpt_backup"), gpt));
    assert_false(node_is_in(must_find("header/gpt_backup/MyLBA"), gpt));
}

static void assert_place(const char *path, uint32_t view, uint32_t number, const char *node)
{
    char name[PLACE_PATH_BYTES];
    struct place place;

    if (!place_by_path(path, &place))
        fail_msg("%s is no place", path);
    assert_int_equal(place.view, view);
    assert_int_equal(place.number, number);
    assert_string_equal(place.node->path, node);
    place_path(&place, name);
    assert_string_equal(name, path);
}

static void test_places(void **state)
{
    static const char *const none[] = {
        "references/00",
        "references/01",
        "references/-1",
        "references/+1",
        "references/ 1",
        "references/1x",
        "references/#",
        "references/65536",
        "references/x",
        "references/1/none",
        "references/1/kind/0",
        "references/4294967296",
        "layers/65536",
        "layers/#",
        "layers/0/layers",
        "layers/0/layers/0",
        "layers/0/status",
        "layers/1/status/image",
        "format/0",
        "0",
        "references/18446744073709551616",
    };
    struct place place;

    (void)state;
    assert_place("", 0, 0, "");
    assert_place("format", 0, 0, "format");
    assert_place("references", 0, 0, "references");
    assert_place("references/0", 0, 0, "references/#");
    assert_place("references/65535/kind", 0, 65535, "references/#/kind");
    assert_place("layers/0", view_named(VIEW_LAYER, 0), 0, "");
    assert_place("layers/63/format", view_named(VIEW_LAYER, 63), 0, "format");
    assert_place("layers/7/references/12/path", view_named(VIEW_LAYER, 7), 12, "references/#/path");
    for (size_t i = 0; i < COUNT(none); i++)
        if (place_by_path(none[i], &place))
            fail_msg("%s is a place", none[i]);
}

/* Each place has an inode number of its own. */
static void test_inos(void **state)
{
    static const char *const paths[] = {"",
                                        "format",
                                        "references/0/kind",
                                        "references/1/kind",
                                        "references/1/path",
                                        "layers/0",
                                        "layers/1",
                                        "layers/0/format",
                                        "layers/1/format",
                                        "references/65535",
                                        "references",
                                        "references/0",
                                        "layers/63/references/65535/resolved"};
    struct place a, b;

    (void)state;
    for (size_t i = 0; i < COUNT(paths); i++)
        for (size_t k = 0; k < i; k++) {
            assert_true(place_by_path(paths[i], &a) && place_by_path(paths[k], &b));
            assert_true(place_ino(&a) != place_ino(&b));
        }
    assert_true(place_by_path("", &a));
    assert_int_equal(place_ino(&a), 1);
    assert_true(place_by_path("layers/63/references/65535/resolved", &a));
    assert_true(place_ino(&a) <= UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),      cmocka_unit_test(test_headers),
        cmocka_unit_test(test_after),      cmocka_unit_test(test_begin_twice),
        cmocka_unit_test(test_long_names), cmocka_unit_test(test_targets),
        cmocka_unit_test(test_find),       cmocka_unit_test(test_is_in),
        cmocka_unit_test(test_places),     cmocka_unit_test(test_inos),
        cmocka_unit_test(test_kinds),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
