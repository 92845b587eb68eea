# SPDX-License-Identifier: Apache-2.0
"""Random chains of images, written layer by layer. Each has its own format, size and cluster size."""

import json
import os

import oracle.ask
import oracle.images as images

KIB, MIB, GIB = images.KIB, images.MIB, images.GIB
SECTOR = images.SECTOR

BASES = ("raw", "raw", "qcow2", "qcow2", "qcow2-convert", "qcow", "qed", "vmdk-sparse", "vmdk-sparse", "vmdk-stream",
         "vpc-dynamic", "vpc-fixed", "vdi", "parallels")
PLAIN = {"raw": {}, "qcow2": None, "qcow": {}, "qed": {}, "vmdk": {}, "vpc": {"force_size": "on"}, "vdi": {}, "parallels": {}}
DATA_LARGEST = 32 * MIB  # of disks whose bytes are compared
LARGEST = 8 * GIB


class Chain:
    """The layers, the base first, and the options that open them."""

    def __init__(self, image):
        self.image = image
        self.layers = []
        self.unstored = None  # format of backing images whose formats are not stored in their overlays
        self.with_data = image.chance(0.2)

    def new_layer(self, kind):
        layer = images.Image(self.image.rng, self.image.directory, kind)
        layer.path = os.path.join(self.image.directory, f"layer{len(self.layers)}.{layer.format}")
        layer.commands = self.image.commands
        return layer

    def options(self):
        """The options of instar-cat."""
        option = "follow=beside" + (f",backing-format={self.unstored}" if self.unstored else "")
        if self.layers[0].option_sets[0]:
            option += "," + self.layers[0].option_sets[0][1]
        return ("-o", option)


def make_base(chain):
    """Any image of one file; if bytes are compared, one that both sides can read."""
    if not chain.with_data:
        layer = chain.new_layer(chain.image.pick(*BASES))
        chain.layers.append(layer)
        try:
            images.KINDS[layer.kind](layer)
        except images.Spoilt:
            pass
        return
    layer = chain.new_layer(chain.image.pick(*PLAIN))
    chain.layers.append(layer)
    layer.size = images.random_size(layer, DATA_LARGEST)
    if layer.format == "raw":
        images.write_raw(layer, 12)
        return
    layer.create(readable_qcow2(layer) if layer.format == "qcow2" else PLAIN[layer.format])
    layer.io(images.random_writes(layer, 16, layer.units[0] if layer.format == "qcow2" else 0))


def readable_qcow2(layer):
    options = images.qcow2_options(layer)
    options.pop("compression_type", None)
    return options


def stores_format(overlay, backing):
    """Whether the overlay stores the format of its backing image. (QED stores only whether it is raw.)"""
    return overlay in ("qcow2", "vmdk") or overlay == "qed" and backing == "raw"


def pick_format(chain, backing):
    """A format for an overlay of that layer. Only one format that is not stored can be given as an option."""
    form = chain.image.pick("qcow2", "qcow2", "qcow", "qed", "qed", "vmdk" if backing.format == "vmdk" else "qcow2")
    if stores_format(form, backing.format):
        return form
    # qemu-img detects it then, and does not find fixed VHDs.
    if chain.unstored not in (None, backing.format) or backing.kind == "vpc-fixed":
        return "qcow2"
    chain.unstored = backing.format
    return form


def layer_options(chain, layer):
    """Options of create. Sets the units of the layer."""
    if layer.format == "qcow2":
        return readable_qcow2(layer) if chain.with_data else images.qcow2_options(layer)
    if layer.format == "qed":
        cluster = layer.pick(4, 8, 16, 64, 64, 256) * KIB
        table = layer.pick(2, 4, 4, 8)
        layer.units = [cluster, cluster, min(GIB, table * cluster // 8 * cluster)]
        return {"cluster_size": cluster, "table_size": table}
    if layer.format == "qcow":
        layer.units = [SECTOR, 4 * KIB, 2 * MIB]  # with a backing image its clusters are sectors
        return {}
    layer.units = [64 * KIB, 64 * KIB, 32 * MIB]
    return {"zeroed_grain": layer.pick("on", "off")}


def largest(chain, layer, options):
    limit = DATA_LARGEST if chain.with_data else LARGEST
    if layer.format == "qcow2":
        return min(limit, options["cluster_size"] << 20)
    if layer.format == "qed":
        entries = options["table_size"] * options["cluster_size"] // 8
        return min(limit, 4 * GIB - options["cluster_size"], entries * entries * options["cluster_size"])
    return limit


def size_over(layer, backing, limit):
    """The size of the backing image, or shorter or longer by a little, by clusters or by much."""
    rng, unit = layer.rng, layer.rng.choice(layer.units + backing.units)
    size = layer.pick(backing.size, backing.size, backing.size, backing.size // 2, backing.size * 2, backing.size // 8 * 9)
    size += layer.pick(0, 0, -1, 1, rng.randint(-200, 200)) * layer.pick(SECTOR, SECTOR, unit)
    if layer.chance(0.2):
        size = images.random_size(layer, limit)
    return min(limit, max(SECTOR, size // SECTOR * SECTOR))


def write_at_ends(chain, layer):
    """qemu-io commands around the ends of the backing images."""
    commands = []
    for backing in chain.layers:
        if not layer.chance(0.5) or backing.size >= layer.size:
            continue
        start = max(0, backing.size // SECTOR - layer.pick(0, 1, layer.rng.randint(0, 300))) * SECTOR
        length = min(layer.size - start, layer.pick(1, 2, layer.rng.randint(1, 600)) * SECTOR)
        layer.used.append((start // MIB * MIB, start + length + 2 * MIB))  # not for compressed writes
        commands.append(layer.pick("write -P 7", "write -z", "write -zu", "discard") + f" {start} {length}")
    return commands


def add_layer(chain):
    backing = chain.layers[-1]
    layer = chain.new_layer(pick_format(chain, backing))
    options = layer_options(chain, layer)
    layer.size = size_over(layer, backing, largest(chain, layer, options))
    text = ",".join(f"{key}={value}" for key, value in options.items())
    layer.run("qemu-img", "create", "-q", "-f", layer.format, *(["-o", text] if text else []),
              "-b", os.path.basename(backing.path), "-F", backing.format, layer.path, layer.size)
    layer.units += backing.units
    compressed = {"qcow2": options.get("cluster_size"), "qcow": SECTOR}.get(layer.format, 0)
    try:
        for _ in range(layer.rng.randint(1, 2)):
            layer.io(write_at_ends(chain, layer) + images.random_writes(layer, 20, compressed))
        if layer.format == "qcow2" and options["cluster_size"] in (4 * KIB, 8 * KIB, 64 * KIB) and \
           not chain.with_data and layer.chance(0.5):
            images.qcow2_punch(layer, options["cluster_size"])
    except images.Spoilt:
        pass
    chain.layers.append(layer)


def make(image):
    chain = image.chain = Chain(image)
    make_base(chain)
    chain.layers[0].size = json.loads(oracle.ask.qemu("info", "--output=json", "-f", chain.layers[0].format,
                                                      chain.layers[0].path))["virtual-size"]
    for _ in range(image.rng.randint(1, 4)):
        add_layer(chain)
    image.format, image.path, image.size = chain.layers[-1].format, chain.layers[-1].path, chain.layers[-1].size
    image.compare = compare


def measure_alone(layer):
    """What qemu-img measures of one layer without its backing image."""
    opened = {"driver": layer.format, "file": {"driver": "file", "filename": layer.path}}
    if layer.format in ("qcow2", "qcow", "qed", "vmdk"):
        opened["backing"] = None
    return oracle.ask.qemu("measure", "-O", "qcow2", "json:" + json.dumps(opened))


def expected(chain, options):
    """{node: text} of the whole chain, and of each layer alone."""
    image = chain.image
    answers = oracle.ask.expected(image.path, image.format, options)
    for n, layer in enumerate(reversed(chain.layers)):
        answers[f"layers/{n}/measure/qcow2"] = measure_alone(layer)
    return answers


def compare_once(tools, chain):
    """A message about differences, or ""."""
    image, options = chain.image, chain.options()
    nodes = [*oracle.ask.NODES, *(f"layers/{n}/measure/qcow2" for n in range(len(chain.layers)))]
    found = oracle.ask.ours(tools.instar_cat, image.path, nodes, options)
    report = oracle.ask.compare_map(tools.map_image, image.path, image.format, options)
    answers = expected(chain, options)
    if found != "".join(answers[node] for node in nodes):
        report += oracle.ask.describe(tools.instar_cat, image.path, answers, found, options, nodes)
    alone = {"measure/qcow2": answers["layers/0/measure/qcow2"]}
    options = ("-o", "backing=none")
    found = oracle.ask.ours(tools.instar_cat, image.path, alone, options)
    if found != alone["measure/qcow2"]:
        report += oracle.ask.describe(tools.instar_cat, image.path, alone, found, options, alone)
    return report


def compare_bytes(tools, chain):
    """Compares all guest bytes."""
    image = chain.image
    copy = os.path.join(image.directory, "copy.raw")
    oracle.ask.qemu("convert", "-f", image.format, "-O", "raw", image.path, copy)
    ours, error = oracle.ask.run_for_bytes(tools.map_image, "-r", *chain.options(), image.path)
    if error:
        return f"    guest bytes: {error}\n"
    with open(copy, "rb") as file:
        theirs = file.read()
    if ours == theirs:
        return ""
    first = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
    return f"    guest bytes: {len(ours)} of {len(theirs)}, the first difference is at {first}\n"


def compare(tools, image):
    """As oracle.ask.compare(), for all layers."""
    chain = image.chain
    image.commands.append(f"# options: {' '.join(chain.options())}")
    for layer in chain.layers:
        oracle.ask.settle(layer.path)
    for attempt in range(1, oracle.ask.ATTEMPTS + 1):
        report = compare_once(tools, chain)
        if not report:
            break
    if chain.with_data:
        report += compare_bytes(tools, chain)
    return report, attempt
